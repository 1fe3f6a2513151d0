"""``minhash_dedup``: of texts that share most of their n-grams one is kept; Broder 1997, "On the resemblance and
containment of documents"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from scoring.duplicates.banding import (
    Mode,
    Similarity,
    band_keys,
    check_banding,
    components,
    greedy,
    rows_per_band,
    shared_buckets,
)
from scoring.duplicates.shingles import Unit, check_shingles, jaccard
from scoring.duplicates.signatures import Shingling, check_rensa, minhashes, share_of_equal
from selection.duplicates import DuplicateRemoval, Duplicates, text_blocks
from selection.strategy import Candidates, IntArray, Material


@dataclass(frozen=True)
class MinhashDedup(DuplicateRemoval):
    """Texts whose n-grams have a Jaccard index below ``threshold`` (default 0.8) with those of every kept text.

    Texts are normalised (``ignore_case``, ``ignore_punctuation``) and cut into runs of ``n`` (default 5) words, or
    with ``shingle="char"`` characters, which suits texts of a few words; see ``scoring.duplicates.shingles`` (a text of
    fewer is one shingle; empty texts equal each other). Of each come ``permutations`` (default 128) minhashes by the
    package rensa (extra ``dedup``), with permutations that follow from the seed. They are cut into bands of r, and
    texts that agree in a whole band are compared. r is the largest number for which a pair just at the threshold is
    compared with probability 1 - (1 - threshold^r)^bands >= 0.95: at the defaults 7, so 18 bands and probability 0.986.
    Pairs are compared by the Jaccard index itself, or with ``verify=False`` by the share of equal minhashes, whose
    standard error is about sqrt(J (1 - J) / permutations).

    ``mode``: ``greedy`` (default) goes through the texts from the best and keeps each that is no duplicate of a kept
    one, so that everything removed resembles something kept. ``components`` is common practice: of every connected
    component of duplicates the best is kept, so of a ~ b ~ c one text is, even if a is nothing like c; ``suppressed``
    then gives the similarity to the kept one, which may be below the threshold.

    The best text is that with the best score ``by``, see ``prefer``; ties by hash(seed, id). A budget takes survivors
    in the same order. Memory: 4 bytes per row and permutation, 16 per bucket that a row shares, and 8 per shingle of
    rows that share one.
    """

    threshold: float = 0.8
    shingle: Unit = "word"
    n: int = 5
    permutations: int = 128
    verify: bool = True
    mode: Mode = "greedy"
    ignore_case: bool = True
    ignore_punctuation: bool = True
    needs: ClassVar[frozenset[Material]] = frozenset({"texts"})
    word: ClassVar[str] = "minhash_dedup"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_banding(self.owner, self.threshold, self.permutations, self.mode)
        check_shingles(self.owner, self.shingle, self.n)

    def find(self, candidates: Candidates) -> Duplicates:
        """Minhashes, buckets, then who yields to whom; all in the order of survival."""
        best_first = self.best_first(candidates)
        signatures_NP = self._signatures(candidates, best_first)
        rows = rows_per_band(self.threshold, self.permutations)
        shared = shared_buckets(band_keys(signatures_NP, rows))
        similarity = share_of_equal(signatures_NP)
        if self.verify:
            similarity = self._jaccard(candidates, best_first, np.unique(shared.rows_E))
        find = greedy if self.mode == "greedy" else components
        by_N, similarity_N = np.full(len(candidates), -1), np.full(len(candidates), -np.inf)
        for near in find(shared, similarity, self.threshold):
            if near.yields:
                by_N[best_first[near.row]] = best_first[near.better]
                similarity_N[best_first[near.row]] = near.similarity
        about = {"bands": self.permutations // rows, "minhashes_per_band": rows}
        return Duplicates(best_first[by_N[best_first] < 0], by_N, similarity_N, about)

    def _signatures(self, candidates: Candidates, best_first: IntArray) -> npt.NDArray[np.uint32]:
        """Minhashes of every text, in the order of survival, (N, P)."""
        check_rensa()
        place_N = np.empty(len(best_first), dtype=np.int64)
        place_N[best_first] = np.arange(len(best_first))
        signatures_NP = np.empty((len(best_first), self.permutations), dtype=np.uint32)
        for rows, texts in text_blocks(candidates, np.arange(len(best_first))):
            signatures_NP[place_N[rows]] = minhashes(
                self._shingling.of(texts), self.permutations, candidates.seed
            )
        return signatures_NP

    def _jaccard(self, candidates: Candidates, best_first: IntArray, places_M: IntArray) -> Similarity:
        """The Jaccard index between the rows at ``places_M`` of the order."""
        sets: dict[int, npt.NDArray[np.uint64]] = {}
        places_M = places_M[np.argsort(best_first[places_M])]
        for some, texts in text_blocks(candidates, best_first[places_M]):
            shingles = self._shingling.of(texts)
            sets.update({place: shingles.set_of(at) for at, place in enumerate(places_M[some].tolist())})
        return lambda a, b: jaccard(sets[a], sets[b])

    @property
    def _shingling(self) -> Shingling:
        return Shingling(self.shingle, self.n, self.ignore_case, self.ignore_punctuation)
