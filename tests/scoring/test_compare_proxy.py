"""May a small model score for a large one: kept sets against ceilings, predictions, ensembles, and the verdict."""

import json
import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from scoring.compare.intervals.over_runs import jackknife
from scoring.compare.predictions.agreement import prediction_agreement
from scoring.compare.predictions.ensembling import DRAWS, ensembling, left_by_ensembling
from scoring.compare.predictions.predicting import predictions_of_runs
from scoring.compare.predictions.probabilities import Predictions
from scoring.compare.proxy import proxy_checks
from scoring.compare.reliability.run_groups import half_splits
from scoring.compare.reliability.self_overlap import OverlapScale, self_overlap, single_reliability
from scoring.compare.request import Request
from scoring.compare.run_scores import RunScores
from scoring.compare.sections.proxy import section
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.run import score
from tests.references import predictions_slow, proxy_slow
from tests.scoring.test_compare_predictions import some
from training.run import train


def world(examples=300, proxy_runs=4, target_runs=4, interaction=0.0, noise=0.5, seed=0, scores=("el2n",)):
    """A target, a proxy that measures the same but for ``interaction``, and a worse one."""
    rng = np.random.default_rng(seed)
    values = {}
    for name in scores:
        base, own = rng.normal(size=(2, examples))
        values[name] = {
            "tiny": base + 2 * own + noise * rng.normal(size=(proxy_runs, examples)),
            "small": base + interaction * own + noise * rng.normal(size=(proxy_runs, examples)),
            "large": base + noise * rng.normal(size=(target_runs, examples)),
        }
    return RunScores.of_arrays(values)


# Kept sets and ranks


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize(("q", "r"), [(3, 4), (2, 5)])
def test_a_check_equals_the_slow_twin(q, r, rounded):
    scores = world(60, q, r, interaction=0.7, seed=q)
    if rounded:  # many ties, also at the cut
        scores = RunScores.of_arrays(
            {"el2n": {name: np.round(scores.values("el2n", name)) for name in scores.architectures}}
        )
    check = proxy_checks(scores, ["small", "large"], keep=0.3)[0]
    proxy, target = (scores.values("el2n", name).tolist() for name in ("small", "large"))
    value, error = predictions_slow.jackknife([proxy, target], lambda a, b: proxy_slow.overlap(a, b, 18))
    assert check.kept == 18 and check.chance == 0.3
    assert check.overlap.value == pytest.approx(value, abs=1e-9)
    assert check.overlap.standard_error == pytest.approx(error, abs=1e-9)
    splits = half_splits(r, 10, 0)
    ceiling = proxy_slow.ceiling(target, 18, splits, 0.3)
    assert check.ceiling.value == pytest.approx(ceiling, abs=2e-4)
    assert check.shortfall.value == pytest.approx(ceiling - value, abs=2e-4)
    means = [np.mean(runs, axis=0) for runs in (proxy, target)]
    assert check.rho_mean == pytest.approx(stats.spearmanr(*means).statistic)
    assert check.rho_single == pytest.approx(
        np.mean([stats.spearmanr(run, means[1]).statistic for run in proxy])
    )


def corrected(a, b):
    between = np.mean([stats.spearmanr(x, y).statistic for x in a for y in b])
    own = [np.mean([stats.spearmanr(x, y).statistic for x, y in combinations(runs, 2)]) for runs in (a, b)]
    return between / math.sqrt(own[0] * own[1])


def test_the_corrected_correlation_and_its_error_equal_the_slow_twin():
    scores = world(80, 3, 4, interaction=0.7)
    check = proxy_checks(scores, ["small", "large"])[0]
    proxy, target = (list(scores.values("el2n", name)) for name in ("small", "large"))
    value, error = predictions_slow.jackknife([proxy, target], corrected)
    assert check.rho_corrected.value == pytest.approx(value)
    assert check.rho_corrected.standard_error == pytest.approx(error)


def test_correction_removes_what_noise_takes():
    """Latent Pearson correlation 1 / sqrt(1 + i^2); Spearman's is 6 / pi asin(r / 2) of it."""
    scores = world(20_000, 4, 4, interaction=0.5, noise=1.5)
    check = proxy_checks(scores, ["small", "large"])[0]
    truth = 6 / np.pi * np.arcsin(1 / math.sqrt(1.25) / 2)
    assert check.rho_mean < truth - 0.1
    assert check.rho_corrected.value == pytest.approx(truth, abs=0.02)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, 2), (3, 2), (5, 1)])
