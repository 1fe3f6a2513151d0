"""Capability components: what benchmark scores of many models have in common (Ruan et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from training.laws.evaluations.correlations import resample_weights
from training.laws.form import Array
from training.laws.uncertainty.interval import Interval, level_checked, percentile_interval

LONGEST = 5_000
CLOSE = 1e-10


@dataclass(frozen=True)
class CapabilityComponents:
    """Principal components of N models by T benchmarks, centred and not scaled.

    ``loadings_CT`` are unit vectors, ``scores_NC`` the models on them, ``explained_C`` shares of the variance;
    ``completed_NT`` the scores with what was missing (``missing``) filled in. Every component is turned so that its
    loadings sum to something positive: more is more capable.
    """

    mean_T: Array
    loadings_CT: Array
    scores_NC: Array
    explained_C: Array
    completed_NT: Array
    missing: int

    def project(self, scores_KT: npt.ArrayLike) -> Array:
        """Other models on the same components, (K, C); missing scores are filled in from their first component."""
        given = np.atleast_2d(np.asarray(scores_KT, dtype=np.float64))
        if given.shape[1] != len(self.mean_T):
            raise bad_value("scores", "project", given.shape, f"{len(self.mean_T)} benchmarks wide")
        left, known = given - self.mean_T, ~np.isnan(given)
        if not known.any(axis=1).all() or np.isinf(given).any():
            raise InputError("project: every model needs a finite score on at least one benchmark.")
        first = self.loadings_CT[0]
        square = (known * first**2).sum(axis=1)
        along = np.where(known, left * first, 0.0).sum(axis=1) / np.where(square > 0, square, 1.0)
        found: Array = np.where(known, left, along[:, None] * first) @ self.loadings_CT.T
        return found


def capability_components(scores_NT: npt.ArrayLike, components: int = 3) -> CapabilityComponents:
    """Components of scores (N, T), NaN where a model lacks one: imputed and decomposed in turn until neither changes.

    What is missing starts at the benchmark's mean and becomes what the first component says (rank one, as the authors
    impute), with means and component computed anew, until no value moves by 1e-10 of the spread.
    """
    given = np.asarray(scores_NT, dtype=np.float64)
    if given.ndim != 2 or min(given.shape) < 2:
        raise bad_value(
            "scores", "capability_components", given.shape, "models by benchmarks, at least (2, 2)"
        )
    if not 1 <= components <= min(given.shape):
        raise bad_value("components", "capability_components", components, f"from 1 to {min(given.shape)}")
    absent = np.isnan(given)
    if np.isinf(given).any() or absent.all(axis=0).any() or absent.all(axis=1).any():
        raise InputError(
            "capability_components: scores must be finite or NaN, and no model and no benchmark may lack all of them."
        )
    filled = np.where(absent, np.nanmean(given, axis=0), given)
    spread = float(filled.std(axis=0).max())
    if spread <= 1e-12 * float(np.abs(filled).max()):
        raise InputError("capability_components: the models do not differ in any score.")
    for _ in range(LONGEST):
        mean = filled.mean(axis=0)
        left, size, right = np.linalg.svd(filled - mean, full_matrices=False)
        if not absent.any():
            break
        update = np.where(absent, mean + size[0] * np.outer(left[:, 0], right[0]), given)
        moved = float(np.abs(update - filled).max())
        filled = update
        if moved <= CLOSE * spread:
            break
    else:
        raise InputError("capability_components: the imputation did not settle; too many scores are missing.")
    chosen = right[:components]
    # rounding must not decide the sign of loadings that cancel: their largest one does then
    sums = chosen.sum(axis=1)
    largest = chosen[np.arange(components), np.abs(chosen).argmax(axis=1)]
    loadings = chosen * np.where(np.abs(sums) > 1e-9, np.sign(sums), np.sign(largest))[:, None]
    return CapabilityComponents(
        mean,
        loadings,
        (filled - mean) @ loadings.T,
        (size**2 / (size**2).sum())[:components],
        filled,
        int(absent.sum()),
    )


def explained_intervals(
    scores_NT: npt.ArrayLike,
    components: int = 3,
    *,
    groups: npt.ArrayLike | None = None,
    resamples: int = 500,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Interval, ...]:
    """The explained shares with percentile intervals over resampled models, or over whole ``groups`` (families)."""
    given = np.asarray(scores_NT, dtype=np.float64)
    centre = capability_components(given, components).explained_C
    order, member = group_rows(given, groups)
    given = given[order]
    shares = []
    for counts in resample_weights(int(member.max()) + 1, resamples, seed)[:, member]:
        rows = np.repeat(np.arange(len(given)), counts.astype(np.int64))
        try:
            shares.append(capability_components(given[rows], components).explained_C.tolist())
        except InputError:  # a resample of one model, or without any score on a benchmark
            continue
    if not shares:
        raise InputError("explained_intervals: no resample has components; there are too few models.")
    return tuple(
        percentile_interval(float(value), column, level) for value, column in zip(centre, np.array(shares).T)
    )


def group_rows(
    values_NT: Array, groups: npt.ArrayLike | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows in an order of their own values, and the number of the group of each in that order, (N,) both."""
    rows = len(values_NT)
    labels = np.arange(rows) if groups is None else np.asarray(groups)
    if labels.shape != (rows,):
        raise bad_value("groups", "capability", labels.shape, f"one per model, ({rows},)")
    keys = [values_NT[:, t] for t in range(values_NT.shape[1])]
    if groups is not None:
        keys.append(np.unique(labels, return_inverse=True)[1].ravel().astype(np.float64))
    order: npt.NDArray[np.int64] = np.lexsort(keys)
    member = np.arange(rows) if groups is None else np.unique(labels[order], return_inverse=True)[1].ravel()
    return order, member.astype(np.int64)


