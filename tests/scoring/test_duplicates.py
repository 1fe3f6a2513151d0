"""Scores of duplicates against all pairs in Python, exact Jaccard, and the strategies that share their core."""

import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references.collected_documents import collected, signatures
from references.dedup_slow import connected, cosine, jaccard, plain, remove, shingles
from references.score_tables import table_of

from scoring.duplicates import banding
from scoring.duplicates.shingles import Shingles
from scoring.duplicates.signatures import minhashes
from scoring.errors import InputError, MissingExtraError
from scoring.examples import Examples
from scoring.needs import Embeddings, MinHashes
from scoring.order import hash_order
from scoring.run import score
from scoring.scorers import minhash_duplicates
from scoring.scorers.minhash_duplicates import MinhashDuplicates
from scoring.scorers.semantic_duplicates import SemanticDuplicates
from selection.run import select
from selection.strategies.minhash_dedup import MinhashDedup
from selection.strategies.semantic_dedup import SemanticDedup

pytest.importorskip("rensa")

WORDS = [f"w{k}" for k in range(30)]


def by_minhash(texts, ids=None, **options):
    scorer = MinhashDuplicates(**options)
    (need,) = scorer.reads
    return scorer.score_all([collected(need, signatures(texts, need), ids)])


def by_angle(vectors, ids=None, **options):
    vectors = np.asarray(vectors, dtype=np.float32)
    return SemanticDuplicates(**options).score_all([collected(Embeddings(), vectors, ids)])


