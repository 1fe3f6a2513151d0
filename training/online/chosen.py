"""What an online selection chose: ``chosen.parquet`` in the run directory, one row per (epoch, id)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from scoring.examples import Examples
from scoring.files import atomic_file
from scoring.ids import find_rows
from training.online.chooser import Chooser
from training.online.rule import FloatArray, IntArray

CHOSEN = "chosen.parquet"


def write_chosen(run: Path, chooser: Chooser) -> None:
    """Columns ``epoch`` (from 0, a pass over all candidates), ``id`` and ``times``; in the order of hashed ids."""
    order = np.argsort(chooser.hashes_N, kind="stable")
    parts = []
    for epoch, counts_N in enumerate(chooser.counts):
        rows = order[counts_N[order] > 0]
        parts.append(
            pa.table(
                {
                    "epoch": pa.array(np.full(len(rows), epoch, dtype=np.int32)),
                    "id": pa.array(chooser.ids_N[rows]),
                    "times": pa.array(counts_N[rows].astype(np.int32)),
                }
            )
        )
    with atomic_file(run / CHOSEN) as temporary:
        parquet.write_table(pa.concat_tables(parts), temporary, compression="zstd")


def chosen_rows(run: Path, examples: Examples) -> tuple[IntArray, IntArray]:
    """Row of ``examples`` and epoch of everything a run trained on, as often as it did, both (M,) int64."""
    table = parquet.read_table(run / CHOSEN)
    rows = find_rows(examples.ids, table["id"].combine_chunks(), "online", "the examples")
    times = table["times"].to_numpy()
    return np.repeat(rows, times), np.repeat(table["epoch"].to_numpy().astype(np.int64), times)


def shares(run: Path, examples: Examples, groups_N: IntArray, count: int) -> FloatArray:
    """Share of each of ``count`` groups among what every epoch trained on, (E, count) float64; a row adds up to 1.

    ``groups_N`` are the group numbers of all examples: their classes, or 0 and 1 for planted rows.
    """
    rows, epochs = chosen_rows(run, examples)
    counts_EG = np.zeros((int(epochs.max()) + 1, count))
    np.add.at(counts_EG, (epochs, groups_N[rows]), 1.0)
    return np.asarray(counts_EG / counts_EG.sum(axis=1, keepdims=True))


def distinct_rows(run: Path) -> int:
    """How many different examples a run was ever trained on."""
    return int(pc.count_distinct(parquet.read_table(run / CHOSEN, columns=["id"])["id"]).as_py())
