"""DSIR as its paper says it, one n-gram at a time."""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Sequence


def grams(text: str, n: int) -> list[str]:
    words = re.findall(r"\w+|[^\w\s]+", text.lower())
    return [" ".join(words[i : i + k]) for k in range(1, n + 1) for i in range(len(words) - k + 1)]


def bucket(gram: str, buckets: int) -> int:
    return int(hashlib.sha256(gram.encode("utf-8")).hexdigest(), 16) % buckets


def shares(texts: Sequence[str], n: int, buckets: int, laplace: float = 0.0) -> list[float]:
    counts = Counter(bucket(gram, buckets) for text in texts for gram in grams(text, n))
    total = sum(counts.values()) + laplace * buckets
    return [(counts[b] + laplace) / total for b in range(buckets)]


def log_weights(
    corpus: Sequence[str], target: Sequence[str], n: int = 2, buckets: int = 10_000, laplace: float = 0.0
) -> list[float]:
    """Of every document of the corpus; 0 where it has no n-gram."""
    p, q = shares(corpus, n, buckets), shares(target, n, buckets, laplace)
    return [
        math.fsum(
            math.log(q[b] + 1e-8) - math.log(p[b] + 1e-8)
            for b in (bucket(g, buckets) for g in grams(text, n))
        )
        for text in corpus
    ]
