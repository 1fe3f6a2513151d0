"""Rankings at two scales, signal and noise: DCLM's targets, closed forms, coverage, what checkpoints are worth."""

import itertools

import numpy as np
import pytest
from pyarrow import csv
from scipy.stats import pearsonr, spearmanr

from scoring.errors import InputError
from training.laws.evaluations.rank_agreement import decision_accuracy, rank_agreement
from training.laws.evaluations.signal_noise import best_subtasks, effective_count, signal_noise
from training.laws.uncertainty.interval import wilson_interval

SCALES = {"412M": (412e6, 8.23e9), "1.4B": (1.44e9, 2.88e10), "6.9B": (6.89e9, 1.378e11)}


@pytest.fixture(scope="module")
def dclm(data_dir):
    """The best Core score of every data recipe at each scale: parameters within 5 %, tokens within 2 %."""
    table = csv.read_csv(data_dir / "scaling" / "dclm_models" / "dclm_models.csv").to_pylist()
    found = {}
    for name, (params, tokens) in SCALES.items():
        best = found[name] = {}
        for row in table:
            near = abs(row["params"] / params - 1) <= 0.05 and abs(row["tokens"] / tokens - 1) <= 0.02
            if near and row["Core"] is not None:
                best[row["Dataset"]] = max(row["Core"], best.get(row["Dataset"], -np.inf))
    return found


@pytest.mark.parametrize(
    ("small", "large", "recipes", "published"),
    [
        ("412M", "6.9B", 11, (0.868, 0.818, 0.818)),
        ("1.4B", "6.9B", 17, (0.834, 0.770, 0.801)),
        ("412M", "1.4B", 11, (0.842, 0.773, 0.800)),
    ],
)
def test_dclm_rankings(dclm, small, large, recipes, published):
    assert [len(dclm[name]) for name in SCALES] == [11, 162, 50]
    found = rank_agreement(dclm[small], dclm[large])
    values = (found.pearson, found.spearman, found.decision_accuracy)
    assert [v.value for v in values] == pytest.approx(published, abs=5.1e-4)
    assert all(v.low < v.value < v.high < 1.001 for v in values)
    assert found.recipes == recipes and not found.cautions


def slow_accuracy(small, large):
    right = total = 0.0
    for i, j in itertools.combinations(range(len(small)), 2):
        if large[i] == large[j]:
            continue
        total += 1
        if small[i] == small[j]:
            right += 0.5
        else:
            right += (small[i] > small[j]) == (large[i] > large[j])
    return right / total if total else np.nan


@pytest.mark.parametrize("seed", range(5))
def test_values_are_those_of_the_definitions(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 6, 14) + 0.0, rng.integers(0, 6, 14) + 0.0
    found = rank_agreement(x, y, resamples=50)
    assert found.pearson.value == pytest.approx(pearsonr(x, y)[0])
    assert found.spearman.value == pytest.approx(spearmanr(x, y)[0])
    assert found.decision_accuracy.value == pytest.approx(slow_accuracy(x, y))
    assert decision_accuracy(x, y) == pytest.approx(slow_accuracy(x, y))


def test_the_bootstrap_is_the_loop_over_resampled_recipes():
    rng = np.random.default_rng(3)
    x = np.sort(rng.normal(size=12))
    y = x + rng.normal(size=12)
    found = rank_agreement(x, y, resamples=500, seed=4)
    counts = np.random.default_rng(4).multinomial(12, np.full(12, 1 / 12), size=500)
    slow = {"pearson": [], "spearman": [], "decision_accuracy": []}
    for count in counts:
        rows = np.repeat(np.arange(12), count)
        slow["pearson"].append(pearsonr(x[rows], y[rows])[0])
        slow["spearman"].append(spearmanr(x[rows], y[rows])[0])
        slow["decision_accuracy"].append(slow_accuracy(x[rows], y[rows]))
    for name, samples in slow.items():
        low, high = (np.quantile(samples, end, method="inverted_cdf").item() for end in (0.025, 0.975))
        assert (getattr(found, name).low, getattr(found, name).high) == pytest.approx((low, high))


