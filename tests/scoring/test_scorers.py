"""Scorers at known answers: closed forms, the known mistakes of public code, and cleanlab's numbers."""

import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from references import scorers_slow as slow
from references.scored_arrays import arrays, column, scored

from scoring.errors import InputError
from scoring.hashing import uniform
from scoring.run import score
from scoring.scorers.el2n import EL2N, EL2NSum
from scoring.scorers.forgetting import Forgetting
from scoring.scorers.uniform import Random
from scoring.sources.arrays import ArraySource


def ranks(values):
    return np.argsort(np.argsort(values)).tolist()


def history(pattern):
    """Logits (T, 1, C) of one example of class 0 that is right where the pattern has a 1."""
    return np.array([[[1.0, 0.0, 0.0] if right == "1" else [0.0, 1.0, 0.0]] for right in pattern])


def scored_probs(name, probs, label=0):
    return score(None, name, ArraySource(np.full(probs.shape[-2], label), probs=probs)).column(name)


def scored_probs_t(name, probs_TNC):
    return scored_probs(name, probs_TNC)[0]


def one(name, logits, label=0):
    return column(name, np.asarray(logits, dtype=float), [label])[0]


class TestClosedForms:
    @pytest.mark.parametrize("classes", [2, 3, 10, 100])
    def test_uniform_prediction(self, classes):
        expected = {
            "entropy": math.log(classes),
            "entropy:normalized": 1,
            "loss": math.log(classes),
            "el2n": math.sqrt((classes - 1) / classes),
            "el2n:brier": (classes - 1) / classes,
            "el2n:l1": 2 * (classes - 1) / classes,
            "confidence": 1 / classes,
            "max_confidence": 1 / classes,
            "margin": 0,
            "margin:top2": 0,
            "margin:logit": 0,
            "self_confidence": 1 / classes,
            "normalized_margin": 0.5,
            "confidence_weighted_entropy": math.log1p(classes) / classes,
        }
        table = scored(list(expected), np.full((1, classes), 7.0), [classes - 1])
        for name, value in expected.items():
            assert table.column(name)[0] == pytest.approx(value, rel=1e-14, abs=1e-14), name

    @pytest.mark.parametrize(
        ("name", "perfect", "wrong"),
        [
            ("el2n", 0, math.sqrt(2)),
            ("el2n:brier", 0, 2),
            ("el2n:l1", 0, 2),
            ("loss", 0, 2e4),
            ("entropy", 0, 0),
            ("confidence", 1, 0),
            ("max_confidence", 1, 1),
            ("margin", 1, -1),
            ("margin:top2", 1, 1),
            ("margin:logit", 2e4, -2e4),
            ("aum", 2e4, -2e4),
            ("normalized_margin", 1, 0),
            ("confidence_weighted_entropy", 1, 1),
            ("forgetting", 0, 1),
            ("ddd", 1, -1),
        ],
    )
    def test_certain_prediction(self, name, perfect, wrong):
        logits = [[1e4, -1e4, -1e4]]
        assert one(name, logits, 0) == pytest.approx(perfect, abs=0)
        assert one(name, logits, 1) == pytest.approx(wrong, rel=1e-15)

    def test_two_classes(self):
        logits, labels = arrays(classes=2, steps=1)
        p = column("confidence", logits, labels)
        np.testing.assert_allclose(column("margin", logits, labels), 2 * p - 1, atol=1e-15)
        np.testing.assert_allclose(column("el2n", logits, labels), math.sqrt(2) * (1 - p), atol=1e-15)
        np.testing.assert_allclose(column("el2n:l1", logits, labels), 2 * (1 - p), atol=1e-15)
        np.testing.assert_allclose(column("loss", logits, labels), -np.log(p), atol=1e-15)

    def test_digits_near_certainty_are_kept(self):
        """1 - p_y is 1e-35 here: 1 minus a rounded probability would say 0 for all of these."""
        q = math.exp(-80)
        expected = {
            "el2n": math.sqrt(2) * q,
            "el2n:brier": 2 * q * q,
            "el2n:l1": 2 * q,
            "loss": q,
            "entropy": 81 * q,
        }
        for name, value in expected.items():
            assert one(name, [[80.0, 0.0]]) == pytest.approx(value, rel=1e-12, abs=0), name
            assert one(name, [[80.0, 0.0]]) > one(name, [[90.0, 0.0]]) > 0
        assert one("loss", [[0.0, 80.0]]) == pytest.approx(80, rel=1e-15, abs=0)
        assert math.copysign(1, one("loss", [[1e4, 0.0]])) == 1  # 0.0, not -0.0

    def test_loss_ranks_like_error_probability(self):
        logits, labels = arrays(steps=1, rows=200)
        assert ranks(column("loss", logits, labels)) == ranks(-column("confidence", logits, labels))


