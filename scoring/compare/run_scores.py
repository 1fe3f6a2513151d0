"""Scores of many runs of several architectures: what every comparison reads, one score at a time.

A *cell* is one (architecture, run). All cells score the same examples; values are turned by their meaning so that high
is hard. Nothing but ids stays in memory: 50 runs x 10^6 examples x 20 scores are read as 400 MB at a time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from scoring.compare.digests import joined, values_digest
from scoring.compare.ranks import Floats, NanPolicy, average_ranks, hard_high
from scoring.compare.score_columns import OWNER, Columns, read_tables
from scoring.errors import InputError, bad_value, unknown_name
from scoring.hashing import Ids, hash_ids
from scoring.meaning import Meaning

Kind = Literal["values", "ranks"]
KEPT_BYTES = 1 << 29
"""Arrays that were read last stay in memory up to this size."""


class RunScores:
    """S scores of N examples in every run of A architectures.

    Attributes:
        ids: (N,), in the order of all arrays.
        scores: names, in the order of the first table.
        meanings: score -> what a high value meant before it was turned.
        architectures: names.
        runs: architecture -> names of its runs; tables without columns of single runs have one run, ``all``.
        labels_N: classes of the examples, (N,) int64, or None.
        label_names: names of the classes, or empty.
        fingerprint: of the data, if it is known.
        left_out: score -> why it cannot be compared.
        dropped: examples left out under ``nan="drop"``.
        of_documents: the scores are of the documents themselves, so that there are no runs to speak of.
    """

    def __init__(
        self,
        ids: Ids,
        meanings: Mapping[str, Meaning],
        runs: Mapping[str, Sequence[str]],
        read: Callable[[str, str], Floats],
        *,
        labels_N: npt.NDArray[np.int64] | None = None,
        label_names: Sequence[str] = (),
        fingerprint: str | None = None,
        left_out: Mapping[str, str] | None = None,
        dropped: int = 0,
        digests: Mapping[tuple[str, str], str] | None = None,
        of_documents: bool = False,
    ) -> None:
        """``read(score, architecture)`` gives values as they are stored, (R, N), without NaN.

        ``digests`` of (score, architecture), where they are known, spare ``digest`` a reading.
        """
        self.ids, self.meanings = ids, dict(meanings)
        self.scores = tuple(self.meanings)
        self.runs = {name: tuple(names) for name, names in runs.items()}
        self.architectures = tuple(self.runs)
        self.labels_N, self.label_names, self.fingerprint = labels_N, tuple(label_names), fingerprint
        self.left_out, self.dropped = dict(left_out or {}), dropped
        self.of_documents = of_documents
        self._read, self._digests = read, dict(digests or {})
        self._kept: OrderedDict[tuple[str, str, Kind], Floats] = OrderedDict()
        if not self.scores:
            why = "; ".join(f"{name}: {reason}" for name, reason in self.left_out.items())
            raise InputError(
                f"{OWNER}: there must be a score to compare, got none{f' ({why})' if why else ''}."
            )
        if len(ids) < 3:
            raise bad_value("examples with a number in every column", OWNER, len(ids), "at least 3")

    @classmethod
    def of_arrays(
        cls,
        values: Mapping[str, Mapping[str, npt.ArrayLike]],
        meanings: Mapping[str, Meaning] | None = None,
        ids: Ids | None = None,
        labels_N: npt.ArrayLike | None = None,
    ) -> RunScores:
        """From arrays: score -> architecture -> (R, N), high = hard unless ``meanings`` says otherwise.

        Raises:
            InputError: shapes that differ, scores with other architectures, NaN.
        """
        if not values:
            raise bad_value("values", OWNER, {}, "at least one score")
        arrays = {
            score: {name: np.asarray(each, dtype=np.float64) for name, each in by.items()}
            for score, by in values.items()
        }
        first = next(iter(arrays.values()))
        shapes = {name: array.shape for name, array in first.items()}
        for score, by in arrays.items():
            if {name: array.shape for name, array in by.items()} != shapes or not shapes:
                raise bad_value("values", OWNER, score, f"arrays of shapes {shapes} for every score")
            for name, array in by.items():
                if array.ndim != 2 or not len(array) or np.isnan(array).any():
                    raise bad_value(f"{score} of {name}", OWNER, array.shape, "(runs, examples), free of NaN")
        sizes = {shape[1] for shape in shapes.values()}
        if len(sizes) > 1:
            raise bad_value("values", OWNER, sorted(sizes), "of one number of examples")
        count = sizes.pop()
        return cls(
            np.arange(count) if ids is None else ids,
            {score: (meanings or {}).get(score, "hard") for score in arrays},
            {name: [str(run) for run in range(shape[0])] for name, shape in shapes.items()},
            lambda score, name: arrays[score][name],
            labels_N=None if labels_N is None else np.asarray(labels_N, dtype=np.int64),
        )

    @classmethod
    def of_tables(
        cls,
        tables: Mapping[str, Columns | str | Path],
        scores: Iterable[str] | None = None,
        *,
        nan: NanPolicy = "error",
        allow_changed_data: bool = False,
    ) -> RunScores:
        """From one score table per architecture, matched by id; ``score(..., per_run=True)`` keeps single runs.

        A score takes part if every table has it, with columns of single runs wherever other scores have them; the
        others are listed in ``left_out``. Random numbers take part only if they are named.

        Args:
            tables: architecture -> table or path.
            scores: names; default: all that have a hard end, and of documents all.
            nan: ``error``, or ``drop`` the examples that lack a value anywhere.
            allow_changed_data: Compare tables of data with other content or labels under the same ids.

        Raises:
            InputError: other ids, other data, a name that is nowhere, NaN.
        """
        return cls(**vars(read_tables(tables, scores, nan, allow_changed_data)))

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        runs = ", ".join(f"{name} x {len(names)}" for name, names in self.runs.items())
        return f"RunScores({len(self):,} examples: {', '.join(self.scores)}; {runs})"

    @property
    def single_runs(self) -> bool:
        """Whether some architecture has two runs or more."""
        return any(len(names) > 1 for names in self.runs.values())

    def values(self, score: str, architecture: str) -> Floats:
        """One score in every run of an architecture, (R, N), high = hard; read-only."""
        return self._get(score, architecture, "values")

    def ranks(self, score: str, architecture: str) -> Floats:
        """The same as ranks among the examples, scaled to (0, 1): (average rank - 1/2) / N, (R, N); read-only.

        Every run has mean 1/2, so runs differ in the order they give and in nothing else.
        """
        return self._get(score, architecture, "ranks")

    def mean(self, score: str, architecture: str) -> Floats:
        """Mean of the values over the runs of an architecture, (N,), high = hard."""
        found: Floats = self.values(score, architecture).mean(axis=0)
        return found

    @property
    def digest(self) -> str:
        """Of ids, labels and all values; rows in another order have the same one."""
        ids_N = hash_ids(self.ids)
        for score in self.scores:
            for name in self.architectures:
                if (score, name) not in self._digests:
                    self._digests[score, name] = values_digest(self._read(score, name), ids_N)
        parts = {f"{score} {name}": self._digests[score, name] for score in self.scores for name in self.runs}
        if self.labels_N is not None:
            parts["labels"] = values_digest(self.labels_N[None].astype(np.float64), ids_N)
        return joined(parts)

    def only(
        self, scores: Iterable[str] | None = None, architectures: Iterable[str] | None = None
    ) -> RunScores:
        """The named scores and architectures alone, in the order given."""
        names = list(self.scores if scores is None else scores)
        kinds = list(self.architectures if architectures is None else architectures)
        for score in names:
            if score not in self.meanings:
                raise unknown_name("score", OWNER, score, self.scores)
        for kind in kinds:
            if kind not in self.runs:
                raise unknown_name("architecture", OWNER, kind, self.architectures)
        return RunScores(
            self.ids, {score: self.meanings[score] for score in names}, {kind: self.runs[kind] for kind in kinds},
            self._read, labels_N=self.labels_N, label_names=self.label_names, fingerprint=self.fingerprint,
            left_out=self.left_out, dropped=self.dropped, digests=self._digests,
            of_documents=self.of_documents,
        )  # fmt: skip

    def _get(self, score: str, architecture: str, kind: Kind) -> Floats:
        if score not in self.meanings:
            raise unknown_name("score", OWNER, score, self.scores)
        if architecture not in self.runs:
            raise unknown_name("architecture", OWNER, architecture, self.architectures)
        key = (score, architecture, kind)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if kind == "values":
            found = hard_high(self._read(score, architecture), self.meanings[score], score).copy()
        else:
            values_RN = self.values(score, architecture)
            found = np.stack([(average_ranks(values_N) - 0.5) / len(values_N) for values_N in values_RN])
        found.flags.writeable = False
        self._kept[key] = found
        while len(self._kept) > 1 and sum(array.nbytes for array in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return found