def test_intervals_cover():
    """Two scales of correlation .8 over many recipes; 11 of them are seen."""
    rng, truth = np.random.default_rng(0), {"pearson": 0.8}
    truth["spearman"] = 6 / np.pi * np.arcsin(0.4)
    truth["decision_accuracy"] = 0.5 + np.arcsin(0.8) / np.pi
    hit = dict.fromkeys(truth, 0)
    for _ in range(200):
        x, y = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 11).T
        found = rank_agreement(x, y, resamples=400)
        for name, value in truth.items():
            hit[name] += value in getattr(found, name)
    assert all(count >= 170 for count in hit.values()), hit
    assert hit["spearman"] >= 180 and hit["decision_accuracy"] >= 180


def test_unrelated_rankings_are_called_so():
    rng = np.random.default_rng(1)
    found = rank_agreement(rng.normal(size=20), rng.normal(size=20))
    assert 0.5 in found.decision_accuracy and [c.code for c in found.cautions] == ["unrelated"]


def test_perfect_agreement_is_not_certainty():
    x = np.arange(11.0)
    found = rank_agreement(x, x**2)
    assert found.decision_accuracy.value == 1 and found.decision_accuracy.high == 1
    assert (
        found.decision_accuracy.low == pytest.approx(wilson_interval(1.0, 5).low)
        and found.spearman.value == 1
    )
    assert np.isnan(found.spearman.low) and found.pearson.low < found.pearson.value
    few = rank_agreement([1, 2, 3], [1, 2, 3])
    assert {c.code for c in few.cautions} == {"few_runs", "unrelated"}


def test_constant_scores_and_ties():
    found = rank_agreement([1.0, 2, 3, 4], [0.3] * 4)
    assert np.isnan(found.pearson.value) and np.isnan(found.decision_accuracy.value)
    assert "no two recipes differ" in found.cautions[-1].text
    assert decision_accuracy([1, 1, 1], [1, 2, 3]) == 0.5
    assert decision_accuracy([2, 1], [1, 2]) == 0


def test_order_changes_nothing_and_names_join():
    rng = np.random.default_rng(2)
    x, y, turn = rng.normal(size=15), rng.normal(size=15), rng.permutation(15)
    assert rank_agreement(x, y) == rank_agreement(x[turn], y[turn])
    small = {"a": 1.0, "b": 2.0, "c": 4.0, "d": 0.0, "only small": 9.0}
    large = {"c": 4.0, "a": 1.0, "b": 3.0, "only large": 0.0, "d": 2.0}
    assert rank_agreement(small, large) == rank_agreement([1, 2, 4, 0], [1, 3, 4, 2])


@pytest.mark.parametrize(
    ("small", "large", "said"),
    [
        ([1, 2], [1, 2], "at least 3"),
        ([1, 2, 3], [1, 2], "one length"),
        ([1, 2, np.nan], [1, 2, 3], "small is not finite"),
        ([1, 2, 3], [1, 2, np.inf], "large is not finite"),
        ({"a": 1.0}, {"b": 1.0}, "at least 3"),
        ({"a": 1.0}, [1.0], "both scales"),
    ],
)
def test_what_cannot_be_compared_is_refused(small, large, said):
    with pytest.raises(InputError, match=said):
        rank_agreement(small, large)


# Signal and noise


def autoregression(rng, r, shape):
    """Series of variance 1 along the last axis, with correlation r between neighbours."""
    x = rng.normal(size=shape)
    for k in range(1, shape[-1]):
        x[..., k] = r * x[..., k - 1] + np.sqrt(1 - r * r) * x[..., k]
    return x


def test_signal_and_noise_as_defined():
    scores = np.array([[9.0, 0.40, 0.44], [9.0, 0.60, 0.56], [9.0, 0.52, 0.48]])
    found = signal_noise(scores, last=2)
    assert found.signal == pytest.approx((0.58 - 0.42) / 0.5)
    assert found.noise.value == pytest.approx(np.sqrt(0.04**2 / 2) / 0.5)
    assert found.ratio.value == pytest.approx(found.signal / found.noise.value)
    one = signal_noise(scores[:1], last=2)
    assert one.signal == 0 and one.ratio.value == 0


