"""Documents per concept as sums that merge: exact counts of the concepts of lowest hash, in memory that is bounded."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from scoring.text.concepts import Holdings, IntArray

Counts = dict[str, Tensor]
"""``keys``, (V,) int64 ascending, ``documents``, (V,) int64, and ``most``, how many concepts are kept at most.

A concept among the ``most`` lowest of all is among the lowest of every part, so no count of one that stays is ever
lost; what is kept of more is a random sample of the concepts, the same for every order and cut of the rows.
"""


def count(held: Holdings, most: int) -> Counts:
    """Of some documents."""
    keys, documents = np.unique(held.keys_P, return_counts=True)
    return _counts(keys[:most], documents[:most], most)


def merge(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Counts:
    """Of both."""
    large, small = (a, b) if len(a["keys"]) >= len(b["keys"]) else (b, a)
    keys, documents = large["keys"].numpy(), large["documents"].numpy().copy()
    more, counts = small["keys"].numpy(), small["documents"].numpy()
    place = np.searchsorted(keys, more)
    known = place < len(keys)
    known[known] = keys[place[known]] == more[known]
    documents[place[known]] += counts[known]
    keys = np.insert(keys, place[~known], more[~known])
    documents = np.insert(documents, place[~known], counts[~known])
    most = int(a["most"])
    return _counts(keys[:most], documents[:most], most)


def look_up(counts: Mapping[str, Tensor], keys_P: IntArray) -> IntArray:
    """Documents of each key, 0 for one that was not kept."""
    keys, documents = counts["keys"].numpy(), counts["documents"].numpy()
    if not len(keys):
        return np.zeros(len(keys_P), dtype=np.int64)
    place = np.minimum(np.searchsorted(keys, keys_P), len(keys) - 1)
    return np.where(keys[place] == keys_P, documents[place], 0)


def _counts(keys: IntArray, documents: IntArray, most: int) -> Counts:
    return {
        "keys": torch.from_numpy(keys.astype(np.int64)),
        "documents": torch.from_numpy(documents.astype(np.int64)),
        "most": torch.tensor(most),
    }
