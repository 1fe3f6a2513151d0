"""Locality-sensitive hashing by bands of minhashes, and who yields to whom among rows that share a bucket.

Leskovec et al. 2020, "Mining of massive datasets", section 3.4. Rows are places in the order of survival: of two
duplicates the lower place is the better one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from scoring.duplicates.union_find import UnionFind
from scoring.errors import bad_value, unknown_name
from scoring.hashing import UInt64Array, combine
from scoring.order import IntArray

RECALL = 0.95

Similarity = Callable[[int, int], float]
Mode = Literal["greedy", "components"]
MODES: tuple[Mode, ...] = get_args(Mode)


class Near(NamedTuple):
    """A row, the nearest kept row among those that are better and share a bucket with it, and whether it yields."""

    row: int
    better: int
    similarity: float
    yields: bool


class Shared(NamedTuple):
    """Buckets that at least two rows share: E memberships, by row."""

    rows_E: IntArray
    buckets_E: IntArray

    def by_row(self) -> Iterator[tuple[int, list[int]]]:
        """Every row that shares buckets, in order, with these."""
        starts = np.flatnonzero(np.diff(self.rows_E, prepend=-1))
        for row, buckets in zip(self.rows_E[starts].tolist(), np.split(self.buckets_E, starts[1:])):
            yield row, buckets.tolist()


def rows_per_band(threshold: float, permutations: int) -> int:
    """The most minhashes per band for which a pair just at the threshold shares a bucket with probability 0.95."""
    good = [r for r in range(1, permutations + 1) if 1 - (1 - threshold**r) ** (permutations // r) >= RECALL]
    return max(good, default=1)


def band_keys(signatures_NP: npt.NDArray[np.integer], rows: int) -> Iterator[UInt64Array]:
    """For every band of ``rows`` minhashes a hash of them, (N,); minhashes beyond the last whole band are unused."""
    for start in range(0, signatures_NP.shape[1] - rows + 1, rows):
        yield combine(*signatures_NP[:, start : start + rows].T.astype(np.uint64))


def shared_buckets(keys: Iterable[UInt64Array]) -> Shared:
    """Rows that agree in the key of a band share a bucket."""
    members, buckets, count = [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
    for key_N in keys:
        order = np.argsort(key_N, kind="stable")
        new_N = np.ones(len(order), dtype=bool)
        new_N[1:] = key_N[order][1:] != key_N[order][:-1]
        bucket_N = np.cumsum(new_N) - 1
        several_N = np.bincount(bucket_N)[bucket_N] > 1
        members.append(order[several_N])
        buckets.append(count + bucket_N[several_N])
        count += len(order)
    rows_E, buckets_E = np.concatenate(members), np.concatenate(buckets)
    order = np.lexsort((buckets_E, rows_E))
    return Shared(rows_E[order], buckets_E[order])


def greedy(shared: Shared, similarity: Similarity, threshold: float) -> Iterator[Near]:
    """A row yields to the most similar of the kept rows in its buckets, if that one reaches the threshold.

    Gives every row that was compared, also those that stay.
    """
    kept: dict[int, list[int]] = {}
    for row, buckets in shared.by_row():
        others = {other for bucket in buckets for other in kept.get(bucket, ())}
        best, other = max(((similarity(other, row), -other) for other in others), default=(-np.inf, 0))
        if others:
            yield Near(row, -other, best, best >= threshold)
        if best < threshold:
            for bucket in buckets:
                kept.setdefault(bucket, []).append(row)


def components(shared: Shared, similarity: Similarity, threshold: float) -> Iterator[Near]:
    """Rows that reach the threshold in a shared bucket are linked; all of a component yield to its first.

    Rows that are linked already are not compared, so many copies of one text cost no more than their number.
    """
    links = UnionFind()
    groups: dict[int, list[list[int]]] = {}
    for row, buckets in shared.by_row():
        unlike: set[int] = set()
        for bucket in buckets:
            mine, apart = [row], []
            for group in groups.get(bucket, []):
                if links.root(group[0]) != links.root(row):
                    like = next(
                        (o for o in group if o not in unlike and similarity(o, row) >= threshold), None
                    )
                    if like is None:
                        unlike.update(group)
                        apart.append(group)
                        continue
                    links.link(like, row)
                group.extend(mine)
                mine = group
            groups[bucket] = [*apart, mine]
    for row in sorted(links.parent):
        root = links.root(row)
        yield Near(row, root, similarity(root, row), True)


def check_banding(owner: str, threshold: float, permutations: int, mode: str) -> None:
    """Refuse what is no Jaccard index, no number of minhashes, no mode."""
    number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
    if not number or not 0 < threshold <= 1:
        raise bad_value("threshold", owner, threshold, "a number above 0 and at most 1")
    if not isinstance(permutations, int) or isinstance(permutations, bool) or permutations < 1:
        raise bad_value("permutations", owner, permutations, "a whole number from 1")
    if mode not in MODES:
        raise unknown_name("mode", owner, str(mode), MODES)
