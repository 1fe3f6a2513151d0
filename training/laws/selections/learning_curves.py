"""One learning curve per selection: how its loss falls with data, rows or compute, from one bootstrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value, unknown_name
from training.laws.catalog import form_named
from training.laws.cautions import Caution
from training.laws.fit import Fit, fit
from training.laws.form import Array, Form
from training.laws.inputs import complete
from training.laws.measured_range import inside
from training.laws.run_table import WORDS, RunTable
from training.laws.selections.equal_loss import ln_law
from training.laws.selections.misfit import Misfit, misfit_of
from training.laws.selections.noise_draws import (
    grouped_draws,
    losses_with,
    noise_of,
    pooled_draws,
    unit_names,
)
from training.laws.uncertainty.bootstrap import Bootstrap
from training.laws.uncertainty.outcome_bootstrap import refit_outcomes

Inputs = Mapping[str, npt.ArrayLike]


@dataclass(frozen=True)
class LearningCurve:
    """The law of one selection over the scale ``axis``, with B refits; resample b is the same one in all curves.

    Runs are in the order of ``fitted``: ``scales_N`` are their places on the axis, ``settings_N`` names of equal
    settings (the same N, D and axis, different seeds), ``losses_BN`` the losses of the resamples. ``misfit``
    is there if the law has the wrong shape (not tested with ``groups``).
    """

    name: str
    axis: str
    fitted: Fit
    drawn: Bootstrap = field(repr=False)
    scales_N: Array = field(repr=False)
    settings_N: npt.NDArray[np.str_] = field(repr=False)
    losses_BN: Array = field(repr=False)
    misfit: Misfit | None = None

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """What was found against the law."""
        return (*([self.misfit.caution] if self.misfit else []), *self.fitted.cautions)

    @property
    def losses_N(self) -> Array:
        """The losses of the runs."""
        return self.fitted.y_N

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest measured scale."""
        return float(self.scales_N.min()), float(self.scales_N.max())

    def scales(self, name: str) -> Array | None:
        """N, D, C or an input of every run, (N,); None where the law's inputs do not say."""
        try:
            return complete({self.axis: self.scales_N, **self.fitted.inputs}, (name,))[name]
        except InputError:
            return None

    def inputs(self, at: Inputs) -> dict[str, Array]:
        """Inputs of the law from N, D, C, M, or the axis, of what ``at`` gives."""
        given = dict(at)
        if "x" in self.fitted.form.inputs and self.axis in given:
            given.setdefault("x", given[self.axis])
        columns = complete(given, self.fitted.form.inputs)
        return dict(
            zip(columns, (np.asarray(c, dtype=np.float64) for c in np.broadcast_arrays(*columns.values())))
        )

    def samples(self, at: Inputs) -> tuple[Array, Array]:
        """The law and its B refits at R scales: (R,) and (B, R), natural units, without the noise of a run.

        Refits are NaN where the runs say nothing of the law.
        """
        columns = {name: np.atleast_1d(column)[None] for name, column in self.inputs(at).items()}
        fitted = self.fitted
        theta = np.concatenate([fitted.theta_P[None], self.drawn.theta_BP])
        both = np.exp(ln_law(fitted, theta, columns))
        return both[0], np.where(self.known(at), both[1:], np.nan)

    def known(self, at: Inputs) -> npt.NDArray[np.bool_]:
        """Whether the runs say anything of the law at R scales, (R,): not of other sizes where all had one."""
        columns = {name: np.atleast_1d(column)[None] for name, column in self.inputs(at).items()}
        return self.drawn.known(lambda theta: ln_law(self.fitted, theta, columns))

    def measured(self, at: Inputs) -> npt.NDArray[np.bool_]:
        """Whether scales lie among the runs (in the convex hull of their inputs)."""
        return inside(self.fitted, self.inputs(at))

    def band(self, at: Inputs, level: float = 0.95) -> tuple[Array, Array, Array]:
        """The law with the ends of its interval, without the noise of a run; for figures."""
        return self.drawn.predict(self.inputs(at), level, noise=False)


