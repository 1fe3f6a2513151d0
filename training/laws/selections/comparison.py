"""Selections against a base: what each is worth, by all the measures of this package at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scoring.errors import InputError, bad_value, unknown_name
from training.laws.cautions import Caution
from training.laws.form import Form
from training.laws.run_table import RunTable
from training.laws.selections.base_map import BaseMap, base_map
from training.laws.selections.crossing import Crossings, crossings
from training.laws.selections.equal_loss import ways
from training.laws.selections.learning_curves import LearningCurve, learning_curves
from training.laws.selections.multipliers import (
    Multiplier,
    RunMultipliers,
    described,
    multiplier,
    run_multipliers,
)
from training.laws.selections.verdict import Gap, gap
from training.laws.selections.wording import paragraph


@dataclass(frozen=True)
class SelectionResult:
    """One selection against the base.

    ``gap`` and ``multipliers`` are those at the largest scale that both measured, ``target_gap`` and
    ``target_multipliers`` at the scale asked for. ``crossings`` is None where the two have no range of scales in
    common, ``loss_map`` where they do not allow one.
    """

    name: str
    curve: LearningCurve
    gap: Gap
    multipliers: Mapping[str, Multiplier]
    runs: Mapping[str, RunMultipliers]
    crossings: Crossings | None
    loss_map: BaseMap | None
    target_gap: Gap | None = None
    target_multipliers: Mapping[str, Multiplier] | None = None

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """What was found against the law of this selection, and against what is said of it."""
        found = [*self.curve.cautions, *self.gap.cautions]
        found += self.target_gap.cautions if self.target_gap else ()
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class SelectionComparison:
    """All selections of a table against one of them; ``print`` shows the sentences."""

    metric: str
    axis: str
    base: LearningCurve
    selections: Mapping[str, SelectionResult]

    def __getitem__(self, name: str) -> SelectionResult:
        if name not in self.selections:
            raise unknown_name("selection", "comparison of selections", name, self.selections)
        return self.selections[name]

    @property
    def sentences(self) -> tuple[str, ...]:
        """One paragraph per selection, in plain words."""
        return tuple(
            paragraph(result, self.base, self.metric, self.axis) for result in self.selections.values()
        )

    def __str__(self) -> str:
        return "\n\n".join(self.sentences)


def compare_selections(
    table: RunTable,
    base: str = "random",
    metric: str = "loss",
    axis: str = "D",
    form: Form | None = None,
    at: float | Mapping[str, float] | None = None,
    *,
    selections: Sequence[str] | None = None,
    split: str | None = None,
    by: str = "corpus",
    groups: str | None = None,
    farther: float = 10.0,
    level: float = 0.95,
    resamples: int = 1_000,
    seed: int = 0,
    **options: Any,
) -> SelectionComparison:
    """Fit a learning curve per selection and say what each is worth beside ``base``.

    The losses of all selections must be of one validation set, lower being better. ``at`` is a scale to predict the gap
    at: a number on the axis (at the model size, or for the axis C the tokens per parameter, of the largest scale
    measured), or inputs of the law (``{"N": 1e9, "D": 2e10}``). ``table``, ``metric``, ``axis``, ``form``, ``split``,
    ``by``, ``groups`` and ``options`` are those of
    :func:`~training.laws.selections.learning_curves.learning_curves`, ``farther`` that of
    :func:`~training.laws.selections.crossing.crossings`. Each verdict is made by itself: of twenty with nothing to find
    one will still be called.
    """
    chosen = None if selections is None else [base, *(name for name in selections if name != base)]
    curves = learning_curves(
        table, metric=metric, split=split, axis=axis, form=form, by=by, names=chosen, groups=groups,
        resamples=resamples, seed=seed, **options,
    )  # fmt: skip
    if base not in curves:
        raise unknown_name("base", "compare_selections", base, curves)
    others = {name: curve for name, curve in curves.items() if name != base}
    if not others:
        raise InputError(f"compare_selections: the table has no selection beside {base}.")
    results = {name: _compared(curves[base], curve, at, farther, level) for name, curve in others.items()}
    return SelectionComparison(metric, axis, curves[base], results)


def largest_common(base: LearningCurve, selection: LearningCurve) -> dict[str, float]:
    """The largest scale at which both can be compared without extrapolation, where there is one.

    Of a law in one input the smaller of the two largest scales. Of several inputs the largest setting that both ran (by
    compute, then by the axis), or without a common one the largest of the selection's inside the base's measurements.
    """
    if len(base.fitted.form.inputs) == 1:
        return {base.axis: min(base.range[1], selection.range[1])}
    own = selection.fitted.inputs
    common = np.isin(selection.settings_N, base.settings_N)
    if not common.any():
        common = base.measured(own)
    candidates = np.flatnonzero(common) if common.any() else np.arange(len(selection.losses_N))
    compute = selection.scales("C")
    order = [selection.scales_N] if compute is None else [selection.scales_N, compute]
    best = candidates[np.lexsort([column[candidates] for column in order])[-1]]
    return described({name: float(column[best]) for name, column in own.items()})


def target(at: float | Mapping[str, float], here: Mapping[str, float], axis: str) -> dict[str, float]:
    """The scale asked for: inputs, or the axis at this value and what goes with it at the largest common scale."""
    for name, value in (at if isinstance(at, Mapping) else {axis: at}).items():
        if not 0 < value < float("inf"):
            raise bad_value(f"the {name} asked for", "compare_selections", value, "above 0 and finite")
    if isinstance(at, Mapping):
        return described({name: float(value) for name, value in at.items()})
    if axis == "C" and {"N", "D"} <= set(here):
        return described({"C": float(at), "M": here["D"] / here["N"]})
    kept = [name for name in here if name != axis and (name != "C" or axis not in ("N", "D"))]
    return described({**{name: here[name] for name in kept}, axis: float(at)})


def _compared(
    base: LearningCurve,
    curve: LearningCurve,
    at: float | Mapping[str, float] | None,
    farther: float,
    level: float,
) -> SelectionResult:
    here = largest_common(base, curve)
    scales = ways(base.fitted.form, base.axis)
    there = None if at is None else target(at, here, base.axis)
    found: Crossings | None = None
    if max(base.range[0], curve.range[0]) < min(base.range[1], curve.range[1]):
        through = None if set(here) == {base.axis} else here
        found = crossings(base, curve, through, farther=farther, level=level)
    return SelectionResult(
        curve.name,
        curve,
        gap(base, curve, here, level),
        {way: multiplier(base, curve, here, way, level) for way in scales},
        {way: run_multipliers(base, curve, way, level) for way in scales},
        found,
        base_map(base, curve, level),
        None if there is None else gap(base, curve, there, level),
        None if there is None else {way: multiplier(base, curve, there, way, level) for way in scales},
    )
