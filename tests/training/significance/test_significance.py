"""Simulated benchmarks with known noise (Heineman et al. 2025, acceptance), closed forms, and a small digits study."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr

from scoring.errors import InputError
from training.laws.evaluations.rank_agreement import decision_accuracy
from training.laws.evaluations.signal_noise import signal_noise
from training.studies.paired import paired_difference
from training.studies.significance.power import detectable_difference, power_of, seeds_needed
from training.studies.significance.reliable_groups import filter_groups, reliable_groups
from training.studies.significance.scale_agreement import scale_agreement
from training.studies.significance.section import significance_section
from training.studies.significance.study_signal import averaged, averaging, paired_sd, study_signals
from training.studies.significance.ways_by_seeds import ways_by_seeds
from training.studies.table import SCHEMA

WAYS, SEEDS = 8, 4


def table_of(values_WSK, metric="accuracy", group="", **cell):
    """A run table of ways by seeds by evaluations."""
    fixed = {
        "study": "pruning",
        "variant": "as is",
        "model": "mlp",
        "regime": "100 steps",
        "budget": "30%",
        "split": "test",
    }
    rows = [
        {
            **fixed,
            **cell,
            "way": f"way {w}",
            "seed": s,
            "step": 10 * (k + 1),
            "group": group,
            "metric": metric,
            "value": v,
        }
        for (w, s, k), v in np.ndenumerate(values_WSK)
    ]
    return pa.Table.from_pylist([{**row, "value": float(row["value"])} for row in rows], schema=SCHEMA)


def simulated(rng, signal, noise, seeds=SEEDS, steps=1, ways=WAYS):
    truth_W = 0.7 + signal * np.linspace(-0.5, 0.5, ways)[rng.permutation(ways)]
    return truth_W, truth_W[:, None, None] + noise * rng.normal(size=(ways, seeds, steps))


def test_decision_accuracy_rises_with_signal_to_noise():
    rng = np.random.default_rng(0)
    ratios, accuracies = [], []
    for noise in np.geomspace(0.003, 0.3, 12):
        for _ in range(5):
            truth_W, values = simulated(rng, 0.1, noise)
            small = study_signals(table_of(values))[0]
            ratios.append(small.over_seeds.ratio.value)
            accuracies.append(decision_accuracy(values[:, 0, 0], truth_W))
    assert spearmanr(ratios, accuracies)[0] >= 0.8


@pytest.mark.parametrize("correlation", [0.0, 0.7])
def test_averaging_cuts_noise_by_the_root_of_the_effective_number(correlation):
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(WAYS, 20, 400))
    for k in range(1, 400):
        noise[:, :, k] = correlation * noise[:, :, k - 1] + np.sqrt(1 - correlation**2) * noise[:, :, k]
    world = ways_by_seeds(table_of(0.7 + 0.01 * noise[:, :, -20:]))[0]
    found = averaging(world, 20)
    means = averaged([world], 20)[0].last_WS
    assert means.std(axis=1, ddof=1).mean() == pytest.approx(found.within_averaged, rel=0.2)
    assert found.between_averaged == pytest.approx(found.between / np.sqrt(found.effective), rel=0.2)
    assert found.effective == pytest.approx(20 if correlation == 0 else 20 * 0.3 / 1.7, rel=0.35)


def test_what_differs_from_seed_to_seed_throughout_does_not_average_out():
    rng = np.random.default_rng(2)
    values = 0.7 + 0.02 * rng.normal(size=(WAYS, 10, 1)) + 0.001 * rng.normal(size=(WAYS, 10, 8))
    found = averaging(ways_by_seeds(table_of(values))[0], 8)
    assert found.within_averaged < 0.5 * found.within and found.between_averaged > 0.9 * found.between


def test_dropping_planted_noisy_groups_raises_decision_accuracy():
    rng = np.random.default_rng(3)
    gains, ratios, noisy_kept = [], [], 0
    for _ in range(40):
        truth_W = 0.7 + 0.04 * rng.normal(size=WAYS)
        noise_G = np.where(np.arange(10) < 5, 0.01, 0.3)
        values = truth_W[None, :, None] + noise_G[:, None, None] * rng.normal(size=(10, WAYS, 8))
        found = filter_groups(values, tuple(map(str, range(10))))
        clean_half = values[[int(name) for name in found.kept]][:, :, :4].mean(axis=(0, 2))
        gains.append(
            decision_accuracy(clean_half, truth_W)
            - decision_accuracy(values[:, :, :4].mean(axis=(0, 2)), truth_W)
        )
        ratios.append(found.ratio_kept / found.ratio_all)
        noisy_kept += sum(int(name) >= 5 for name in found.kept)
    assert np.mean(gains) > 0.05 and np.median(ratios) > 2 and noisy_kept <= 20


def test_groups_of_a_table_are_the_array():
    rng = np.random.default_rng(4)
    values = 0.7 + 0.05 * rng.normal(size=(3, WAYS, 4))
    table = pa.concat_tables([table_of(values[g][:, :, None], group=f"class:{g}") for g in range(3)])
    assert reliable_groups(table) == filter_groups(values, ("class:0", "class:1", "class:2"))
    with pytest.raises(InputError, match="at least 4 are needed, got 3"):
        filter_groups(values[:, :, :3], ("a", "b", "c"))
    with pytest.raises(InputError, match="at least 2 groups"):
        reliable_groups(table, prefix="none:")


def test_power_is_that_of_simulated_studies():
    rng = np.random.default_rng(5)
    for effect, seeds in ((0.02, 3), (0.02, 6), (0.0, 4)):
        draws = effect + 0.01 * rng.normal(size=(4_000, seeds))
        half = 1.0 * draws.std(axis=1, ddof=1) / np.sqrt(seeds)
        from scipy.stats import t

        called = np.abs(draws.mean(axis=1)) > t.ppf(0.975, seeds - 1) * half
        assert power_of(effect, 0.01, seeds) == pytest.approx(called.mean(), abs=0.03)
    assert paired_difference(draws[0], np.zeros(4)).high - draws[0].mean() == pytest.approx(
        t.ppf(0.975, 3) * half[0]
    )


def test_effects_seeds_and_edges():
    assert power_of(detectable_difference(0.01, 5), 0.01, 5) == pytest.approx(0.8)
    assert seeds_needed(0.01, 0.01) == 10  # Cohen's d 1, two-sided 5 %, power .8: the tables say 10 pairs
    assert (
        seeds_needed(0.0, 0.01) is None and seeds_needed(0.01, 0.0) == 3 and seeds_needed(1e-9, 1.0) is None
    )
    assert detectable_difference(0.01, 1) == np.inf and detectable_difference(0.0, 3) == 0.0
    # Two seeds give no verdict (outcomes), so they call nothing here either.
    assert detectable_difference(0.01, 2) == np.inf and seeds_needed(1.0, 0.001) == 3
    assert seeds_needed(float("nan"), 1.0) is None and power_of(1.0, 0.001, 2) == 0.0
    assert power_of(1.0, 1.0, 1) == 0.0 and power_of(0.0, 0.0, 3) == 0.0
    with pytest.raises(InputError, match="power must be between"):
        seeds_needed(1.0, 1.0, power=1.0)
    with pytest.raises(InputError, match="sd must be at least 0"):
        detectable_difference(-1.0, 3)


def test_the_spread_of_differences_is_the_loop_over_pairs():
    rng = np.random.default_rng(6)
    values = rng.normal(size=(5, 6)) + rng.normal(size=6)
    pairs = [np.var(values[i] - values[j], ddof=1) for i in range(5) for j in range(i)]
    assert paired_sd(values) == pytest.approx(np.sqrt(np.mean(pairs)))
    assert np.isnan(paired_sd(values[:, :1]))


def test_seeds_are_independent_repeats():
    values = np.random.default_rng(7).normal(0.7, 0.01, size=(WAYS, 5))
    found, plain = signal_noise(values, independent=True), signal_noise(values)
    assert found.effective == 5 and found.noise.value == plain.noise.value
    assert study_signals(table_of(values[:, :, None]))[0].over_seeds == found


def test_scales_agree_or_not():
    rng = np.random.default_rng(8)
    _truth_W, large = simulated(rng, 0.3, 0.002)
    _, unrelated = simulated(rng, 0.3, 0.002)
    tables = [table_of(large), table_of(large - 0.2, model="linear"), table_of(unrelated, model="cnn")]
    table = pa.concat_tables(tables)
    same = scale_agreement(table, {"model": "linear"}, {"model": "mlp"})
    assert same.agreement.decision_accuracy.value == 1 and same.decided.value == 1 and same.told_apart > 20
    other = scale_agreement(table, {"model": "cnn"}, {"model": "mlp"})
    assert other.agreement.decision_accuracy.value == pytest.approx(
        decision_accuracy(unrelated[:, :, 0].mean(axis=1), large[:, :, 0].mean(axis=1))
    )
    losses = pa.concat_tables(
        [table_of(v, "loss", model=m) for v, m in ((large, "mlp"), (large + 1, "linear"))]
    )
    assert scale_agreement(losses, {"model": "linear"}, {"model": "mlp"}, "loss").decided.value == 1
    with pytest.raises(InputError, match="must name one world"):
        scale_agreement(table, {}, {"model": "mlp"})
    with pytest.raises(InputError, match="a column must be one of"):
        scale_agreement(table, {"modle": "x"}, {"model": "mlp"})
    one_seed = pa.concat_tables([table_of(v[:, :1], model=m) for v, m in ((large, "mlp"), (large, "linear"))])
    assert scale_agreement(one_seed, {"model": "linear"}, {"model": "mlp"}).decided is None


def test_one_seed_and_one_way_say_so():
    values = np.full((WAYS, 1, 1), 0.5)
    section = significance_section(table_of(values))
    assert "cannot tell signal from noise" in section.sentences[0]
    assert "nothing can be compared" in significance_section(table_of(values[:1])).sentences[0]
    equal = significance_section(table_of(np.full((WAYS, 3, 1), 0.5)))
    assert (
        equal.document["worlds"][0]["paired_sd"] == 0
        and equal.document["worlds"][0]["seeds_for_half_the_range"] is None
    )
    with pytest.raises(InputError, match="metric must be one of"):
        ways_by_seeds(table_of(values), "acuracy")


@pytest.mark.slow
def test_a_small_digits_study_end_to_end(tmp_path):
    from training.cell_data import DataRequest
    from training.studies.pruning import Pruning
    from training.studies.running import run_study

    score = {"scorers": "el2n@mean", "model": "linear", "train": {"epochs": 5}}
    study = Pruning(
        data=DataRequest("digits"), models="linear,mlp", select=["hardest by el2n@mean", "easiest by el2n@mean"],
        keep=["20%"], epochs=4, regimes=["steps"], scores=score, seeds=(0, 1, 2, 3), device="cpu",
        train_settings={"evaluate_every": "8 steps"},
    )  # fmt: skip
    table = run_study(study, tmp_path / "study")
    found = study_signals(table, model="mlp")[0]
    assert len(found.found.ways) == 4 and len(found.found.seeds) == 4 and len(found.found.steps_K) >= 5
    assert found.over_seeds.ratio.value > 2 and 0 < found.detectable < 0.2
    assert found.averaging.within_averaged <= found.averaging.within
    agreement = scale_agreement(table, {"model": "linear"}, {"model": "mlp"})
    assert agreement.told_apart >= 3 and agreement.decided.value >= 0.5
    assert len(reliable_groups(table, model="mlp").groups) == 10
    assert "times the noise of one run" in significance_section(table).sentences[0]
