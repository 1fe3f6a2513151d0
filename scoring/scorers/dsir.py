"""DSIR: how much more likely a document is under a target's n-grams than under the corpus's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scoring.errors import InputError, bad_value
from scoring.meaning import Meaning
from scoring.scorer import DocumentScorer, Outputs
from scoring.signals import Signals, TargetDocuments
from scoring.text.bucket_counts import count_buckets

FloatArray = npt.NDArray[np.float64]

OWNER = "score: scorer 'dsir'"
TINY = 1e-8
CHUNK = 1024


@dataclass(frozen=True)
class DSIR(DocumentScorer):
    """Log importance weight log q(x) - log p(x) of bags of hashed n-grams; high means like the target documents.

    Data Selection via Importance Resampling (Xie et al. 2023, sections 3 and 4): q and p are the shares of every bucket
    in the n-grams of the target and of the corpus, and log w = sum_b c_b(x) (log(q_b + 1e-8) - log(p_b + 1e-8)), in
    nats, with the tokens and the hash of the authors' package (``scoring.text.bucket_counts``), so that weights are
    theirs. p is of all documents of the corpus; the package stops at 100,000 n-grams per bucket, and weighs documents
    with 1- and 2-grams in 10,000 buckets whatever it was fitted with. Its selection is ``take="importance"``.

    A sum over n-grams grows with the length of the document, and so does its spread: few long documents win a draw.
    ``dsir:length-normalized`` divides by the number of n-grams, which stands in the side column ``ngrams``; or cut
    documents to equal lengths, as the authors do. Documents without a token are NaN: their empty sum, 0, would beat
    most others. ``laplace``: added to the counts of the target in every bucket, for small targets, in which an unseen
    n-gram else costs up to 18 nats.
    """

    ngrams: int = 2
    buckets: int = 10_000
    length_normalized: bool = False
    laplace: float = 0.0
    raw: FloatArray | None = field(default=None, repr=False, compare=False)
    """Counts of the corpus in every bucket, (buckets,), once fitted."""

    needs: ClassVar[frozenset[str]] = frozenset({"texts", "target_documents"})
    meaning: ClassVar[Meaning] = "like_target"
    sides: ClassVar[tuple[str, ...]] = ("ngrams",)

    def __post_init__(self) -> None:
        for name in ("ngrams", "buckets"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise bad_value(name, OWNER, value, "a whole number from 1")
        if isinstance(self.laplace, bool) or not 0 <= self.laplace < math.inf:
            raise bad_value("laplace", OWNER, self.laplace, "a number from 0")

    @property
    def fits(self) -> bool:
        """The corpus is counted first."""
        return self.raw is None

    def fit(self, signals: Signals) -> dict[str, Tensor]:
        """Counts of the batch in every bucket."""
        counts_BK = count_buckets(signals.texts_B, self.ngrams, self.buckets)
        return {"counts": torch.from_numpy(np.asarray(counts_BK.sum(axis=0)).ravel())}

    def fitted(self, sums: Mapping[str, Tensor]) -> Self:
        """With the counts of the corpus."""
        return replace(self, raw=sums["counts"].double().numpy())

    def outputs(self, signals: Signals) -> Outputs:
        """log w, divided by the number of n-grams if ``length_normalized``; and that number."""
        assert self.raw is not None and signals.target_documents is not None
        target = signals.target_documents
        key = ("dsir", self.ngrams, self.buckets)
        wanted = target.once(key, lambda: target_counts(target, self.ngrams, self.buckets))
        gain = np.log(shares(wanted + self.laplace) + TINY) - np.log(shares(self.raw) + TINY)
        counts_BK = count_buckets(signals.texts_B, self.ngrams, self.buckets)
        ngrams_B = np.asarray(counts_BK.sum(axis=1), dtype=np.float64).ravel()
        values_B = np.where(ngrams_B > 0, counts_BK @ gain, np.nan)
        if self.length_normalized:
            values_B = values_B / np.maximum(ngrams_B, 1)
        return {"": torch.from_numpy(values_B), "ngrams": torch.from_numpy(ngrams_B)}


def target_counts(target: TargetDocuments, ngrams: int, buckets: int) -> FloatArray:
    """Counts of the target in every bucket, (buckets,)."""
    total = np.zeros(buckets)
    for start in range(0, len(target.texts_J), CHUNK):
        part = count_buckets(target.texts_J[start : start + CHUNK], ngrams, buckets)
        total += np.asarray(part.sum(axis=0)).ravel()
    if not total.any():
        raise InputError(f"{OWNER}: target must hold at least one word, and all of its documents are empty.")
    return total


def shares(counts: FloatArray) -> FloatArray:
    """Of their sum; nothing is nothing."""
    total = counts.sum()
    return counts / total if total else counts
