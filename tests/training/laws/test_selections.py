"""What a selection is worth: against root finders per resample, closed forms, and cases that must not be believed."""

import numpy as np
import pytest
from references.selection_worlds import CROSSING, base_law, chinchilla_law, crossing_law, sizes_world, world
from references.selections_slow import chinchilla_factor, crossing_points, factor_for, offset_loss

from scoring.errors import InputError
from training.laws.catalog import form_named
from training.laws.form import Parameter
from training.laws.forms.custom import custom
from training.laws.run_table import make_run_table
from training.laws.selections.base_map import base_map
from training.laws.selections.comparison import compare_selections, largest_common
from training.laws.selections.crossing import POINTS, crossings
from training.laws.selections.learning_curves import learning_curves
from training.laws.selections.multipliers import multiplier, run_multipliers
from training.laws.selections.noise_draws import grouped_draws, pooled_draws, unit_names
from training.laws.selections.over_scaling import over_scaling
from training.laws.selections.seed_noise import seed_noise
from training.laws.selections.verdict import gap

LAWS = {
    "random": base_law,
    "half more": lambda D: base_law(D, 1.5),
    "crossing": crossing_law,
}


@pytest.fixture(scope="module")
def curves():
    return learning_curves(world(LAWS), resamples=120, starts=12)


@pytest.fixture(scope="module")
def sizes():
    laws = {"random": chinchilla_law, "half more": lambda N, D: chinchilla_law(N, D, 1.5)}
    return learning_curves(sizes_world(laws), resamples=60, starts=12)


def parameters_of(curve, b):
    return {name: column[b] for name, column in curve.drawn.samples.items()}


def test_default_form_follows_the_runs(curves, sizes):
    assert curves["random"].fitted.form.name == "power_offset"
    assert sizes["random"].fitted.form.name == "chinchilla"


@pytest.mark.parametrize("at", [1e4, 2e5, 3e6, 3e7])
def test_multipliers_are_the_roots_of_every_resample(curves, at):
    base, own = curves["random"], curves["half more"]
    found = multiplier(base, own, {"D": at})
    for b in range(0, 120, 5):
        p, q = parameters_of(base, b), parameters_of(own, b)
        slow = factor_for(lambda m, p=p: offset_loss(p, m * at), offset_loss(q, at))
        assert found.samples_B[b] == pytest.approx(slow, rel=1e-9)
    ends = np.quantile(found.samples_B, [0.025, 0.975])
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(ends), rel=0.05)
    assert found.amount.value == pytest.approx(at * found.value)


@pytest.mark.parametrize("way", ["D", "C", "N"])
def test_multipliers_of_laws_in_size_and_data(sizes, way):
    base, own = sizes["random"], sizes["half more"]
    at = {"N": 1e8, "D": 2e9}
    found = multiplier(base, own, at, way)
    for b in range(0, 60, 5):
        target = float(own.samples(at)[1][b, 0])
        slow = chinchilla_factor(parameters_of(base, b), target, 1e8, 2e9, way)
        assert found.samples_B[b] == pytest.approx(slow, rel=1e-8)
    planted = chinchilla_factor(
        {"E": 1.82, "A": 480.0, "B": 2080.0, "alpha": 0.348, "beta": 0.366},
        chinchilla_law(1e8, 2e9, 1.5),
        1e8,
        2e9,
        way,
    )
    assert found.interval.low < planted < found.interval.high and found.interval.low > 1
    assert found.at["C"] == pytest.approx(6 * 1e8 * 2e9)
    assert found.reach == "measured" and not found.cautions


def test_without_noise_the_planted_multiplier_comes_back():
    table = world({"random": base_law, "half more": lambda D: base_law(D, 1.5)}, noise=1e-7)
    found = learning_curves(table, resamples=20)
    worth = multiplier(found["random"], found["half more"], {"D": 3e5})
    assert worth.value == pytest.approx(1.5, rel=1e-4)
    assert worth.interval.factor < 1.001
    runs = run_multipliers(found["random"], found["half more"])
    assert runs.values_R == pytest.approx(np.full(15, 1.5), rel=1e-4)
    assert runs.median.value == pytest.approx(1.5, rel=1e-4)


