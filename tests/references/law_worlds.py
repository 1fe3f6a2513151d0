"""Planted laws: parameters near those of published fits, inputs at which they bend, and noise."""

import numpy as np

PLANTED = {
    "power": {"beta": 30.0, "c": -0.3},
    "power_offset": {"beta": 30.0, "c": -0.3, "e": 0.5},
    "m3": {"beta": 20.0, "gamma": 3e-6, "c": 0.3},
    "m4": {"beta": 30.0, "c": -0.35, "e": 0.4, "e0": 3.0, "alpha": 0.6},
    "broken_power": {"a": 0.2, "b": 5.0, "c0": 0.1, "c1": 0.4, "d1": 1e5, "f1": 0.5},
    "chinchilla": {"A": 480.0, "B": 2080.0, "E": 1.82, "alpha": 0.348, "beta": 0.366},
    "kaplan": {"A": 6.4e13, "B": 1.8e13, "alpha": 0.076, "beta": 0.103},
    "kaplan_offset": {"A": 6.8e7, "B": 9.3e8, "E": 2.17, "alpha": 0.41, "beta": 0.45},
    "over_training": {"a": 212.0, "b": 367.0, "E": 1.84, "eta": 0.136},
    "shifted_power": {"K": 1.04, "kappa": 0.97, "E0": 1.9, "E1": 2.0},
    "error_decay": {"epsilon": 0.857, "k": 2.2, "gamma": 0.715},
}


def world_inputs(name, runs, seed=0):
    """Inputs of the form in the ranges of its paper."""
    rng = np.random.default_rng(seed)
    if name in ("chinchilla", "kaplan", "kaplan_offset", "over_training"):
        N, M = 10 ** rng.uniform(7.5, 10, runs), 10 ** rng.uniform(0.3, 2.5, runs)
        return {"C": 6 * N * N * M, "M": M} if name == "over_training" else {"N": N, "D": N * M}
    if name == "shifted_power":
        return {"x": rng.uniform(2.2, 5.0, runs)}
    if name == "error_decay":
        return {"L": rng.uniform(2.0, 5.0, runs)}
    return {"x": 10 ** rng.uniform(3.5, 7, runs)}
