"""Rows of a corpus drawn as bad documents: those of the lowest hash, as sums that merge over batches and shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scoring.hashing import Ids, UInt64Array, derive_seed, hash64, hash_ids

Sample = dict[str, Tensor]
"""n rows by ascending ``keys``: ``keys``, ``ids`` and ``content`` (hashes, (n,) int64), ``lengths`` (n,) of their
``bytes`` (UTF-8, uint8, one after the other), ``embeddings`` (n, D) if they serve, ``limit``, the most rows to keep."""


def content_hashes(texts: Sequence[str]) -> UInt64Array:
    """One hash per text, whatever its case and white space; halves of surrogate pairs count as "?"."""
    return hash_ids(np.array([" ".join(_readable(text).lower().split()) for text in texts], dtype=object))


def sample(
    seed: int,
    limit: int,
    ids_B: Ids,
    texts_B: Sequence[str],
    embeddings_BD: Tensor | None,
    leave_out: npt.NDArray[np.bool_],
) -> Sample:
    """The rows of lowest hash (seed, id) of a batch."""
    keys_B = (hash64(derive_seed("negatives", seed), ids_B) >> np.uint64(1)).astype(np.int64)
    rows = np.flatnonzero(~leave_out)
    rows = rows[np.argsort(keys_B[rows], kind="stable")][:limit]
    raw = [_readable(texts_B[row]).encode() for row in rows.tolist()]
    found = {
        "keys": torch.from_numpy(keys_B[rows]),
        "ids": torch.from_numpy(hash_ids(ids_B[rows]).view(np.int64)),
        "content": torch.from_numpy(content_hashes([texts_B[row] for row in rows.tolist()]).view(np.int64)),
        "lengths": torch.tensor([len(text) for text in raw], dtype=torch.int64),
        "bytes": torch.frombuffer(bytearray(b"".join(raw)), dtype=torch.uint8)
        if any(raw)
        else torch.empty(0, dtype=torch.uint8),
        "limit": torch.tensor(limit),
    }
    if embeddings_BD is not None:
        found["embeddings"] = embeddings_BD[torch.from_numpy(rows)].clone()
    return found


def merge(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Sample:
    """The lowest of both."""
    limit = int(a["limit"])
    for one, other in ((a, b), (b, a)):
        full = len(one["keys"]) == limit
        if full and (not len(other["keys"]) or int(one["keys"][-1]) < int(other["keys"][0])):
            return dict(one)
    keys = torch.cat([a["keys"], b["keys"]])
    kept = torch.argsort(keys, stable=True)[:limit]
    merged = {
        name: torch.cat([a[name], b[name]])[kept]
        for name in ("keys", "ids", "content", "lengths", "embeddings")
        if name in a
    }
    lengths = torch.cat([a["lengths"], b["lengths"]])
    pieces = torch.split(torch.cat([a["bytes"], b["bytes"]]), lengths.tolist())
    merged["bytes"] = torch.cat([pieces[row] for row in kept.tolist()])
    return {**merged, "limit": a["limit"]}


def texts_of(found: Mapping[str, Tensor]) -> list[str]:
    """The texts of a sample."""
    return [bytes(piece.numpy()).decode() for piece in torch.split(found["bytes"], found["lengths"].tolist())]


def _readable(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()
