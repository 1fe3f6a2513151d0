"""Variance components the obvious way: covariances of pairs of runs, mean squares, leaving out one thing at a time."""

from itertools import combinations, product

import numpy as np
from references.difficulty_world import DifficultyWorld
from scipy import stats


def scaled_ranks(values_RN):
    return np.stack([(stats.rankdata(values_N) - 0.5) / len(values_N) for values_N in values_RN])


def theta(cells: dict) -> np.ndarray:
    """(shared, truths, noises) from covariances of all pairs of runs; cells: architecture -> (R, N)."""
    names = list(cells)
    truth = {a: np.mean([cov(x, y) for x, y in combinations(cells[a], 2)]) for a in names}
    noise = {a: np.mean([cov(x, x) for x in cells[a]]) - truth[a] for a in names}
    between = [
        np.mean([cov(x, y) for x, y in product(cells[a], cells[b])]) for a, b in combinations(names, 2)
    ]
    shared = (sum(truth.values()) + 2 * sum(between)) / len(names) ** 2
    return np.array([shared, *truth.values(), *noise.values()])


def cov(x, y) -> float:
    return float(np.cov(x, y)[0, 1])


def balanced_mean_squares(y_ARN) -> tuple[float, float, float]:
    """Components of example, example x architecture (both random) and residual from the textbook's mean squares.

    Two crossed factors with runs nested in architectures: MS(example) = s2 + R s2_ea + A R s2_e,
    MS(example x architecture) = s2 + R s2_ea, MS(example x run) = s2.
    """
    A, R, N = y_ARN.shape
    grand = y_ARN.mean()
    i = y_ARN.mean(axis=(0, 1))
    a = y_ARN.mean(axis=(1, 2))
    ar = y_ARN.mean(axis=2)
    ai = y_ARN.mean(axis=1)
    ms_e = A * R * ((i - grand) ** 2).sum() / (N - 1)
    ms_ea = R * ((ai - a[:, None] - i[None] + grand) ** 2).sum() / ((A - 1) * (N - 1))
    residual = y_ARN - ar[:, :, None] - ai[:, None, :] + a[:, None, None]
    ms = (residual**2).sum() / (A * (R - 1) * (N - 1))
    return (ms_e - ms_ea) / (A * R), (ms_ea - ms) / R, ms


def without_examples(cells: dict, ranked: bool) -> np.ndarray:
    """Jackknife covariance of theta over examples, ranks taken anew each time."""
    count = next(iter(cells.values())).shape[1]
    turn = scaled_ranks if ranked else np.asarray
    found = np.array(
        [theta({a: turn(np.delete(y, i, axis=1)) for a, y in cells.items()}) for i in range(count)]
    )
    away = found - found.mean(axis=0)
    return (count - 1) / count * away.T @ away


def without_runs(cells: dict, name: str) -> np.ndarray:
    """Jackknife covariance of theta over the runs of one architecture."""
    runs = len(cells[name])
    found = np.array([theta({**cells, name: np.delete(cells[name], r, axis=0)}) for r in range(runs)])
    away = found - found.mean(axis=0)
    return (runs - 1) / runs * away.T @ away


def truth(world: DifficultyWorld, ranked: bool) -> np.ndarray:
    """theta of a world whose loadings are 1, for endless examples and runs.

    Scaled ranks of normal variables with correlation rho have covariance asin(rho / 2) / (2 pi) and variance 1/12;
    only without ``group_noise``, which makes runs mixtures of normals.
    """
    names = list(world.runs)
    assert not (ranked and world.group_noise)
    noise = np.array([world.noise_variance(name) for name in names])
    covariance = np.ones((len(names), len(names))) + np.eye(len(names)) * world.interaction**2
    if ranked:
        sd = np.sqrt(np.diag(covariance) + noise)
        covariance = np.arcsin(covariance / np.outer(sd, sd) / 2) / (2 * np.pi)
        noise = 1 / 12 - np.diag(covariance)
    return np.concatenate([[covariance.mean()], np.diag(covariance), noise])


def by_cells(cells: dict, name: str) -> np.ndarray:
    """What ``without_runs`` would be if all cells of a run were independent (raw values)."""

    def per_example(found: dict) -> np.ndarray:
        count, rows = len(found), {}
        for a, y in found.items():
            x = y - y.mean(axis=1, keepdims=True)
            rows[a] = (x.mean(axis=0), x.var(axis=0, ddof=1), len(x))
        mean = sum(m for m, _, _ in rows.values()) / count
        shared = mean**2 - sum(w / r for _, w, r in rows.values()) / count**2
        return np.stack(
            [shared, *(m**2 - w / r for m, w, r in rows.values()), *(w for _, w, _ in rows.values())]
        )

    runs, count = cells[name].shape
    whole, total = per_example(cells), 0
    for r in range(runs):
        total = total + np.cov(per_example({**cells, name: np.delete(cells[name], r, axis=0)}) - whole)
    return (runs - 1) / runs * total * count / (count - 1) ** 2