def test_multipliers_of_runs_have_their_noise(curves):
    base, own = curves["random"], curves["half more"]
    runs = run_multipliers(base, own)
    slow = [
        factor_for(lambda m, x=x: offset_loss(base.fitted.parameters, m * x), y)
        for x, y in zip(own.scales_N, own.losses_N)
    ]
    assert runs.values_R == pytest.approx(slow, rel=1e-9)
    inside = (runs.low_R < 1.5) & (runs.high_R > 1.5)
    assert inside.mean() > 0.8
    assert (runs.low_R <= runs.values_R).all() and (runs.values_R <= runs.high_R).all()
    assert runs.median.low < 1.5 < runs.median.high
    widths = np.log(runs.high_R / runs.low_R)
    assert np.median(widths) > 2 * np.log(runs.median.high / runs.median.low), "one run says less than all"


def test_a_loss_below_the_floor_of_the_base_is_beyond_its_law():
    table = world({"random": base_law, "deep": lambda D: base_law(D) - 0.6}, noise=0.001)
    found = learning_curves(table, resamples=60)
    worth = multiplier(found["random"], found["deep"], {"D": 3e6})
    assert worth.value == worth.interval.high == np.inf and worth.interval.low > 100
    assert worth.reach == "beyond the base law"
    assert [c.code for c in worth.cautions] == ["extrapolation"]
    runs = run_multipliers(found["random"], found["deep"])
    assert runs.reach_R[-1] == "beyond the base law" and np.isinf(runs.values_R[-1])
    above = multiplier(found["deep"], found["random"], {"D": 1e4})
    assert above.reach == "extrapolated" and above.interval.high < 1


def test_crossings_are_the_roots_of_every_resample(curves):
    base, own = curves["random"], curves["crossing"]
    found = crossings(base, own)
    assert found.verdict == "crosses"
    [crossing] = found.found
    assert crossing.direction == "stops paying" and crossing.measured and not crossing.cautions
    assert crossing.interval.low < CROSSING < crossing.interval.high
    slow = []
    for b in range(120):
        p, q = parameters_of(base, b), parameters_of(own, b)
        points = crossing_points(lambda x: offset_loss(q, x), lambda x: offset_loss(p, x), 1e4, 3e7, POINTS)  # noqa: B023
        rising = [x for x, up in points if up]
        if rising:
            slow.append(min(rising, key=lambda x: abs(np.log(x / crossing.interval.value))))
    assert crossing.share == len(slow) / 120
    ends = np.exp(np.quantile(np.log(slow), [0.025, 0.975]))
    assert (crossing.interval.low, crossing.interval.high) == pytest.approx(tuple(ends), rel=1e-9)
    other_way = crossings(own, base).found[0]
    assert other_way.direction == "starts to pay"
    assert other_way.interval.value == pytest.approx(crossing.interval.value, rel=1e-9)


def test_two_crossings_are_both_found():
    """A flatter power through two points of the base's law: ahead at both ends, behind between."""
    first, second = 5e4, 8e5
    beta = (base_law(first) - base_law(second)) / (first**-0.1 - second**-0.1)

    def bent(D):
        return base_law(first) + beta * (np.asarray(D) ** -0.1 - first**-0.1)

    table = world({"random": base_law, "bent": bent}, scales=12, noise=1e-4)
    found = learning_curves(table, resamples=40)
    seen = crossings(found["random"], found["bent"], farther=1.0)
    assert [c.interval.value for c in seen.found] == pytest.approx([first, second], rel=0.02)
    assert bent(1e4) < base_law(1e4) and bent(2e5) > base_law(2e5)
    assert [c.direction for c in seen.found] == ["stops paying", "starts to pay"]
    assert seen.verdict == "crosses"


