"""prototypes:embeddings against k-means of all rows and a loop in Python; looks that merge in any order; edges."""

import math
import warnings

import numpy as np
import pytest
import torch
from references.dedup_slow import cosine

from scoring.clusters import kmeans
from scoring.errors import InputError
from scoring.hashing import derive_seed, hash64
from scoring.needs import Embeddings
from scoring.scorers import embedding_prototypes
from scoring.scorers.embedding_prototypes import EmbeddingPrototypes
from scoring.signals import Signals


def signals(vectors, ids):
    rows = torch.from_numpy(np.asarray(vectors, dtype=np.float32))
    return Signals(ids_B=np.asarray(ids), step=0, epoch=0.0, extras={Embeddings(): (rows,)})


def topics(rows=300, width=6, groups=5, seed=0, spread=0.2):
    """Rows around directions at right angles."""
    rng, centres = np.random.default_rng(seed), np.eye(groups, width)
    group = np.arange(rows) % groups
    return (centres[group] + spread * rng.normal(size=(rows, width))).astype(np.float32), group


def fitted(scorer, vectors, ids, parts):
    """Fitted to parts of the rows, merged in the order in which they come."""
    sums = None
    for rows in parts:
        more = scorer.fit(signals(vectors[rows], ids[rows]))
        sums = more if sums is None else scorer.merge(sums, more)
    return scorer.fitted(sums)


def scored(vectors, ids=None, **options):
    ids = np.arange(len(vectors)) if ids is None else ids
    scorer = fitted(EmbeddingPrototypes(**options), vectors, ids, [np.arange(len(vectors))])
    return {name: value.numpy() for name, value in scorer.outputs(signals(vectors, ids)).items()}


def test_equals_kmeans_of_all_rows_and_a_loop():
    vectors, group = topics(spread=0.05)
    found, scorer = scored(vectors, k=5), EmbeddingPrototypes(k=5)
    centroids = fitted(scorer, vectors, np.arange(300), [np.arange(300)]).centroids_KD.tolist()
    for row in range(0, 300, 7):
        distances = [1 - cosine(vectors[row].tolist(), centre) for centre in centroids]
        assert found[""][row] == pytest.approx(min(distances), abs=1e-12)
        assert found["cluster"][row] == np.argmin(distances)
    assert all(len(np.unique(found["cluster"][group == each])) == 1 for each in range(5))
    whole = kmeans(vectors, np.arange(300), 5, "cosine").distances_N
    np.testing.assert_allclose(found[""], whole, atol=1e-6)  # other seeds of k-means, the same five topics


@pytest.mark.parametrize("sample", [16_384, 50])
def test_parts_merge_in_any_order_to_the_same_bits(sample, monkeypatch):
    monkeypatch.setattr(embedding_prototypes, "TRAINED_AT_LEAST", sample)
    monkeypatch.setattr(embedding_prototypes, "TRAINED_PER_CLUSTER", 1)
    vectors, _ = topics(spread=0.6)
    ids = np.array([f"row {k}" for k in range(300)], dtype=object)
    rng, scorer = np.random.default_rng(1), EmbeddingPrototypes(k=4)
    whole = fitted(scorer, vectors, ids, [np.arange(300)]).centroids_KD
    for size in (1, 7, 120):
        turned = rng.permutation(300)
        parts = [turned[start : start + size] for start in range(0, 300, size)]
        assert torch.equal(fitted(scorer, vectors, ids, parts).centroids_KD, whole)
    sums = [scorer.fit(signals(vectors[rows], ids[rows])) for rows in np.array_split(np.arange(300), 3)]
    trees = [
        scorer.merge(sums[2], scorer.merge(sums[0], sums[1])),
        scorer.merge(scorer.merge(sums[1], sums[2]), sums[0]),
    ]
    assert all(torch.equal(trees[0][name], trees[1][name]) for name in trees[0])
    assert len(trees[0]["rows"]) == min(sample, 300) and int(trees[0]["count"]) == 300
    lowest = np.argsort(hash64(derive_seed("prototypes", 0), ids))[:sample]
    np.testing.assert_array_equal(trees[0]["rows"].numpy(), vectors[lowest])


def test_default_number_of_clusters(monkeypatch):
    vectors, ids = topics(rows=200)[0], np.arange(200)
    centroids = fitted(EmbeddingPrototypes(), vectors, ids, [ids]).centroids_KD
    assert len(centroids) == math.isqrt(200)
    monkeypatch.setattr(embedding_prototypes, "MOST_BY_DEFAULT", 3)
    assert len(fitted(EmbeddingPrototypes(), vectors, ids, [ids]).centroids_KD) == 3
    assert EmbeddingPrototypes().fits and not fitted(EmbeddingPrototypes(), vectors, ids, [ids]).fits


def test_outliers_are_far_and_seeds_differ():
    vectors, _ = topics(spread=0.05)
    vectors = np.r_[vectors, -vectors[:1]]
    found = scored(vectors, k=5)[""]
    assert found.argmax() == 300 and found[300] > 10 * np.median(found)
    loose, _ = topics(spread=2.0)
    assert not np.allclose(scored(loose, k=5)[""], scored(loose, k=5, seed=1)[""])


def test_edges():
    vectors, _ = topics(rows=60)
    odd = np.r_[vectors, [[np.nan] * 6, [np.inf] + [0] * 5, [0] * 6]].astype(np.float32)
    found = scored(odd, k=5)
    assert np.isnan(found[""][60:]).tolist() == [True, True, False] and found[""][62] == 1
    assert np.isnan(found["cluster"]).tolist() == np.isnan(found[""]).tolist()
    assert scored(vectors[:1])[""].tolist() == [0.0]
    assert (scored(np.ones((50, 3), dtype=np.float32))[""] == 0).all()
    assert np.isnan(scored(np.full((4, 2), np.nan, dtype=np.float32))[""]).all()
    for name, values in {"k": (0, True, 1.5), "seed": (0.5,)}.items():
        for value in values:
            with pytest.raises(InputError, match=f"score: scorer 'prototypes:embeddings': {name} must be"):
                EmbeddingPrototypes(**{name: value})


def test_clusters_of_one_are_warned_of():
    vectors, _ = topics(rows=60)
    for k, warned in ((60, True), (5, False)):
        scorer, values = EmbeddingPrototypes(k=k), scored(vectors, k=k)
        review = scorer.review(scorer.tally({name: torch.from_numpy(v) for name, v in values.items()}))
        assert [("choose a smaller k" in sentence) for sentence in review.warnings] == [True] * warned
        assert (review.summary["share_at_centroid"] == 1) == warned


def test_of_a_corpus():
    from scoring.examples import Examples
    from scoring.run import score

    texts = [f"{'the sea was calm ' * (k % 3)}{'old stone wall ' * (k % 4)}boat {k}" for k in range(80)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = score(Examples.from_arrays(texts), "prototypes:embeddings(k=6)", encoder="hashed")
    name = "prototypes:embeddings(k=6)"
    assert table.names == [name, f"{name}.cluster"] and table.columns[name]["meaning"] == "hard"
    assert set(table.column(f"{name}.cluster")) == set(range(6))
