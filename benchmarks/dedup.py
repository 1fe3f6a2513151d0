"""Claim: near-duplicate removal finds what there is, at the pace of the packages made for it.

Same data, same threshold, one run, interleaved; rates by CPU time, which other work on the machine disturbs less. True
pairs by comparing all. A true pair is resolved if not both of it are kept; a row is removed for nothing if no row of
the data is its duplicate. ``semhash`` and semantic_dedup get the same MiniLM embeddings. ``datasketch``, ``datatrove``
and minhash_dedup get the same texts, word 5-grams, bands and rows; ``datasketch`` in the usual loop (query, insert what
finds nothing), without and with a check by its estimate.

The other packages are not among the dependencies: pip install semhash datasketch datatrove.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks.minilm import embed
from benchmarks.record import data_file, write_record
from scoring.duplicates.banding import rows_per_band
from scoring.duplicates.shingles import normalized
from scoring.hashing import shuffled
from scoring.table import ScoreTable
from selection.run import select
from selection.strategies.minhash_dedup import MinhashDedup
from selection.strategies.semantic_dedup import SemanticDedup

COSINE, JACCARD, WORDS, PERMUTATIONS = 0.95, 0.8, 5, 128
Kept = np.ndarray[tuple[int], np.dtype[np.int64]]


def timed(ways: dict[str, Callable[[], Kept]], pairs_P2: np.ndarray, n: int, repeats: int) -> dict[str, Any]:
    """Every way in turn, ``repeats`` times; what it keeps against the true pairs."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    of_cpu: dict[str, list[float]] = {name: [] for name in ways}
    results: dict[str, Any] = {}
    has_duplicate = np.zeros(n, dtype=bool)
    has_duplicate[pairs_P2.ravel()] = True
    for _ in range(repeats):
        for name, way in ways.items():
            started, cpu = time.perf_counter(), time.process_time()
            kept = way()
            seconds[name].append(time.perf_counter() - started)
            of_cpu[name].append(time.process_time() - cpu)
            is_kept = np.zeros(n, dtype=bool)
            is_kept[kept] = True
            both = is_kept[pairs_P2].all(axis=1)
            results[name] = {
                "kept": int(is_kept.sum()),
                "pairs_resolved": float(1 - both.mean()),
                "removed_for_nothing": int((~is_kept & ~has_duplicate).sum()),
                "seconds": seconds[name],
                "cpu_seconds": of_cpu[name],
                "rows_per_cpu_second": n / float(np.median(of_cpu[name])),
            }
            print(f"{name}: {results[name]}", flush=True)
    return {
        "rows": n,
        "true_pairs": len(pairs_P2),
        "rows_in_a_pair": int(has_duplicate.sum()),
        "ways": results,
    }


def table_of(n: int) -> ScoreTable:
    """Ids and nothing to score by."""
    return ScoreTable.from_columns(np.arange(n), {"none": np.zeros(n)}, "arbitrary")


def semantic(n: int, repeats: int) -> dict[str, Any]:
    """Phrases of SST-2, by embeddings."""
    from semhash import SemHash

    texts = pd.read_parquet(data_file("sst2/sst2_phrases.parquet"))["text"]
    vectors_ND = embed(texts.iloc[shuffled(0, len(texts))[:n]].tolist())
    unit_ND = vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    pairs = [
        np.argwhere(np.triu(unit_ND[start : start + 1000] @ unit_ND.T, start + 1) > COSINE)
        + np.array([start, 0])
        for start in range(0, n, 1000)
    ]

    def ours(**options: Any) -> Kept:
        return np.asarray(
            select(table_of(n), take=SemanticDedup(eps=1 - COSINE, **options), embeddings=vectors_ND).ids
        )

    def semhash(**options: Any) -> Kept:
        records = [str(row) for row in range(n)]
        found = SemHash.from_embeddings(vectors_ND, records, model=None, **options)
        return np.array([int(record) for record in found.self_deduplicate(COSINE).selected])

    ways: dict[str, Callable[[], Kept]] = {
        "tamis": ours,
        "tamis, chain": lambda: ours(mode="chain"),
        "tamis, 8 clusters": lambda: ours(clusters=8),
        "semhash": semhash,
        "semhash, exact search": lambda: semhash(ann_backend="basic"),
    }
    return timed(ways, np.concatenate(pairs), n, repeats)


def corpus() -> list[str]:
    """News items, Java methods and film reviews."""
    news = pd.read_parquet(data_file("ag_news/ag_news_10k.parquet"))["text"]
    java = pd.read_parquet(data_file("corpora/code_java_csharp.parquet"))["java"]
    films = pd.read_parquet(data_file("corpora/imdb_unsup_8k.parquet"))["text"]
    return [*news, *java, *films]


def grams(text: str) -> set[str]:
    """Word 5-grams of a normalised text, or all of it."""
    words = text.split()
    return {" ".join(words[i : i + WORDS]) for i in range(max(1, len(words) - WORDS + 1))}


