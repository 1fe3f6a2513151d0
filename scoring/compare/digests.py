"""Digests of numbers by example: whether a comparison is of the same ones, whatever the order of the examples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from scoring.hashing import UInt64Array, combine, derive_seed, digest, fingerprint

BLOCK_NUMBERS = 1 << 16
"""Numbers of a run that are hashed at a time, so that what is in between stays in the processor's cache."""


def values_digest(values: npt.NDArray[np.floating], ids_N: UInt64Array) -> str:
    """Digest of one number, (R, N), or C numbers, (R, N, C), per run and example, and of the hashed ids.

    Per example the bits of all its numbers are folded, multiplied by odd constants and added up: one multiplication per
    number, so that it costs less than reading it from a file. It guards against mistakes, not against forgery.
    """
    shape = (len(values), *values.shape[2:])
    odd = np.array([2 * derive_seed("values_digest", i) + 1 for i in range(int(np.prod(shape)))], np.uint64)
    odd = odd.reshape(shape)
    block = max(1, BLOCK_NUMBERS // int(np.prod(shape[1:])))
    sums_N = np.zeros(len(ids_N), dtype=np.uint64)
    for start in range(0, len(ids_N), block):
        rows = slice(start, start + block)
        for run, factors in zip(values, odd):
            bits = np.ascontiguousarray(run[rows], dtype=np.float64).view(np.uint64)
            # Round numbers differ in their upper bits alone, which a product would push out.
            folded = bits ^ (bits >> np.uint64(32))
            folded *= factors
            sums_N[rows] += folded if folded.ndim == 1 else folded.sum(axis=1)
    return fingerprint(combine(ids_N, sums_N))


def joined(parts: Mapping[str, str]) -> str:
    """One digest of several with names."""
    return digest(*(part.encode() for pair in parts.items() for part in pair), size=16).hex()
