"""Laws fitted the slow, obvious way: formulas in natural units, one SciPy run per start, one loop per resample."""

import numpy as np
from scipy.optimize import minimize


def huber(residuals, delta):
    small = np.abs(residuals) <= delta
    return np.where(small, residuals**2 / 2, delta * (np.abs(residuals) - delta / 2))


def chinchilla_objective(theta, N, D, y, weights, delta=1e-3):
    """Sum of Huber(LSE(a - alpha ln N, b - beta ln D, e) - ln y) and its gradient; theta = a, b, e, alpha, beta."""
    a, b, e, alpha, beta = theta
    terms = np.stack([a - alpha * np.log(N), b - beta * np.log(D), np.full(len(y), e)])
    top = terms.max(0)
    total = top + np.log(np.exp(terms - top).sum(0))
    shares = np.exp(terms - total)
    residuals = total - np.log(y)
    pull = weights * np.clip(residuals, -delta, delta)
    gradient = [
        (pull * shares[0]).sum(),
        (pull * shares[1]).sum(),
        (pull * shares[2]).sum(),
        -(pull * shares[0] * np.log(N)).sum(),
        -(pull * shares[1] * np.log(D)).sum(),
    ]
    return (weights * huber(residuals, delta)).sum(), np.array(gradient)


def chinchilla_fit(N, D, y, starts, weights=None, delta=1e-3):
    """Best of SciPy's L-BFGS-B from starts (S, 5); natural parameters and objective.

    The objective is multiplied by 1e4: its own size (1e-3) is near the tolerances at which SciPy stops.
    """
    weights = np.ones(len(y)) if weights is None else weights
    scale = 1e4

    def scaled(theta):
        value, gradient = chinchilla_objective(theta, N, D, y, weights, delta)
        return scale * value, scale * gradient

    options = {"ftol": 1e-15, "gtol": 1e-11, "maxiter": 5_000, "maxfun": 20_000, "maxcor": 20}
    with np.errstate(all="ignore"):
        runs = [minimize(scaled, start, jac=True, method="L-BFGS-B", options=options) for start in starts]
    best = min(runs, key=lambda run: run.fun if np.isfinite(run.fun) else np.inf)
    a, b, e, alpha, beta = best.x
    parameters = {"A": np.exp(a), "B": np.exp(b), "E": np.exp(e), "alpha": alpha, "beta": beta}
    return parameters, best.fun / scale


def farseer(p, x, N0=1e9, D0=2e10):
    """Farseer from its published coefficients, which follow from values and slopes at N0, D0."""
    ln_k, k_slope = np.log(p["k"]), p["k_slope"]
    ln_T, T_slope = np.log(p["T"]) + p["k"] * np.log(D0), p["T_slope"] + p["k"] * k_slope * np.log(D0)
    shapes = [
        (ln_k, k_slope, p["alpha"]),
        (ln_T, T_slope, p["beta"]),
        (np.log(p["E"]), p["E_slope"], p["gamma"]),
    ]
    (a1, b1), (a2, b2), (a3, b3) = ((v / (w * N0**w), u - v / w) for u, v, w in shapes)
    exponent = np.exp(a1 * x["N"] ** p["alpha"] + b1)
    return (
        np.exp(a3 * x["N"] ** p["gamma"] + b3) + np.exp(a2 * x["N"] ** p["beta"] + b2) * x["D"] ** -exponent
    )


def routed(p, x, N0=1e8):
    """Bilinear in ln N and ln Ehat, Ehat the saturating number of experts."""
    experts = 1 / (1 / (x["E"] - 1 + 1 / (1 / p["E_start"] - 1 / p["E_max"])) + 1 / p["E_max"])
    a, b, c, d = p["a"], p["b0"] - p["c"] * np.log(N0), p["c"], np.log(p["L0"]) - p["a"] * np.log(N0)
    ln_N, ln_experts = np.log(x["N"]), np.log(experts)
    return np.exp(a * ln_N + b * ln_experts + c * ln_N * ln_experts + d)


def quality_quantity_run(p, D, epochs, repeats="utility", offset="after"):
    """Goyal's curve for one run, pass by pass."""
    U, a, b = D / max(epochs, 1.0), p["a"], p["b"]
    first, product, effective, k = (a * U) ** b, 1.0, U, 1
    while k < epochs:  # pass k + 1, from k U to (k + 1) U or to the end
        end, half_lives = min((k + 1) * U, D), k / p["tau"]
        product *= (end / (k * U)) ** (b * 0.5**half_lives)
        effective += (end - k * U) * 0.5**half_lives
        k += 1
    if repeats == "data":
        return (a * effective) ** b + p["d"]
    return (p["d"] + first) * product if offset == "inside" else first * product + p["d"]