def true_pairs(texts: Sequence[str]) -> np.ndarray:
    """All pairs whose Jaccard index reaches the threshold, from the matrix of texts and their 5-grams."""
    column: dict[str, int] = {}
    sets = [[column.setdefault(gram, len(column)) for gram in grams(normalized(text))] for text in texts]
    sizes = np.array([len(part) for part in sets])
    places = np.concatenate(sets), np.concatenate([[0], np.cumsum(sizes)])
    matrix = sparse.csr_matrix(
        (np.ones(len(places[0]), dtype=np.int32), *places), shape=(len(texts), len(column))
    )
    found = []
    for start in range(0, len(texts), 2000):
        shared = sparse.triu(matrix[start : start + 2000] @ matrix.T, start + 1).tocoo()
        rows = shared.row + start
        jaccard = shared.data / (sizes[rows] + sizes[shared.col] - shared.data)
        found.append(np.c_[rows, shared.col][jaccard >= JACCARD])
    return np.concatenate(found)


def minhash(repeats: int) -> dict[str, Any]:
    """News, code and reviews, by n-grams."""
    texts = corpus()
    n, pairs_P2 = len(texts), true_pairs(texts)

    def ours(**options: Any) -> Kept:
        strategy = MinhashDedup(threshold=JACCARD, n=WORDS, permutations=PERMUTATIONS, **options)
        return np.asarray(select(table_of(n), take=strategy, texts=texts).ids)

    ways: dict[str, Callable[[], Kept]] = {
        "tamis": ours,
        "tamis, components": lambda: ours(mode="components"),
        "tamis, not verified": lambda: ours(verify=False),
        "datasketch": lambda: by_datasketch(texts, check=False),
        "datasketch, estimate checked": lambda: by_datasketch(texts, check=True),
        "datatrove": lambda: by_datatrove(texts),
    }
    return timed(ways, pairs_P2, n, repeats)


def by_datasketch(texts: Sequence[str], check: bool) -> Kept:
    """The usual loop over its LSH index."""
    from datasketch import MinHash, MinHashLSH

    rows = rows_per_band(JACCARD, PERMUTATIONS)
    index = MinHashLSH(num_perm=PERMUTATIONS, params=(PERMUTATIONS // rows, rows))
    sets = [[gram.encode() for gram in grams(normalized(text))] for text in texts]
    sketches = MinHash.bulk(sets, num_perm=PERMUTATIONS)
    kept = []
    for row, sketch in enumerate(sketches):
        others = index.query(sketch)
        if check:
            others = [other for other in others if sketch.jaccard(sketches[other]) >= JACCARD]
        if not others:
            index.insert(row, sketch)
            kept.append(row)
    return np.array(kept)


def by_datatrove(texts: Sequence[str]) -> Kept:
    """Its pipeline of four steps in one process, with a tokenizer that splits at white space."""
    import xxhash
    from datatrove.data import Document
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.utils.word_tokenizers import WordTokenizer

    class Split(WordTokenizer):
        def word_tokenize(self, text: str) -> list[str]:
            return text.split()

        def sent_tokenize(self, text: str) -> list[str]:
            return [text]

        def span_tokenize(self, text: str) -> list[tuple[int, int]]:
            return [(0, len(text))]

    rows = rows_per_band(JACCARD, PERMUTATIONS)
    config = MinhashConfig(n_grams=WORDS, num_buckets=PERMUTATIONS // rows, hashes_per_bucket=rows)
    folder = Path(tempfile.mkdtemp())
    signatures, buckets, removed = (str(folder / name) for name in ("signatures", "buckets", "removed"))
    documents = [Document(text=normalized(text), id=str(row)) for row, text in enumerate(texts)]
    first = MinhashDedupSignature(signatures, config, Split())
    first._hash_func = lambda text: xxhash.xxh64_intdigest(text.encode())  # its own gives xxhash 4 a str
    first.run(iter(documents))
    for bucket in range(config.num_buckets):
        for _ in (
            MinhashDedupBuckets(signatures, buckets, config=config).run(None, bucket, config.num_buckets)
            or ()
        ):
            pass
    MinhashDedupCluster(buckets, removed, config).run(None, 0, 1)
    kept = [int(document.id) for document in MinhashDedupFilter(removed).run(iter(documents))]
    shutil.rmtree(folder)
    return np.array(kept)


def main() -> None:
    """Both comparisons."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000, help="phrases to embed")
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    from datatrove.utils.logging import logger

    logger.remove()
    logging.disable(logging.WARNING)
    results: dict[str, Any] = {
        "minhash": minhash(arguments.repeats),
        "semantic": semantic(arguments.rows, arguments.repeats),
        "packages": {
            name: version(name) for name in ("rensa", "semhash", "datasketch", "datatrove", "usearch")
        },
        "thresholds": {"cosine": COSINE, "jaccard": JACCARD},
    }
    write_record("dedup", __doc__.splitlines()[0], results)


if __name__ == "__main__":
    main()
