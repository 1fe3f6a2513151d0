"""Near-duplicate texts by minhashes: Broder 1997, "On the resemblance and containment of documents"; bands as in
Leskovec et al. 2020, "Mining of massive datasets", section 3.4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from scoring.collected import Collected
from scoring.duplicates.banding import (
    Mode,
    band_keys,
    check_banding,
    components,
    greedy,
    rows_per_band,
    shared_buckets,
)
from scoring.duplicates.groups import GROUP_COLUMNS, group_columns
from scoring.duplicates.shingles import Unit, check_shingles
from scoring.duplicates.signatures import share_of_equal
from scoring.errors import bad_value
from scoring.hashing import UInt64Array
from scoring.meaning import Meaning
from scoring.needs import MinHashes, Need
from scoring.order import FloatArray, IntArray, hash_order
from scoring.scorer import CollectiveScorer

OWNER = "score: scorer 'minhash_duplicates'"
ROWS = 65_536
"""Signatures that are in memory at once."""


@dataclass(frozen=True)
class MinhashDuplicates(CollectiveScorer):
    """Estimated Jaccard index with the nearest kept document before it; high means there is one almost like it.

    Broder 1997. Texts become sets of ``n`` words (or characters, ``shingle="char"``) as in the strategy
    ``minhash_dedup``, and sets become ``permutations`` minhashes (package rensa). The similarity is the share of
    minhashes that two documents have in common, whose standard error is at most about
    sqrt(J (1 - J) / permutations), .035 at J = .8 and the defaults. Texts themselves are not compared: this is
    ``minhash_dedup(verify=False)`` at the same seed, and ``kept`` marks the rows that it keeps.

    Documents are taken in the order of hash(seed, id). ``greedy`` (default): one whose similarity to a kept one reaches
    ``threshold`` is no longer kept and belongs to the group of the most similar. ``components``, which is common
    practice: documents linked by pairs that reach the threshold are a group, its first is kept, and the similarity is
    that to the kept one, which may be below the threshold.

    Only documents that agree in a whole band are compared; at the threshold that misses at most 5 % of pairs, further
    below it ever more (at the defaults J = .7: 21 %, .5: 87 %). So a value below the threshold is a lower bound, and 0
    is a document that was compared with no kept one before it. Only earlier ones count, so that of two documents
    alike one has a low value: those with the lowest values, taken together, hold few duplicates.

    Beside it: ``group`` (a whole number that all of a group share, that of no other), ``kept`` (1 for the one document
    of a group that stays, 0 for others), ``group_size``. A greedy group is a kept document and those that yield to it,
    so two that are alike may yield to different ones; where all that are linked have to stay together, as in a split
    of the data, take ``components``. Documents without words are duplicates of each other. ``threshold=1.0`` finds
    equal sets: texts that are equal but for their form, and those that repeat the same n-grams.

    Memory: 8 bytes per row and band, 16 per bucket that a row shares; signatures stay on disk.
    """

    threshold: float = 0.8
    shingle: Unit = "word"
    n: int = 5
    permutations: int = 128
    mode: Mode = "greedy"
    ignore_case: bool = True
    ignore_punctuation: bool = True
    seed: int = 0
    needs: ClassVar[frozenset[str]] = frozenset({"minhashes"})
    meaning: ClassVar[Meaning] = "redundant"
    sides: ClassVar[tuple[str, ...]] = GROUP_COLUMNS

    def __post_init__(self) -> None:
        check_banding(OWNER, self.threshold, self.permutations, self.mode)
        check_shingles(OWNER, self.shingle, self.n)
        if not isinstance(self.seed, int) or isinstance(self.seed, bool):
            raise bad_value("seed", OWNER, self.seed, "a whole number")

    @property
    def reads(self) -> frozenset[Need]:
        """Signatures."""
        return frozenset({self._signatures})

    def score_all(self, passes: Sequence[Collected]) -> Mapping[str, FloatArray]:
        """The similarity, (N,), and the groups."""
        collected = passes[-1]
        signatures_NP, n = collected.array(self._signatures), len(collected)
        order_N = hash_order(collected.ids_N, self.seed)
        shared = shared_buckets(self._keys(signatures_NP, order_N))
        find = greedy if self.mode == "greedy" else components
        similarity = share_of_equal(signatures_NP)
        by_N, similarity_N = np.full(n, -1, dtype=np.int64), np.zeros(n)
        near = find(shared, lambda a, b: similarity(int(order_N[a]), int(order_N[b])), self.threshold)
        for row, better, value, yields in near:
            similarity_N[order_N[row]] = value
            if yields:
                by_N[order_N[row]] = order_N[better]
        return {"": similarity_N, **group_columns(by_N, collected.ids_N, self.seed)}

    @property
    def _signatures(self) -> MinHashes:
        return MinHashes(
            self.permutations, self.shingle, self.n, self.ignore_case, self.ignore_punctuation, self.seed
        )

    def _keys(self, signatures_NP: npt.NDArray[Any], order_N: IntArray) -> UInt64Array:
        """Keys of all bands of the rows in order, (bands, N), from one reading of the signatures."""
        rows = rows_per_band(self.threshold, self.permutations)
        place_N = np.empty(len(order_N), dtype=np.int64)
        place_N[order_N] = np.arange(len(order_N))
        keys_KN = np.empty((self.permutations // rows, len(order_N)), dtype=np.uint64)
        for start in range(0, len(order_N), ROWS):
            some = slice(start, start + ROWS)
            keys_KN[:, place_N[some]] = np.stack(list(band_keys(np.asarray(signatures_NP[some]), rows)))
        return keys_KN
