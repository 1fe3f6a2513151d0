"""The pool of an augmentation study: its rows, their labels, and which of them may be added."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import parquet

from scoring.errors import InputError, name_some, unknown_name
from scoring.examples import Examples
from scoring.files import atomic_file
from scoring.hashing import Ids, combine, digest, fingerprint, hash_ids
from training.studies.labelling import GIVEN, Labelling, passing

OWNER = "study"
POOLS = "pools"

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LabelledPool:
    """A pool after labelling: P rows with classes of the data."""

    labels_P: IntArray
    passes_P: BoolArray
    wrong_P: BoolArray | None
    """Where the label is not the true one; None where the truth is not known."""

    def offered(self, ids: Ids) -> str:
        """A digest of what is behind the gate, which is what the added rows are measured against."""
        wrong_P = np.zeros(len(ids), dtype=bool) if self.wrong_P is None else self.wrong_P
        about_P = (4 * self.labels_P + 2 * wrong_P + (self.wrong_P is not None)).astype(np.uint64)
        return fingerprint(combine(hash_ids(ids[self.passes_P]), about_P[self.passes_P]))

    def realised(self) -> dict[str, Any]:
        """How many rows there are and pass the gate, and the share of wrong labels before and behind it."""
        behind = int(self.passes_P.sum())
        told: dict[str, Any] = {"rows": len(self.labels_P), "behind_gate": behind}
        if self.wrong_P is not None:
            told["wrong"] = float(self.wrong_P.mean())
            told["wrong_behind_gate"] = float(self.wrong_P[self.passes_P].mean()) if behind else None
        return told


def label_pool(
    labelling: Labelling,
    labelled: Examples,
    pool: Examples,
    true_P: npt.NDArray[np.object_] | None,
    out: Path,
    told: Sequence[Any],
    probabilities: Callable[[], FloatArray],
) -> LabelledPool:
    """Label a pool and apply the gate, once, in ``out/pools/<hash>.parquet``: id, label, confidence, passes.

    Args:
        labelled: The labelled data, whose classes the labels are of.
        told: What the probabilities depend on.
        probabilities: Gives them, (P, C); called only where they are needed and the file is not there.
    """
    content = json.dumps([asdict(labelling), pool.fingerprint, *told], sort_keys=True, default=str).encode()
    path = out / POOLS / f"{digest(content, size=8).hex()}.parquet"
    given_P = given_labels(pool, labelled.label_names) if labelling.labels == GIVEN else None
    if not path.is_file():
        probs_PC = probabilities() if labelling.needs_model else None
        labels_P = given_P
        if labels_P is None:
            assert probs_PC is not None
            labels_P = probs_PC.argmax(axis=1)
        confidence_P = None if probs_PC is None else probs_PC[np.arange(len(pool)), labels_P]
        columns = {
            "id": pa.array(pool.ids), "label": pa.array(labels_P),
            "confidence": pa.array([None] * len(pool) if confidence_P is None else confidence_P, pa.float64()),
            "passes": pa.array(passing(labelling, labels_P, probs_PC, pool.ids)),
        }  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as temporary:
            parquet.write_table(pa.table(columns), temporary)
    table = parquet.ParquetFile(path).read()
    order = pool.rows_of(table.column("id").to_numpy())
    labels_P, passes_P = np.empty(len(pool), dtype=np.int64), np.empty(len(pool), dtype=bool)
    labels_P[order] = table.column("label").to_numpy()
    passes_P[order] = table.column("passes").to_numpy()
    names = np.array(labelled.label_names, dtype=object)
    return LabelledPool(labels_P, passes_P, None if true_P is None else names[labels_P] != true_P)


def with_classes(labelled: Examples, pool: Examples, labels_P: IntArray) -> Examples:
    """The rows of a pool with classes of the labelled data."""
    return labelled.append(pool, labels_P).take(np.arange(len(labelled), len(labelled) + len(pool)))


def given_labels(pool: Examples, classes: tuple[str, ...]) -> IntArray:
    """The pool's own labels as classes of the data, (P,); by name.

    Raises:
        InputError: A pool without labels, or with classes that the data lack.
    """
    if pool.labels is None:
        raise InputError(
            f"{OWNER}: labels: given needs a pool with labels, and {pool.name} has none; name its label column."
        )
    places = {name: place for place, name in enumerate(classes)}
    used = [pool.label_names[label] for label in np.unique(pool.labels)]
    lacking = [name for name in used if name not in places]
    if lacking:
        raise InputError(
            f"{OWNER}: pool must have no classes but those of the data ({name_some(classes)}), got "
            f"{name_some(lacking)}."
        )
    of_class = np.array([places.get(name, -1) for name in pool.label_names], dtype=np.int64)
    labels_P: IntArray = of_class[pool.labels]
    return labels_P


def true_classes(pool: Examples, column: str | None) -> npt.NDArray[np.object_] | None:
    """The true class of every row of the pool by name, from a side column; None where no column is named."""
    if column is None:
        return None
    if column not in pool.columns:
        raise unknown_name("truth", OWNER, column, pool.columns)
    read = pool.table.read(column, pool.table_rows(np.arange(len(pool))))
    values = read.tolist() if isinstance(read, np.ndarray) else read.to_pylist()
    if None in values:
        raise InputError(f"{OWNER}: truth {column!r} must have a class for every row of the pool, got nulls.")
    true_P = np.empty(len(values), dtype=object)
    true_P[:] = [str(value) for value in values]
    return true_P