def test_the_reliability_of_one_run_is_what_gives_the_correlation(a, b):
    for r in (0.0, 0.1, 0.6, 0.99, 1.0):
        assert single_reliability(r, a, b) == pytest.approx(proxy_slow.single_reliability(r, a, b), abs=1e-9)
    assert single_reliability(0.5, 1, 1) == pytest.approx(0.5)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_the_scale_of_overlaps_is_that_of_the_copula(share):
    scale = OverlapScale(share)
    for r in (0.0, 0.2, 0.7, 0.95):
        assert scale.overlap(r) == pytest.approx(proxy_slow.copula_overlap(r, share), abs=2e-4)
        assert scale.correlation(scale.overlap(r)) == pytest.approx(r, abs=1e-6)
    assert scale.overlap(1) == pytest.approx(1) and scale.correlation(share / 2) == 0


@pytest.mark.parametrize("turn", [lambda x: x, np.exp], ids=["normal", "skewed"])
def test_the_ceiling_is_what_fresh_runs_agree_on(turn):
    rng = np.random.default_rng(0)
    base = rng.normal(size=20_000)
    first, second = (turn(base + 0.8 * rng.normal(size=(6, 20_000))) for _ in range(2))
    value, without = self_overlap(first, 6_000, OverlapScale(0.3), 0)
    a, b = (set(np.argsort(-runs.mean(axis=0))[:6_000].tolist()) for runs in (first, second))
    assert value == pytest.approx(len(a & b) / 6_000, abs=0.015)
    assert jackknife(value, [without]).standard_error < 0.01


def test_halves_are_different_and_all_of_them_where_there_are_few():
    assert [len(half_splits(runs, 10, 0)) for runs in (1, 2, 3, 4, 5, 20)] == [0, 1, 3, 3, 10, 10]
    for runs in (5, 8, 20):
        splits = half_splits(runs, 10, 0)
        assert len({tuple(first) for first, _ in splits}) == 10
        for first, second in splits:
            assert sorted([*first, *second]) == list(range(runs))
            assert len(first) - len(second) == runs % 2
    assert str(half_splits(20, 10, 0)) == str(half_splits(20, 10, 0)) != str(half_splits(20, 10, 1))


# Verdicts


def test_verdicts_by_intervals():
    checks = proxy_checks(world(4_000, interaction=0.02, noise=0.3), ["tiny", "small", "large"])
    assert [check.verdict for check in checks] == ["no", "yes"]
    assert "5 would do" in checks[0].reason
    few = proxy_checks(world(60, interaction=0.2, noise=0.8), ["small", "large"])[0]
    assert few.verdict == "cannot tell"


def test_the_shortfall_of_a_proxy_that_is_the_target_covers_0():
    """200 draws: the 95 % interval holds 0 at least that often, and a proxy that is as good is never refused."""
    inside, refused = 0, 0
    for seed in range(200):
        check = proxy_checks(world(200, seed=seed), ["small", "large"])[0]
        low, high = check.shortfall.interval
        inside += low <= 0 <= high
        refused += check.verdict == "no"
    assert inside >= 182
    assert refused <= 5


def test_a_bad_proxy_never_passes():
    checks = [
        proxy_checks(world(1_000, interaction=0.6, seed=seed), ["small", "large"])[0] for seed in range(40)
    ]
    assert all(check.verdict != "yes" for check in checks)
    assert sum(check.verdict == "no" for check in checks) >= 28


@pytest.mark.parametrize(
    ("proxy_runs", "target_runs", "ceiling", "known"),
    [(1, 4, True, False), (4, 1, False, False), (4, 2, True, False), (2, 3, True, True)],
)
def test_few_runs_cannot_tell(proxy_runs, target_runs, ceiling, known):
    check = proxy_checks(world(100, proxy_runs, target_runs), ["small", "large"])[0]
    assert check.shortfall.firm == known
    assert math.isnan(check.ceiling.value) != ceiling
    assert 0.5 < check.overlap.value <= 1
    if not known:
        assert check.verdict == "cannot tell" and "needs two runs" in check.reason


def test_a_target_that_is_noise_passes_nothing():
    noise = np.random.default_rng(0).normal(size=(8, 2_000))
    for values in (noise, np.zeros((8, 50))):
        scores = RunScores.of_arrays({"s": {"small": values[:4], "large": values[4:]}})
        check = proxy_checks(scores, ["small", "large"])[0]
        assert check.verdict != "yes"
    assert check.overlap.value == pytest.approx(check.chance)
    assert math.isnan(check.rho_mean) and math.isnan(check.rho_corrected.value)
    assert "noise or ties" in check.reason


