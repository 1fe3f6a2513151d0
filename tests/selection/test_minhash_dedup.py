"""minhash_dedup and exact_dedup against comparing all pairs of n-gram sets in Python; normalisation and shingles."""

import sys
import unicodedata

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references.dedup_slow import connected, is_punctuation, jaccard, plain, remove, shingles
from references.score_tables import table_of

from scoring.duplicates import banding
from scoring.duplicates.banding import rows_per_band
from scoring.duplicates.shingles import jaccard as hashed_jaccard
from scoring.duplicates.shingles import normalized, shingle
from scoring.errors import InputError, MissingExtraError
from scoring.hashing import hash64
from selection import duplicates
from selection.run import select
from selection.strategies.exact_dedup import ExactDedup
from selection.strategies.minhash_dedup import MinhashDedup

pytest.importorskip("rensa")

WORDS = ["the", "film", "is", "good", "bad", "and", "long", "very"]


def dedup(texts, strategy=None, table=None, by=None, keep=None, seed=0, **plain_options):
    table = table_of(np.zeros(len(texts))) if table is None else table
    strategy = MinhashDedup(**plain_options.pop("options", {})) if strategy is None else strategy
    return select(table, by, strategy, keep, texts=texts, seed=seed, **plain_options)


def suppressed(subset):
    return {row["id"]: (row["by"], row["similarity"]) for row in subset.suppressed.to_pylist()}


def by_hash(n, seed):
    hashes = hash64(seed, np.arange(n)).tolist()
    return sorted(range(n), key=lambda row: hashes[row])


class TestTexts:
    @pytest.mark.parametrize(
        ("text", "options", "expected"),
        [
            ("  The\tfilm,\u2003isn't\n GOOD!  ", {}, "the film isn t good"),
            ("  The film, ", {"ignore_case": False}, "The film"),
            ("a  B, c", {"ignore_punctuation": False}, "a b, c"),
            ("Stra\u00dfe \ufb01n", {}, "strasse fin"),
            ("e\u0301t\u00e9 \u00c9", {}, "\u00e9t\u00e9 \u00e9"),
            ("`` a ` $5", {}, "a 5"),
            ("\u201cok\u201d \u2026 \u3002", {}, "ok"),
            ("\u0939\u093f\u0928\u094d\u0926\u0940", {}, "\u0939\u093f\u0928\u094d\u0926\u0940"),
            ("!? ...", {}, "!? ..."),
            ("good \U0001f600", {}, "good \U0001f600"),
            ("a \ud800 b", {}, "a b"),
            (" ", {}, ""),
        ],
    )
    def test_normalized(self, text, options, expected):
        assert normalized(text, **options) == expected
        assert normalized(expected, **options) == expected

    def test_all_punctuation_and_nothing_else_is_ignored(self):
        for code in range(sys.maxunicode + 1):
            char = unicodedata.normalize("NFC", chr(code))
            if len(char) == 1 and not char.isspace() and not 0xD800 <= code < 0xE000:
                assert (normalized(f"a{char}b", ignore_case=False) == "a b") == is_punctuation(char)

    @settings(max_examples=80, deadline=None)
    @given(
        st.lists(st.text(st.sampled_from("ab \U0001f600"), max_size=12), max_size=8),
        st.sampled_from(["word", "char"]),
        st.integers(1, 4),
    )
    def test_shingles_are_the_sets_of_the_slow_reference(self, texts, unit, n):
        found = shingle(texts, unit, n)
        assert len(found.starts_N) == len(texts) + 1
        sets = [found.set_of(row) for row in range(len(texts))]
        slow = [shingles(text, unit, n) for text in texts]
        assert [len(a) for a in sets] == [len(a) for a in slow]
        for i in range(len(texts)):
            for j in range(i):
                assert hashed_jaccard(sets[i], sets[j]) == jaccard(slow[i], slow[j])

    def test_shingles_do_not_depend_on_the_other_texts(self):
        texts = ["", "a b c d", "b c", "c d e f g h", ""]
        together = shingle(texts, "word", 3)
        for row, text in enumerate(texts):
            assert together.set_of(row).tolist() == shingle([text], "word", 3).set_of(0).tolist()


