"""The n-gram model against dictionaries, against nltk, and its probabilities against 1."""

import numpy as np
import pytest
from references.document_world import documents
from references.language_models_slow import KneserNey

from scoring.examples import Examples
from scoring.language_models import ngram
from scoring.language_models.ngram import Grams, NGramModel, count, merged
from scoring.run import score


def world(vocabulary: int, rows: int = 20) -> list[np.ndarray]:
    """Documents of 0 to 40 tokens, small numbers more often."""
    rng = np.random.default_rng(vocabulary)
    return [rng.integers(0, vocabulary, rng.integers(0, 40)) ** 2 % vocabulary for _ in range(rows)]


@pytest.mark.parametrize(("vocabulary", "order"), [(2, 1), (3, 2), (5, 3), (4, 5), (30, 3)])
class TestAgainstDictionaries:
    def test_probabilities(self, vocabulary: int, order: int) -> None:
        train, test = (
            world(vocabulary),
            [np.random.default_rng(k).integers(0, vocabulary, 25) for k in range(3)],
        )
        model = NGramModel(Grams(order, vocabulary), count(Grams(order, vocabulary), train))
        slow = KneserNey([each.tolist() for each in train], order, vocabulary)
        for found, document in zip(model.nats(test), test, strict=True):
            np.testing.assert_allclose(found, slow.nats(document.tolist()), rtol=1e-10)

    @pytest.mark.parametrize("bits", [2, 40])
    def test_they_sum_to_one(self, vocabulary: int, order: int, bits: int) -> None:
        """After every context, seen or not, and also where contexts collide."""
        grams = Grams(order, vocabulary, bits)
        model = NGramModel(grams, count(grams, world(vocabulary)))
        for length in range(order + 2):
            context = np.random.default_rng(length).integers(0, vocabulary, length)
            after = [np.append(context, token) for token in range(vocabulary)]
            assert sum(np.exp(-nats[-1]) for nats in model.nats(after)) == pytest.approx(1, abs=1e-12)

    def test_counts_merge(self, vocabulary: int, order: int) -> None:
        """In any cut and order."""
        grams, train = Grams(order, vocabulary, bits=3), world(vocabulary)
        whole = count(grams, train)
        empty = count(grams, [])
        parts = merged(
            merged(count(grams, train[12:]), empty),
            merged(count(grams, train[:5]), count(grams, train[5:12])),
        )
        assert whole.keys() == parts.keys()
        assert all((whole[name] == parts[name]).all() for name in whole)


def test_against_nltk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its Kneser-Ney has one discount, none at the lowest order, and counts what begins a text as everything else."""
    lm = pytest.importorskip("nltk.lm")
    util = pytest.importorskip("nltk.util")
    orders = iter((0.0, 0.5, 0.5))
    monkeypatch.setattr(ngram, "_discounts", lambda seen: np.array([0.0, *[next(orders)] * 3]))
    train, test = np.random.default_rng(1).integers(0, 9, (2, 300)) ** 2 % 11
    model = NGramModel(Grams(3, 11), count(Grams(3, 11), [train]))
    words = ["<s>", *map(str, train)]
    reference = lm.KneserNeyInterpolated(3, discount=0.5)
    reference.fit([[gram for k in (1, 2, 3) for gram in util.ngrams(words, k)]], set(words))
    words = [str(token) for token in test]
    expected = [-np.log(reference.score(words[t], words[t - 2 : t])) for t in range(2, len(words))]
    np.testing.assert_allclose(model.nats([test])[0][2:], expected, rtol=1e-9)


def test_no_documents_is_uniform() -> None:
    grams = Grams(3, 256)
    (nats,) = NGramModel(grams, count(grams, [])).nats([np.arange(4)])
    np.testing.assert_allclose(nats, np.log(256))


class TestScorer:
    target = Examples.from_arrays(documents(40, seed=1), ids=list(range(40)))

    def table(self, texts: list[str], request: str) -> np.ndarray:
        return score(
            Examples.from_arrays(texts, ids=list(range(len(texts)))), [request], target=self.target
        ).column(request)

    @pytest.mark.parametrize("request_", ["ngram_perplexity", "ngram_perplexity(tokens=words)"])
    def test_text_like_the_target_is_low(self, request_: str) -> None:
        like, unlike = documents(15, seed=2), ["qzx jkv " * k for k in range(1, 16)]
        found = self.table([*like, *unlike], request_)
        assert found[:15].max() < found[15:].min()

    def test_units(self) -> None:
        texts = ["the sea was calm", "", "über"]
        table = score(
            Examples.from_arrays(texts, ids=[0, 1, 2]),
            ["ngram_perplexity", "ngram_perplexity(unit=nats)"],
            target=self.target,
        )
        nats = table.column("ngram_perplexity(unit=nats)")
        np.testing.assert_allclose(table.column("ngram_perplexity"), np.exp(nats))
        np.testing.assert_allclose(table.column("ngram_perplexity.bits_per_byte"), nats / np.log(2))
        assert np.isnan(nats[1]) and table.column("ngram_perplexity.tokens").tolist() == [16, 0, 5]

    def test_a_target_without_text_is_refused(self) -> None:
        blank = Examples.from_arrays(["", ""], ids=[0, 1])
        with pytest.raises(ValueError, match="target must hold a token"):
            score(blank, ["ngram_perplexity"], target=blank)

    def test_within_a_corpus_no_document_and_no_copy_helps_itself(self) -> None:
        """A document that stands there thrice is as unlikely as if it stood there once, to the same others."""
        others, strange = documents(40, seed=3), "zyx wvu tsr qpo"
        once = self.table([*others, strange], "ngram_perplexity:corpus")
        thrice = self.table([*others, strange, strange, strange], "ngram_perplexity:corpus")
        assert once[-1] == pytest.approx(thrice[-1]) and np.ptp(thrice[-3:]) == 0
        assert once[-1] > once[:-1].max()
