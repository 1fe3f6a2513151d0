"""Losses of held-out, usually larger, runs: predicted from another corpus, and by what needs no other corpus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, unknown_name
from training.laws.cautions import Caution
from training.laws.fit import fit
from training.laws.form import Array, Form
from training.laws.forms.power import power_offset
from training.laws.loss_to_loss.loss_map import relate
from training.laws.loss_to_loss.map_bootstrap import bootstrap_map
from training.laws.loss_to_loss.pairing import (
    Pairs,
    Series,
    Several,
    best_of_budgets,
    pair,
    series_law,
)
from training.laws.run_table import RunTable
from training.laws.uncertainty.bootstrap import bootstrap
from training.laws.uncertainty.interval import Interval, level_checked

NEEDS = {
    "loss_to_loss": "the held-out run of the source, and pairs of smaller runs",
    "identity": "the held-out run of the source, and nothing else",
    "own_law": "smaller runs of the target",
    "flops_to_loss": "smaller runs of the target, the best at every budget",
}
"""The methods, and what each must be given: those with the held-out run of the source know more than the others."""


@dataclass(frozen=True)
class HeldOutPrediction:
    """What a method, fitted to ``fitted_to`` pairs or runs, said of one held-out run; an interval of NaN is none."""

    method: str
    fitted_to: int
    N: float
    D: float
    C: float
    predicted: Interval
    actual: float
    cautions: tuple[Caution, ...] = ()

    @property
    def error(self) -> float:
        """(predicted - actual) / actual."""
        return (self.predicted.value - self.actual) / self.actual


@dataclass(frozen=True)
class PredictionTable:
    """Predictions of the held-out runs that the source has too, method by method.

    ``unpaired`` held-out runs of the target have no partner and are predicted by no method, so that all are judged by
    the same runs. ``unavailable`` gives the reason why a method could not be fitted.
    """

    source: Series
    target: Series
    rows: tuple[HeldOutPrediction, ...]
    unpaired: int
    unavailable: dict[str, str]

    def of(self, method: str) -> tuple[HeldOutPrediction, ...]:
        """The rows of one method."""
        return tuple(row for row in self.rows if row.method == method)

    @property
    def methods(self) -> tuple[str, ...]:
        """Those with predictions."""
        return tuple(dict.fromkeys(row.method for row in self.rows))

    def mean_error(self, method: str) -> float:
        """Mean absolute relative error."""
        return float(np.mean([abs(row.error) for row in self.of(method)]))

    def worst_error(self, method: str) -> float:
        """Largest absolute relative error."""
        return float(np.max([abs(row.error) for row in self.of(method)]))

    def inside(self, method: str) -> float:
        """Share of the held-out runs inside their intervals; NaN where there are none."""
        rows = self.of(method)
        if any(np.isnan(row.predicted.low) for row in rows):
            return float("nan")
        return float(np.mean([row.actual in row.predicted for row in rows]))

    def lines(self) -> list[str]:
        """The table as text, with what keeps the methods from being like for like."""
        said = [f"{self.target} predicted from {self.source}"]
        for row in self.rows:
            p = row.predicted
            ends = "no interval" if np.isnan(p.low) else f"{p.low:.4g} to {p.high:.4g}"
            said.append(
                f"  {row.method:<14}N = {row.N:.3g}, D = {row.D:.3g}: {p.value:.4g} ({ends}), was {row.actual:.4g}, "
                f"{100 * row.error:+.2f} %"
            )
        for method in self.methods:
            fitted_to = self.of(method)[0].fitted_to
            codes = sorted({caution.code for row in self.of(method) for caution in row.cautions})
            doubts = f"; cautions: {', '.join(codes)}" if codes else ""
            said.append(
                f"  {method}: mean error {100 * self.mean_error(method):.2f} %, fitted to {fitted_to}; "
                f"needs {NEEDS[method]}{doubts}"
            )
        said += [f"  {method}: not possible ({reason})" for method, reason in self.unavailable.items()]
        if self.unpaired:
            said.append(f"  {self.unpaired} held-out runs of {self.target} have no partner and were left out")
        said.append(
            "  Methods that are given the held-out run of the source know more than those that are not."
        )
        return said


def predict_held_out(
    table: RunTable,
    source: Series,
    target: Series,
    *,
    below: float | None = None,
    train: npt.ArrayLike | None = None,
    methods: Sequence[str] = tuple(NEEDS),
    by: Sequence[str] = ("N", "D"),
    fit_floor: bool = False,
    form: Form | None = None,
    several: Several = "refuse",
    tolerance: float = 0.0,
    level: float = 0.95,
    resamples: int = 1_000,
    seed: int = 0,
) -> PredictionTable:
    """Predict the target's runs of compute C >= ``below``, or outside ``train`` ((N,) bool over rows), from the others.

    - ``loss_to_loss``: the map between the series at the loss that the held-out run reached on the source;
    - ``identity``: that loss itself (no interval);
    - ``own_law``: ``form`` (Kaplan with offset) fitted to the target's own runs, at N and D;
    - ``flops_to_loss``: y = beta C^c + e on the target's best run of every budget.

    Intervals are for new runs, from ``resamples`` resamples of runs. ``by``, ``fit_floor``, ``several`` and
    ``tolerance`` are those of :func:`~training.laws.loss_to_loss.loss_map.relate`.
    """
    level_checked(level)
    for method in methods:
        if method not in NEEDS:
            raise unknown_name("method", "predict_held_out", method, NEEDS)
    if (below is None) == (train is None):
        raise InputError(
            "predict_held_out: give either below, a compute budget, or train, which rows to fit on."
        )
    if below is not None and not np.isfinite(table["C"]).all():
        raise InputError(
            "predict_held_out: the compute of some runs is not known; say with train which to fit on."
        )
    mask = np.asarray(train, dtype=bool) if below is None else table["C"] < below
    if mask.shape != (len(table),):
        raise InputError(f"predict_held_out: train must say yes or no for each of the {len(table)} rows.")
    seen, held_out = table.rows(mask), table.rows(~mask)
    for name, rows in (("fit on", seen), ("predict", held_out)):
        for series in (source, target):
            if not ((rows["corpus"] == series.corpus) & (rows["metric"] == series.metric)).any():
                raise InputError(f"predict_held_out: there is no run of {series} to {name}.")
    large = pair(held_out, source, target, by, several=several, tolerance=tolerance)
    rows = target.of(held_out)
    first = np.array([members[0] for members in large.target_rows])
    inputs = {name: rows[name][first] for name in ("N", "D", "C")}

    def loss_to_loss() -> Said:
        found = relate(
            seen, source, target, by, fit_floor=fit_floor, form=form, several=several, tolerance=tolerance
        )
        drawn = bootstrap_map(found, resamples, seed=seed)
        return found.pairs, drawn.predict(large.x_P, level), [drawn.cautions_at(x) for x in large.x_P]

    def identity() -> Said:
        unknown = np.full(len(large), np.nan)
        return 0, (large.x_P, unknown, unknown), [()] * len(large)

    def own_law() -> Said:
        law = series_law(seen, target, form)
        drawn = bootstrap(law, resamples, seed=seed)
        return len(law.y_N), drawn.predict(inputs, level), [law.cautions + drawn.cautions] * len(large)

    def flops_to_loss() -> Said:
        best = best_of_budgets(target.of(seen), target)
        law = fit(power_offset(), {"x": best["C"]}, best["value"])
        drawn = bootstrap(law, resamples, seed=seed)
        cautions = [law.cautions + drawn.cautions] * len(large)
        return len(best), drawn.predict({"x": inputs["C"]}, level), cautions

    calls = {
        "loss_to_loss": loss_to_loss,
        "identity": identity,
        "own_law": own_law,
        "flops_to_loss": flops_to_loss,
    }
    found, unavailable = [], {}
    for method in methods:
        try:
            found += _rows(method, calls[method], large, inputs, level)
        except InputError as error:
            unavailable[method] = str(error)
    return PredictionTable(source, target, tuple(found), len(large.target_alone), unavailable)


Said = tuple[int, tuple[Array, Array, Array], Sequence[tuple[Caution, ...]]]
"""What a method was fitted to, its predictions with the ends of their intervals, and cautions of each."""


def _rows(
    method: str, call: Callable[[], Said], large: Pairs, inputs: dict[str, Array], level: float
) -> list[HeldOutPrediction]:
    fitted_to, (centre, low, high), cautions = call()
    return [
        HeldOutPrediction(
            method,
            fitted_to,
            float(inputs["N"][k]),
            float(inputs["D"][k]),
            float(inputs["C"][k]),
            Interval(float(centre[k]), float(low[k]), float(high[k]), level),
            float(large.y_P[k]),
            tuple(cautions[k]),
        )
        for k in range(len(large))
    ]
