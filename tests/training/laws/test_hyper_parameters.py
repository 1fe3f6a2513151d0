"""Hyper-parameter laws: ordinary least squares over near-optimal runs, coverage, edges of grids."""

import numpy as np
import pytest

from scoring.errors import InputError
from training.laws.hyper_parameters import hyper_parameter_law, near_optimal

TRUE = {"k": 1.2, "N": -0.6, "D": 0.25}


def sweep(rng, settings=24, noise=0.2, grid=11, curvature=0.02):
    """Learning rates on a geometric grid about the best of every (N, D), with loss a parabola in ln eta.

    ``noise`` is the spread of ln of the best rate of a setting about the law.
    """
    N, D = 10 ** rng.uniform(7.5, 9.5, settings), 10 ** rng.uniform(9, 11, settings)
    best = np.log(TRUE["k"] * N ** TRUE["N"] * D ** TRUE["D"]) + noise * rng.normal(size=settings)
    steps = np.log(2) / 2 * (np.arange(grid) - grid // 2)
    rates = best[:, None] + steps + rng.uniform(-0.17, 0.17, (settings, 1))
    loss = (2 + N**-0.1)[:, None] * (1 + curvature * (rates - best[:, None]) ** 2)
    shape = rates.shape
    return {
        "inputs": {
            "N": np.broadcast_to(N[:, None], shape).ravel(),
            "D": np.broadcast_to(D[:, None], shape).ravel(),
        },
        "value": np.exp(rates).ravel(),
        "loss": loss.ravel(),
    }


def test_the_law_is_least_squares_of_logarithms_over_near_optimal_runs():
    runs = sweep(np.random.default_rng(0))
    found = hyper_parameter_law(**runs)
    N, D = runs["inputs"]["N"], runs["inputs"]["D"]
    near = []
    for i in range(len(N)):
        best = min(runs["loss"][j] for j in range(len(N)) if (N[j], D[j]) == (N[i], D[i]))
        if runs["loss"][i] <= 1.0025 * best:
            near.append(i)
    assert found.runs.tolist() == near and found.settings == 24 and len(near) > 24
    design = np.stack([np.ones(len(near)), np.log(N[near]), np.log(D[near])], axis=1)
    slow = np.linalg.lstsq(design, np.log(runs["value"][near]), rcond=None)[0]
    assert np.log(found.coefficient.value) == pytest.approx(slow[0], abs=1e-6)
    assert [found.exponents[name].value for name in ("N", "D")] == pytest.approx(slow[1:], abs=1e-7)
    point = {"N": 1e9, "D": 2e10}
    assert found.predict(point) == pytest.approx(np.exp(slow @ [1, np.log(1e9), np.log(2e10)]))
    at = found.interval(point)
    assert at.value == pytest.approx(float(found.predict(point))) and at.low < at.value < at.high
    assert not found.cautions


def test_a_plane_is_found_exactly():
    runs = sweep(np.random.default_rng(1), noise=0.0, grid=1)
    runs["value"] = TRUE["k"] * runs["inputs"]["N"] ** TRUE["N"] * runs["inputs"]["D"] ** TRUE["D"]
    found = hyper_parameter_law(**runs)
    assert found.coefficient.value == pytest.approx(TRUE["k"])
    assert {k: v.value for k, v in found.exponents.items()} == pytest.approx({"N": TRUE["N"], "D": TRUE["D"]})


@pytest.mark.parametrize("settings", [8, 24])
def test_intervals_cover(settings):
    rng, hit = np.random.default_rng(2), {"N": 0, "D": 0, "k": 0, "at": 0}
    at = TRUE["k"] * 1e10 ** TRUE["N"] * 1e11 ** TRUE["D"]
    for _ in range(100):
        found = hyper_parameter_law(**sweep(rng, settings))
        for name in ("N", "D"):
            hit[name] += TRUE[name] in found.exponents[name]
        hit["k"] += TRUE["k"] in found.coefficient
        hit["at"] += at in found.interval({"N": 1e10, "D": 1e11})
    assert all(90 <= count < 100 for count in hit.values()), hit


def test_a_batch_size_law_in_data_alone():
    rng = np.random.default_rng(3)
    runs = sweep(rng)
    D = runs["inputs"]["D"]
    found = hyper_parameter_law(runs["inputs"], 0.6 * D**0.57, runs["loss"], of=["D"])
    assert found.exponents["D"].value == pytest.approx(0.57) and list(found.exponents) == ["D"]
    compute = {"C": 6 * runs["inputs"]["N"] * D, "D": D}
    again = hyper_parameter_law(compute, 0.6 * D**0.57, runs["loss"], of=["D"])
    assert again.exponents["D"].value == pytest.approx(0.57)


def test_a_best_value_at_the_edge_of_the_grid_is_said():
    runs = sweep(np.random.default_rng(4), grid=7)
    falling = np.log(runs["value"])
    found = hyper_parameter_law(runs["inputs"], runs["value"], np.exp(-0.01 * falling))
    assert found.edge_settings == found.settings == 24
    assert any("24 of 24 settings" in c.text for c in found.cautions if c.code == "at_bound")
    one = sweep(np.random.default_rng(5), grid=1)
    assert hyper_parameter_law(**one).edge_settings == 24


def test_ties_and_a_share_of_zero_keep_the_best_runs():
    near, setting = near_optimal([1, 1, 1, 2], [1, 1, 1, 1], [2.0, 2.0, 2.1, 3.0], 0.0)
    assert near.tolist() == [True, True, False, True] and setting.tolist() == [0, 0, 0, 1]


def test_few_settings_warn():
    found = hyper_parameter_law(**sweep(np.random.default_rng(6), settings=5))
    assert "few_runs" in {c.code for c in found.cautions}


def test_order_and_units():
    rng = np.random.default_rng(7)
    runs = sweep(rng)
    found = hyper_parameter_law(**runs)
    turn = rng.permutation(len(runs["loss"]))
    turned = hyper_parameter_law(
        {k: v[turn] for k, v in runs["inputs"].items()}, runs["value"][turn], runs["loss"][turn]
    )
    assert turned.exponents == found.exponents and turned.coefficient == found.coefficient
    other = {"N": runs["inputs"]["N"] * 1e-6, "D": runs["inputs"]["D"] * 1e-9}
    scaled = hyper_parameter_law(other, runs["value"] * 1e3, runs["loss"])
    for name in ("N", "D"):
        a, b = scaled.exponents[name], found.exponents[name]
        assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high), rel=1e-4)


