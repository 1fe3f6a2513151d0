"""Locality-sensitive hashing by bands of minhashes, and who yields to whom among rows that share a bucket.

Leskovec et al. 2020, "Mining of massive datasets", section 3.4. Rows are places in the order of survival: of two
duplicates the lower place is the better one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scoring.duplicates.union_find import UnionFind
from scoring.hashing import combine
from scoring.order import IntArray

RECALL = 0.95

Similarity = Callable[[int, int], float]
Found = Iterator[tuple[int, int, float]]
"""Row, which better row it yields to, and how similar the two are."""


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


def shared_buckets(signatures_NP: npt.NDArray[np.uint32], rows: int) -> Shared:
    """Rows that agree in all minhashes of a band share a bucket; ``rows`` minhashes make a band, the rest is unused."""
    members, buckets, count = [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
    for start in range(0, signatures_NP.shape[1] - rows + 1, rows):
        key_N = combine(*signatures_NP[:, start : start + rows].T.astype(np.uint64))
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


def greedy(shared: Shared, similarity: Similarity, threshold: float) -> Found:
    """A row yields to the most similar of the kept rows in its buckets, if that one reaches the threshold."""
    kept: dict[int, list[int]] = {}
    for row, buckets in shared.by_row():
        others = {other for bucket in buckets for other in kept.get(bucket, ())}
        best, other = max(((similarity(other, row), -other) for other in others), default=(-np.inf, 0))
        if best >= threshold:
            yield row, -other, best
        else:
            for bucket in buckets:
                kept.setdefault(bucket, []).append(row)


def components(shared: Shared, similarity: Similarity, threshold: float) -> Found:
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
        yield row, links.root(row), similarity(links.root(row), row)
