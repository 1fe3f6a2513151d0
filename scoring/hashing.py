"""Randomness and identity as hashes: the same for every order, shard, engine and machine.

All functions are pure; none touches a global random generator. ``uint64`` arithmetic wraps on purpose.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

UInt64Array = npt.NDArray[np.uint64]
Ids = npt.NDArray[np.generic]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: UInt64Array) -> UInt64Array:
    """The finaliser of splitmix64 (Steele et al. 2014): a bijection that spreads every input bit."""
    x = x ^ (x >> np.uint64(30))
    x = x * np.uint64(0xBF58476D1CE4E5B9)
    x = x ^ (x >> np.uint64(27))
    x = x * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def digest(*parts: bytes, size: int = 8) -> bytes:
    """BLAKE2b of the parts, each preceded by its length so that no two part lists collide."""
    state = hashlib.blake2b(digest_size=size)
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.digest()


def hash_ids(ids: Ids | Sequence[str] | Sequence[int]) -> UInt64Array:
    """A stable 64-bit hash of every id, (N,) uint64; int64 and string ids are both allowed."""
    array = np.asarray(ids)
    if array.dtype.kind in "iu":
        with np.errstate(over="ignore"):
            return _mix(array.astype(np.int64).view(np.uint64) + _GOLDEN)
    blake, little = hashlib.blake2b, "little"
    hashes = (
        int.from_bytes(blake(str(value).encode(), digest_size=8).digest(), little)  # type: ignore[arg-type]
        for value in array.tolist()
    )
    return np.fromiter(hashes, dtype=np.uint64, count=len(array))


def hash64(seed: int, ids: Ids | Sequence[str] | Sequence[int]) -> UInt64Array:
    """Hash of (seed, id), (N,) uint64: the one source of randomness about examples."""
    key = np.uint64(derive_seed("hash64", seed))
    with np.errstate(over="ignore"):
        return _mix(hash_ids(ids) ^ (key * _GOLDEN))


def uniform(seed: int, ids: Ids | Sequence[str] | Sequence[int]) -> npt.NDArray[np.float64]:
    """A uniform number in [0, 1) for every id, from the upper 53 bits of ``hash64``."""
    return np.asarray((hash64(seed, ids) >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on all parts; use it to give every consumer its own stream."""
    encoded = [f"{type(part).__name__}:{part}".encode() for part in parts]
    return int.from_bytes(digest(*encoded), "little") >> 1


def shuffled(seed: int, n: int) -> npt.NDArray[np.int64]:
    """A permutation of 0..n-1 that depends on (seed, n) alone."""
    return np.argsort(hash64(seed, np.arange(n)), kind="stable").astype(np.int64)


def combine(*hashes: UInt64Array) -> UInt64Array:
    """One hash per row from several, (N,) uint64; their order matters."""
    total = np.zeros_like(hashes[0])
    with np.errstate(over="ignore"):
        for part in hashes:
            total = _mix((total ^ part) + _GOLDEN)
    return total


def fingerprint(row_hashes: UInt64Array) -> str:
    """Hex digest of a *set* of rows: it ignores their order and adds up over shards."""
    with np.errstate(over="ignore"):
        total = int(row_hashes.sum(dtype=np.uint64))
        mixed = int(_mix(row_hashes).sum(dtype=np.uint64))
    return f"{len(row_hashes):x}-{total:016x}{mixed:016x}"