def test_bands():
    assert rows_per_band(0.8, 128) == 7
    for threshold in (0.05, 0.3, 0.5, 0.7, 0.9, 0.99):
        for permutations in (16, 128, 256):
            r = rows_per_band(threshold, permutations)
            found = lambda r: 1 - (1 - threshold**r) ** (permutations // r)  # noqa: B023, E731
            assert found(r) >= 0.95 or r == 1
            assert all(found(more) < 0.95 for more in range(r + 1, permutations + 1))
    assert rows_per_band(1.0, 128) == 128


def random_texts(rng, n):
    return [" ".join(rng.choice(WORDS, rng.integers(0, 7))) + rng.choice(["", ".", " !"]) for _ in range(n)]


@pytest.mark.parametrize("mode", ["greedy", "components"])
@pytest.mark.parametrize("unit", ["word", "char"])
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.sampled_from([0.4, 0.6, 1.0]))
def test_equals_all_pairs_where_bands_miss_nothing(mode, unit, draw, n, threshold):
    """Every minhash is a band of its own: pairs of a few shingles that reach the threshold all share one."""
    texts = random_texts(np.random.default_rng(draw), n)
    slow = [shingles(plain(text), unit, 2) for text in texts]
    near, order = lambda a, b: jaccard(slow[a], slow[b]), by_hash(n, draw % 5)
    strategy = MinhashDedup(threshold=threshold, shingle=unit, n=2, mode=mode)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(banding, "RECALL", 2.0)
        found = suppressed(subset := dedup(texts, strategy, seed=draw % 5))
    if mode == "greedy":
        kept, nearest = remove(order, near, lambda s: s >= threshold, "greedy")
        assert subset.ids.tolist() == kept
        assert found == {row: nearest[row] for row in order if row not in kept}
    else:
        first = connected(order, near, lambda s: s >= threshold)
        assert subset.ids.tolist() == [row for row in order if first[row] == row]
        assert found == {row: (by, near(by, row)) for row, by in first.items() if by != row}


def test_a_chain_in_both_modes():
    words = list("abcdefghij")
    texts = [" ".join(words), " ".join([*words[2:], "k", "l"]), " ".join([*words[4:], "k", "l", "m", "n"])]
    table = table_of([3.0, 2.0, 1.0], meaning="quality")
    options = {"threshold": 0.6, "n": 1}  # 8/12, 8/12, 6/14
    greedy = dedup(texts, MinhashDedup(**options), table, "s")
    assert greedy.ids.tolist() == [0, 2] and suppressed(greedy) == {1: (0, 8 / 12)}
    joined = dedup(texts, MinhashDedup(**options, mode="components"), table, "s")
    assert joined.ids.tolist() == [0] and suppressed(joined) == {1: (0, 8 / 12), 2: (0, 6 / 14)}


def planted(n=1000, copies=300, words=120, changed=4, seed=0):
    """Texts of many words, and copies of the first of them with a few words changed at its end."""
    rng = np.random.default_rng(seed)
    originals = [[f"w{w}" for w in rng.integers(0, 5000, words)] for _ in range(n)]
    near = [
        [*text[:-changed], *(f"x{w}" for w in rng.integers(0, 5000, changed))] for text in originals[:copies]
    ]
    return [" ".join(text) for text in originals + near]


@pytest.mark.parametrize("mode", ["greedy", "components"])
@pytest.mark.parametrize("verify", [True, False])
def test_planted_near_duplicates_are_found(mode, verify):
    texts = planted()  # Jaccard (116 - 4) / (116 + 4) = 0.93
    subset = dedup(texts, MinhashDedup(mode=mode, verify=verify))
    pairs = {frozenset((row, by)) for row, (by, _) in suppressed(subset).items()}
    planted_pairs = {frozenset((row, 1000 + row)) for row in range(300)}
    assert pairs <= planted_pairs
    assert len(pairs) >= 298 if verify else len(pairs) >= 290
    values = [similarity for _, similarity in suppressed(subset).values()]
    assert np.mean(values) == pytest.approx(112 / 120, abs=1e-9 if verify else 0.01)


def test_below_the_threshold_nothing_is_removed():
    texts = planted(changed=20)  # Jaccard (116 - 20) / (116 + 20) = 0.71
    assert len(dedup(texts)) == len(texts)
    assert len(dedup(texts, MinhashDedup(threshold=0.7))) <= len(texts) - 275