def test_decisions_follow_signal_over_noise():
    """Simulated benchmarks: 25 models at both scales share a true quality; benchmarks differ in how noisy they are."""
    rng = np.random.default_rng(0)
    ratios, accuracies = [], []
    for noise in np.geomspace(0.003, 0.3, 30):
        quality = 0.5 + 0.05 * rng.normal(size=25)
        small, large = (quality[:, None] + noise * rng.normal(size=(25, 30)) for _ in range(2))
        ratios.append(signal_noise(small).ratio.value)
        accuracies.append(decision_accuracy(small[:, -1], large[:, -1]))
    assert spearmanr(ratios, accuracies)[0] >= 0.8
    assert accuracies[0] > 0.9 and accuracies[-1] < 0.75


def test_averaging_checkpoints_cuts_noise_by_the_root_of_their_effective_count():
    rng = np.random.default_rng(1)
    for r in (0.0, 0.5, 0.8):
        scores = 0.5 + 0.01 * autoregression(rng, r, (2000, 30))
        found = signal_noise(scores)
        left = scores.mean(axis=1).std() / scores.mean()
        assert found.averaged_noise == pytest.approx(left, rel=0.2)
    independent = 0.5 + 0.01 * rng.normal(size=(2000, 30))
    for last in (5, 10, 30):
        assert effective_count(independent[:, :last]) == pytest.approx(last, rel=0.1)


def test_averaging_checkpoints_raises_decision_accuracy():
    rng = np.random.default_rng(2)
    quality = 0.5 + 0.02 * rng.normal(size=40)
    small, large = (quality[:, None] + 0.03 * rng.normal(size=(40, 30)) for _ in range(2))
    last, mean = (
        decision_accuracy(pick(small), pick(large)) for pick in (lambda s: s[:, -1], lambda s: s.mean(1))
    )
    assert mean > last + 0.1


def test_the_interval_of_the_noise_covers():
    rng = np.random.default_rng(3)
    hit = 0
    for _ in range(300):
        found = signal_noise(0.5 + 0.02 * rng.normal(size=(1, 30)))
        hit += found.noise.low <= 0.04 <= found.noise.high
    assert 270 <= hit < 300


def test_leaving_out_planted_noisy_subtasks_raises_decision_accuracy():
    """12 subtasks measure quality, 8 are noise; chosen on the small scale of half the models, judged on the others."""
    rng = np.random.default_rng(4)
    gains = []
    for _ in range(10):
        quality = 0.5 + 0.02 * rng.normal(size=40)
        spread = np.array([0.02] * 12 + [0.3] * 8)[:, None, None]
        signal = np.array([1.0] * 12 + [0.0] * 8)[:, None, None]
        small, large = (
            0.5 + signal * (quality[:, None] - 0.5) + spread * rng.normal(size=(20, 40, 30)) for _ in range(2)
        )
        found = best_subtasks(small[:, :20])
        assert set(found.kept) <= set(range(12)) and len(found.kept) >= 8
        assert found.ratios_S[len(found.kept) - 1] == found.ratios_S.max() > found.ratios_S[-1]
        true = large[:12, 20:].mean(axis=(0, 2))
        kept, every = (
            decision_accuracy(s[:, 20:, -1].mean(axis=0), true) for s in (small[found.kept], small)
        )
        gains.append(kept - every)
    assert np.mean(gains) > 0.1 and min(gains) > 0


def test_one_subtask_is_kept():
    scores = 0.5 + 0.1 * np.random.default_rng(5).normal(size=(1, 3, 4))
    found = best_subtasks(scores)
    assert found.kept.tolist() == [0] and found.ratios_S[0] == signal_noise(scores[0]).ratio.value
    with pytest.raises(InputError, match="subtasks by models by checkpoints"):
        best_subtasks(scores[0])


def test_edges_of_signal_and_noise():
    still = signal_noise([[0.4, 0.4], [0.5, 0.5]])
    assert still.noise.value == 0 and still.ratio.value == np.inf and still.effective == 2
    for scores, options, said in [
        ([0.1, 0.2], {}, "models by checkpoints"),
        ([[0.1], [0.2]], {}, "models by checkpoints"),
        ([[0.1, np.nan]], {}, "not finite"),
        ([[-0.1, -0.2]], {}, "above 0"),
        ([[0.1, 0.2]], {"last": 1}, "at least 2"),
    ]:
        with pytest.raises(InputError, match=said):
            signal_noise(scores, **options)
    assert signal_noise([[np.nan, 0.1, 0.2]], last=2).noise.value > 0
