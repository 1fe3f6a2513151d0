"""Several laws below several budgets as a section of a report: how far ahead each of them sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.errors import bad_value
from scoring.reports.section import Cell, Listing, Section
from training.laws.analysis.law_request import LawRequest
from training.laws.analysis.law_rows import law_inputs, law_outcome
from training.laws.analysis.names import file_stem
from training.laws.extrapolation import Extrapolation, extrapolation_table
from training.laws.fitting.objective import Objective
from training.laws.form import Form
from training.laws.run_table import RunTable
from training.laws.words.quantities import digits, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_RESAMPLES = 200
"""Enough for the share of runs inside intervals, which is told in percent."""
LEAST_RUNS = 2


def extrapolation_section(
    rows: RunTable, name: str, corpus: str, metric: str, forms: Mapping[str, Form], request: LawRequest
) -> Section:
    """Errors of every form, fitted below every cutoff as ``request`` says, on the runs at and above it."""
    owner = f"the extrapolation of {name}"
    wanted = sorted({"N", "D", "C", *(each for form in forms.values() for each in form.inputs)})
    known = [each for each in wanted if each in rows.columns or each != "x"]
    known = [each for each in known if each not in ("N", "D") or np.isfinite(rows[each]).all()]
    inputs = law_inputs(rows, known, owner)
    law_outcome(rows, Objective(request.objective, request.delta), metric, owner)
    for budget in request.cutoffs:
        below = int((inputs["C"] < budget).sum())
        if not LEAST_RUNS <= below < len(rows):
            raise bad_value(
                "below",
                owner,
                budget,
                f"budgets with {LEAST_RUNS} runs below and one above; {below} are below",
            )
    found = extrapolation_table(
        RunTable({**rows.columns, **inputs}), forms, sorted(set(request.cutoffs)), level=request.level,
        resamples=min(request.resamples, MOST_RESAMPLES), seed=request.seed,
        groups=None if request.groups is None else rows[request.groups].astype(str), objective=request.objective,
        delta=request.delta, outliers=request.outliers, starts=request.starts,
    )  # fmt: skip
    stem = file_stem(corpus, metric, "extrapolation")
    return Section(
        name=stem,
        title=f"How far ahead laws see, {name}",
        sentences=[_said(found, name)],
        listings=[_listing(found)],
        figures={stem: partial(_figure, found, float(inputs["C"].max()), request.level)},
        document={"rows": [_row(each) for each in found], "level": request.level},
    )


def _best(found: Sequence[Extrapolation]) -> Extrapolation:
    return min(found, key=lambda each: each.mean_error)


def _said(found: Sequence[Extrapolation], name: str) -> str:
    last = [each for each in found if each.below == found[-1].below]
    best, runs = _best(last), last[0].tested
    errors = ", ".join(f"{each.form} {percent(each.mean_error)}" for each in last)
    said = (
        f"Fitted to the runs of {name} below C = {digits(best.below)}, the mean error on {runs:,} "
        f"run{'' if runs == 1 else 's'} of up to {digits(best.furthest, 2)} times that compute is: {errors}."
    )
    if len(last) == 1:
        return said
    winners = {
        _best([each for each in found if each.below == C]).form for C in {each.below for each in found}
    }
    budgets = len({each.below for each in found})
    if budgets > 1:
        said += (
            f" {best.form} errs least below every one of the {budgets} budgets."
            if len(winners) == 1
            else f" Which errs least depends on the budget ({', '.join(sorted(winners))}): none is the best of them."
        )
    return (
        f"{said} Held-out runs of one sweep err together, and the least of several errors flatters its law."
    )


def _listing(found: Sequence[Extrapolation]) -> Listing:
    rows: list[list[Cell]] = [
        [
            digits(each.below), each.form, f"{100 * each.mean_error:.2f} %", f"{100 * each.worst_error:.2f} %",
            f"{100 * each.inside:.0f} %", f"{each.trained:,}", f"{each.tested:,}", digits(each.furthest, 2),
            ", ".join(sorted({caution.code for caution in each.cautions})) or None,
        ]
        for each in found
    ]  # fmt: skip
    level = f"{100 * found[0].level:g} %"
    header = [
        "below C",
        "law",
        "mean error",
        "worst",
        f"inside {level}",
        "fitted",
        "judged",
        "times C",
        "cautions",
    ]
    caption = (
        f"Errors on the runs at and above each budget; inside: their share in {level} intervals; times C: the compute "
        "of the largest over that of the largest fitted"
    )
    return Listing(header, rows, caption)


def _figure(found: Sequence[Extrapolation], largest: float, level: float) -> Figure:
    from training.laws.plots.extrapolation import ErrorByCutoff, error_plot

    series = []
    for form in dict.fromkeys(each.form for each in found):
        mine = [each for each in found if each.form == form]
        cutoffs = [largest / each.furthest for each in mine]
        series.append(ErrorByCutoff(form, cutoffs, [each.mean_error for each in mine]))
    return error_plot(series, held_out={"largest run": largest}, level=level)


def _row(each: Extrapolation) -> dict[str, Any]:
    return asdict(each) | {"cautions": [[caution.code, caution.text] for caution in each.cautions]}
