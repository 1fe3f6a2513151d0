"""Signals that a training run recorded while it trained: no model is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from scoring.class_order import ClassOrder
from scoring.dynamics import Dynamics, Recorded
from scoring.errors import InputError
from scoring.hashing import digest
from scoring.ids import find_rows
from scoring.needs import Need
from scoring.signals import Signals, View
from scoring.sources.source import IntArray, Pass

if TYPE_CHECKING:
    from scoring.examples import Examples

ROWS_PER_BATCH = 8192


class RecordedSignals:
    """The dynamics of one run, matched to examples by id, and their classes by name.

    Args:
        run: The run directory.
        examples: What to score.
        data: What run.json says of the data: ``label_names``, and the ``fingerprint`` that summaries need, since they
            depend on the labels.
    """

    def __init__(self, run: Path, examples: Examples, data: Mapping[str, Any]) -> None:
        dynamics = Dynamics(run)
        self.run, self.examples, self.data = run, examples, data
        self._lines: dict[Path, IntArray] = {}
        self.files: dict[View, list[Recorded]] = {
            "presentation": list(dynamics.presentations()),
            "clean": list(dynamics.evaluations()),
        }

    def passes(self, run: int, view: View) -> list[Pass]:
        """One pass per recorded file, in time order."""
        return [
            Pass(run, file.step, file.epoch, view, str(file.path), recorded=True) for file in self.files[view]
        ]

    def stored(self, view: View) -> frozenset[str]:
        """What every file of the view holds."""
        held = [file.stored for file in self.files[view]]
        return frozenset.intersection(*held) if held else frozenset()

    def read(
        self, sweep: Pass, name: str, rows: IntArray, needs: frozenset[Need]
    ) -> Iterator[tuple[IntArray, Signals]]:
        """Batches in the order of ``rows``; those that the file does not hold are left out.

        Only the part of the file that holds ``rows`` is in memory: C float32 per row, or a few numbers where summaries
        were recorded.
        """
        file = next(f for f in self.files[sweep.view] if str(f.path) == sweep.where)
        classes = ClassOrder.between(
            self.data.get("label_names") or [], self.examples.label_names, f"the run {str(self.run)!r}"
        )
        self._check_summaries(file)
        at_B = self._positions(file)[rows]
        held_B = np.cumsum(at_B >= 0) - 1
        fields = file.read_lines(at_B[at_B >= 0])
        for start in range(0, len(rows), ROWS_PER_BATCH):
            part = slice(start, start + ROWS_PER_BATCH)
            chosen, inside = rows[part], np.flatnonzero(at_B[part] >= 0)
            lines = held_B[part][inside]
            held = {key: torch.from_numpy(values[lines]) for key, values in fields.items()}
            if classes is not None:
                moves = {"logits": classes.logits, "predictions": classes.predictions}
                held |= {key: moves[key](held[key]) for key in moves if key in held}
            yield (
                start + inside,
                Signals(
                    ids_B=self.examples.ids[chosen[inside]],
                    step=sweep.step,
                    epoch=sweep.epoch,
                    run=name,
                    view=sweep.view,
                    label_tensor=None
                    if self.examples.labels is None
                    else torch.from_numpy(self.examples.labels[chosen[inside]]),
                    logits=held.pop("logits", None),
                    summaries=held,
                ),
            )

    def _check_summaries(self, file: Recorded) -> None:
        """Recorded losses and margins are those of the labels of that time."""
        known = self.data.get("fingerprint")
        if "losses" in file.stored and known not in (None, self.examples.fingerprint):
            raise InputError(
                f"score: examples must be those, with the labels, whose losses {str(self.run)!r} recorded, got "
                f"fingerprint {self.examples.fingerprint} instead of {known}; score its checkpoints, or record logits."
            )

    def _check_content(self, file: Recorded, rows: IntArray) -> None:
        """Equal ids are not enough: two splits may both count from 0. Labels may have changed since."""
        if file.content not in (None, self.examples.content_fingerprint(rows)):
            raise InputError(
                f"score: examples must be those that {str(self.run)!r} recorded, and {self.examples.name} holds other "
                "contents under the same ids; score the run's own data, or its checkpoints with signals='checkpoints'."
            )

    def _positions(self, file: Recorded) -> IntArray:
        """Line of the file for every example, -1 where it has none; unknown ids are an error."""
        if file.path not in self._lines:
            ids = file.read_ids()
            at_N = np.full(len(self.examples), -1, dtype=np.int64)
            place = f"{self.examples.name} (recorded in {file.path})"
            try:
                at_N[find_rows(self.examples.ids, ids, "score", place)] = np.arange(len(ids))
            except InputError as error:
                hint = (
                    "score all examples that the run recorded, or its checkpoints with signals='checkpoints'"
                )
                raise InputError(f"{str(error).removesuffix('.')}; {hint}.") from None
            self._check_content(file, np.flatnonzero(at_N >= 0))
            # Most files hold the same ids in the same order: one array serves them all.
            same = (other for other in self._lines.values() if np.array_equal(other, at_N))
            self._lines[file.path] = next(same, at_N)
        return self._lines[file.path]

    def describe(self, sweep: Pass) -> dict[str, object]:
        """File name and digest."""
        path = Path(sweep.where)
        return {"where": f"dynamics/{path.parent.name}/{path.name}", "hash": digest(path.read_bytes()).hex()}