def test_equal_runs_agree_wholly():
    values = np.tile(np.random.default_rng(0).normal(size=100), (4, 1))
    check = proxy_checks(RunScores.of_arrays({"s": {"a": values, "b": values}}), ["a", "b"])[0]
    assert (check.overlap.value, check.ceiling.value) == pytest.approx((1, 1))
    assert check.verdict == "yes" and check.rho_corrected.interval == pytest.approx((1, 1))


def test_infinite_losses_are_averaged_as_ranks():
    scores = world(50)
    values = {name: scores.values("el2n", name).copy() for name in ("small", "large")}
    plain = proxy_checks(RunScores.of_arrays({"s": values}), ["small", "large"])[0]
    for runs in values.values():
        runs[0, np.argmax(runs[0])] = np.inf
    check = proxy_checks(RunScores.of_arrays({"s": values}), ["small", "large"])[0]
    assert check.overlap.value == pytest.approx(plain.overlap.value, abs=0.15)
    assert check.rho_corrected.value == pytest.approx(plain.rho_corrected.value)


def test_three_examples_are_enough_to_compute():
    checks = proxy_checks(world(3), ["tiny", "small", "large"], keep=0.4)
    assert all(check.kept == 1 and 0 <= check.overlap.value <= 1 for check in checks)


def test_wrong_requests_are_refused():
    scores = world(20)
    for proxies, said in (
        (["small"], "two or more"),
        (["small", "small"], "two or more"),
        (["smal", "large"], "small"),
    ):
        with pytest.raises(InputError, match=said):
            proxy_checks(scores, proxies)
    for option in ({"keep": 1.0}, {"margin": 0}, {"keep": 0.99}):
        with pytest.raises(InputError, match=next(iter(option))):
            proxy_checks(scores, ["small", "large"], **option)


# Ensembles


@pytest.mark.parametrize("seed", range(3))
def test_losses_of_ensembles_equal_the_slow_twin(seed, monkeypatch):
    monkeypatch.setattr("scoring.compare.predictions.probabilities.BLOCK_NUMBERS", 100)
    given = some({"mlp": 4, "cnn": 2}, rows=30, seed=seed)
    runs, labels = given.probabilities["mlp"].tolist(), given.labels_N.tolist()
    found = ensembling(given, "mlp")
    loss = {size: predictions_slow.ensemble_loss(runs, labels, size) for size in (1, 2, 3, 4)}
    assert found.sizes == (1, 2, 4)
    assert found.losses == pytest.approx([loss[size] for size in found.sizes])
    value, error = predictions_slow.jackknife(
        [runs], lambda r: predictions_slow.ensemble_loss(r, labels, len(r))
    )
    assert (found.whole.value, found.whole.standard_error) == pytest.approx((value, error))
    assert found.single.value == pytest.approx(loss[1])
    if found.infinite is not None:
        assert found.infinite.value == pytest.approx(4 * loss[4] - 3 * loss[3])
        second = (16 * loss[4] - 2 * 9 * loss[3] + 4 * loss[2]) / 2
        assert found.change == pytest.approx(abs(second - found.infinite.value))


def test_the_split_into_bias_and_variance_adds_up_and_equals_the_slow_twin():
    given = some({"mlp": 4}, rows=30)
    runs, labels = given.probabilities["mlp"].tolist(), given.labels_N.tolist()
    geometric = predictions_slow.geometric_loss(runs, labels)
    divergence = predictions_slow.divergence_to_geometric_mean(runs)
    assert geometric + divergence == pytest.approx(predictions_slow.ensemble_loss(runs, labels, 1))
    left_out = [runs[:i] + runs[i + 1 :] for i in range(4)]
    found = ensembling(given, "mlp")
    bias = [predictions_slow.geometric_loss(each, labels) for each in left_out]
    variance = [predictions_slow.divergence_to_geometric_mean(each) for each in left_out]
    assert found.bias.value == pytest.approx(4 * geometric - 3 * np.mean(bias))
    assert found.variance.value == pytest.approx(4 * divergence - 3 * np.mean(variance))
    assert found.bias.value + found.variance.value == pytest.approx(found.single.value)
    assert found.bias.standard_error == pytest.approx(jackknife(0, [bias]).standard_error)
    assert found.variance.standard_error == pytest.approx(jackknife(0, [variance]).standard_error)