def test_no_crossing_and_crossings_beyond_the_range_are_told_apart(curves):
    clear = crossings(curves["random"], curves["half more"])
    assert clear.verdict == "no crossing within the measured range"
    assert (clear.gap_G < 0)[clear.scales_G <= clear.measured[1]].all()
    early = learning_curves(world(LAWS, top=2e5, noise=3e-4), resamples=60)
    beyond = crossings(early["random"], early["crossing"], farther=30.0)
    assert beyond.verdict == "crosses beyond the measured range"
    assert [c.measured for c in beyond.found] == [False]
    assert [c.code for c in beyond.found[0].cautions] == ["extrapolation"]
    assert (
        crossings(early["random"], early["crossing"], farther=1.0).verdict
        == "no crossing within the measured range"
    )


def test_identical_runs_neither_cross_nor_lie_apart():
    table = world({"random": base_law})
    twin = make_run_table({**table.columns, "corpus": np.full(len(table), "twin", dtype=object)})
    both = {name: np.concatenate([table[name], twin[name]]) for name in table.columns}
    found = learning_curves(make_run_table(both), resamples=40)
    assert crossings(found["random"], found["twin"]).verdict == "cannot tell"
    seen = gap(found["random"], found["twin"], {"D": 1e6})
    assert seen.verdict == "cannot tell" and seen.relative.value == 0
    assert multiplier(found["random"], found["twin"], {"D": 1e6}).value == pytest.approx(1, rel=1e-9)


def test_noise_common_to_a_seed_cancels():
    table = world({"random": base_law, "half more": lambda D: base_law(D, 1.5)}, noise=0.01, common=0.98)
    blind = make_run_table({name: table[name] for name in table.columns if name != "seed"})
    widths = []
    for runs in (table, blind):
        found = learning_curves(runs, resamples=200)
        seen = gap(found["random"], found["half more"], {"D": 3e5})
        widths.append(seen.difference.high - seen.difference.low)
        assert seen.noise.source == "seeds"
    assert widths[0] < 0.5 * widths[1]


def test_groups_hold_the_noise_of_a_seed_within_a_curve():
    """With a level of its own for every seed, runs are not independent: grouped intervals of the law are wider."""
    rng = np.random.default_rng(3)
    levels = 0.02 * rng.normal(size=8)
    table = world({"random": base_law}, seeds=8, noise=0.001)
    shifted = {**table.columns, "value": table["value"] * np.exp(levels[table["seed"].astype(int)])}
    table = make_run_table(shifted)
    widths = []
    for groups in (None, "seed"):
        [found] = learning_curves(table, resamples=200, groups=groups).values()
        _, low, high = found.band({"D": 3e5})
        widths.append(float(np.log(high / low)))
    assert widths[1] > 1.5 * widths[0]
    one = make_run_table({**table.columns, "seed": np.zeros(len(table))})
    with pytest.raises(InputError, match="at least 2 different values"):
        learning_curves(one, groups="seed", resamples=5)


