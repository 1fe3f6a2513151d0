"""The map from one series of losses to another as a report: its numbers, what it predicts, and what it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.errors import InputError
from scoring.reports.folder import Report
from scoring.reports.section import Cell, Listing, Section
from training.laws.analysis.names import KIND, ends, interval_cell
from training.laws.catalog import form_named
from training.laws.cautions import Caution
from training.laws.loss_to_loss.loss_map import relate
from training.laws.loss_to_loss.map_bootstrap import PARAMETERS, MapBootstrap, bootstrap_map
from training.laws.loss_to_loss.pairing import Series, Several
from training.laws.loss_to_loss.prediction import NEEDS, PredictionTable, predict_held_out
from training.laws.loss_to_loss.translation import translated_law
from training.laws.run_table import RunTable
from training.laws.words.quantities import digits, percent, with_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class MapRequest:
    """How losses are mapped; see :func:`~training.laws.loss_to_loss.loss_map.relate`.

    Attributes:
        below: Fit on the runs with compute below this, and predict the others by the map and by what needs no map.
        law: The form whose floors E the map stands on.
    """

    source: Series
    target: Series
    by: Sequence[str] = ("N", "D")
    fit_floor: bool = False
    several: Several = "refuse"
    tolerance: float = 1e-6
    law: str = "kaplan_offset"
    below: float | None = None
    resamples: int = 1_000
    seed: int = 0
    level: float = 0.95


def loss_to_loss_report(table: RunTable, request: MapRequest, *, source: str = "") -> Report:
    """Fit the map from one series to another, and predict the target where only the source is known."""
    rows = table.last()
    form = form_named(request.law)
    how: dict[str, Any] = {
        "fit_floor": request.fit_floor, "form": form, "several": request.several, "tolerance": request.tolerance,
    }  # fmt: skip
    held_out = None
    if request.below is not None:
        held_out = predict_held_out(
            rows, request.source, request.target, below=request.below, by=request.by, level=request.level,
            resamples=request.resamples, seed=request.seed, **how,
        )  # fmt: skip
        if not held_out.rows:
            reasons = "; ".join(held_out.unavailable.values())
            raise InputError(f"loss_to_loss: no held-out run could be predicted ({reasons}).")
    fitted = rows if request.below is None else rows.rows(rows["C"] < request.below)
    found = bootstrap_map(
        relate(fitted, request.source, request.target, request.by, **how),
        request.resamples,
        seed=request.seed,
    )
    sections = [_map_section(found, request, fitted, held_out)]
    if request.below is None:
        sections += _predicted(found, request, rows)
    if held_out is not None:
        sections.append(_held_out(held_out, request))
    about = {
        "source": source,
        "request": {name: getattr(request, name) for name in MapRequest.__dataclass_fields__},
        "parameters": {name: getattr(found.loss_map, name) for name in PARAMETERS},
        "pairs": found.loss_map.pairs,
    }
    preamble = [f"runs: {source}"] if source else []
    preamble.append(
        f"paired by equal {', '.join(request.by)}; floors by {'the map' if request.fit_floor else form.name}"
    )
    if request.below is not None:
        preamble.append(f"runs of C >= {request.below:.4g} held out")
    return Report(KIND, f"{request.target} from {request.source}", preamble, about, sections)


def _map_section(
    found: MapBootstrap, request: MapRequest, rows: RunTable, held_out: PredictionTable | None
) -> Section:
    the, level = found.loss_map, request.level
    doubts = doubts_told(found.cautions)
    p = {name: digits(getattr(the, name)) for name in PARAMETERS}
    said = (
        f"y = {p['E1']} + {p['K']} (x - {p['E0']})^{p['kappa']}, from {the.pairs} pairs, explains {percent(the.r2)} of "
        f"the spread of {request.target}; kappa is {with_interval(found.interval('kappa', level))}."
    )
    if doubts:
        said += " Do not quote its numbers without this: " + " ".join(doubts)
    listing = Listing(
        ["parameter", f"value ({100 * level:g} %)"],
        [[name, interval_cell(found.interval(name, level))] for name in PARAMETERS],
        "y - E1 = K (x - E0)^kappa; intervals hold the uncertainty of both floors",
    )
    listings = [listing]
    document: dict[str, Any] = {
        "pairs": the.pairs,
        "r2": the.r2,
        **{name: ends(found.interval(name, level)) for name in PARAMETERS},
        "cautions": [[caution.code, caution.text] for caution in found.cautions],
    }
    law = the.source_law
    if law is not None and law.form.name == "kaplan_offset":
        moved = translated_law(found)
        listings.append(
            Listing(
                [
                    "parameter",
                    f"law of {request.source}",
                    f"translated to {request.target} ({100 * level:g} %)",
                ],
                [
                    [name, digits(law.parameters[name]), interval_cell(moved.interval(name, level))]
                    for name in moved.parameters
                ],
                "The law of the source carried over by the map: L = E + ((A / N)^(alpha / beta) + B / D)^beta",
            )
        )
        document["translated"] = {name: ends(moved.interval(name, level)) for name in moved.parameters}
    return Section(
        name="map",
        title=f"{request.target} from {request.source}",
        sentences=[said],
        listings=listings,
        figures={"loss-to-loss": partial(_figure, found, request, held_out)},
        document=document,
    )


def doubts_told(cautions: Sequence[Caution]) -> list[str]:
    """Cautions as sentences; those of hardly determined parameters, which are many, as one for each law."""
    wide: dict[str, list[str]] = {}
    said = []
    for caution in cautions:
        whose, _, name = caution.text.partition(": its 95 %")[0].rpartition(": ")
        if caution.code == "wide" and name:
            wide.setdefault(whose or "the map", []).append(name.removesuffix(" is hardly determined"))
        else:
            said.append(f"{caution.text[:1].upper()}{caution.text[1:]}")
    return said + [f"Hardly determined in {whose}: {', '.join(names)}." for whose, names in wide.items()]


def _figure(found: MapBootstrap, request: MapRequest, held_out: PredictionTable | None) -> Figure:
    from training.laws.plots.loss_to_loss import PairedLosses, loss_to_loss_plot

    the = found.loss_map
    grid = np.linspace(the.x_P.min(), the.x_P.max(), 100)
    held = held_out.of("loss_to_loss") if held_out else ()
    same = held_out.of("identity") if held_out else ()
    if held:
        x = [row.predicted.value for row in same]  # the identity predicts the source's loss itself
        grid = np.linspace(min([*x, the.x_P.min()]), the.x_P.max(), 100)
    _, low, high = found.predict(grid, request.level)
    series = PairedLosses(
        f"{the.pairs} pairs",
        the.x_P,
        the.y_P,
        the,
        held_x_H=[row.predicted.value for row in same] if held else (),
        held_y_H=[row.actual for row in held],
        held_low_H=[row.predicted.low for row in held] if held else None,
        held_high_H=[row.predicted.high for row in held] if held else None,
        band=(grid, low, high),
    )
    return loss_to_loss_plot(
        [series], source=str(request.source), target=str(request.target), level=request.level
    )


def _predicted(found: MapBootstrap, request: MapRequest, rows: RunTable) -> list[Section]:
    """The runs of the source that the target lacks: what it would have reached."""
    joined = found.loss_map.joined
    assert joined is not None
    own = request.source.of(rows)
    order = joined.source_alone
    if len(order) == 0:
        return []
    order = order[np.lexsort([own["value"][order], -own["C"][order]])]
    x = own["value"][order]
    centre, low, high = found.predict(x, request.level)
    lines: list[list[Cell]] = [
        [*(f"{own[name][row]:.4g}" for name in ("N", "D", "C")), float(x[k]),
         (float(centre[k]), float(low[k]), float(high[k]))]
        for k, row in enumerate(order[:MOST_SHOWN])
    ]  # fmt: skip
    outside = int(((x < found.loss_map.x_P.min()) | (x > found.loss_map.x_P.max())).sum())
    runs = "1 run" if len(order) == 1 else f"{len(order):,} runs"
    said = f"{runs} only {request.source} has; what {request.target} would be at the same loss."
    if outside:
        said += (
            f" {outside:,} of {len(order):,} lie outside the losses of the pairs, where the map extrapolates."
        )
    header = ["N", "D", "C", str(request.source), f"{request.target} ({100 * request.level:g} %, a new run)"]
    caption = f"The {MOST_SHOWN} of most compute" if len(order) > MOST_SHOWN else ""
    document = {
        **{name: own[name][order] for name in ("N", "D", "C")}, "x": x, "predicted": centre, "low": low, "high": high
    }  # fmt: skip
    return [
        Section(
            "predicted",
            "Runs that only the source has",
            [said],
            [Listing(header, lines, caption)],
            document=document,
        )
    ]


def _held_out(table: PredictionTable, request: MapRequest) -> Section:
    best = min(table.methods, key=table.mean_error)
    words = ", ".join(f"{method} {percent(table.mean_error(method))}" for method in table.methods)
    runs = len(table.of(best))
    said = [
        f"Mean error over {runs} held-out run{'s' if runs != 1 else ''}: {words}. Methods that are given the held-out "
        "run of the source (loss_to_loss, identity) know more than those that are not."
    ]
    said += [f"{method} was not possible: {reason}" for method, reason in table.unavailable.items()]
    if table.unpaired:
        lost = f"{table.unpaired} held-out run{'s' if table.unpaired != 1 else ''} of {table.target}"
        said.append(f"{lost} {'have' if table.unpaired != 1 else 'has'} no partner and had to be left out.")
    by_method = [table.of(method) for method in table.methods]
    rows: list[list[Cell]] = []
    for same in zip(*by_method, strict=True):  # every method predicts the same runs, in one order
        run = same[0]
        errors = [f"{100 * row.error:+.2f} %" for row in same]
        rows.append(
            [f"{run.N:.4g}", f"{run.D:.4g}", *errors, run.actual, *(_cell(row.predicted) for row in same)]
        )
    named = [method.replace("_", " ") for method in table.methods]
    listing = Listing(
        ["N", "D", *(f"error, {name}" for name in named), "actual", *(f"{name} predicted" for name in named)],
        rows,
        f"Errors of every method, run by run, then its predictions ({100 * request.level:g} %)",
    )
    needs = Listing(
        ["method", "mean error", "worst", "fitted to", "needs", "cautions"],
        [
            [
                method,
                f"{100 * table.mean_error(method):.2f} %",
                f"{100 * table.worst_error(method):.2f} %",
                f"{table.of(method)[0].fitted_to:,}",
                NEEDS[method],
                ", ".join(sorted({each.code for row in table.of(method) for each in row.cautions})) or None,
            ]
            for method in table.methods
        ],
    )
    document = {
        "methods": {
            method: {"mean_error": table.mean_error(method), "worst_error": table.worst_error(method)}
            for method in table.methods
        },
        "rows": [
            {
                "method": row.method, "N": row.N, "D": row.D, "C": row.C, "predicted": ends(row.predicted),
                "actual": row.actual, "error": row.error,
            }
            for row in table.rows
        ],
    }  # fmt: skip
    return Section("held_out", "Held-out runs, by every method", said, [needs, listing], document=document)


def _cell(interval: Any) -> Cell:
    return (interval.value, interval.low, interval.high)
