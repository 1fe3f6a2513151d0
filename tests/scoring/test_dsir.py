"""DSIR: hash and tokens of the authors' package, weights against the slow twin, and the way to a selection."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from references import dsir as slow
from references.document_world import document_world, documents

from scoring.examples import Examples
from scoring.run import score
from scoring.scorers.dsir import DSIR
from scoring.table import ScoreTable
from scoring.text.bucket_counts import bucket, count_buckets, tokens
from selection.run import select


def texts_of(examples: Examples) -> list[str]:
    return [str(text) for text in examples.texts(np.arange(len(examples)))]


def weights(request: str = "dsir", **options: Any) -> ScoreTable:
    world = document_world()
    return score(world.examples, request, target=world.target, **options)


class TestCounts:
    def test_buckets_are_those_of_the_package(self) -> None:
        """The two values that its own tests hold."""
        assert bucket("alice", 10_000) == 6720
        assert bucket("alice went", 10_000) == 114

    def test_tokens(self) -> None:
        """As the WordPunctTokenizer documents: runs of letters, and runs of other signs."""
        assert tokens("Good muffins cost $3.88\nin New  York.") == [
            "good", "muffins", "cost", "$", "3", ".", "88", "in", "new", "york", ".",
        ]  # fmt: skip
        assert tokens("naïve 北京🙂 a_b ...") == ["naïve", "北京", "🙂", "a_b", "..."]
        assert tokens(" \n") == []

    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_against_the_twin(self, n: int) -> None:
        texts = texts_of(document_world().examples)
        found = count_buckets(texts, n, 97).toarray()
        for row, text in zip(found, texts):
            expected = np.bincount([slow.bucket(gram, 97) for gram in slow.grams(text, n)], minlength=97)
            np.testing.assert_array_equal(row, expected)

    def test_nothing(self) -> None:
        assert count_buckets(["", " "], 2, 5).toarray().tolist() == [[0] * 5] * 2
        assert count_buckets(["\ud800"], 1, 5).sum() == 1


class TestWeights:
    @pytest.mark.parametrize(
        "options", [{}, {"ngrams": 3, "buckets": 50}, {"laplace": 0.5}, {"ngrams": 1, "laplace": 2}]
    )
    def test_against_the_twin(self, options: dict[str, Any]) -> None:
        world = document_world()
        corpus, target = texts_of(world.examples), texts_of(world.target)
        table = score(world.examples, DSIR(**options), target=world.target)
        (name,) = [each for each in table.names if not each.endswith(".ngrams")]
        twin = slow.log_weights(
            corpus,
            target,
            options.get("ngrams", 2),
            options.get("buckets", 10_000),
            options.get("laplace", 0.0),
        )
        found, has = table.column(name), np.array([bool(slow.grams(text, 1)) for text in corpus])
        np.testing.assert_allclose(found[has], np.array(twin)[has], rtol=1e-10)
        assert np.isnan(found[~has]).all() and (~has).sum() == 3

    def test_length_normalized_divides_by_the_ngrams(self) -> None:
        table = weights("dsir,dsir:length-normalized")
        ngrams = table.column("dsir.ngrams")
        np.testing.assert_array_equal(
            ngrams, [len(slow.grams(t, 2)) for t in texts_of(document_world().examples)]
        )
        np.testing.assert_allclose(
            table.column("dsir:length-normalized"), table.column("dsir") / np.where(ngrams, ngrams, np.nan)
        )

    def test_a_target_equal_to_the_corpus_weighs_all_the_same(self) -> None:
        world = document_world()
        values = score(world.examples, "dsir", target=world.examples).column("dsir")
        np.testing.assert_allclose(values[~np.isnan(values)], 0, atol=1e-12)

    def test_planted_documents_of_the_target_come_first(self) -> None:
        rng = np.random.default_rng(0)
        other = [" ".join(rng.choice(["alpha", "beta", "gamma", "delta"], 30)) for _ in range(20)]
        corpus = Examples.from_arrays([*documents(80, seed=2), *other])
        target = Examples.from_arrays(
            [" ".join(rng.choice(["alpha", "beta", "gamma"], 30)) for _ in range(9)]
        )
        values = score(corpus, "dsir:length-normalized", target=target).column("dsir:length-normalized")
        assert values[80:].min() > values[:80].max()

    def test_genres_of_brown(self, data_dir: Path) -> None:
        """Towards news, held-out news comes above the other genres."""
        brown = pd.read_parquet(data_dir / "corpora/brown.parquet")
        news = brown.category.to_numpy() == "news"
        aim, rest = brown[news].iloc[::2], brown.drop(brown[news].index[::2])
        table = score(
            Examples.from_arrays(rest.text.tolist(), ids=rest.file.tolist()),
            "dsir:length-normalized",
            target=Examples.from_arrays(aim.text.tolist()),
        )
        values, is_news = table.column("dsir:length-normalized"), rest.category.to_numpy() == "news"
        above = (values[is_news][:, None] > values[~is_news]).mean()
        assert above > 0.95  # measured .969


class TestSelection:
    def test_importance_resampling_is_seeded(self) -> None:
        """The reference draws with an unseeded generator and cannot take all rows."""
        table = weights()
        draws = [
            select(table, by="dsir", take="importance", keep=20, seed=seed, nan="drop") for seed in (1, 1, 2)
        ]
        assert list(draws[0].ids) == list(draws[1].ids) != list(draws[2].ids)
        assert len(draws[0].ids) == 20

    def test_all_rows_and_more(self) -> None:
        table = weights()
        some = 61  # of 64, three have no word
        everything = select(table, by="dsir", take="importance", keep=some, nan="drop")
        assert len(everything.ids) == some
        more = select(table, by="dsir", take="importance", keep=1000, nan="drop", allow_short=True)
        assert set(more.ids) == set(everything.ids)


@pytest.mark.parametrize(
    ("options", "told"),
    [({"buckets": 0}, "buckets"), ({"ngrams": 1.5}, "ngrams"), ({"laplace": -1}, "laplace")],
)
def test_options_out_of_range(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=rf"{told} must be"):
        DSIR(**options)


def test_target_without_words() -> None:
    with pytest.raises(ValueError, match="at least one word"):
        score(document_world().examples, "dsir", target=Examples.from_arrays([" ", "\n"]))