def noisy(runs, rows=3_000, spread=0.5, seed=0):
    """Logits of one truth plus normal noise of every run."""
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(99).normal(size=(rows, 4)) * 1.5
    labels = np.array([np.random.default_rng(row).choice(4, p=softmax(z)) for row, z in enumerate(truth)])
    found = softmax(truth + spread * rng.normal(size=(runs, rows, 4)))
    return Predictions(
        np.arange(rows), labels, list("abcd"), {"m": [str(i) for i in range(runs)]}, {"m": found}
    )


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def test_infinitely_many_runs_are_foretold_by_few():
    truth = ensembling(noisy(150, seed=7), "m")
    few = [ensembling(noisy(5, seed=seed), "m") for seed in range(8)]
    told = [each.infinite for each in few if each.infinite is not None]
    assert len(told) >= 6
    step = few[0].single.value - truth.whole.value
    for each in told:
        assert each.interval[0] <= truth.whole.value <= each.interval[1]
    assert abs(np.mean([each.value for each in told]) - truth.whole.value) < 0.03 * step
    assert abs(np.mean([each.whole.value for each in few]) - truth.whole.value) > 0.1 * step
    # The geometric mean of the noise of many runs is the truth itself; what is left is the loss of the truth.
    assert np.mean([each.bias.value for each in few]) == pytest.approx(truth.bias.value, abs=0.02 * step)
    assert truth.variance.value == pytest.approx(truth.single.value - truth.bias.value)


def test_what_does_not_converge_is_not_extrapolated():
    """Each run is sure of a class of its own: the loss falls like -log(k), not like 1 / k."""
    rows = np.full((4, 4, 4), 1e-30)
    for run in range(4):
        rows[run, :, run] = 1
    given = Predictions(
        np.arange(4),
        np.arange(4),
        list("abcd"),
        {"m": list("0123")},
        {"m": rows / rows.sum(axis=2, keepdims=True)},
    )
    found = ensembling(given, "m")
    assert found.infinite is None and found.change == 0
    assert found.whole.value == pytest.approx(math.log(4))


def test_probabilities_of_0_count_as_the_smallest_float32():
    rows = np.tile([1.0, 0.0], (2, 3, 1))
    given = Predictions(np.arange(3), np.array([0, 0, 1]), ["a", "b"], {"m": ["0", "1"]}, {"m": rows})
    found = ensembling(given, "m")
    assert found.single.value == pytest.approx(87.34 / 3, abs=0.01)
    assert found.variance.value == pytest.approx(0, abs=1e-12) and found.infinite is None


def test_one_run_has_a_loss_and_nothing_else():
    found = ensembling(some({"m": 1}), "m")
    assert found.sizes == (1,) and not found.single.firm
    assert found.infinite is None and found.bias is None and found.variance is None


def test_of_many_ensembles_some_are_drawn_with_every_run_as_often():
    from scoring.compare.predictions.ensembling import _members

    members = _members(20, 0)
    assert sorted(members) == [1, 2, 4, 8, 16, 18, 19, 20]
    assert DRAWS <= len(members[4]) < DRAWS + 5
    assert (members[4] > 0).sum(axis=0).std() < 1
    assert all(np.allclose(weights.sum(axis=1), 1) for weights in members.values())
    np.testing.assert_array_equal((members[19] == 0).argmax(axis=1), np.arange(20))


# The section


def two_widths():
    wide, narrow = noisy(4, spread=0.1), noisy(4, spread=0.8, seed=1)
    shrunk = narrow.probabilities["m"] ** 0.3
    shrunk /= shrunk.sum(axis=2, keepdims=True)  # bias: too unsure
    names = {"small": list("0123"), "large": list("0123")}
    return Predictions(
        wide.ids, wide.labels_N, wide.label_names, names, {"small": shrunk, "large": wide.probabilities["m"]}
    )


def test_the_section_answers_in_words_tables_and_figures():
    request = Request(proxies=("small", "large"), predictions=two_widths())
    found = section(world(2_000, interaction=0.02, noise=0.3, scores=("el2n", "loss")), request)
    assert found.sentences[0] == "small may score for large by el2n, loss."
    assert "Scoring el2n with small (4 runs) keeps" in found.sentences[2]
    assert "chance is 30 %: yes" in found.sentences[2]
    assert "no number of runs of small removes it" in found.sentences[-1]
    assert set(found.figures) == {"proxy_kept", "proxy_predictions", "proxy_ensembles"}
    assert all(len(row) == len(each.header) for each in found.listings for row in each.rows)
    assert found.document["checks"][0]["verdict"] == "yes"
    assert found.document["ensembles"][0]["left_to_target"]["interval"][0] > 0
    json.dumps(found.document, allow_nan=False)


