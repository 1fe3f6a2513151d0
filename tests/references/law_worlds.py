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
    "farseer": {
        "E": 0.2267,
        "T": 0.0786,
        "k": 0.2581,
        "E_slope": -0.159,
        "T_slope": 0.312,
        "k_slope": -0.2277,
        "gamma": 0.239,
        "beta": -0.0614,
        "alpha": 0.1943,
    },
    "data_constrained": {
        "A": 521.0,
        "B": 1488.0,
        "E": 1.87,
        "alpha": 0.353,
        "beta": 0.36,
        "R_D": 15.4,
        "R_N": 5.3,
    },
    "quality_quantity": {"a": 2.5e-7, "d": 0.1, "b": -0.16, "tau": 4.0},
    "routed": {"L0": 2.8, "a": -0.082, "b0": -0.036, "c": 0.0039, "E_start": 1.85, "E_max": 314.0},
    "momentum": {"L0": 3.158, "A": 0.514, "alpha": 0.513, "C": 0.402},
    "momentum_size": {"L0": 1.9, "A": 0.5, "alpha": 0.5, "C": 0.4, "B": 120.0, "beta": 0.28},
    "shifted_power": {"K": 1.04, "kappa": 0.97, "E0": 1.9, "E1": 2.0},
    "error_decay": {"epsilon": 0.857, "k": 2.2, "gamma": 0.715},
    "sigmoid": {"a": -0.73, "x0": 0.77, "k": 5.0, "b": 0.97},
    "log_sigmoid": {"a": -0.12, "x0": 0.7, "k": 5.0},
    "soft_min": {"e": 0.75, "b": 0.3, "a": 0.8, "E": 1.9, "d": 0.1},
    "single_step": {"A": 40.0, "B": 100.0, "alpha": 0.226, "beta": 0.236, "E": -3.0, "a": -0.75, "b": 0.95},
    "log_law": {"beta": 2.0, "A": 0.1, "alpha": 0.3},
    "compute_power": {"A": 2.4e3, "E": 1.8, "alpha": 0.16},
    "coverage": {"a": 2.5, "b": 0.35},
    "pass_until": {"c": 4000.0, "alpha": 0.37},
    "exponential_mixture": {"k": 1.2, "c": 1.3, "t_r1": -2.4, "t_r2": 0.5},
    "power_product": {"k": 1.79, "e_N": -0.713, "e_D": 0.307},
}

ONE_INPUT = {
    "log_law": ("D", 6, 9),
    "compute_power": ("C", 17, 21),
    "coverage": ("k", 0, 4),
    "pass_until": ("N", 7, 9.5),
}
"""Forms of one input, and the powers of ten between which it lies."""


def world_inputs(name, runs, seed=0):
    """Inputs of the form in the ranges of its paper."""
    rng = np.random.default_rng(seed)
    if name in ("chinchilla", "kaplan", "kaplan_offset", "over_training", "farseer"):
        N, M = 10 ** rng.uniform(7.5, 10, runs), 10 ** rng.uniform(0.3, 2.5, runs)
        return {"C": 6 * N * N * M, "M": M} if name == "over_training" else {"N": N, "D": N * M}
    if name == "data_constrained":
        U, epochs = 10 ** rng.uniform(8, 10, runs), 10 ** rng.uniform(0, 1.5, runs)
        return {"N": U * 10 ** rng.uniform(-1.5, 0, runs), "D": U * epochs, "epochs": epochs}
    if name == "quality_quantity":
        return {"D": 10 ** rng.uniform(6.5, 9, runs), "epochs": 10 ** rng.uniform(-0.2, 1.3, runs)}
    if name == "routed":
        return {"N": 10 ** rng.uniform(7, 9.2, runs), "E": 2.0 ** rng.integers(0, 10, runs)}
    if name in ("momentum", "momentum_size"):
        S1 = 10 ** rng.uniform(-0.3, 1.3, runs)
        S2 = rng.uniform(0, 0.25, runs) * (rng.uniform(size=runs) < 0.6)
        return {"S1": S1, "S2": S2} | ({"N": 10 ** rng.uniform(7, 9.5, runs)} if "size" in name else {})
    if name == "shifted_power":
        return {"x": rng.uniform(2.2, 5.0, runs)}
    if name == "error_decay":
        return {"L": rng.uniform(2.0, 5.0, runs)}
    if name in ("sigmoid", "log_sigmoid"):
        return {"L": rng.uniform(0.4, 1.8, runs)}
    if name == "soft_min":
        return {"L": rng.uniform(2.0, 5.0, runs)}
    if name == "single_step":
        N = 10 ** rng.uniform(7.5, 10, runs)
        return {"N": N, "D": N * 10 ** rng.uniform(0.3, 2.5, runs)}
    if name == "exponential_mixture":
        return dict(zip(("r1", "r2", "r3"), rng.dirichlet([1.0, 1.0, 1.0], runs).T))
    if name == "power_product":
        return {"N": 10 ** rng.uniform(7.5, 10, runs), "D": 10 ** rng.uniform(9, 11.5, runs)}
    if name in ONE_INPUT:
        column, low, high = ONE_INPUT[name]
        return {column: 10 ** rng.uniform(low, high, runs)}
    return {"x": 10 ** rng.uniform(3.5, 7, runs)}