class TestEL2N:
    def test_square_is_rank_equal_in_one_run_and_not_after_averaging(self):
        logits, labels = arrays(runs=5, steps=1, rows=200)
        norm, brier = (scored([n], logits, labels, per_run=True) for n in ("el2n", "el2n:brier"))
        for run in range(5):
            assert ranks(norm.column(f"el2n.run{run}")) == ranks(brier.column(f"el2n:brier.run{run}"))
        assert ranks(norm.column("el2n")) != ranks(brier.column("el2n:brier"))

    def test_mean_of_norms_and_not_norm_of_means(self):
        """Two runs that are wrong in different ways: the mean of their error vectors is shorter."""
        logits = np.array([[[[0.0, 900.0, 0.0]]], [[[0.0, 0.0, 900.0]]]])
        assert one("el2n", logits) == pytest.approx(math.sqrt(2))
        assert math.hypot(-1, 0.5, 0.5) < 1.23

    def test_ccs_sum_stops_after_ten_presentations(self):
        logits, labels = arrays(steps=12)
        np.testing.assert_array_equal(
            column("el2n:ccs-sum", logits, labels), column("el2n:ccs-sum", logits[:10], labels)
        )
        short = column("el2n:ccs-sum(epochs=3)", logits, labels)
        np.testing.assert_allclose(short, column("el2n@sum", logits[:3], labels))
        assert EL2NSum(epochs=1).epochs == 1

    def test_nan_after_the_tenth_presentation_is_not_read(self):
        logits, labels = arrays(steps=11)
        logits[10] = np.nan
        assert np.isfinite(column("el2n:ccs-sum", logits, labels)).all()

    def test_options(self):
        with pytest.raises(
            InputError, match=r"el2n: form must be one of .*got 'brierr'. Did you mean 'brier'"
        ):
            EL2N(form="brierr")
        for epochs in (0, -1, True, 2.0):
            with pytest.raises(InputError, match="epochs must be a whole number from 1, got"):
                EL2NSum(epochs=epochs)


