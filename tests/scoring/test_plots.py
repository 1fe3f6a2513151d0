"""Figures: complete, deterministic, without global state, with labels that do not overlap."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from scoring.compare.agreement.columns import agreement
from scoring.errors import InputError
from scoring.plots.agreement import agreement_map, agreement_panels, architecture_map
from scoring.plots.components import component_plot, dot_panels
from scoring.plots.data_map import CORRECTNESS, data_map
from scoring.plots.pruning import Curve, Panel, pruning_curves
from scoring.plots.style import save

ROOT = Path(__file__).resolve().parents[2]
PNG = b"\x89PNG\r\n\x1a\n"


def a_data_map(n=300, **options):
    rng = np.random.default_rng(0)
    confidence = rng.beta(4, 1, n)
    variability = np.sqrt(confidence * (1 - confidence)) * rng.uniform(0.2, 0.9, n)
    return data_map(confidence, variability, np.clip(confidence + 0.1, 0, 1), **options)


def an_agreement_map(count=6):
    rng = np.random.default_rng(0)
    base = rng.normal(size=100)
    columns = {f"score_number_{i}": base + 0.3 * i * rng.normal(size=100) for i in range(count)}
    columns["flat"] = np.zeros(100)
    return agreement_map(agreement(columns, dict.fromkeys(columns, "hard")))


def score_names(count):
    return [f"score_number_{i}@mean" for i in range(count)]


def some_panels(count=20, panels=4):
    rho = np.linspace(-1, 1, count)[:, None] * np.linspace(1, -1, count)
    return agreement_panels(score_names(count), {f"panel {i}": rho for i in range(panels)}, title="Agreement")


def some_architectures(count=20, pairs=15):
    rho = np.random.default_rng(0).uniform(-1, 1, (count, pairs))
    rho[-1, -1] = np.nan
    return architecture_map(
        score_names(count),
        [f"small-resnet – vit-{i}" for i in range(pairs)],
        {"averaged": rho, "corrected": rho},
    )


def with_intervals(count, seed):
    value = np.random.default_rng(seed).uniform(-0.5, 1, count)
    return np.stack([value, value - 0.05, value + 0.05])


def some_components(count=20, architectures=6):
    kinds = [f"architecture-{i}" for i in range(architectures)]
    shares = np.sort(np.random.default_rng(0).dirichlet(np.ones(count)))[::-1]
    loadings = {kind: with_intervals(count, i) for i, kind in enumerate(kinds)}
    return component_plot(dict.fromkeys(kinds, shares), np.full(count, 0.07), score_names(count), loadings)


def some_dots(count=20, columns=4):
    panels = {
        f"column {i}": {kind: with_intervals(count, i) for kind in ("mlp", "cnn")} for i in range(columns)
    }
    return dot_panels(score_names(count), panels, title="Beside", axis="Spearman correlation")


def some_curves():
    curves = [Curve(name, (0.5, 0.3, 0.1), (0.97, 0.95, 0.8), (0.01, 0.0, 0.05))
              for name in ("hardest", "random", "easiest", "prototypes")]  # fmt: skip
    return pruning_curves([Panel("clean", curves, (0.98, 0.002)), Panel("noisy", curves[:2], (0.9, 0.01))])


FIGURES = {
    "data map": lambda: a_data_map(marked=np.arange(300) < 9),
    "agreement": an_agreement_map,
    "curves": some_curves,
    "agreement panels": some_panels,
    "agreement panels of two": lambda: some_panels(2, 2),
    "architectures": some_architectures,
    "architectures of two": lambda: some_architectures(2, 1),
    "components": some_components,
    "components of two": lambda: some_components(2, 1),
    "dots": some_dots,
    "one column of dots": lambda: some_dots(3, 1),
}


@pytest.mark.parametrize("make", FIGURES.values(), ids=FIGURES)
def test_the_same_input_gives_the_same_png(make, tmp_path: Path):
    first, second = (save(make(), tmp_path / f"{i}.png").read_bytes() for i in range(2))
    assert first.startswith(PNG)
    assert first == second


@pytest.mark.parametrize("make", FIGURES.values(), ids=FIGURES)
def test_texts_do_not_overlap_and_stay_inside(make):
    figure = make()
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    texts = []
    for axes in figure.axes:
        for each in (axes.xaxis, axes.yaxis):
            low, high = sorted(each.get_view_interval())
            for tick in each.get_major_ticks():
                if low <= tick.get_loc() <= high:
                    texts += [tick.label1, tick.label2]
        texts += [axes.xaxis.label, axes.yaxis.label, axes.title, axes._left_title, *axes.texts]
    for legend in figure.legends:
        texts += [*legend.get_texts(), legend.get_title()]
    boxes = [
        (text.get_text(), text.get_window_extent(renderer))
        for text in texts
        if text.get_visible() and text.get_text().strip()
    ]
    assert len(boxes) > 10
    for i, (name, box) in enumerate(boxes):
        assert figure.bbox.x0 - 1 <= box.x0 and box.x1 <= figure.bbox.x1 + 1, name
        assert figure.bbox.y0 - 1 <= box.y0 and box.y1 <= figure.bbox.y1 + 1, name
        for other, other_box in boxes[i + 1 :]:
            overlap = min(box.x1, other_box.x1) - max(box.x0, other_box.x0), \
                min(box.y1, other_box.y1) - max(box.y0, other_box.y0)  # fmt: skip
            assert min(overlap) < 1.5, (name, other)


def test_data_map_puts_every_example_into_one_bin_of_correctness():
    correctness = np.array([0, 0.2, 0.4, 0.6, 0.8, 1.0, 0.5])
    figure = data_map(np.full(7, 0.5), np.full(7, 0.2), correctness)
    counts = [len(points.get_offsets()) for points in figure.axes[0].collections]
    assert counts == [1, 1, 2, 1, 2]
    assert len(CORRECTNESS) == 5


def test_large_data_maps_are_thinned_and_say_so(monkeypatch):
    monkeypatch.setattr("scoring.plots.data_map.MOST_POINTS", 50)
    figure = a_data_map(300)
    assert "50 of 300 shown" in figure.axes[0]._left_title.get_text()
    assert sum(len(points.get_offsets()) for points in figure.axes[0].collections) == 50


def test_error_bars_and_the_line_of_all_examples_are_there():
    figure = some_curves()
    assert [len(axes.containers) for axes in figure.axes] == [4, 2]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["all examples", "hardest", "random", "easiest", "prototypes"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["10", "30", "50"]


def test_errors_are_one_sentence(tmp_path: Path):
    with pytest.raises(InputError, match="variability must be of the shape"):
        data_map([0.5, 0.5], [0.1], [1, 1])
    with pytest.raises(InputError, match="ending in"):
        save(an_agreement_map(2), tmp_path / "figure.pdf")
    with pytest.raises(InputError, match="at least one curve"):
        pruning_curves([])


def test_figures_touch_no_global_state_and_work_in_a_thread(tmp_path: Path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    thread = threading.Thread(target=lambda: save(a_data_map(), tmp_path / "map.png"))
    thread.start()
    thread.join()
    assert (tmp_path / "map.png").exists()
    assert dict(matplotlib.rcParams) == before
    code = "import sys, scoring.plots.pruning; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'tamis\[report\]'"):
        a_data_map()


def test_a_legend_stays_inside_its_figure():
    from matplotlib.lines import Line2D

    from scoring.plots.style import legend_columns, new_figure, style

    names = [
        "linear",
        "mlp",
        "small-resnet",
        "small-vit",
        "wide[width=256, depth=3]",
        "a_very-long/name*of_it",
    ]
    for labels in (names[:1], names, [*names, "unrelated scores"], [*names, *names], ["x" * 200, "y"]):
        for width in (6.0, 9.5, 14.0):
            with style():
                figure = new_figure(width, 4)
                handles = [Line2D([], [], marker="o") for _ in labels]
                columns = legend_columns(labels, figure)
                legend = figure.legend(handles, labels, loc="outside lower center", ncols=columns)
                figure.draw_without_rendering()
            box = legend.get_window_extent()
            assert columns == 1 or (box.x0 >= 0 and box.x1 <= figure.bbox.x1), (labels, width)
