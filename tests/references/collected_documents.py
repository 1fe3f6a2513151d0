"""What collective scorers of documents read, made from arrays."""

import numpy as np

from scoring.collected import Collected
from scoring.corpus.documents import Documents
from scoring.corpus.models import CorpusModels
from scoring.duplicates.provider import MinHashProvider
from scoring.examples import Examples


def collected(need, array, ids=None):
    """One array (N, D) of one need."""
    return Collected(
        ids_N=np.arange(len(array)) if ids is None else np.asarray(ids),
        labels_N=None,
        step=0,
        epoch=0.0,
        learning_rate=None,
        target=None,
        arrays={need: [array]},
    )


def signatures(texts, need):
    """Minhashes of texts, (N, P)."""
    provider = MinHashProvider.of(need, CorpusModels(), None)
    (values,) = provider.values(Documents(Examples.from_arrays(texts), np.arange(len(texts))))
    return values.numpy()
