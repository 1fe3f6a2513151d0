"""What a training is about, before the loop starts: which rows, which weights, what it is evaluated on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from scoring.examples import Examples, require_examples
from scoring.hashing import digest, hash64

if TYPE_CHECKING:
    from selection.subset import Subset

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

SPLIT_SEED = 0
"""The evaluation split belongs to the data, not to a run: every run holds out the same examples."""


@dataclass(frozen=True)
class Job:
    """The data side of a training."""

    examples: Examples
    rows: IntArray
    """Rows that are trained on, ascending."""
    weights: FloatArray
    """Loss weight of each of ``rows``, mean 1."""
    evaluation: Examples | None
    evaluation_name: str | None
    held_out: IntArray
    """Rows of ``examples`` kept for evaluation."""
    subset: dict[str, Any] | None
    """What run.json says of the subset."""
    folds: bool = False
    """Whether ``held_out`` is a fold of a cross-fitting: what the run scores, instead of what it must not score."""
    built_for: Examples | None = None
    """Whose inputs the network is built to read (vocabulary, statistics), if not those of ``examples``."""

    @property
    def left_out(self) -> IntArray:
        """Rows that a subset left out: not trained on, and scored all the same."""
        return np.setdiff1d(np.arange(len(self.examples)), np.union1d(self.rows, self.held_out))

    @property
    def scored(self) -> IntArray:
        """Rows of clean passes: all that ``score`` may ask for, also those that are not trained on."""
        everything = np.arange(len(self.examples))
        return everything if self.folds else np.setdiff1d(everything, self.held_out)


def make_job(
    examples: Examples,
    evaluate: Examples | str | float | bool | None,
    subset: Subset | str | Path | None,
    allow_changed_data: bool,
) -> Job:
    """Settle rows, weights and evaluation; every problem of the data shows here, before anything is written."""
    require_examples(examples, "train")
    if examples.labels is None:
        raise InputError(
            f"train: examples must have labels, and {examples.name} has none; name the label column."
        )
    evaluation, name, held_out = _evaluation(examples, evaluate)
    if evaluation is not None and len(evaluation) == 0:
        raise InputError(
            f"train: the evaluation data {name} holds no examples; evaluate=False trains without."
        )
    rows, weights = np.setdiff1d(np.arange(len(examples)), held_out), np.ones(len(examples))
    about: dict[str, Any] | None = None
    if subset is not None:
        rows, weights, about = _subset_rows(examples, subset, rows, allow_changed_data)
    if len(rows) == 0:
        raise InputError(
            "train: there is nothing to train on: every example is held out or not in the subset."
        )
    chosen = weights[rows]
    total = math.fsum(chosen)  # exact, so that the order of rows cannot change a bit
    if total <= 0:
        raise InputError("train: the weights of the subset must not all be 0.")
    return Job(examples, rows, chosen * (len(rows) / total), evaluation, name, held_out, about)


def _evaluation(
    examples: Examples, evaluate: Examples | str | float | bool | None
) -> tuple[Examples | None, str | None, IntArray]:
    none = np.empty(0, dtype=np.int64)
    if evaluate is False:
        return None, None, none
    if evaluate is None:
        known = [split for split in ("test", "validation", "valid", "dev") if split in examples.splits]
        evaluate = known[0] if known and known[0] != examples.split else None
    if evaluate is None:
        return None, None, none
    if isinstance(evaluate, str):
        if evaluate == examples.split:
            others = ", ".join(split for split in examples.splits if split != evaluate) or "a fraction"
            raise bad_value("evaluate", "train", evaluate, f"another split than that trained on ({others})")
        return examples.other_split(evaluate), evaluate, none
    if isinstance(evaluate, Examples):
        if evaluate.labels is None or evaluate.label_names != examples.label_names:
            given = evaluate.label_names if evaluate.labels is not None else "no labels"
            raise bad_value("evaluate", "train", given, f"labelled with the classes {examples.label_names}")
        name = evaluate.split
        # What is said of training has the name train.
        return evaluate, name if name and name != "train" else "evaluation", none
    if not (isinstance(evaluate, float) and 0 < evaluate < 1):
        raise bad_value(
            "evaluate", "train", evaluate, "Examples, the name of a split, or a fraction between 0 and 1"
        )
    held_out = stratified_part(examples, evaluate)
    if len(held_out) in (0, len(examples)):
        raise bad_value("evaluate", "train", evaluate, f"a fraction that splits {len(examples):,} examples")
    return examples.take(held_out), "held_out", held_out


def stratified_part(examples: Examples, fraction: float) -> IntArray:
    """Rows of a part with ``fraction`` of every class (to the nearest row), chosen by hash of the id."""
    assert examples.labels is not None
    hashes = hash64(SPLIT_SEED, examples.ids)
    parts = []
    for label in range(examples.num_classes):
        rows = np.flatnonzero(examples.labels == label)
        parts.append(rows[np.argsort(hashes[rows], kind="stable")[: round(fraction * len(rows))]])
    return np.sort(np.concatenate(parts)).astype(np.int64)


def _subset_rows(
    examples: Examples, subset: object, trainable: IntArray, allow_changed_data: bool
) -> tuple[IntArray, FloatArray, dict[str, Any]]:
    from selection.apply import kept_rows
    from selection.subset import Subset

    if not isinstance(subset, Subset | str | Path):
        allowed = "a Subset or the path of one; Subset.from_ids makes one of ids"
        raise bad_value("subset", "train", type(subset).__name__, allowed)
    path = str(subset) if isinstance(subset, str | Path) else None
    chosen = Subset.read(subset) if isinstance(subset, str | Path) else subset
    rows = np.sort(kept_rows(chosen, examples, allow_changed_data))
    weights = np.zeros(len(examples))
    weights[rows] = chosen.weights_of(examples.ids[rows])
    inside = np.intersect1d(rows, trainable)
    order = np.argsort(hash64(0, examples.ids[rows]))
    content = "\n".join(f"{examples.ids[row]} {weights[row]!r}" for row in rows[order])
    about = {
        "path": path,
        "rows": len(rows),
        "held_out": len(rows) - len(inside),
        "hash": digest(content.encode(), size=16).hex(),
        "info": chosen.info,
    }
    return inside, weights, about