def test_listings_of_many_checks_have_one_proxy_per_score():
    scores = world(100, scores=tuple(f"s{i}" for i in range(13)))
    found = section(scores, Request(proxies=("tiny", "small", "large")))
    checks = found.document["checks"]
    assert len(checks) == 26
    best = {}
    for check in checks:
        fits = check["verdict"] == "yes"
        rank = (fits, 0 if fits else check["overlap"]["value"])
        if check["score"] not in best or rank > best[check["score"]][0]:
            best[check["score"]] = rank, check["overlap"]["value"], check["proxy"]
    for each in found.listings:
        assert len(each.rows) == 12 and "all 26 checks are in summary.json" in each.caption
        assert all(row[1] == best[row[0]][2] for row in each.rows)
    kept = [row[3] for row in found.listings[0].rows]
    assert kept == sorted((overlap for _, overlap, _ in best.values()), reverse=True)[:12]


def test_figures_are_drawn_for_few_and_many(tmp_path: Path):
    pytest.importorskip("matplotlib")
    from scoring.plots.style import save

    names = tuple(f"score {i}" for i in range(20))
    for scores, predictions in ((world(50, 1, 1), two_widths()), (world(50, scores=names), two_widths())):
        figures = section(
            scores, Request(proxies=("tiny", "small", "large"), predictions=predictions)
        ).figures
        for name, draw in figures.items():
            first, second = (save(draw(), tmp_path / f"{name}-{i}.png").read_bytes() for i in range(2))
            assert first == second and len(first) > 5_000


def test_architectures_have_the_colours_that_they_have_in_other_figures():
    """Those of their order among all architectures, whatever the order and choice of proxies."""
    pytest.importorskip("matplotlib")
    from scoring.plots.style import LOOKS

    predictions = some({"tiny": 2, "small": 3, "large": 3})
    given = Request(proxies=("large", "small"), predictions=predictions)
    figures = section(world(50), given).figures
    for name, expected in (
        ("proxy_kept", {"large": LOOKS[2]}), ("proxy_ensembles", {"large": LOOKS[2], "small": LOOKS[1]})
    ):  # fmt: skip
        [legend] = figures[name]().legends
        looks = {line.get_label(): (line.get_color(), line.get_marker()) for line in legend.legend_handles}
        assert looks | expected == looks


def test_what_cannot_be_asked_is_said():
    scores = world(20)
    assert "No proxies are named" in section(scores, Request()).sentences[0]
    assert "one architecture" in section(scores.only(architectures=["large"]), Request()).sentences[0]
    assert "All 20 examples" in section(scores, Request(proxies=("small", "large"), keep=0.99)).sentences[0]
    without = section(scores, Request(proxies=("small", "large")))
    assert "Without predictions" in without.sentences[-1] and set(without.figures) == {"proxy_kept"}
    other = section(scores, Request(proxies=("small", "large"), predictions=some()))
    assert "Without predictions" in other.sentences[-1]
    named = some({"small": 2, "large": 2}, labels=False)
    unlabelled = section(scores, Request(proxies=("small", "large"), predictions=named))
    assert "no labels" in unlabelled.sentences[-1] and "proxy_ensembles" not in unlabelled.figures


@pytest.mark.slow
def test_widths_of_a_network_on_digits(tmp_path: Path):
    """Vyas et al. 2023, in kind: agreement rises with width, and ensembles of narrow networks lose to one wide one."""
    digits = Examples.load("digits")
    widths, kinds = (4, 16, 64, 256), {}
    for width in widths:
        folder = tmp_path / f"mlp-{width}"
        options = {"model_options": {"hidden": (width,)}, "epochs": 30, "seeds": range(4), "record": True}
        train(digits, "mlp", out=folder, **options)
        kinds[f"mlp-{width}"] = folder
    predictions = predictions_of_runs(kinds, digits.other_split("test"), device="cpu")
    pairs = prediction_agreement(predictions)
    names = list(kinds)
    differ = [pairs.mean(pairs.disagreement_MM, name, name).value for name in names]
    apart = [pairs.mean(pairs.variation_MM, name, name).value for name in names]
    assert (np.diff(differ) < 0).all() and (np.diff(apart) < 0).all()
    assert differ[0] > 0.1 and differ[-1] < 0.02
    found = [ensembling(predictions, name) for name in names]
    assert all(each.whole.value > found[-1].single.value for each in found[:-1])
    assert all(left_by_ensembling(each, found[-1]).interval[0] > 0 for each in found[:2])
    tables = {name: score(digits, ["el2n", "loss"], folder, per_run=True) for name, folder in kinds.items()}
    checks = [c for c in proxy_checks(RunScores.of_tables(tables), names) if c.score == "el2n"]
    rho = [check.rho_corrected.value for check in checks]
    assert rho[0] < rho[1] < rho[2] and rho[2] > 0.95
    assert all(check.rho_single < check.rho_mean < check.rho_corrected.value for check in checks)