class TestPointwiseMistakes:
    def test_max_confidence_is_a_probability(self):
        """The raw largest logit ranks these two the other way round."""
        logits = np.array([[5.0, 4.9], [3.0, 0.0]])
        assert ranks(column("max_confidence", logits, None)) == [0, 1] != ranks(logits.max(axis=1))

    def test_entropy_has_no_epsilon(self):
        """log(p + 1e-6) and log(p + 1e-10) are below 0 at certainty and off at the uniform distribution."""
        assert one("entropy", [[1e4, 0, 0]]) == 0
        probs = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
        entropies = scored_probs("entropy", probs)
        assert 0 <= entropies[0] < 1e-300
        assert entropies[1] == pytest.approx(math.log(2), rel=1e-15)

    def test_high_entropy_is_uncertain(self):
        """A public library keeps the most confident examples where it says the most uncertain."""
        table = scored(["entropy", "margin:top2", "max_confidence"], [[9.0, 0, 0], [0.1, 0, 0]], None)
        assert table.meaning("entropy") == "uncertain" and ranks(table.column("entropy")) == [0, 1]
        for name in ("margin:top2", "max_confidence"):
            assert table.meaning(name) == "certain" and ranks(table.column(name)) == [1, 0]

    def test_probability_zero_has_a_finite_loss(self):
        assert scored_probs("loss", np.array([[0.0, 1.0]]))[0] == pytest.approx(744.44, abs=0.01)
        assert np.isfinite(scored_probs("aum", np.array([[0.0, 1.0]]))).all()

    def test_label_free_scores_do_not_read_the_label(self):
        logits, labels = arrays(classes=3)
        for name in ("entropy", "entropy:normalized", "max_confidence", "margin:top2", "consensus_label"):
            np.testing.assert_array_equal(
                column(name, logits, labels), column(name, logits, (labels + 1) % 3)
            )

    def test_last_batch_is_not_scaled(self, monkeypatch):
        """Public code fails unless the batch divides N, or inflates the short last batch."""
        logits, labels = arrays(rows=13)
        whole = scored(["el2n", "aum"], logits, labels)
        monkeypatch.setattr("scoring.sources.arrays.ROWS_PER_BATCH", 4)
        cut = scored(["el2n", "aum"], logits, labels)
        for name in ("el2n", "aum"):
            np.testing.assert_allclose(cut.column(name), whole.column(name), rtol=1e-13)


class TestForgetting:
    @pytest.mark.parametrize("steps", range(1, 7))
    def test_every_history(self, steps):
        names = ["forgetting", "first_learned", "iteration_learned", "unforgettable", "correctness"]
        patterns = ["".join(p) for p in itertools.product("01", repeat=steps)]
        logits = np.concatenate([history(p) for p in patterns], axis=1)
        table = scored(names, logits, [0] * len(patterns))
        for i, pattern in enumerate(patterns):
            forgotten = pattern.count("10") if "1" in pattern else steps
            assert table.column("forgetting")[i] == forgotten, pattern
            assert table.column("first_learned")[i] == (pattern + "1").index("1"), pattern
            assert table.column("iteration_learned")[i] == pattern.rfind("0") + 1, pattern
            assert table.column("unforgettable")[i] == ("1" in pattern and "10" not in pattern), pattern
            assert table.column("correctness")[i] == pattern.count("1"), pattern
            for name in ("forgetting", "first_learned"):
                assert table.column(f"{name}.never_learned")[i] == ("1" not in pattern)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("forgetting", 4),
            ("forgetting:toneva2019", 4),
            ("forgetting:paul2021", math.inf),
            ("forgetting:cartography", 1000),
            ("forgetting:deepcore", 0),
            ("forgetting(never_learned=2.5)", 2.5),
            ("forgetting(never_learned=inf)", math.inf),
        ],
    )
    def test_never_learned(self, name, value):
        logits = np.concatenate([history("0000"), history("1010"), history("1111")], axis=1)
        table = scored([name], logits, [0, 0, 0])
        assert table.column(name).tolist() == [value, 2, 0]
        assert table.column(f"{name}.never_learned").tolist() == [1, 0, 0]

    def test_never_learned_is_hardest_by_default(self):
        """Public code counts 0 events and prunes the hardest examples as the easiest."""
        logits = np.concatenate([history("0" * 8), history("10101010"), history("1" * 8)], axis=1)
        assert ranks(column("forgetting", logits, [0, 0, 0])) == [2, 1, 0]
        assert column("forgetting:deepcore", logits, [0, 0, 0]).tolist() == [0, 4, 0]

    def test_over_runs(self):
        logits = np.stack([history("0000"), history("1010"), history("1111")])
        assert one("forgetting", logits) == 4 + 2
        assert one("forgetting(runs=mean)", logits) == 2
        assert one("forgetting:cartography", logits) == (1000 + 2) / 3
        assert one("forgetting:paul2021", logits) == math.inf  # one run that never learns is enough
        table = scored(["forgetting", "forgetting:paul2021"], logits, [0])
        assert table.column("forgetting.never_learned")[0] == pytest.approx(1 / 3)
        # the error is that of the sum: 3 times that of the mean
        assert table.column("forgetting.se")[0] == pytest.approx(3 * np.std([4, 2, 0], ddof=1) / math.sqrt(3))
        assert np.isnan(table.column("forgetting:paul2021.se")[0])

    def test_equal_sums_stay_equal(self):
        """(1 / 49) * 49 is not 1: a mean times a count would break ties between counts."""
        logits = np.stack([history("10")] + [history("11")] * 48)
        assert one("forgetting", logits) == 1

    def test_runs_that_did_not_see_an_example(self):
        values = torch.tensor([[1.0, math.nan, math.nan], [2.0, 3.0, math.nan]])
        seen = torch.tensor([[True, False, False], [True, True, False]])
        assert Forgetting().over_runs(values, seen)[:2].tolist() == [3, 3]
        assert Forgetting(runs="mean").over_runs(values, seen)[:2].tolist() == [1.5, 3]
        for runs in ("sum", "mean"):
            assert Forgetting(runs=runs).over_runs(values, seen)[2].isnan()
            assert Forgetting(runs=runs).se_over_runs(values, seen).isnan().tolist() == [False, True, True]

    @pytest.mark.parametrize("policy", ["maximum", "5", None, True, [1], math.nan])
    def test_policies(self, policy):
        with pytest.raises(InputError, match="never_learned must be 'max', 'inf', 'zero' or a number, got"):
            Forgetting(never_learned=policy)
        with pytest.raises(InputError, match="runs must be one of mean, sum, got 'median'"):
            Forgetting(runs="median")


