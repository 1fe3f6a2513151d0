"""What a plain linear model finds ambiguous: probabilities of classes for rows that it was not fitted to."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError
from scoring.examples import Examples
from scoring.hashing import derive_seed, hash64
from scoring.order import hash_order

OWNER = "instance_noise"
FOLDS = 5
WORDS = 2**16
ITERATIONS = 500
"""Of a fit at most."""


def cross_fitted(examples: Examples, seed: int, folds: int = FOLDS) -> npt.NDArray[np.float64]:
    """P(class | input) of every row by multinomial logistic regressions on the other folds, (N, C).

    Every class is dealt over the folds in the order of hash(seed, id). Inputs: features, standardised; pixels in
    [0, 1]; of texts the counts of words and pairs of words, hashed into 65,536 places, those of two texts at least,
    1 + ln(count), scaled to length 1. L2 penalty with scikit-learn's C = 1. A class that occurs once is not among
    those of the models that leave it out: its probability is 0 there. The rows of a fit are in the order of their
    hashes, so the row order changes no bit.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    assert examples.labels is not None
    inputs = _inputs(examples)
    order = hash_order(examples.ids, derive_seed("ambiguity", seed))
    labels = examples.labels
    fold_N = np.empty(len(examples), dtype=np.int64)
    for label in range(examples.num_classes):
        rows = order[labels[order] == label]
        start = int(
            hash64(seed, [label])[0] % np.uint64(folds)
        )  # rare classes do not all start in the first fold
        fold_N[rows] = (np.arange(len(rows)) + start) % folds
    found = np.zeros((len(examples), examples.num_classes))
    for fold in range(folds):
        fit, held = order[fold_N[order] != fold], np.flatnonzero(fold_N == fold)
        if not len(held):
            continue
        if len(np.unique(labels[fit])) < 2:
            raise InputError(
                f"{OWNER}: {examples.name} has too few rows to tell {examples.num_classes} classes apart; "
                "use uniform_noise."
            )
        with warnings.catch_warnings():
            # A fit that is nearly done ranks ambiguity well enough.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model: Any = LogisticRegression(max_iter=ITERATIONS, tol=1e-3).fit(inputs[fit], labels[fit])
        found[np.ix_(held, model.classes_)] = model.predict_proba(inputs[held])
    return found


def _inputs(examples: Examples) -> Any:
    every = np.arange(len(examples))
    if examples.kind == "text":
        return _words(examples.texts(every))
    if examples.kind == "features":
        values = examples.features(every).astype(np.float64)
        # In the order of hashes, since the order of a sum decides its last bit.
        ordered = values[hash_order(examples.ids, 0)]
        scale = ordered.std(axis=0)
        return (values - ordered.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    pictures = examples.images(every)
    shapes = {picture.shape for picture in pictures}
    if len(shapes) > 1:
        raise InputError(f"{OWNER}: images must all have the same size, got {len(shapes)} sizes.")
    return np.stack(pictures).reshape(len(pictures), -1) / 255.0


def _words(texts: Any) -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.preprocessing import normalize

    joined = [text if isinstance(text, str) else " ".join(text) for text in texts]
    counts = HashingVectorizer(
        n_features=WORDS, ngram_range=(1, 2), alternate_sign=False, norm=None, token_pattern=r"(?u)\b\w+\b"
    ).transform(joined)
    common = np.flatnonzero(np.bincount(counts.indices, minlength=WORDS) > 1)
    counts = counts.tocsc()[:, common].tocsr()  # what only one text has tells nothing about others
    counts.data = 1 + np.log(counts.data)
    return normalize(counts)
