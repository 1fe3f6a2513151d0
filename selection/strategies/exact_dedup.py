"""``exact_dedup``: of texts that are equal but for their form one is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scoring.duplicates.shingles import normalized
from scoring.hashing import digest
from selection.duplicates import DuplicateRemoval, Duplicates, text_blocks
from selection.strategy import Candidates, Material


@dataclass(frozen=True)
class ExactDedup(DuplicateRemoval):
    """Rows whose text, once normalised, no better row has.

    Texts are compared as ``scoring.duplicates.shingles.normalized`` gives them: Unicode form, white space and, unless
    ``ignore_case`` or ``ignore_punctuation`` say otherwise, case and punctuation play no part; by a hash of 128 bits.
    Empty texts equal each other.

    Of equal texts the one with the best score ``by`` survives, see ``prefer``; ties by hash(seed, id). A budget takes
    survivors in the same order: the best first. Memory: 16 bytes per row beside the texts of a block.
    """

    ignore_case: bool = True
    ignore_punctuation: bool = True
    needs: ClassVar[frozenset[Material]] = frozenset({"texts"})
    word: ClassVar[str] = "exact_dedup"

    def find(self, candidates: Candidates) -> Duplicates:
        """Sort by digest, then by who survives."""
        n = len(candidates)
        digests = b"".join(
            digest(normalized(text, self.ignore_case, self.ignore_punctuation).encode(), size=16)
            for _, texts in text_blocks(candidates, np.arange(n))
            for text in texts
        )
        high_N, low_N = np.frombuffer(digests, dtype="<u8").reshape(n, 2).T
        best_first = self.best_first(candidates)
        place_N = np.empty(n, dtype=np.int64)
        place_N[best_first] = np.arange(n)
        order = np.lexsort((place_N, low_N, high_N))
        first_N = np.ones(n, dtype=bool)
        first_N[1:] = (high_N[order][1:] != high_N[order][:-1]) | (low_N[order][1:] != low_N[order][:-1])
        survivor_N = order[first_N][np.cumsum(first_N) - 1]
        by_N = np.full(n, -1, dtype=np.int64)
        by_N[order[~first_N]] = survivor_N[~first_N]
        return Duplicates(best_first[by_N[best_first] < 0], by_N, np.where(by_N < 0, -np.inf, 1.0), {})