class TestTrajectories:
    def test_variability_has_ddof_0(self):
        probs = np.array([[[0.0, 1.0]], [[1.0, 0.0]]])
        assert scored_probs_t("variability", probs) == pytest.approx(0.5)  # ddof 1 would say 0.707
        assert scored_probs_t("variability", probs[:1]) == 0  # ddof 1 would say 0 / 0

    def test_data_map(self):
        probs = np.array([[[p, 1 - p]] for p in (0.2, 0.6, 0.7)])
        assert scored_probs_t("mean_confidence", probs) == pytest.approx(0.5)
        assert scored_probs_t("threshold_closeness", probs) == pytest.approx(0.25)
        assert scored_probs_t("variability", probs) == pytest.approx(np.std([0.2, 0.6, 0.7]))
        assert scored_probs_t("correctness", probs) == 2
        assert scored_probs_t("accuracy_over_time", probs) == pytest.approx(2 / 3)

    def test_variability_keeps_its_digits(self):
        """A spread of 1e-9 around 0.5 is lost by the mean of squares minus the square of the mean."""
        probs = np.array([[[0.5 + d, 0.5 - d]] for d in (1e-9, -1e-9)])
        assert scored_probs_t("variability", probs) == pytest.approx(1e-9, rel=1e-6)

    def test_aum_is_the_mean_of_logit_margins(self):
        logits = np.array([[[3.0, 1.0, 0.0]], [[0.0, 1.0, 5.0]]])
        assert one("aum", logits) == (2 - 5) / 2
        assert one("aum:ccs-sum", logits) == pytest.approx(
            slow.margin(slow.softmax([3, 1, 0]), 0) + slow.margin(slow.softmax([0, 1, 5]), 0)
        )
        assert one("aum", logits) == one("margin:logit@mean", logits)


class TestOverRuns:
    def test_ddd(self):
        right, wrong = [[1.0, 0, 0]], [[0.0, 1, 0]]
        for votes, value in (([right] * 3, 1), ([wrong] * 3, -1), ([right, wrong, right], 0)):
            assert one("ddd", np.array(votes)[:, None]) == value

    @pytest.mark.parametrize(
        ("votes", "winner"), [([2, 2, 1], 2), ([2, 1, 1], 1), ([2, 1], 1), ([0, 2, 2, 1, 1], 1), ([2], 2)]
    )
    def test_consensus_label(self, votes, winner):
        logits = np.eye(3)[votes][:, None, None, :]
        table = scored("consensus_label", logits, [0])
        assert table.column("consensus_label")[0] == winner and table.meaning("consensus_label") == "label"
        if len(votes) > 1:
            assert np.isnan(table.column("consensus_label.se")[0])