def learning_curves(
    table: RunTable,
    *,
    metric: str = "loss",
    split: str | None = None,
    axis: str = "D",
    form: Form | None = None,
    by: str = "corpus",
    names: Sequence[str] | None = None,
    groups: str | None = None,
    resamples: int = 1_000,
    seed: int = 0,
    **options: Any,
) -> dict[str, LearningCurve]:
    """Fit one law per selection, and all resamples of all laws together.

    Args:
        table: The runs; of each the last step counts. Lower values must be better.
        metric, split: Which values; several splits are an error unless one is named.
        axis: ``D``, ``C``, ``N`` or any column of numbers (``rows``).
        form: The law. Default: Chinchilla where runs have several N and D, else a power law with offset in the axis.
            A form in ``x`` reads the axis, any other N, D, C and M, and further columns by name.
        by: The column that names the selection.
        names: Which of them, all by default.
        groups: A column whose equal values share their noise, across scales and selections (``seed``). By default only
            runs of different selections do, those of equal N, D, axis and ``seed`` (if there is such a column). With
            few groups the intervals are wide.
        resamples, seed: Of the bootstrap.
        options: More of :func:`~training.laws.fit.fit`. The objective is by default least squares of ln loss, not the
            Huber loss of that function: with few runs, and noise of seeds, its intervals are a third narrower at equal
            coverage; ``objective="huber"`` where single runs went wrong.

    Raises:
        InputError: unknown names, several splits, losses or scales that cannot be fitted.
    """
    if resamples < 1:
        raise bad_value("resamples", "learning_curves", resamples, "at least 1")
    rows = table.where(metric=metric)
    if split is not None:
        rows = rows.where(split=split)
    if len(rows.names("split")) > 1:
        raise InputError(
            f"learning_curves: {metric} is measured on {', '.join(rows.names('split'))}; name a split."
        )
    rows = rows.last()
    if len(rows) == 0:
        raise InputError(f"learning_curves: the table has no run with {metric}.")
    present = sorted({str(word) for word in rows[by].tolist()})
    wanted = list(present if names is None else names)
    for name in wanted:
        if name not in present:
            raise unknown_name("selection", "learning_curves", name, present)
    law = form or default_form(rows, axis)
    settings: dict[str, Any] = {"objective": "log_square", **options}
    found = {name: _fit(rows, name, by, axis, law, groups, settings) for name in wanted}
    units = {name: named for name, (_, _, _, named) in found.items()}
    misfits: dict[str, Misfit | None] = dict.fromkeys(found)
    if groups is None:
        misfits = {name: misfit_of(fitted, settings_N) for name, (fitted, _, settings_N, _) in found.items()}
        noise = {name: each.within_N if each else noise_of(found[name][0]) for name, each in misfits.items()}
        drawn = pooled_draws(noise, units, resamples, seed)
        for place, name in enumerate(sorted(found)):
            missed = misfits[name]
            drawn[name] = drawn[name] + (missed.draws(resamples, [seed, 1 + place]) if missed else 0.0)
    else:
        counts = {name: len(np.unique(named)) for name, named in units.items()}
        if min(counts.values()) < 2:
            raise bad_value("groups", "learning_curves", groups, "a column with at least 2 different values")
        noise = {name: noise_of(fitted, counts[name]) for name, (fitted, _, _, _) in found.items()}
        drawn = grouped_draws(noise, units, resamples, seed)
    curves = {}
    for name, (fitted, scales, settings_N, _) in found.items():
        losses = losses_with(fitted, drawn[name])
        refits = refit_outcomes(fitted, losses, of_residuals=True, seed=seed)
        curves[name] = LearningCurve(name, axis, fitted, refits, scales, settings_N, losses, misfits[name])
    return curves


def default_form(rows: RunTable, axis: str) -> Form:
    """Chinchilla for runs of several N and several D, else a power law with offset in the axis."""
    sizes, tokens = (rows[name][np.isfinite(rows[name])] for name in ("N", "D"))
    both = len(np.unique(sizes)) > 1 and len(np.unique(tokens)) > 1
    known = len(sizes) == len(tokens) == len(rows)
    return form_named("chinchilla" if both and known and axis in ("N", "D", "C") else "power_offset")


Found = tuple[Fit, Array, npt.NDArray[np.str_], npt.NDArray[np.str_]]


def _fit(
    rows: RunTable, name: str, by: str, axis: str, form: Form, groups: str | None, settings: Mapping[str, Any]
) -> Found:
    own = rows.rows(np.array([str(word) == name for word in rows[by].tolist()]))
    scales = numbers(own, axis)
    given = {key: column for key, column in own.inputs.items() if np.isfinite(column).all()}
    if "x" in form.inputs:
        given["x"] = scales
    given |= {key: numbers(own, key) for key in form.inputs if key not in given and key in own.columns}
    try:
        fitted = fit(form, given, own["value"], **settings)
    except InputError as error:
        raise InputError(f"learning curve of {name}: {error}") from None
    order = fitted.rows_N
    cells = [(float(own["N"][row]), float(own["D"][row]), float(scales[row])) for row in order]
    settings_N = np.array([repr(cell) for cell in cells], dtype=np.str_)
    if groups is not None:
        units = np.array([f"{own[groups][row]}" for row in order], dtype=np.str_)
    else:
        seeds = own["seed"] if "seed" in own.columns else np.zeros(len(own))
        units = unit_names([(*cell, str(seeds[row])) for cell, row in zip(cells, order)], name)
    return fitted, scales[order], settings_N, units


def numbers(rows: RunTable, name: str) -> Array:
    """A column as numbers."""
    if name in WORDS:
        raise InputError(f"learning_curves: the column {name} holds words, a scale is a number.")
    try:
        return np.array([np.nan if v is None else v for v in rows[name].tolist()], dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"learning_curves: the column {name} holds something that is not a number."
        ) from None
