"""The tables of one law in a report: its parameters, best model sizes, held-out runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scoring.reports.section import Cell, Listing
from training.laws.analysis.names import interval_cell
from training.laws.evaluation import Evaluation
from training.laws.words.formula_text import formula_text

if TYPE_CHECKING:
    from training.laws.analysis.law import LawOfCorpus

MOST_HELD_OUT = 12


def parameters_listing(law: LawOfCorpus) -> Listing:
    """Every parameter with its bootstrap interval, and that of its profile where one was asked for."""
    level, profiled = law.about["level"], {each.parameter: each for each in law.profiles}
    rows: list[list[Cell]] = []
    for p in law.fitted.form.parameters:
        value = law.fitted.parameters[p.name]
        held = p.name in law.fitted.form.fixed
        row: list[Cell] = [p.name]
        row.append(f"{value:.4g}, held" if held else _value_cell(law, p.name, level))
        if profiled:
            row.append(interval_cell(profiled[p.name].interval) if p.name in profiled else None)
        rows.append(row)
    header = ["parameter", f"value ({100 * level:g} %, bootstrap)"]
    return Listing(header + (["profile"] if profiled else []), rows, formula_text(law.fitted))


def _value_cell(law: LawOfCorpus, name: str, level: float) -> Cell:
    """With its interval; a bound that all resamples share is none, and says nothing of how well the value is known."""
    found = law.resampled.interval(name, level)
    if name in law.fitted.at_bounds and np.ptp(law.resampled.samples[name]) == 0:
        return f"{found.value:.4g}, at its bound"
    return interval_cell(found)


def optima_listing(law: LawOfCorpus) -> Listing:
    """The best model size, tokens and loss for every compute budget asked for, with intervals."""
    header = ["C", "N*", "D*", "D*/N*", "loss there", "exponent of N*"]
    rows = [
        [f"{at.C:.4g}", interval_cell(at.N, "N"), interval_cell(at.D, "D"), at.tokens_per_parameter,
         interval_cell(at.loss), interval_cell(at.a)]
        for at in law.optima
    ]  # fmt: skip
    return Listing(header, rows, "The best model size and number of tokens for a compute budget")


def held_out_listing(law: LawOfCorpus, evaluation: Evaluation) -> Listing:
    """The held-out runs that were predicted worst, with their intervals; the caption tells of all of them."""
    level = law.about["level"]
    centre, low, high = law.resampled.predict(evaluation.inputs, level)
    order = np.argsort(-np.abs(evaluation.errors_T), kind="stable")[:MOST_HELD_OUT]
    rows: list[list[Cell]] = [
        [
            *(f"{column[k]:.4g}" for column in evaluation.inputs.values()),
            (float(centre[k]), float(low[k]), float(high[k])),
            float(evaluation.actual_T[k]),
            f"{100 * evaluation.errors_T[k]:+.2f} %",
        ]
        for k in order
    ]
    inside = float(((evaluation.actual_T >= low) & (evaluation.actual_T <= high)).mean())
    shown = f", the {MOST_HELD_OUT} worst" if len(evaluation.actual_T) > MOST_HELD_OUT else ""
    caption = (
        f"Held-out runs{shown}; of all {len(evaluation.actual_T)}: mean error {100 * evaluation.mean_error:.2f} %, "
        f"worst {100 * evaluation.worst_error:.2f} %, {100 * inside:.0f} % inside their {100 * level:g} % interval"
    )
    return Listing([*evaluation.inputs, f"predicted ({100 * level:g} %)", "actual", "error"], rows, caption)