def test_draws_keep_pairs_and_pools():
    units = {"a": np.array(["u1", "u2", "u3", "a: 1"]), "b": np.array(["u3", "u1", "u2"])}
    noise = {"a": np.array([1.0, 2.0, 3.0, 9.0]), "b": np.array([30.0, 10.0, 20.0])}
    drawn = pooled_draws(noise, units, 400, 0)
    a, b = drawn["a"], drawn["b"]
    assert (b == 10 * a[:, [2, 0, 1]]).all(), "one donor and one sign for both laws"
    assert set(np.abs(a[:, :3]).ravel()) == {1.0, 2.0, 3.0}, "paired runs have paired donors"
    assert set(np.abs(a[:, 3])) == {1.0, 2.0, 3.0, 9.0}, "others any run of the law"
    assert abs((a > 0).mean() - 0.5) < 0.05
    grouped = grouped_draws(
        noise, {"a": np.array(["g", "g", "h", "h"]), "b": np.array(["h", "g", "g"])}, 50, 0
    )
    assert (np.abs(grouped["a"]) == noise["a"]).all()
    signs = np.sign(grouped["a"])
    assert (signs[:, 0] == signs[:, 1]).all() and (np.sign(grouped["b"])[:, 0] == signs[:, 2]).all()
    assert unit_names([(1.0, "0"), (1.0, "0"), (2.0, "0")], "a")[2] == unit_names([(2.0, "0")], "b")[0]
    assert len(set(unit_names([(1.0, "0"), (1.0, "0")], "a")) | set(unit_names([(1.0, "0")], "b"))) == 3


def test_order_of_rows_and_units_of_data_change_nothing():
    table = world(LAWS)
    rng = np.random.default_rng(0)
    shuffled = table.rows(rng.permutation(len(table)))
    thousand = make_run_table({**table.columns, "D": table["D"] / 1e3, "C": np.full(len(table), np.nan)})
    one, two, three = (compare_selections(t, resamples=40, starts=12) for t in (table, shuffled, thousand))
    assert one.sentences == two.sentences
    for name, result in one.selections.items():
        assert result.gap.difference == two[name].gap.difference
        assert (result.multipliers["D"].samples_B == two[name].multipliers["D"].samples_B).all()
        assert three[name].multipliers["D"].value == pytest.approx(result.multipliers["D"].value, rel=1e-6)
        assert three[name].crossings.verdict == result.crossings.verdict


def test_verdicts_are_withheld_where_nothing_carries_them():
    few = world({"random": base_law, "far better": lambda D: base_law(D, 100)}, scales=3, seeds=2)
    found = learning_curves(few, resamples=40)
    seen = gap(found["random"], found["far better"], {"D": 3e6})
    assert seen.difference.high < 0 and seen.verdict == "cannot tell"
    assert {c.code for c in seen.cautions} == {"few_runs"}
    three = learning_curves(
        world({"random": base_law, "far better": lambda D: base_law(D, 100)}, scales=3, seeds=4), resamples=40
    )
    assert gap(three["random"], three["far better"], {"D": 3e6}).verdict == "better"
    beyond = gap(three["random"], three["far better"], {"D": 3e7})
    assert beyond.verdict == "cannot tell" and not beyond.measured
    assert any("nothing tested the shape" in c.text for c in beyond.cautions)


def test_signal_and_noise():
    table = world(LAWS, seeds=40, noise=0.01, common=0.0)
    found = learning_curves(table, resamples=10, starts=8)
    seen = gap(found["random"], found["half more"], {"D": 1e5})
    assert seen.noise.source == "seeds" and seen.noise.freedom == 2 * 5 * 39
    assert seen.noise.sd == pytest.approx(0.01, rel=0.15)
    planted = abs(base_law(1e5, 1.5) / base_law(1e5) - 1)
    assert seen.signal_to_noise == pytest.approx(planted / 0.01, rel=0.3)
    single = learning_curves(world(LAWS, scales=9, seeds=1, noise=0.01, common=0.0), resamples=5)
    assert seed_noise([single["random"]]).source == "residuals"
    assert seed_noise([single["random"]]).freedom == 6