@pytest.mark.parametrize("strategy", [MinhashDedup(), MinhashDedup(mode="components"), ExactDedup()])
class TestBoth:
    def test_copies_but_for_form(self, strategy):
        texts = ["A good film.", "a good  film", "A GOOD FILM !", "a bad film", "", "  ", "a good"]
        subset = dedup(texts, strategy)
        ids = set(subset.ids.tolist())
        assert [len(ids & group) for group in ({0, 1, 2}, {3}, {4, 5}, {6})] == [1, 1, 1, 1]
        assert {similarity for _, similarity in suppressed(subset).values()} == {1.0}

    def test_the_best_survives(self, strategy):
        texts = ["one two", "ONE two", "one, two", "three"]
        for meaning, prefer, best in (("quality", None, 1), ("noisy", None, 2), ("hard", "lowest", 2)):
            table = table_of([5.0, 9.0, 1.0, 3.0], meaning=meaning)
            options = {"prefer": prefer} if prefer else {}
            chosen = type(strategy)(**options)
            subset = dedup(texts, chosen, table, "s")
            assert set(subset.ids.tolist()) == {best, 3}
            assert {by for by, _ in suppressed(subset).values()} == {best}
        with pytest.raises(
            InputError, match="prefer must be 'highest' or 'lowest' for a score that does not say"
        ):
            dedup(texts, strategy, table_of(np.zeros(4)), "s")
        assert {min(dedup(texts, strategy, seed=seed).ids) for seed in range(30)} == {0, 1, 2}

    def test_all_identical_all_unique_one_and_none(self, strategy):
        assert len(dedup(["same text"] * 3000, strategy)) == 1
        assert len(dedup([f"text {i}" for i in range(300)], strategy)) == 300
        assert len(dedup(["text"], strategy)) == 1
        assert len(dedup([], strategy)) == 0

    def test_row_order_and_blocks_change_nothing(self, strategy, tmp_path, monkeypatch):
        rng = np.random.default_rng(2)
        texts, ids = planted(120, 50, 40, 1), np.array([f"row {i}" for i in range(170)], dtype=object)
        files = []
        for rows, block in ((np.arange(170), 1024), (rng.permutation(170), 1024), (np.arange(170), 7)):
            monkeypatch.setattr(duplicates, "TEXTS", block)
            subset = dedup(
                [texts[row] for row in rows], strategy, table_of(np.zeros(170), ids[rows]), keep=90
            )
            subset.write(tmp_path / "kept.parquet")
            subset.write_suppressed(tmp_path / "left.parquet")
            files.append([(tmp_path / name).read_bytes() for name in ("kept.parquet", "left.parquet")])
        assert files[0] == files[1] == files[2]

    def test_budgets_are_exact_and_nest(self, strategy):
        texts = random_texts(np.random.default_rng(4), 60)
        tokens = np.random.default_rng(5).integers(1, 40, 60)
        table = table_of(np.random.default_rng(6).normal(size=60), meaning="quality", tokens=pa.array(tokens))
        for by in (None, "s"):
            everything = dedup(texts, strategy, table, by)
            most = len(everything)
            assert 20 < most < 60
            previous: set[int] = set()
            for k in range(most + 1):
                kept = set(dedup(texts, strategy, table, by, keep=k).ids.tolist())
                assert len(kept) == k and previous <= kept
                previous = kept
            with pytest.raises(
                InputError, match=f"keep asks for 60 rows, but there are {most} that can be chosen"
            ):
                dedup(texts, strategy, table, by, keep=60)
            assert len(dedup(texts, strategy, table, by, keep=60, allow_short=True)) == most
            best = dedup(texts, strategy, table, by, keep="200 tokens")
            assert 200 - tokens.max() < tokens[best.ids].sum() <= 200
            assert best.ids.tolist() == everything.ids.tolist()[: len(best)]


def test_many_copies_cost_their_number():
    """Components link what is linked already without comparing: 20,000 near-copies are quick."""
    texts = [f"{' '.join(WORDS)} {' '.join(WORDS[::-1])} {i % 7}" for i in range(20_000)]
    for mode in ("greedy", "components"):
        assert len(dedup(texts, MinhashDedup(mode=mode))) == 1


def test_options():
    assert len(dedup(["A b", "a b"], ExactDedup(ignore_case=False))) == 2
    assert len(dedup(["a b!", "a b"], ExactDedup(ignore_punctuation=False))) == 2
    for name, values in {
        "threshold": (0, 1.1, True, "a", float("nan")), "n": (0, 1.5), "permutations": (0, True),
        "shingle": ("words",), "mode": ("chain",),
    }.items():  # fmt: skip
        for value in values:
            with pytest.raises(InputError, match=f"take 'minhash_dedup': {name} must be"):
                MinhashDedup(**{name: value})


def test_without_rensa(monkeypatch):
    monkeypatch.setitem(sys.modules, "rensa", None)
    with pytest.raises(MissingExtraError, match=r"rensa is not installed; run: pip install 'tamis\[dedup\]'"):
        dedup(["a"])


def test_the_known_duplicates_of_sst2(data_dir):
    """12.8 % of the phrases repeat another one but for case, punctuation and white space."""
    texts = pd.read_parquet(data_dir / "sst2" / "sst2_phrases.parquet")["text"].tolist()
    normal = [plain(text) for text in texts]
    different = len(set(normal))
    assert 1 - different / len(texts) == pytest.approx(0.128, abs=0.0005)
    exact = dedup(texts, ExactDedup())
    assert abs(len(exact) - different) <= 10  # the reference drops letters that are not ASCII
    for mode in ("greedy", "components"):
        equal = dedup(texts, MinhashDedup(mode=mode, threshold=1.0))
        assert different * 0.999 < len(equal) <= len(exact)
        near = dedup(texts, MinhashDedup(mode=mode))
        assert len({normal[row] for row in near.ids.tolist()}) == len(near) < len(equal)


def test_texts_of_other_examples_are_told_as_that():
    from scoring.examples import Examples

    others = Examples.from_arrays(["a b", "c d"], ids=np.array(["x", "y"]))
    with pytest.raises(
        InputError, match="texts must be of the examples that were scored, with the same id column"
    ):
        select(table_of([1.0, 2.0]), take="exact_dedup", texts=others)