def quality_quantity(p, x, **options):
    return np.array([quality_quantity_run(p, D, epochs, **options) for D, epochs in zip(x["D"], x["epochs"])])


def data_constrained(p, x):
    """Muennighoff's law, with N_opt by way of the compute whose optimal data are U."""
    A, B, alpha, beta = p["A"], p["B"], p["alpha"], p["beta"]
    U = x["D"] / x["epochs"]
    G, b = (alpha * A / (beta * B)) ** (1 / (alpha + beta)), alpha / (alpha + beta)
    C = 6 * (G * U) ** (1 / b)
    U_N = np.minimum(x["N"], G * (C / 6) ** (1 - b))
    data = U * (1 + p["R_D"] * (1 - np.exp(-(x["D"] / U - 1) / p["R_D"])))
    size = U_N * (1 + p["R_N"] * (1 - np.exp(-(x["N"] / U_N - 1) / p["R_N"])))
    return p["E"] + A / size**alpha + B / data**beta


FORMULAS = {
    "quality_quantity": quality_quantity,
    "data_constrained": data_constrained,
    "farseer": farseer,
    "routed": routed,
    "power": lambda p, x: p["beta"] * x["x"] ** p["c"],
    "power_offset": lambda p, x: p["beta"] * x["x"] ** p["c"] + p["e"],
    "m3": lambda p, x: p["beta"] * (1 / x["x"] + p["gamma"]) ** p["c"],
    "chinchilla": lambda p, x: p["E"] + p["A"] / x["N"] ** p["alpha"] + p["B"] / x["D"] ** p["beta"],
    "kaplan": lambda p, x: ((p["A"] / x["N"]) ** (p["alpha"] / p["beta"]) + p["B"] / x["D"]) ** p["beta"],
    "kaplan_offset": lambda p, x: (
        p["E"] + ((p["A"] / x["N"]) ** (p["alpha"] / p["beta"]) + p["B"] / x["D"]) ** p["beta"]
    ),
    "over_training": lambda p, x: (
        p["E"] + (p["a"] * x["M"] ** p["eta"] + p["b"] * x["M"] ** -p["eta"]) * x["C"] ** -p["eta"]
    ),
    "momentum": lambda p, x: p["L0"] + p["A"] * x["S1"] ** -p["alpha"] - p["C"] * x["S2"],
    "momentum_size": lambda p, x: (
        p["L0"] + p["A"] * x["S1"] ** -p["alpha"] + p["B"] * x["N"] ** -p["beta"] - p["C"] * x["S2"]
    ),
    "shifted_power": lambda p, x: p["K"] * (x["x"] - p["E0"]) ** p["kappa"] + p["E1"],
    "error_decay": lambda p, x: p["epsilon"] - p["k"] * np.exp(-p["gamma"] * x["L"]),
    "sigmoid": lambda p, x: p["a"] / (1 + np.exp(-p["k"] * (x["L"] - p["x0"]))) + p["b"],
    "log_sigmoid": lambda p, x: 1 - p["a"] * np.log(1 - 1 / (1 + np.exp(-p["k"] * (x["L"] - p["x0"])))),
    "soft_min": lambda p, x: (
        -np.log(np.exp(-10 * p["e"]) + np.exp(-10 * (p["b"] * (x["L"] - p["E"]) ** p["a"] + p["d"]))) / 10
    ),
    "single_step": lambda p, x: (
        p["a"] / (1 + np.exp(-(p["A"] / x["N"] ** p["alpha"] + p["B"] / x["D"] ** p["beta"] + p["E"])))
        + p["b"]
    ),
    "log_law": lambda p, x: np.log(p["A"] * x["D"] ** p["alpha"]) ** p["beta"],
    "compute_power": lambda p, x: p["E"] + p["A"] / x["C"] ** p["alpha"],
    "coverage": lambda p, x: np.exp(-p["a"] * x["k"] ** -p["b"]),
    "pass_until": lambda p, x: np.exp(-p["c"] * x["N"] ** -p["alpha"]),
    "broken_power": lambda p, x: (
        p["a"]
        + p["b"] * x["x"] ** -p["c0"] * (1 + (x["x"] / p["d1"]) ** (1 / p["f1"])) ** (-p["c1"] * p["f1"])
    ),
    "exponential_mixture": lambda p, x: (
        p["c"] + p["k"] * np.exp(p["t_r1"] * x["r1"] + p["t_r2"] * x["r2"] + 0 * x["r3"])
    ),
    "power_product": lambda p, x: p["k"] * x["N"] ** p["e_N"] * x["D"] ** p["e_D"],
}
"""Every closed form as its paper prints it; M4 has none."""