def test_loss_to_loss_of_base_and_selection():
    def mapped(D):
        return 1.7 + 1.2 * (base_law(D) - 2.0) ** 0.9

    table = world({"random": base_law, "mapped": mapped}, scales=8, noise=1e-6)
    found = learning_curves(table, resamples=40)
    seen = base_map(found["random"], found["mapped"])
    assert (seen.kappa.value, seen.K.value) == pytest.approx((0.9, 1.2), rel=1e-3)
    noisy = learning_curves(
        world({"random": base_law, "mapped": mapped}, scales=8, noise=0.002), resamples=100
    )
    seen = base_map(noisy["random"], noisy["mapped"])
    assert seen.kappa.low < 0.9 < seen.kappa.high and seen.K.low < 1.2 < seen.K.high
    for b in range(0, 100, 20):
        x, y = (
            np.log(np.unique(_cells(noisy[n], b)) - noisy[n].drawn.samples["e"][b])
            for n in ("random", "mapped")
        )
        slope, ln_K = np.polyfit(x, y, 1)
        assert (seen.kappa_B[b], seen.K_B[b]) == pytest.approx((slope, np.exp(ln_K)), rel=1e-8)
    without_floor = learning_curves(table, resamples=5, form=form_named("power"))
    assert base_map(without_floor["random"], without_floor["mapped"]) is None
    assert (
        base_map(*learning_curves(world(LAWS, scales=3), names=["random", "crossing"], resamples=5).values())
        is None
    )


def _cells(curve, b):
    return [curve.losses_BN[b][curve.settings_N == cell].mean() for cell in np.unique(curve.settings_N)]


def test_comparison_says_all_of_it():
    found = compare_selections(world(LAWS), at=1e7, resamples=100, starts=12)
    assert list(found.selections) == ["crossing", "half more"]
    half, crossing = found["half more"], found["crossing"]
    assert half.gap.at == {"D": 3e6} and half.target_gap.at == {"D": 1e7}
    assert half.gap.verdict == "better" and crossing.gap.verdict == "worse"
    text = str(found)
    assert "half more is better than random at the largest scale that both measured (D = 3M)" in text
    assert "it stops paying at D = " in text and "times the spread between seeds" in text
    assert "Caution: at this scale not both selections were measured" in text
    assert len(found.sentences) == 2 and "  " not in text and ".." not in text
    with pytest.raises(InputError, match="half more"):
        found["half mor"]


def test_comparison_by_size_and_data():
    laws = {"random": chinchilla_law, "half more": lambda N, D: chinchilla_law(N, D, 1.5)}
    for axis, at, there in (
        ("D", 1e12, {"N": 1e9, "D": 1e12}),
        ("C", 6e21, {"N": np.sqrt(1e21 / 320), "D": np.sqrt(1e21 * 320)}),
        ("D", {"N": 2e9, "D": 1e11}, {"N": 2e9, "D": 1e11}),
    ):
        found = compare_selections(sizes_world(laws), axis=axis, at=at, resamples=20, starts=12)["half more"]
        assert set(found.multipliers) == {"D", "C", "N"}
        assert (found.gap.at["N"], found.gap.at["D"]) == pytest.approx((1e9, 3.2e11))
        assert {name: found.target_gap.at[name] for name in there} == pytest.approx(there)
        assert (
            found.gap.verdict == "better"
            and found.crossings.verdict == "no crossing within the measured range"
        )
        assert not found.target_gap.measured


def test_the_largest_common_scale_needs_no_extrapolation(sizes):
    table = world(LAWS)
    short = table.rows((table["corpus"] != "crossing") | (table["D"] < 1e6))
    curves = learning_curves(short, resamples=5)
    assert largest_common(curves["random"], curves["crossing"])["D"] == pytest.approx(7.2e5, rel=0.01)
    at = largest_common(sizes["random"], sizes["half more"])
    assert (at["N"], at["D"]) == pytest.approx((1e9, 3.2e11))


def test_own_form_and_own_axis():
    table = world({"random": base_law, "half more": lambda D: base_law(D, 1.5)}, noise=1e-4)
    rows = make_run_table({**{name: table[name] for name in ("corpus", "seed", "value")}, "rows": table["D"]})
    own = custom(
        "e + (k / x)^a", ["x"], [Parameter("a", scale="linear", low=0.0, high=5.0, starts=(0.2, 0.5))]
    )
    for form in (own, None, form_named("power_offset").frozen(e=2.0)):
        found = compare_selections(rows, axis="rows", form=form, resamples=20)["half more"]
        worth = found.multipliers["rows"]
        assert worth.value == pytest.approx(1.5, rel=0.05)
        assert worth.amount.value == pytest.approx(1.5 * 3e6, rel=0.05)


