"""knn_distance: against all distances; few rows, copies, options."""

import numpy as np
import pytest

from scoring.collected import Collected
from scoring.errors import InputError
from scoring.needs import Embeddings
from scoring.scorers.knn_distance import KnnDistance


def values(scorer: KnnDistance, rows: np.ndarray) -> np.ndarray:
    collected = Collected(
        ids_N=np.arange(len(rows)),
        labels_N=None,
        step=0,
        epoch=0.0,
        learning_rate=None,
        target=None,
        arrays={Embeddings(): [rows]},
    )
    return scorer.score_all([collected])[""]


ROWS = np.random.default_rng(0).normal(size=(150, 6)).astype(np.float32)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("of", ["mean", "kth"])
@pytest.mark.parametrize("k", [1, 7])
def test_against_all_distances(metric: str, of: str, k: int) -> None:
    wide = ROWS.astype(float)
    distances = np.linalg.norm(wide[:, None] - wide[None], axis=2)
    if metric == "cosine":
        unit = wide / np.linalg.norm(wide, axis=1, keepdims=True)
        distances = 1 - unit @ unit.T
    np.fill_diagonal(distances, np.inf)
    nearest = np.sort(distances, axis=1)[:, :k]
    expected = nearest.mean(axis=1) if of == "mean" else nearest[:, -1]
    np.testing.assert_allclose(values(KnnDistance(k=k, of=of, metric=metric), ROWS), expected, rtol=1e-6)


def test_fewer_others_than_neighbours() -> None:
    assert values(KnnDistance(metric="euclidean"), np.array([[0.0], [3.0], [4.0]])).tolist() == [
        3.5,
        2.0,
        2.5,
    ]
    assert np.isnan(values(KnnDistance(), ROWS[:1])).all()


def test_copies_are_at_distance_zero() -> None:
    assert (values(KnnDistance(k=2), np.repeat(ROWS[:4], 3, axis=0)) == 0).all()


def test_rows_of_zeros_have_no_direction() -> None:
    rows = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    assert values(KnnDistance(k=1), rows).tolist() == pytest.approx([1, 1, 0, 0], abs=1e-12)
    assert values(KnnDistance(k=1, metric="euclidean"), rows).tolist() == [0, 0, 0, 0]


def test_cells() -> None:
    found = values(KnnDistance(probes=1000), ROWS)
    np.testing.assert_allclose(found, values(KnnDistance(), ROWS), rtol=1e-6)


def test_refused() -> None:
    with pytest.raises(InputError, match="embedding of document 2 is not finite"):
        values(KnnDistance(), np.array([[0.0], [1.0], [np.nan]]))
    for options in ({"k": 0}, {"of": "median"}, {"metric": "l1"}, {"probes": 0}):
        with pytest.raises(InputError, match=next(iter(options))):
            KnnDistance(**options)
