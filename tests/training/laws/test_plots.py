"""Figures of laws: the artists that carry the claim, labels that do not overlap, equal bytes, names as they are."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from scoring.errors import InputError
from scoring.plots.style import BLUE, VERMILLION, save
from training.laws.evaluation import evaluate
from training.laws.fit import Outliers, fit
from training.laws.forms.chinchilla import chinchilla
from training.laws.forms.custom import custom
from training.laws.forms.power import power, power_offset
from training.laws.isoflop import power_exponent
from training.laws.loss_to_loss.loss_map import map_losses
from training.laws.plots.axes import label, margins, tick_text, ticks
from training.laws.plots.bootstrap import parameter_plot
from training.laws.plots.extrapolation import ErrorByCutoff, HeldOut, error_plot, held_out_plot
from training.laws.plots.fit import fit_plot
from training.laws.plots.isoflop import isoflop_plot
from training.laws.plots.learning_curves import (
    CrossingMark,
    Multiplier,
    SelectorCurve,
    learning_curve_plot,
    multiplier_plot,
)
from training.laws.plots.loss_curves import ScheduleCurve, loss_curve_plot
from training.laws.plots.loss_to_loss import PairedLosses, loss_to_loss_plot
from training.laws.plots.profile import profile_plot
from training.laws.plots.residuals import bin_means, residual_plot
from training.laws.uncertainty.bootstrap import bootstrap
from training.laws.uncertainty.interval import Interval
from training.laws.uncertainty.profile import Profile

NASTY = "_a $very$ _long_ name\nof 100% \\alpha ^2 {x}_ that goes on and on and on"


def runs_of_chinchilla(seed=0, sizes=6, budgets=5):
    rng = np.random.default_rng(seed)
    N, M = (
        column.ravel() for column in np.meshgrid(np.geomspace(3e7, 3e9, sizes), np.geomspace(5, 80, budgets))
    )
    D = N * M
    loss = (1.82 + 480 / N**0.348 + 2080 / D**0.366) * np.exp(0.004 * rng.normal(size=len(N)))
    return {"N": N, "D": D}, loss


@pytest.fixture(scope="module")
def law():
    inputs, loss = runs_of_chinchilla()
    return fit(chinchilla(), inputs, loss, outliers=Outliers(highest=2), starts=16)


@pytest.fixture(scope="module")
def resampled(law):
    return bootstrap(law, 60)


@pytest.fixture(scope="module")
def held_out():
    inputs, loss = runs_of_chinchilla()
    return evaluate(chinchilla(), inputs, loss, below=2e20, starts=16)


@pytest.fixture(scope="module")
def curve():
    x = np.geomspace(1e3, 1e6, 24)
    return fit(power_offset(), {"x": x}, 2 + 30 * x**-0.3 * (1 + 0.01 * np.sin(np.arange(24))), starts=16)


def some_maps(count, held=True):
    x = np.linspace(2.4, 4.0, 20)
    found = []
    for k in range(count):
        y = (0.9 + 0.1 * k) * (x - 1.9) ** (1 + 0.05 * k) + 1.5 + 0.1 * k
        the = map_losses(x, y, 1.9, 1.5 + 0.1 * k)
        grid = np.linspace(2.1, 4.0, 30)
        extra = {
            "held_x_H": [2.1], "held_y_H": the.predict([2.1]) * 1.01,
            "held_low_H": the.predict([2.1]) * 0.98, "held_high_H": the.predict([2.1]) * 1.02,
            "band": (grid, the.predict(grid) * 0.99, the.predict(grid) * 1.01),
        }  # fmt: skip
        found.append(
            PairedLosses(f"{NASTY} {k}" if k == 1 else f"map {k}", x, y, the, **extra if held else {})
        )
    return found


def some_isoflops(budgets, edge=False):
    C, N, L = [], [], []
    for k, budget in enumerate(10.0 ** np.arange(17, 17 + budgets)):
        best = 1e7 * (budget / 1e17) ** 0.5
        sizes = best * np.geomspace(2 if edge and k == 0 else 0.1, 12, 7)
        C += [budget] * 7
        N += sizes.tolist()
        L += (4 * (budget / 1e17) ** -0.05 + 0.05 * np.log(sizes / best) ** 2).tolist()
    return np.array(C), np.array(N), np.array(L)


def a_profile(name="alpha", flat=False):
    values = np.linspace(0.2, 0.5, 31)
    deviance = (values - 0.35) ** 2 * (100 if flat else 4000)
    ends = (0.0, float("inf")) if flat else (0.284, 0.416)
    return Profile(name, values, 1e-3 + deviance / 1e4, deviance, 3.9, Interval(0.35, *ends, 0.95), flat)


def some_selectors(count):
    x, grid = np.geomspace(1e6, 1e8, 6), np.geomspace(1e6, 1e9, 50)
    found = []
    for k in range(count):
        line = 2 + (30 - 3 * k) * grid ** (-0.2 + 0.005 * k)
        y = np.interp(x, grid, line)
        found.append(
            SelectorCurve(NASTY if k == 1 else f"selector {k}", x, y, grid, line, line * 0.98, line * 1.02)
        )
    return found


def some_schedules(count):
    step = np.arange(100, 20_001, 100.0)
    return [
        ScheduleCurve(
            NASTY if k == 1 else f"cosine_{k}", step, 3 + 5 * step**-0.3, 3.01 + 5 * step**-0.3,
            step, 3e-4 / (1 + k + step / 1e4),
            fitted=k < 2, low_T=3 + 4.9 * step**-0.3, high_T=3.02 + 5.1 * step**-0.3,
        )
        for k in range(count)
    ]  # fmt: skip


def some_held_out(count):
    actual, C = np.linspace(2.1, 2.6, 5), np.geomspace(1e21, 1e23, 5)
    return [
        HeldOut(
            NASTY if k == 1 else f"law {k}", actual * (1 + 0.004 * k), actual, actual * 0.98, actual * 1.03, C
        )
        for k in range(count)
    ]


def some_errors(count):
    cutoff = np.geomspace(1e18, 1e21, 4)
    return [
        ErrorByCutoff(NASTY if k == 1 else f"law {k}", cutoff, (k + 1) / np.arange(20, 60, 10), None, None)
        for k in range(count)
    ]


def some_multipliers(count):
    return [
        Multiplier(
            NASTY if k == 1 else f"selector {k}",
            1 + 0.3 * k,
            0.8 + 0.3 * k,
            1.5 + k,
            f"N = {10 ** (k // 3)}M",
        )
        for k in range(count)
    ]


def one_parameter():
    return bootstrap(fit(power().frozen(c=-0.3), {"x": np.arange(1.0, 6)}, [5, 4.1, 3.7, 3.3, 3.1]), 50)


@pytest.fixture(scope="module")
def figures(law, resampled, held_out, curve):
    inputs, loss = runs_of_chinchilla()
    C, N, L = some_isoflops(6)
    ten = bootstrap(held_out.fitted, 20)
    return {
        "fit over C": lambda: fit_plot(resampled, runs=(inputs, loss)),
        "fit over N": lambda: fit_plot(resampled, "N", levels=2),
        "fit over D, M": lambda: fit_plot(law, "D", by="M", levels=6),
        "fit, held out": lambda: fit_plot(ten, evaluation=held_out, outcome=NASTY),
        "fit of one input": lambda: fit_plot(bootstrap(curve, 20)),
        "residuals": lambda: residual_plot(law),
        "residuals of one input": lambda: residual_plot(curve, outcome=NASTY),
        "one map": lambda: loss_to_loss_plot(some_maps(1)),
        "six maps": lambda: loss_to_loss_plot(some_maps(6), source=NASTY, floors=False),
        "isoflop": lambda: isoflop_plot(C, N, L),
        "isoflop, one": lambda: isoflop_plot(*some_isoflops(1)),
        "isoflop, errors": lambda: isoflop_plot(C, N, L, method="parabola", ln_errors=[0.1] * 5 + [np.nan]),
        "one profile": lambda: profile_plot([a_profile(NASTY)]),
        "six profiles": lambda: profile_plot([a_profile(f"p_{k}", k % 2 == 1) for k in range(6)]),
        "held out": lambda: held_out_plot(some_held_out(1)),
        "held out of six": lambda: held_out_plot(some_held_out(6)),
        "errors": lambda: error_plot(some_errors(1)),
        "errors of six": lambda: error_plot(some_errors(6), held_out={NASTY: 1e22}),
        "one selector": lambda: learning_curve_plot(some_selectors(1)),
        "six selectors": lambda: learning_curve_plot(some_selectors(6), [CrossingMark(1e7, 2.9, 3e6, np.inf)]),
        "one multiplier": lambda: multiplier_plot(some_multipliers(1)),
        "six multipliers": lambda: multiplier_plot(some_multipliers(6), of="compute", base=NASTY),
        "one schedule": lambda: loss_curve_plot(some_schedules(1)),
        "six schedules": lambda: loss_curve_plot(some_schedules(6)),
        "bootstrap": lambda: parameter_plot(resampled),
        "bootstrap of one": lambda: parameter_plot(one_parameter()),
    }  # fmt: skip


NAMES = [
    "fit over C", "fit over N", "fit over D, M", "fit, held out", "fit of one input", "residuals",
    "residuals of one input", "one map", "six maps", "isoflop", "isoflop, one", "isoflop, errors", "one profile",
    "six profiles", "held out", "held out of six", "errors", "errors of six", "one selector", "six selectors",
    "one multiplier", "six multipliers", "one schedule", "six schedules", "bootstrap", "bootstrap of one",
]  # fmt: skip


def test_every_figure_is_tested(figures):
    assert list(figures) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_same_input_gives_the_same_png(figures, name, tmp_path):
    first, second = (save(figures[name](), tmp_path / f"{i}.png").read_bytes() for i in range(2))
    assert first == second and len(first) > 5_000


@pytest.mark.parametrize("name", NAMES)
def test_texts_do_not_overlap_and_stay_inside(figures, name):
    figure = figures[name]()
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    texts = [] if figure._suptitle is None else [figure._suptitle]
    for axes in figure.axes:
        if not axes.get_visible():
            continue
        for each in (axes.xaxis, axes.yaxis):
            low, high = sorted(each.get_view_interval())
            for tick in each.get_major_ticks():
                if low <= tick.get_loc() <= high:
                    texts += [tick.label1, tick.label2]
        texts += [axes.xaxis.label, axes.yaxis.label, axes.title, axes._left_title, axes._right_title]
    for legend in figure.legends:
        texts += [*legend.get_texts(), legend.get_title()]
    boxes = [
        (text.get_text(), text.get_window_extent(renderer))
        for text in texts
        if text.get_visible() and text.get_text().strip()
    ]
    assert len(boxes) > 4
    for i, (said, box) in enumerate(boxes):
        assert figure.bbox.x0 - 1 <= box.x0 and box.x1 <= figure.bbox.x1 + 1, said
        assert figure.bbox.y0 - 1 <= box.y0 and box.y1 <= figure.bbox.y1 + 1, said
        for other, other_box in boxes[i + 1 :]:
            overlap = min(box.x1, other_box.x1) - max(box.x0, other_box.x0), \
                min(box.y1, other_box.y1) - max(box.y0, other_box.y0)  # fmt: skip
            assert min(overlap) < 1.5, (said, other)


# what a figure claims


def lines_of(axes, style):
    return [
        line for line in axes.lines if line.get_linestyle() == style and np.isfinite(line.get_ydata()).any()
    ]


def test_runs_outliers_lines_and_bands_of_a_fit(law, resampled):
    inputs, loss = runs_of_chinchilla()
    axes = fit_plot(resampled, levels=3, runs=(inputs, loss)).axes[0]
    points = [c for c in axes.collections if c.get_offsets().shape[0] in (2, 28)]
    assert sorted(c.get_offsets().shape[0] for c in points) == [2, 28]
    hollow = next(c for c in points if c.get_offsets().shape[0] == 2)
    assert sorted(hollow.get_offsets()[:, 1]) == sorted(np.sort(loss)[-2:])
    assert np.allclose(hollow.get_facecolors(), 1) and not np.allclose(hollow.get_edgecolors(), 1)
    solid = [line for line in lines_of(axes, "-") if len(line.get_xdata()) > 50]
    assert len(solid) == 3 and len(lines_of(axes, "--")) == 3
    for line in solid:
        shown = np.isfinite(line.get_ydata())
        C, y = line.get_xdata()[shown], line.get_ydata()[shown]
        assert C.max() <= (6 * inputs["N"] * inputs["D"]).max() * 1.001  # solid only where there are runs
        N = law.inverse("N", y, {"D": C / 6 / np.median(inputs["N"])})
        assert np.isfinite(N).any()
    bands = [c for c in axes.collections if c.get_offsets().shape[0] == 1 and len(c.get_paths()) == 1]
    assert len(bands) == 6  # the law's and a new run's, at every level


def test_lines_are_the_law(law):
    axes = fit_plot(law, "D", by="N", levels=[1e8]).axes[0]
    for line in [each for each in axes.lines if len(each.get_xdata()) > 50]:
        shown = np.isfinite(line.get_ydata())
        D = np.asarray(line.get_xdata())[shown]
        assert np.asarray(line.get_ydata())[shown] == pytest.approx(
            law.predict({"N": 1e8, "D": D}), rel=1e-12
        )


def test_held_out_runs_are_stars_joined_to_their_predictions(held_out):
    axes = fit_plot(held_out.fitted, evaluation=held_out).axes[0]
    count = len(held_out.actual_T)
    joins = [line for line in axes.lines if len(line.get_xdata()) == 2]
    found = sorted(tuple(line.get_ydata()) for line in joins)
    assert found == sorted(zip(held_out.predicted_T, held_out.actual_T))
    assert any(c.get_offsets().shape[0] == count for c in axes.collections)
    with pytest.raises(InputError, match="another fit"):
        fit_plot(fit(chinchilla(), *runs_of_chinchilla(), starts=4), evaluation=held_out)


def test_cautions_stand_in_the_figure():
    inputs, loss = runs_of_chinchilla(sizes=3, budgets=2)
    legend = fit_plot(fit(chinchilla(), inputs, loss, starts=4)).legends[0]
    assert "few runs" in legend.get_title().get_text() and legend.get_title().get_color() == VERMILLION


def test_residuals_are_ln_actual_minus_ln_predicted(law):
    figure = residual_plot(law)
    expected = 100 * np.log(law.y_N / law.predict(law.inputs))
    assert len(figure.axes) == 3
    for axes in figure.axes:
        points = next(line for line in axes.lines if len(line.get_xdata()) == len(law.y_N))
        assert points.get_ydata() == pytest.approx(expected)
        assert sum(line.get_marker() == "D" for line in axes.lines) == len(bin_means(law.y_N, expected)) == 3


def test_means_of_neighbours():
    x, residual = np.arange(1.0, 33), np.tile([1.0, -1.0, 3.0, 1.0], 8)
    rows = bin_means(x, residual)
    assert rows.shape == (4, 4) and rows[:, 1] == pytest.approx(1.0)
    half = 2.364624 * np.std(residual[:8], ddof=1) / np.sqrt(8)  # Student, 7 degrees of freedom
    assert rows[:, 3] - rows[:, 1] == pytest.approx(half, rel=1e-6)
    assert rows[0, 0] == pytest.approx(np.exp(np.log(x[:8]).mean()))
    assert len(bin_means(x[:15], residual[:15])) == 0 and len(bin_means(np.ones(40), np.ones(40))) == 0


def test_maps_end_at_their_floors():
    series = some_maps(2)
    axes = loss_to_loss_plot(series).axes[0]
    hollow = [
        (line.get_xdata()[0], line.get_ydata()[0])
        for line in axes.lines
        if len(line.get_xdata()) == 1 and line.get_markerfacecolor() == "white"
    ]
    assert hollow == [(each.loss_map.E0, each.loss_map.E1) for each in series]
    assert sum(line.get_marker() == "*" for line in axes.lines) == 2
    texts = [text.get_text() for text in figure_texts(axes.figure)]
    assert any("mean error held out 0.99 %" in text for text in texts)
    assert not any(
        "held out" in text.get_text() for text in figure_texts(loss_to_loss_plot(some_maps(1, False)))
    )


def figure_texts(figure):
    return [text for legend in figure.legends for text in legend.get_texts()]


def test_the_exponent_of_best_sizes_and_its_band():
    C, N, L = some_isoflops(6)
    left, right = isoflop_plot(C, N, L).axes[:2]
    marks = [line for line in left.lines if line.get_marker() == "D"]
    assert len(marks) == 6
    said = " ".join(text.get_text() for text in right.texts)
    assert "a = 0.5" in said and "hollow" not in said


def test_the_band_is_that_of_least_squares():
    C, N, L = some_isoflops(6)
    N = N * np.repeat(np.exp([0.1, -0.1, 0.05, 0, -0.08, 0.06]), 7)
    right = isoflop_plot(C, N, L).axes[1]
    best = np.array([line.get_ydata()[0] for line in right.lines if line.get_marker() == "D"])
    x, y = np.log(np.unique(C)), np.log(best)
    slope, at = np.polyfit(x, y, 1)
    error = np.sqrt(((y - slope * x - at) ** 2).sum() / 4)
    path = right.collections[0].get_paths()[0].vertices
    where = np.log(path[1:200, 0])
    half = 2.776445 * error * np.sqrt(1 / 6 + (where - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum())
    assert np.abs(np.log(path[1:200, 1]) - slope * where - at) == pytest.approx(half, rel=1e-5)


def test_optima_at_an_end_are_hollow_and_not_fitted():
    C, N, L = some_isoflops(5, edge=True)
    figure = isoflop_plot(C, N, L)
    hollow = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "white"]
    assert len(hollow) == 1
    said = " ".join(text.get_text() for text in figure.axes[1].texts)
    assert "hollow: not fitted" in said
    weighted = isoflop_plot(C, N, L, ln_errors=[0.1, 0.1, np.nan, 0.1, 0.1])
    assert len([line for line in weighted.axes[0].lines if line.get_markerfacecolor() == "white"]) == 2
    few = isoflop_plot(*some_isoflops(2))
    assert "no exponent" in " ".join(text.get_text() for text in few.axes[1].texts)
    with pytest.raises(InputError, match="one per budget"):
        isoflop_plot(C, N, L, ln_errors=[0.1])
    assert power_exponent(np.unique(C)[1:], [1, 2, 3, 4]).exponent.value > 0


def test_flat_profiles_say_so():
    figure = profile_plot([a_profile("alpha"), a_profile("R_D", flat=True)])
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[0].startswith("alpha  0.35") and "not determined" in titles[1]
    assert [axes.lines[1].get_color() for axes in figure.axes] == [BLUE, VERMILLION]
    assert all(axes.lines[0].get_ydata()[0] == 1 for axes in figure.axes)  # the threshold


def test_intervals_of_held_out_runs_and_errors():
    figure = held_out_plot(some_held_out(2))
    left, right = figure.axes
    errors = [line.get_ydata() for line in right.lines if len(line.get_xdata()) == 5]
    assert errors[0] == pytest.approx(0, abs=1e-9) and errors[1] == pytest.approx(0.4)
    assert len(left.collections) == len(right.collections) == 2
    diagonal = next(line for line in left.lines if len(line.get_xdata()) == 2)
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())
    with pytest.raises(InputError, match="columns of"):
        held_out_plot([HeldOut("x", [1.0, 2.0], [1.0])])
    with pytest.raises(InputError, match="no error above zero"):
        error_plot([ErrorByCutoff("x", [1.0, 2.0], [0.0, 0.0])])


def test_curves_are_dashed_beyond_their_runs():
    axes = learning_curve_plot(some_selectors(2), [CrossingMark(1e7, 2.9, 3e6, np.inf)]).axes[0]
    solid = [line for line in lines_of(axes, "-") if len(line.get_xdata()) == 50]
    dashed = lines_of(axes, "--")
    assert len(solid) == 2 and len(dashed) == 2 and len(axes.collections) == 2
    assert max(np.asarray(line.get_xdata())[np.isfinite(line.get_ydata())].max() for line in solid) <= 1e8
    arrows = [line.get_marker() for line in axes.lines if line.get_marker() in ("|", "<", ">")]
    assert arrows == ["|", ">"]  # its upper end lies beyond the figure


def test_multipliers_are_filled_only_where_the_interval_leaves_out_one():
    rows = [
        Multiplier("more", 2.0, 1.5, 3.0),
        Multiplier("unclear", 1.5, 0.9, 2.5),
        Multiplier("alone", 3.0),
        Multiplier("open", 2.0, 1.2, float("inf")),
        Multiplier("none", float("nan")),
    ]
    figure = multiplier_plot(rows)
    axes = figure.axes[0]
    marks = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_markerfacecolor() == "white" for line in marks] == [False, True, True, False]
    assert sum(line.get_marker() == ">" for line in axes.lines) == 1
    said = [text.get_text() for text in axes.child_axes[0].get_yticklabels()]
    assert said == [
        "2.00 (1.50 to 3.00)",
        "1.50 (0.90 to 2.50)",
        "3.0 (no interval)",
        "2.0 (1.2 to ∞)",
        "none",
    ]


def test_loss_curves_have_their_schedule_below():
    figure = loss_curve_plot(some_schedules(3))
    assert len(figure.axes) == 6
    assert [axes.lines[0].get_color() for axes in figure.axes[::2]] == [BLUE, BLUE, VERMILLION]
    assert figure.axes[1].lines[0].get_ydata() == pytest.approx(some_schedules(1)[0].rate_S)
    assert figure.axes[0].get_title(loc="left").endswith("%")


def test_pairs_of_parameters(resampled):
    figure = parameter_plot(resampled)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(figure.axes) == 25 and len(shown) == 15
    scatter = figure.axes[5]
    assert scatter.lines[0].get_xdata() == pytest.approx(resampled.samples["A"])
    assert scatter.lines[0].get_ydata() == pytest.approx(resampled.samples["B"])
    x = np.geomspace(1, 100, 30)
    seven = custom("a + b + c + d + e + f + g/x", ["x"])
    with pytest.raises(InputError, match="1 to 6"):
        parameter_plot(bootstrap(fit(seven, {"x": x}, 1 + 1 / x, starts=2), 3))


def test_a_law_of_three_inputs_has_no_lines():
    columns = {name: np.geomspace(1, 9, 12) for name in "uvw"}
    law = fit(custom("a + b/u + 0*v + 0*w", ["u", "v", "w"]), columns, 2 + 1 / columns["u"], starts=4)
    with pytest.raises(InputError, match="one or two inputs"):
        fit_plot(law)
    assert len(residual_plot(law).axes) == 4


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1e18, 1e19, [1e18, 2e18, 3e18, 5e18, 7e18, 1e19]),
        (2.05, 3.6, [2.2, 2.4, 2.6, 2.8, 3.0, 3.2, 3.4, 3.6]),
        (1e7, 1e12, [1e7, 1e8, 1e9, 1e10, 1e11, 1e12]),
        (1e-3, 1e20, None),
        (2.10, 2.12, None),
        (0.9, 50.0, None),
    ],
)
def test_ticks_are_round_few_and_apart(low, high, expected):
    found = ticks(low, high)
    assert 3 <= len(found) <= 9 and found == sorted(found)
    assert low * 0.999 <= found[0] and found[-1] <= high * 1.001
    gaps = np.diff(np.log(found)) / np.log(high / low)
    assert gaps.min() > 0.06
    if expected and len(expected) == len(found):
        assert found == pytest.approx(expected)


def test_ticks_as_text():
    assert [tick_text(v, "N") for v in (1e8, 2.5e9, 44.2e6)] == ["100M", "2.5B", "44.2M"]
    assert [tick_text(v) for v in (1e21, 3e19, 2.5, 10, 1000)] == [
        "$10^{21}$",
        r"$3\times10^{19}$",
        "2.5",
        "10",
        "1,000",
    ]
    assert margins([2.0, 8.0], 0.0) == pytest.approx((2 / 1.01, 8 * 1.01))


def test_names_are_shown_as_they_are():
    assert label("a_b$c$") == r"a_b\$c\$" and label("_x").startswith(" ") and "\n" not in label(NASTY)
    figure = learning_curve_plot(some_selectors(2))
    assert any(r"\$very\$" in text.get_text() for text in figure_texts(figure))
    figure.canvas.draw()


DRAWN = (profile_plot, loss_to_loss_plot, held_out_plot, error_plot, learning_curve_plot, multiplier_plot)


@pytest.mark.parametrize("draw", [*DRAWN, loss_curve_plot])
def test_nothing_to_draw_is_an_error(draw):
    with pytest.raises(InputError, match="at least one"):
        draw([])