def test_over_scaling():
    full, larger = {"qa": 60.0, "nli": 80.0}, {"qa": 70.0, "nli": 84.0}
    seen = over_scaling({"qa": 65.0, "nli": 79.0}, full, larger, lower_is_better=False)
    assert seen.by_metric == pytest.approx({"qa": 50.0, "nli": -25.0})
    assert seen.percent.value == pytest.approx(12.5) and np.isinf(seen.percent.high), (
        "two metrics are no sample"
    )
    losses = {f"task {k}": 3.0 + k for k in range(8)}
    less = {name: value - 1 for name, value in losses.items()}
    half = {name: value - 0.5 for name, value in losses.items()}
    seen = over_scaling(half, losses, less)
    assert (seen.percent.value, seen.percent.low, seen.percent.high) == pytest.approx((50, 50, 50))
    assert over_scaling(losses, losses, less).percent.value == 0
    mixed = over_scaling(half, losses, {**less, "task 3": 6.5})
    assert "task 3" not in mixed.by_metric and "task 3" in mixed.cautions[0].text
    with pytest.raises(InputError, match="no metric"):
        over_scaling(half, losses, losses)
    with pytest.raises(InputError, match="needed for all three"):
        over_scaling({"qa": 1.0}, full, larger)
    with pytest.raises(InputError, match="finite"):
        over_scaling({"qa": np.nan, "nli": 79.0}, full, larger)


def test_losses_that_never_change_tell_nothing():
    table = world(LAWS)
    flat = compare_selections(
        make_run_table({**table.columns, "value": np.full(len(table), 2.0)}), resamples=5
    )
    assert all(each.gap.verdict == "cannot tell" for each in flat.selections.values())


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ({}, {"base": "randm"}, "randm"),
        ({}, {"metric": "accuracy"}, "accuracy"),
        ({}, {"axis": "corpus"}, "holds words"),
        ({}, {"axis": "rows"}, "rows"),
        ({}, {"axis": "N"}, "not finite"),
        ({}, {"selections": ["coding"]}, "coding"),
        ({}, {"selections": []}, "no selection beside random"),
        ({}, {"resamples": 0}, "at least 1"),
        ({}, {"farther": 0.5}, "at least 1"),
        ({}, {"farther": np.inf}, "finite"),
        ({}, {"at": 0.0}, "above 0"),
        ({}, {"at": {"D": np.nan}}, "above 0"),
        ({}, {"level": 1.5}, "between 0 and 1"),
        ({"value": np.zeros(45)}, {}, "above 0"),
        ({"value": np.full(45, np.nan)}, {}, "no row has a value"),
        ({"value": np.full(45, np.inf)}, {}, "not finite"),
        ({"split": np.array(["a", "b", "c"] * 15, dtype=object)}, {}, "name a split"),
    ],
)
def test_mistakes(changes, options, words):
    with pytest.raises(InputError, match=words):
        table = make_run_table({**world(LAWS).columns, **changes})
        compare_selections(table, **{"resamples": 5, "starts": 4, **options})


def test_ranges_without_overlap_have_no_crossing():
    table = world(LAWS)
    small, large = table["D"] < 1e5, table["D"] > 1e5
    apart = table.rows(((table["corpus"] == "random") & small) | ((table["corpus"] == "crossing") & large))
    found = learning_curves(apart, resamples=5)
    with pytest.raises(InputError, match="no range of D in common"):
        crossings(found["random"], found["crossing"])
    assert compare_selections(apart, resamples=5)["crossing"].crossings is None
