"""Small score tables to select from."""

import numpy as np
import pyarrow as pa

from scoring.hashing import fingerprint, hash_ids
from scoring.table import ScoreTable


def table_of(values, ids=None, meaning="hard", **columns):
    values = np.asarray(values, dtype=np.float64)
    ids = np.arange(len(values)) if ids is None else ids
    scores = ScoreTable.from_columns(ids, {"s": values}, meaning)
    data = pa.table({**{n: scores.table.column(n) for n in ("id", "s")}, **columns})
    return ScoreTable(data, scores.columns | {n: {"role": "side"} for n in columns if n != "label"})


def random_table(n=60, seed=0, ties=True, strings=False):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 9, n) if ties else rng.normal(size=n)
    ids = np.array([f"row-{i}" for i in range(n)], dtype=object) if strings else rng.permutation(10 * n)[:n]
    return table_of(values, ids, label=pa.array(rng.choice([0, 0, 0, 1, 2], n)))


def shuffled(table, seed=1):
    return table.take(table.ids[np.random.default_rng(seed).permutation(len(table))])


def scored_table(n=10, strings=False, **info):
    """Scores with by-products, in several types, as score() makes them."""
    rng = np.random.default_rng(0)
    ids = np.array([f"id-{i}" for i in range(n)], dtype=object) if strings else np.arange(n) * 7 - 20
    table = pa.table(
        {
            "id": pa.array(ids),
            "el2n": rng.normal(size=n),
            "loss": rng.normal(size=n).astype(np.float32),
            "forgetting": rng.integers(0, 3, n).astype(np.float64),
            "forgetting.never_learned": rng.integers(0, 2, n).astype(bool),
            "el2n.runs": np.full(n, 3, dtype=np.int32),
            "label": rng.integers(0, 2, n),
        }
    )
    columns = {
        "el2n": {
            "meaning": "hard",
            "scorer": "el2n",
            "options": {"variant": "paul2021", "floor": np.float64(0.5)},
        },
        "loss": {"meaning": "hard", "checkpoints": ({"step": np.int64(3)},)},
        "forgetting": {"meaning": "hard", "steps": None},
        "forgetting.never_learned": {"role": "side", "parent": "forgetting"},
        "el2n.runs": {"role": "runs", "parent": "el2n"},
    }
    about = {"fingerprint": fingerprint(hash_ids(ids)), "num_examples": n, **info}
    return ScoreTable(table, columns, about)


def equal_tables(a, b):
    """Same ids, columns (NaN equals NaN), types and descriptions."""
    same = a.columns == b.columns and a.info == b.info and a.table.schema.equals(b.table.schema)
    values = all(np.array_equal(a.column(name), b.column(name), equal_nan=True) for name in a.names)
    return same and values and a.ids.tolist() == b.ids.tolist()
