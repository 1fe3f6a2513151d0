"""Good and bad documents to learn from: a labelled target, or a target and rows of the corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from scoring.errors import InputError, unknown_name
from scoring.hashing import UInt64Array, hash_ids
from scoring.needs import Embeddings
from scoring.quality.samples import content_hashes, texts_of
from scoring.signals import TargetDocuments

GOOD_NAMES = (
    "good",
    "high",
    "high_quality",
    "quality",
    "hq",
    "keep",
    "kept",
    "positive",
    "pos",
    "yes",
    "true",
    "1",
)
"""What the label of good documents is usually called, whatever the case."""


@dataclass(frozen=True)
class TrainingSet:
    """M documents, sorted by content, with ``good_M``; hashes of their content and of their ids."""

    texts_M: Sequence[str]
    good_M: npt.NDArray[np.bool_]
    content_M: UInt64Array
    ids_M: UInt64Array
    embeddings_MD: npt.NDArray[np.float64] | None


def good_label(target: TargetDocuments, good: str, owner: str) -> int:
    """The class of good documents: the one that is named, else by ``GOOD_NAMES``, else the higher number of two."""
    names = [str(name) for name in target.label_names]
    if good:
        if good not in names:
            raise unknown_name("good", owner, good, names)
        return names.index(good)
    usual = [k for k, name in enumerate(names) if name.lower() in GOOD_NAMES]
    if len(names) == 2 and len(usual) == 1:
        return usual[0]
    if len(names) == 2:
        try:
            return int(np.argmax([float(name) for name in names]))
        except ValueError:
            pass
    raise InputError(
        f"{owner}: good must name the label of good documents, since the target has {', '.join(names[:6])}; or take "
        "all of the target as good with against=corpus."
    )


def of_labels(target: TargetDocuments, good: str, need: Embeddings | None, owner: str) -> TrainingSet:
    """The target, with its labels."""
    assert target.labels_J is not None
    good_J = target.labels_J == good_label(target, good, owner)
    if good_J.all() or not good_J.any():
        raise InputError(
            f"{owner}: the target must hold good and bad documents, and its labels are all the same; with "
            "against=corpus rows of the corpus are the bad ones."
        )
    vectors_JD = None if need is None else target.extras[need][0].double().numpy()
    hashes = content_hashes(target.texts_J), hash_ids(target.ids_J)
    return _sorted(list(target.texts_J), good_J, *hashes, vectors_JD)


def of_corpus(
    target: TargetDocuments, negatives: Mapping[str, Tensor], need: Embeddings | None, owner: str
) -> TrainingSet:
    """All of the target as good, rows of the corpus as bad documents."""
    if not len(negatives["keys"]):
        raise InputError(
            f"{owner}: the corpus must hold documents that are not in the target, to learn from as bad ones, and "
            "holds none."
        )
    texts = [*target.texts_J, *texts_of(negatives)]
    good_M = np.arange(len(texts)) < len(target)
    content_M = np.concatenate([content_hashes(target.texts_J), negatives["content"].numpy().view(np.uint64)])
    ids_M = np.concatenate([hash_ids(target.ids_J), negatives["ids"].numpy().view(np.uint64)])
    vectors_MD = None
    if need is not None:
        parts = [target.extras[need][0].double().numpy(), negatives["embeddings"].double().numpy()]
        vectors_MD = np.concatenate(parts)
    return _sorted(texts, good_M, content_M, ids_M, vectors_MD)


def _sorted(
    texts: list[str],
    good_M: npt.NDArray[np.bool_],
    content_M: UInt64Array,
    ids_M: UInt64Array,
    vectors_MD: npt.NDArray[np.float64] | None,
) -> TrainingSet:
    """In an order that is not that of the rows: a fit sums them up, and sums round."""
    order = np.lexsort((ids_M, good_M, content_M))
    return TrainingSet(
        [texts[row] for row in order.tolist()],
        good_M[order],
        content_M[order],
        ids_M[order],
        None if vectors_MD is None else vectors_MD[order],
    )
