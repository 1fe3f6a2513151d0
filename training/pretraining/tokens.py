"""The tokens of a training: an endless stream, epoch after epoch, that gives any stretch of itself."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError
from scoring.hashing import derive_seed
from training.pretraining.corpus import OWNER, Corpus

IntArray = npt.NDArray[np.int64]


class TokenStream:
    """A separator, then the documents of epoch 0, 1, ... without end, each in an order of its own.

    The order of an epoch is a hash of (seed, epoch, content). Nothing is drawn and nothing kept, so a training that
    goes on after an interruption reads on where it stopped. D tokens of training are the D predictions of tokens 1 to D
    from those before them.
    """

    def __init__(self, corpus: Corpus, seed: int) -> None:
        if not len(corpus):
            raise InputError(f"{OWNER}: the corpus {corpus.name} has no documents.")
        self.corpus, self.seed = corpus, seed
        self._epoch = lru_cache(maxsize=2)(self._order)

    @property
    def per_epoch(self) -> int:
        """Tokens of an epoch, separators included."""
        return len(self.corpus.tokens)

    def _order(self, epoch: int) -> tuple[IntArray, IntArray]:
        order = self.corpus.order(derive_seed("documents", self.seed, epoch))
        return order, np.cumsum(self.corpus.lengths_M[order])

    def window(self, start: int, stop: int) -> IntArray:
        """Tokens ``start`` to ``stop`` - 1 of the stream, (stop - start,); token 0 is the separator it begins with."""
        parts = [np.array([self.corpus.tokenizer.separator])] if start == 0 < stop else []
        at, end = max(start, 1) - 1, stop - 1
        while at < end:
            epoch, within = divmod(at, self.per_epoch)
            until = min(self.per_epoch, within + end - at)
            order, ends = self._epoch(epoch)
            first, last = np.searchsorted(ends, [within, until - 1], side="right")
            for place in range(first, last + 1):
                row = order[place]
                length = self.corpus.lengths_M[row]
                begins = ends[place] - length
                here = self.corpus.starts[row]
                parts.append(
                    self.corpus.tokens[here + max(0, within - begins) : here + min(length, until - begins)]
                )
            at += until - within
        return np.concatenate(parts).astype(np.int64) if parts else np.empty(0, dtype=np.int64)

    def epochs(self, tokens: int) -> float:
        """How often ``tokens`` of training go through the corpus."""
        return tokens / self.per_epoch

    def unique(self, tokens: int) -> int:
        """U: how many of ``tokens`` of training are the first sight of their place in a document.

        Of documents with equal content the first counts alone.
        """
        order, ends = self._epoch(0)
        _, first = np.unique(self.corpus.keys_M[order], return_index=True)
        lengths = self.corpus.lengths_M[order]
        seen = np.clip(tokens - (ends - lengths), 0, lengths)
        return int(seen[first].sum())
