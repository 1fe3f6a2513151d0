"""IsoFLOP curves as a section of a report: the best size on every budget, and how it grows with compute."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scoring.reports.section import Cell, Listing, Section
from training.laws.analysis.law_rows import law_inputs, law_outcome
from training.laws.analysis.names import ends, file_stem
from training.laws.fitting.objective import Objective
from training.laws.isoflop import (
    LEAST_SIZES,
    ROUNDED,
    IsoflopOptima,
    PowerExponent,
    isoflop_optima,
    power_exponent,
    shared_budgets,
)
from training.laws.run_table import RunTable
from training.laws.words.quantities import digits, size, with_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from training.laws.form import Array

LEAST_OPTIMA = 3
"""With two, a line through them has no residual and its exponent no interval."""


def isoflop_section(rows: RunTable, name: str, corpus: str, metric: str, level: float) -> Section | None:
    """Optima by Akima's interpolation (Porian et al. 2024) and their exponent; None where no budget has three sizes.

    Runs whose C agrees up to 1e-3 share a budget. Optima at an end of their curve are told and take no part.
    """
    inputs = law_inputs(rows, ("C", "N"), f"the isoFLOP curves of {name}")
    loss = law_outcome(rows, Objective(), metric, f"the isoFLOP curves of {name}")
    C, N = shared_budgets(inputs["C"]), inputs["N"]
    enough = np.array([len(np.unique(N[budget == C])) >= LEAST_SIZES for budget in C], dtype=bool)
    if not enough.any():
        return None
    optima = isoflop_optima(C[enough], N[enough], loss[enough])
    inside = optima.inside_K
    found = None
    if inside.sum() >= LEAST_OPTIMA:
        found = power_exponent(optima.C_K[inside], optima.N_K[inside], level=level)
    stem = file_stem(corpus, metric, "isoflop")
    return Section(
        name=stem,
        title=f"Curves of equal compute, {name}",
        sentences=[_said(name, optima, found), *_left_out(C, enough, optima)],
        listings=[_optima_listing(C, N, optima)],
        figures={stem: partial(_figure, C[enough], N[enough], loss[enough], level, metric)},
        document=_document(optima, found),
    )


def _said(name: str, optima: IsoflopOptima, found: PowerExponent | None) -> str:
    C = optima.C_K[optima.inside_K]
    if found is None:
        count = f"{len(C)} optim{'um lies' if len(C) == 1 else 'a lie'}" if len(C) else "no optimum lies"
        return (
            f"On the curves of equal compute of {name} {count} inside, fewer than the {LEAST_OPTIMA} from which an "
            "exponent with an interval follows."
        )
    return (
        f"On {len(C)} curves of equal compute the best size of {name} grows as C to the power "
        f"{with_interval(found.exponent)}, from C = {size(float(C.min()), 'C')} to {size(float(C.max()), 'C')}; the "
        "interval is of the scatter of the optima about the line, not of what all of them share."
    )


def _left_out(C: Array, enough: npt.NDArray[np.bool_], optima: IsoflopOptima) -> list[str]:
    said = []
    if not optima.inside_K.all():
        told = ", ".join(size(float(budget), "C") for budget in optima.C_K[~optima.inside_K])
        said.append(
            f"Left out of the exponent, as the least loss is at an end of the curve and the best size may lie beyond: "
            f"C = {told}."
        )
    if few := len(np.unique(C[~enough])):
        runs = int((~enough).sum())
        said.append(
            f"{runs:,} run{'' if runs == 1 else 's'} at {few:,} other "
            f"budget{'' if few == 1 else 's'} of fewer than {LEAST_SIZES} sizes, with C equal to within {ROUNDED:g}, "
            "took no part."
        )
    return said


def _optima_listing(C: Array, N: Array, optima: IsoflopOptima) -> Listing:
    rows: list[list[Cell]] = []
    for budget, best, loss, inside in zip(optima.C_K, optima.N_K, optima.loss_K, optima.inside_K):
        sizes = np.unique(N[budget == C])
        under, over = sizes[sizes < best * (1 - 1e-9)], sizes[sizes > best * (1 + 1e-9)]
        between = f"{size(under.max())} and {size(over.min())}" if inside else "at an end"
        rows.append([digits(float(budget)), size(float(best)), between, digits(float(loss)), f"{len(sizes)}"])
    caption = "The size of least loss on every curve, by Akima's interpolation, and the runs next to it"
    return Listing(["C", "N*", "between runs of", "loss there", "sizes"], rows, caption)


def _figure(C: Array, N: Array, loss: Array, level: float, metric: str) -> Figure:
    from training.laws.plots.isoflop import isoflop_plot

    return isoflop_plot(C, N, loss, level=level, outcome=metric)


def _document(optima: IsoflopOptima, found: PowerExponent | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "C": optima.C_K,
        "N": optima.N_K,
        "loss": optima.loss_K,
        "inside": optima.inside_K,
    }
    if found is not None:
        document |= {
            "exponent": ends(found.exponent),
            "level": found.exponent.level,
            "coefficient": found.coefficient,
            "r2": found.r2,
        }
    return document