def test_what_cannot_be_fitted_is_refused():
    runs = sweep(np.random.default_rng(8), settings=6)
    same = {**runs, "inputs": {**runs["inputs"], "N": np.full(len(runs["loss"]), 1e8)}}
    with pytest.raises(InputError, match="do not vary N and D enough"):
        hyper_parameter_law(**same)
    ratio = {**runs, "inputs": {**runs["inputs"], "D": 20 * runs["inputs"]["N"]}}
    with pytest.raises(InputError, match="do not vary N and D enough"):
        hyper_parameter_law(**ratio)
    with pytest.raises(InputError, match="no runs"):
        hyper_parameter_law({"N": [], "D": []}, [], [])
    for change, said in [
        ({"loss": np.where(np.arange(len(runs["loss"])) == 3, np.nan, runs["loss"])}, "not finite"),
        ({"value": np.where(np.arange(len(runs["loss"])) == 3, 0.0, runs["value"])}, "above 0"),
        ({"loss": runs["loss"][:-1]}, "one number per run"),
        ({"within": 1.5}, "within"),
        ({"of": "ND"}, "different names"),
        ({"of": ["N", "tokens"]}, "'tokens' is missing"),
    ]:
        with pytest.raises(InputError, match=said):
            hyper_parameter_law(**{**runs, **change})