@dataclass(frozen=True)
class FamilyLine:
    """component = intercept + slope log10 FLOPs over the models of one family."""

    slope: Interval
    intercept: float
    r2: float
    models: int


def by_family(
    component: npt.ArrayLike, flops: npt.ArrayLike, families: npt.ArrayLike, level: float = 0.95
) -> dict[str, FamilyLine]:
    """The line of a component on log10 compute of every family with three models or more of known compute.

    Least squares, with Student's interval of the slope (gain per tenfold compute). Families differ in how efficiently
    they turn compute into capability, so one line of all families would mean little. Models without compute (NaN) are
    left out.
    """
    from scipy.special import stdtrit

    level_checked(level)
    y, C = np.asarray(component, dtype=np.float64), np.asarray(flops, dtype=np.float64)
    names = np.asarray(families)
    if not y.shape == C.shape == names.shape or y.ndim != 1:
        raise bad_value("columns", "by_family", (y.shape, C.shape, names.shape), "one entry per model each")
    if not np.isfinite(y).all() or (C <= 0).any():
        raise InputError("by_family: the component must be finite, and FLOPs above 0 or NaN.")
    found = {}
    for name in sorted(set(names.tolist())):
        here = np.flatnonzero((names == name) & ~np.isnan(C))
        here = here[np.lexsort([y[here], C[here]])]
        x, own = np.log10(C[here]), y[here]
        if len(here) < 3 or np.ptp(x) == 0:
            continue
        dx, dy = x - x.mean(), own - own.mean()
        slope = float(dx @ dy / (dx @ dx))
        left, total = float(((dy - slope * dx) ** 2).sum()), float(dy @ dy)
        freedom = len(here) - 2
        half = float(stdtrit(freedom, 0.5 + level / 2) * np.sqrt(left / freedom / (dx @ dx)))
        interval = Interval(slope, slope - half, slope + half, level)
        r2 = 1 - left / total if total > 0 else float("nan")
        found[str(name)] = FamilyLine(interval, float(own.mean() - slope * x.mean()), r2, len(here))
    return found