def near_texts(rng, n):
    """Short texts of which many share most of their words."""
    bases = [rng.choice(WORDS, 8) for _ in range(max(1, n // 4))]
    texts = []
    for _ in range(n):
        words = bases[rng.integers(len(bases))].copy()
        words[rng.integers(8, size=rng.integers(0, 4))] = rng.choice(WORDS)
        texts.append(" ".join(words))
    return texts


def near_rows(rng, n, width=6, groups=8):
    return rng.normal(size=(groups, width))[rng.integers(0, groups, n)] + 0.15 * rng.normal(size=(n, width))


def kept_root(row, nearest, kept):
    """The kept row at the end of the chain of nearest earlier rows."""
    while row not in kept:
        row = nearest[row][0]
    return row


def assert_groups(found, roots):
    """``group``, ``kept`` and ``group_size`` are those of the kept row of every row."""
    n, group = len(roots), found["group"].tolist()
    assert {(a, b) for a in range(n) for b in range(n) if group[a] == group[b]} == {
        (a, b) for a in range(n) for b in range(n) if roots[a] == roots[b]
    }
    assert found["kept"].tolist() == [float(root == row) for row, root in enumerate(roots)]
    assert found["group_size"].tolist() == [roots.count(root) for root in roots]


class TestSignatures:
    def test_share_of_equal_minhashes_estimates_the_jaccard_index(self):
        """600 pairs with Jaccard from 0.05 to 1, two seeds: unbiased, no less certain than 128 coin throws."""
        texts, exact = [], []
        for pair in range(600):
            shared, own = 4 + pair % 60, pair % 37
            common = [f"c{pair}x{k}" for k in range(shared)]
            sides = [[*common, *(f"{side}{pair}x{k}" for k in range(own))] for side in "ab"]
            texts += [" ".join(side) for side in sides]
            exact.append(jaccard(set(sides[0]), set(sides[1])))
        exact = np.array(exact)
        for seed in (0, 7):
            rows = signatures(texts, MinHashes(permutations=128, n=1, seed=seed))
            assert rows.shape == (1200, 128) and rows.dtype == np.int64 and rows.min() >= 0
            error = (rows[::2] == rows[1::2]).mean(axis=1) - exact
            expected = np.sqrt((exact * (1 - exact) / 128).mean())
            assert 0.6 * expected < np.sqrt((error**2).mean()) < 1.05 * expected < 0.042
            assert abs(error.mean()) < 4 * expected / np.sqrt(600)
            assert (np.abs(error) <= 0.1).mean() > 0.97
            assert (error[exact == 1] == 0).all()

    @pytest.mark.parametrize("share", [0.3, 0.8])
    def test_of_large_sets(self, share):
        """300 pairs of sets of 5,000: the standard error of 128 coin throws."""
        rng, size = np.random.default_rng(1), 5000
        common = round(2 * share / (1 + share) * size)
        exact = common / (2 * size - common)
        sets = rng.integers(0, 2**63, (600, size), dtype=np.uint64)
        sets[1::2, :common] = sets[::2, :common]
        rows = minhashes(Shingles(sets.ravel(), np.arange(601) * size), 128, seed=2)
        error = (rows[::2] == rows[1::2]).mean(axis=1) - exact
        expected = np.sqrt(exact * (1 - exact) / 128)
        assert np.sqrt((error**2).mean()) == pytest.approx(expected, rel=0.15)
        assert abs(error.mean()) < 4 * expected / np.sqrt(300) and (np.abs(error) <= 0.1).mean() > 0.96

    def test_of_the_text_alone(self):
        texts, need = ["A b c d e f", "", "x", "a, b c d e f!", "  "], MinHashes()
        rows = signatures(texts, need)
        np.testing.assert_array_equal(rows[0], rows[3])
        np.testing.assert_array_equal(rows[1], rows[4])
        assert (rows[1] == rows[2]).mean() < 0.1 and (rows[0] == rows[1]).mean() < 0.1
        np.testing.assert_array_equal(rows[::-1], signatures(texts[::-1], need))
        for row, other in (
            (0, MinHashes(seed=1)),
            (0, MinHashes(ignore_case=False)),
            (3, MinHashes(ignore_punctuation=False)),
            (0, MinHashes(n=4)),
            (0, MinHashes(shingle="char")),
        ):
            assert (signatures(texts, other)[row] != rows[row]).mean() > 0.5
        assert signatures(["a b"], MinHashes(permutations=3)).shape == (1, 3)

    def test_without_rensa(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "rensa", None)
        with pytest.raises(
            MissingExtraError, match=r"rensa is not installed; run: pip install 'tamis\[dedup\]'"
        ):
            score(Examples.from_arrays(["a", "b"]), "minhash_duplicates")


class TestMinhashDuplicates:
    @pytest.mark.parametrize("mode", ["greedy", "components"])
    @settings(max_examples=25, deadline=None)
    @given(st.integers(0, 10**6), st.integers(1, 40), st.sampled_from([0.4, 0.6, 1.0]))
    def test_equals_all_pairs_of_signatures(self, mode, draw, n, threshold):
        """Every minhash is a band of its own, so all pairs that share one are compared."""
        texts, seed = near_texts(np.random.default_rng(draw), n), draw % 3
        options = {"threshold": threshold, "n": 2, "mode": mode, "seed": seed}
        rows = signatures(texts, MinHashes(n=2, seed=seed))
        near = lambda a, b: float((rows[a] == rows[b]).mean())  # noqa: E731
        order = hash_order(np.arange(n), seed).tolist()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(banding, "RECALL", 2.0)
            found = by_minhash(texts, **options)
        if mode == "greedy":
            kept, nearest = remove(order, near, lambda s: s >= threshold, "greedy")
            assert found[""].tolist() == [max(nearest[row][1], 0.0) for row in range(n)]
            roots = [kept_root(row, nearest, kept) for row in range(n)]
        else:
            first = connected(order, near, lambda s: s >= threshold)
            roots = [first[row] for row in range(n)]
            assert found[""].tolist() == [near(row, r) if r != row else 0.0 for row, r in enumerate(roots)]
        assert_groups(found, roots)

    @pytest.mark.parametrize("mode", ["greedy", "components"])
    def test_kept_is_what_the_strategy_keeps(self, mode):
        texts = near_texts(np.random.default_rng(1), 400)
        for seed in (0, 3):
            options = {"threshold": 0.6, "n": 2, "mode": mode}
            found = by_minhash(texts, seed=seed, **options)
            strategy = MinhashDedup(verify=False, **options)
            subset = select(table_of(np.zeros(400)), take=strategy, texts=texts, seed=seed)
            assert set(np.flatnonzero(found["kept"]).tolist()) == set(subset.ids.tolist())
            assert 50 < len(subset) < 380
            yields = {row["id"]: row for row in subset.suppressed.to_pylist()}
            assert {row: found[""][row] for row in yields} == {r: y["similarity"] for r, y in yields.items()}

    def test_planted_near_duplicates_against_exact_jaccard(self):
        """1,000 texts of 120 words and altered copies: recall and precision of groups against all exact pairs."""
        rng, threshold = np.random.default_rng(0), 0.8
        originals = [[f"w{w}" for w in rng.integers(0, 5000, 120)] for _ in range(1000)]
        changed = rng.choice([1, 4, 25, 40], 400)  # exact Jaccard .98, .93, .65, .49
        copies = [[*t[:-k], *(f"x{w}" for w in rng.integers(0, 5000, k))] for t, k in zip(originals, changed)]
        texts = [" ".join(words) for words in originals + copies]
        sets = [shingles(plain(text), "word", 5) for text in texts]
        holders: dict[tuple[str, ...], list[int]] = {}
        for row, grams in enumerate(sets):
            for gram in grams:
                holders.setdefault(gram, []).append(row)
        pairs = {(a, b) for rows in holders.values() for a in rows for b in rows if a < b}
        true = {pair for pair in pairs if jaccard(sets[pair[0]], sets[pair[1]]) >= threshold}
        assert len(true) == int((changed <= 4).sum()) > 150
        group = by_minhash(texts)["group"]
        said = {pair for pair in pairs if group[pair[0]] == group[pair[1]]}
        assert len(true & said) / len(true) >= 0.98 and len(true & said) / len(said) >= 0.98
        assert len(np.unique(group)) == len(texts) - len(said)

    def test_row_order_and_blocks_change_nothing(self, monkeypatch):
        rng = np.random.default_rng(4)
        texts, ids = near_texts(rng, 300), np.array([f"row {k}" for k in range(300)], dtype=object)
        for mode in ("greedy", "components"):
            whole = by_minhash(texts, ids, n=2, threshold=0.5, mode=mode)
            turned = rng.permutation(300)
            monkeypatch.setattr(minhash_duplicates, "ROWS", 7)
            other = by_minhash([texts[row] for row in turned], ids[turned], n=2, threshold=0.5, mode=mode)
            for name, values in whole.items():
                np.testing.assert_array_equal(other[name], values[turned])

    def test_equal_texts_share_a_group_of_components(self):
        """Greedy ones may yield to different kept texts: some equal texts do here."""
        texts = near_texts(np.random.default_rng(6), 500)
        parted = {}
        for mode in ("greedy", "components"):
            group = by_minhash(texts, n=1, threshold=0.5, mode=mode)["group"]
            parted[mode] = (pd.Series(group).groupby(pd.Series(texts)).nunique() > 1).sum()
        assert parted["components"] == 0 < parted["greedy"]

    def test_signatures_stay_on_disk(self, tmp_path, monkeypatch):
        """40,000 of them are 41 MB, of which blocks are read."""
        monkeypatch.setattr(minhash_duplicates, "ROWS", 2048)
        rows = np.random.default_rng(0).integers(0, 2**32, (40_000, 128))
        rows[1::40] = rows[::40]
        np.save(tmp_path / "rows.npy", rows)
        mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
        del rows
        tracemalloc.start()
        found = MinhashDuplicates().score_all([collected(MinHashes(), mapped)])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 25e6 and found["kept"].sum() == 39_000

    def test_edges(self):
        for texts, values, kept in (
            (["one two three"], [0.0], 1),
            (["", " ", "\n", "a b"], None, 2),
            (["same old text"] * 50, None, 1),
            (["北京 是 首都", "北京 是 首都。", "Zürich über naïve"], None, 2),
        ):
            found = by_minhash(texts)
            assert found["kept"].sum() == kept and not np.isnan(found[""]).any()
            assert set(found[""].tolist()) <= {0.0, 1.0} and (values is None or found[""].tolist() == values)
        for name, values in {
            "threshold": (0, 1.1, True, "a"), "permutations": (0, True), "n": (0,), "shingle": ("words",),
            "mode": ("chain",), "seed": (0.5,),
        }.items():  # fmt: skip
            for value in values:
                with pytest.raises(InputError, match=f"score: scorer 'minhash_duplicates': {name} must be"):
                    MinhashDuplicates(**{name: value})

    def test_the_known_duplicates_of_sst2(self, data_dir):
        """12.8 % of the phrases repeat another one but for case, punctuation and white space."""
        texts = pd.read_parquet(data_dir / "sst2" / "sst2_phrases.parquet")["text"].tolist()
        normal = pd.factorize(np.array([plain(text) for text in texts], dtype=object))[0]
        table = score(Examples.from_arrays(texts), "minhash_duplicates(threshold=1.0)")
        name = table.names[0]
        assert 1 - table.column(f"{name}.kept").mean() == pytest.approx(0.128, abs=0.001)
        group = table.column(f"{name}.group")
        together = pd.DataFrame({"normal": normal, "group": group})
        assert (together.groupby("normal")["group"].nunique() > 1).sum() <= 5  # letters that are not ASCII
        assert (together.groupby("group")["normal"].nunique() > 1).mean() < 0.001
        assert table.columns[name]["meaning"] == "redundant"


class TestSemanticDuplicates:
    @pytest.mark.parametrize("mode", ["greedy", "chain"])
    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 10**6), st.integers(1, 30), st.sampled_from([0.0, 0.01, 0.05, 0.2]))
    def test_equals_all_pairs(self, mode, draw, n, eps):
        rng, seed = np.random.default_rng(draw), draw % 3
        vectors = near_rows(rng, n).astype(np.float32)
        if draw % 2:
            vectors[rng.integers(0, n, n // 2)] = vectors[0]
        near = lambda a, b: min(float(np.float32(cosine(vectors[a].tolist(), vectors[b].tolist()))), 1.0)  # noqa: E731
        order = hash_order(np.arange(n), seed).tolist()
        kept, nearest = remove(order, near, lambda c: c > 1 - eps, mode)
        found = by_angle(vectors, eps=eps, mode=mode, which="random", seed=seed)
        expected = [max(nearest[row][1], -1.0) for row in range(n)]
        np.testing.assert_allclose(found[""], expected, rtol=0, atol=2e-7)
        assert set(np.flatnonzero(found["kept"]).tolist()) == set(kept)
        if mode == "greedy" and len(np.unique(vectors, axis=0)) == n:  # among equals any may be the nearest
            assert_groups(found, [kept_root(row, nearest, kept) for row in range(n)])

    @pytest.mark.parametrize("mode", ["greedy", "chain"])
    @pytest.mark.parametrize("which", ["hard", "easy", "random"])
    def test_kept_is_what_the_strategy_keeps(self, mode, which):
        vectors = near_rows(np.random.default_rng(2), 400, groups=90).astype(np.float32)
        for seed, clusters in ((0, None), (3, 5)):
            options = {"eps": 0.02, "mode": mode, "which": which, "clusters": clusters}
            found = by_angle(vectors, seed=seed, **options)
            subset = select(
                table_of(np.zeros(400)), None, SemanticDedup(**options), embeddings=vectors, seed=seed
            )
            assert set(np.flatnonzero(found["kept"]).tolist()) == set(subset.ids.tolist())
            assert 100 < len(subset) < 380
            yields = {row["id"]: row["similarity"] for row in subset.suppressed.to_pylist()}
            assert {row: found[""][row] for row in yields} == yields

    def test_a_chain(self):
        angles = np.deg2rad([0, 20, 40])
        vectors = np.c_[np.cos(angles), np.sin(angles)]
        order = np.argsort(hash_order(np.array([10, 11, 12]), 0)).tolist()
        ids = np.array([10, 11, 12])[np.argsort(order)]  # so that they come in this order
        options = {"eps": 1 - np.cos(np.deg2rad(25)), "which": "random"}
        greedy, chain = by_angle(vectors, ids, **options), by_angle(vectors, ids, mode="chain", **options)
        assert greedy["kept"].tolist() == [1, 0, 1] and greedy["group_size"].tolist() == [2, 2, 1]
        assert chain["kept"].tolist() == [1, 0, 0] and chain["group_size"].tolist() == [3, 3, 3]
        np.testing.assert_allclose(greedy[""], [-1, np.cos(angles[1]), np.cos(angles[2])], atol=1e-6)
        np.testing.assert_allclose(chain[""], [-1, np.cos(angles[1]), np.cos(angles[1])], atol=1e-6)

    def test_row_order_changes_nothing(self):
        rng = np.random.default_rng(5)
        vectors, ids = near_rows(rng, 200), np.array([f"row {k}" for k in range(200)], dtype=object)
        turned = rng.permutation(200)
        whole = by_angle(vectors, ids, clusters=4)
        other = by_angle(vectors[turned], ids[turned], clusters=4)
        for name, values in whole.items():
            np.testing.assert_array_equal(other[name], values[turned])

    def test_edges(self):
        vectors = np.array([[1, 0], [np.nan, 0], [1, 0], [np.inf, 1], [0, 0], [0, 0]], dtype=np.float32)
        before = vectors.copy()
        found = by_angle(vectors)
        np.testing.assert_array_equal(vectors, before)
        assert np.isnan(found[""]).tolist() == [False, True, False, True, False, False]
        assert found["kept"][[1, 3, 4, 5]].tolist() == [1] * 4 and found["kept"][[0, 2]].sum() == 1
        assert found["group_size"].tolist() == [2, 1, 2, 1, 1, 1]
        assert by_angle([[1.0, 2.0]])[""].tolist() == [-1.0]
        assert by_angle(np.ones((40, 3)))["kept"].sum() == 1
        assert np.isnan(by_angle(np.full((3, 2), np.nan))[""]).all()
        for name, values in {
            "eps": (-0.1, 2.5, True), "clusters": (0, True), "which": ("quality",), "mode": ("components",),
            "seed": ("a",),
        }.items():  # fmt: skip
            for value in values:
                with pytest.raises(InputError, match=f"score: scorer 'semantic_duplicates': {name} must be"):
                    SemanticDuplicates(**{name: value})
