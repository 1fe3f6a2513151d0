"""A scorer of documents on vectors in memory: every look over parts of the rows, merged, then the scores."""

from typing import Any

import numpy as np
import torch

from scoring.needs import Embeddings
from scoring.scorer import Scorer
from scoring.signals import Signals


def signals(rows: np.ndarray, ids: np.ndarray) -> Signals:
    """Embeddings of some documents."""
    return Signals(ids_B=ids, step=0, epoch=0.0, extras={Embeddings(): (torch.from_numpy(rows),)})


def look_and_score(
    scorer: Any, rows: np.ndarray, ids: np.ndarray | None = None, parts: int = 1
) -> tuple[Any, np.ndarray]:
    """The scorer after its looks, and its values."""
    ids = np.arange(len(rows)) if ids is None else ids
    assert isinstance(scorer, Scorer)
    while scorer.fits:
        sums = [
            scorer.fit(signals(rows[some], ids[some])) for some in np.array_split(np.arange(len(rows)), parts)
        ]
        while len(sums) > 1:
            sums = [*sums[2:], scorer.merge(sums[0], sums[1])]
        scorer = scorer.fitted(sums[0])
    return scorer, scorer.score(signals(rows, ids)).numpy()
