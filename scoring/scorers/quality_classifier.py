"""Quality as a classifier sees it that learned from examples of good and bad documents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self, get_args

import numpy as np
import torch
from torch import Tensor

from scoring.errors import bad_value, unknown_name
from scoring.hashing import hash_ids
from scoring.meaning import Meaning
from scoring.needs import Embeddings, Need
from scoring.quality.cross_fitted import CrossFitted
from scoring.quality.features import make_features, read_kinds
from scoring.quality.samples import content_hashes, merge, sample
from scoring.quality.training_set import of_corpus, of_labels
from scoring.scorer import DocumentScorer, Outputs
from scoring.signals import Signals, TargetDocuments

Against = Literal["auto", "labels", "corpus"]
Output = Literal["probability", "log-odds"]
OWNER = "score: scorer 'quality_classifier'"


@dataclass(frozen=True)
class QualityClassifier(DocumentScorer):
    """Probability that a document is a good one, by a classifier trained on the target; high means quality.

    Brown et al. 2020 (GPT-3, appendix A) and Li et al. 2024 (DataComp-LM, section 4.4) keep what a linear classifier
    of n-grams holds for a document of a good corpus rather than of the web. Here it is a logistic regression.

    Good and bad documents: where the target has two labels, these (``against=labels``); ``good`` names the good one,
    by default one with a usual name (good, keep, hq, yes ...) or the higher number. Without labels, or with
    ``against=corpus``, all of the target is good, and bad are ``negatives`` documents of the corpus, those of the
    lowest hash of (seed, id), by default as many as the target has. Probabilities are for that mix.

    Documents that it learned from are scored by classifiers that did not see them: ``folds`` parts by hash of the
    content; 0 for one classifier that saw all. They are known by their content, whatever its case and white space, or
    by an id that is a text (whole numbers of two sources meet by chance). The side column ``left_out`` tells them. So a
    target can be scored itself, and its AUROC is that of cross-fitting. Other near duplicates are not recognised.

    ``features``: ``hashed`` (counts of words and pairs of them), ``embeddings`` (of ``encoder``, or that of the call),
    ``statistics`` (counts of words, lines, repetition), or several joined by ``+``. ``c``: how much the data weigh
    against the penalty (``scoring.quality.linear``), or ``auto`` for the best of a grid on parts left out.
    ``output=log-odds`` does not saturate, so that it ranks where probabilities are all 1.0. Blank documents are NaN.
    """

    features: str = "hashed"
    against: Against = "auto"
    good: str = ""
    negatives: int = 0
    folds: int = 5
    c: float | str = 10.0
    output: Output = "probability"
    encoder: str = ""
    seed: int = 0
    drawn: Mapping[str, Tensor] | None = field(default=None, repr=False, compare=False)
    """The rows of the corpus that are learned from as bad ones, once fitted; empty if the labels serve."""

    needs: ClassVar[frozenset[str]] = frozenset({"texts", "target_documents"})
    meaning: ClassVar[Meaning] = "quality"
    sides: ClassVar[tuple[str, ...]] = ("left_out",)

    def __post_init__(self) -> None:
        read_kinds(self.features, OWNER)
        for name, allowed in (("against", get_args(Against)), ("output", get_args(Output))):
            if getattr(self, name) not in allowed:
                raise unknown_name(name, OWNER, str(getattr(self, name)), allowed)
        for name in ("negatives", "seed"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise bad_value(name, OWNER, value, "a whole number from 0")
        if (
            not isinstance(self.folds, int)
            or isinstance(self.folds, bool)
            or self.folds == 1
            or self.folds < 0
        ):
            raise bad_value("folds", OWNER, self.folds, "0, or a whole number from 2")
        numeric = isinstance(self.c, int | float) and not isinstance(self.c, bool) and 0 < self.c < math.inf
        if not numeric and self.c != "auto":
            raise bad_value("c", OWNER, self.c, "a number above 0, or auto")
        object.__setattr__(self, "good", str(self.good))  # good=1 is read as a number

    @property
    def reads(self) -> frozenset[Need]:
        """Embeddings too, where they are features."""
        return frozenset(self.needs) | ({self._vectors} if self._vectors else frozenset[Need]())

    @property
    def fits(self) -> bool:
        """Bad documents are drawn from the corpus first, unless the labels tell them."""
        return self.drawn is None and self.against != "labels"

    def fit(self, signals: Signals) -> dict[str, Tensor]:
        """The rows of lowest hash of the batch, without blank ones and those of the target."""
        target = signals.target_documents
        assert target is not None
        if self._by_labels(target):
            return {}
        known = target.once("content hashes", lambda: content_hashes(target.texts_J))
        leave_out = np.isin(content_hashes(signals.texts_B), known) | blank(signals)
        vectors = signals.extra(self._vectors) if self._vectors else None
        limit = self.negatives or len(target)
        return sample(self.seed, limit, signals.ids_B, signals.texts_B, vectors, leave_out)

    def merge(self, sums: Mapping[str, Tensor], more: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The rows of lowest hash of both."""
        return merge(sums, more) if sums else dict(more)

    def fitted(self, sums: Mapping[str, Tensor]) -> Self:
        """With the bad documents that were drawn."""
        return replace(self, drawn=dict(sums))

    def outputs(self, signals: Signals) -> Outputs:
        """Probability or log-odds, and whether the document was left out of what it is scored by."""
        target = signals.target_documents
        assert target is not None
        classifiers = target.once((self, id(self.drawn)), lambda: self._train(target))
        vectors_BD = signals.extra(self._vectors).double().numpy() if self._vectors else None
        features = make_features(self._kinds, signals.texts_B, vectors_BD)
        named = signals.ids_B.dtype.kind not in "iu"
        ids_B = hash_ids(signals.ids_B) if named else None
        log_odds_B, left_out_B = classifiers.log_odds(features, content_hashes(signals.texts_B), ids_B)
        value = torch.from_numpy(np.where(blank(signals), np.nan, log_odds_B))
        return {
            "": value.sigmoid() if self.output == "probability" else value,
            "left_out": torch.from_numpy(left_out_B),
        }

    def _train(self, target: TargetDocuments) -> CrossFitted:
        if self._by_labels(target):
            training = of_labels(target, self.good, self._vectors, OWNER)
        else:
            assert self.drawn is not None
            training = of_corpus(target, self.drawn, self._vectors, OWNER)
        features = make_features(self._kinds, training.texts_M, training.embeddings_MD)
        c = None if isinstance(self.c, str) else float(self.c)
        return CrossFitted(training, features, self.folds, c, self.seed, OWNER)

    def _by_labels(self, target: TargetDocuments) -> bool:
        if self.against == "labels" and target.labels_J is None:
            raise bad_value("target", OWNER, "one without labels", "documents with labels for against=labels")
        return self.against != "corpus" and target.labels_J is not None

    @property
    def _kinds(self) -> tuple[str, ...]:
        return read_kinds(self.features, OWNER)

    @property
    def _vectors(self) -> Embeddings | None:
        return Embeddings(self.encoder) if "embeddings" in self._kinds else None


def blank(signals: Signals) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which documents hold nothing but white space, (B,)."""
    return np.array([not text.strip() for text in signals.texts_B], dtype=bool)