class TestRandom:
    def test_is_a_hash_of_seed_and_id(self):
        logits, labels = arrays(runs=3)
        ids = np.array([f"id-{i}" for i in range(len(labels))])
        values = column("random", logits, labels, ids=ids)
        np.testing.assert_array_equal(values, uniform(0, ids))
        np.testing.assert_array_equal(column("random(seed=7)", logits[0], labels), uniform(7, np.arange(23)))
        np.testing.assert_array_equal(
            column("random", logits[0][:, :5], labels[:5]), uniform(0, np.arange(5))
        )
        assert ((values >= 0) & (values < 1)).all() and len(set(values)) == 23

    def test_seed(self):
        for seed in (1.0, "1", True, None):
            with pytest.raises(InputError, match="seed must be a whole number, got"):
                Random(seed=seed)


class TestLabelQualityAgainstCleanlab:
    @staticmethod
    def theirs(method, labels, probs, adjust=False):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rank = pytest.importorskip("cleanlab.rank")
            return rank.get_label_quality_scores(labels, probs, method=method, adjust_pred_probs=adjust)

    @pytest.mark.parametrize(
        "method", ["self_confidence", "normalized_margin", "confidence_weighted_entropy"]
    )
    @pytest.mark.parametrize("classes", [2, 3, 10])
    def test_same_numbers(self, method, classes):
        logits, labels = arrays(steps=1, rows=300, classes=classes)
        probs = torch.softmax(torch.tensor(logits[0]), dim=1).numpy()
        np.testing.assert_allclose(
            column(method, logits, labels), self.theirs(method, labels, probs), rtol=1e-9
        )

    @pytest.mark.parametrize("method", ["self_confidence", "normalized_margin"])
    @pytest.mark.parametrize("present", [10, 7])
    def test_same_numbers_adjusted(self, method, present):
        """Also where classes have no examples."""
        logits, labels = arrays(steps=1, rows=300, classes=10)
        labels = labels % present
        probs = torch.softmax(torch.tensor(logits[0]), dim=1).numpy()
        ours = column(f"{method}(adjust=true)", logits, labels)
        np.testing.assert_allclose(ours, self.theirs(method, labels, probs, adjust=True), rtol=1e-9)
        assert not np.allclose(ours, column(method, logits, labels))

    def test_a_class_that_the_model_never_gives(self):
        probs = np.array([[1.0, 0.0], [1.0, 0.0], [0.9, 0.1]])
        labels = np.array([0, 1, 0])
        ours = score(None, "self_confidence(adjust=true)", ArraySource(labels, probs=probs))
        theirs = self.theirs("self_confidence", labels, probs, adjust=True)
        np.testing.assert_allclose(ours.column("self_confidence(adjust=true)"), theirs, rtol=1e-9)

    def test_certain_and_right_is_the_cleanest(self):
        """Deliberate difference: cleanlab's divisor of at least 1e-6 makes it the worst of all."""
        probs = np.array([[1.0, 0.0], [0.6, 0.4]])
        theirs = self.theirs("confidence_weighted_entropy", np.array([0, 0]), probs)
        assert theirs[0] == 0 < theirs[1]
        ours = scored_probs("confidence_weighted_entropy", probs)
        assert ours[0] == 1 > ours[1] == pytest.approx(theirs[1])

    def test_adjusting_looks_at_all_rows_whatever_the_blocks(self):
        logits, labels = arrays(steps=1, rows=40)
        name = "self_confidence(adjust=true)"
        np.testing.assert_array_equal(
            column(name, logits, labels), column(name, logits, labels, block_rows=3)
        )
