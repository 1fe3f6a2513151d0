"""Embeddings divided by their direction, for work that compares rows within clusters only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scoring.duplicates.unit_vectors import UnitVectors
from scoring.hashing import derive_seed
from scoring.order import FloatArray, IntArray, hash_order

TRAINED_PER_CLUSTER = 64
TRAINED_AT_LEAST = 16_384
ROUNDS = 20
ELEMENTS = 1 << 22


class Partition(NamedTuple):
    """Of N rows the cluster of each, and 1 - cosine with its centroid."""

    cluster_N: IntArray
    distance_N: FloatArray


def partition(vectors: UnitVectors, clusters: int, seed: int) -> Partition:
    """Spherical k-means, trained on a sample (see the constants), then the nearest centroid of every row.

    The sample is that of the lowest hash(seed, id). There are fewer clusters where there are fewer distinct rows.
    All rows must be finite.
    """
    from scoring.clusters import kmeans

    n = len(vectors)
    cluster_N, distance_N = np.zeros(n, dtype=np.int64), np.ones(n)
    order = hash_order(vectors.ids_N, derive_seed("clusters", seed))
    sample = order[: max(TRAINED_PER_CLUSTER * clusters, TRAINED_AT_LEAST)]
    ids, rows_SD = vectors.ids_N[sample], vectors.take(sample)
    centroids_KD = kmeans(rows_SD, ids, clusters, "cosine", seed, ROUNDS).centroids_KD
    step = max(1, ELEMENTS // max(1, rows_SD.shape[1], len(centroids_KD)))
    for start in range(0, n, step):
        some = order[start : start + step]
        cosine_BK = (vectors.take(some) @ centroids_KD.T).astype(np.float32)
        cluster_N[some] = best_B = cosine_BK.argmax(axis=1)
        distance_N[some] = 1 - cosine_BK[np.arange(len(some)), best_B].astype(np.float64)
    return Partition(cluster_N, distance_N)
