"""``tamis predict``: what a fitted law says of runs that were not made."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scoring.errors import InputError
from tamis.app import command
from tamis.options import Json, emit, parse_numbers

if TYPE_CHECKING:
    from scoring.reports.section import Cell
    from training.laws.law_file import SavedLaw

OWNER = "tamis predict"
AMONG = "among the runs"
OUTSIDE = (
    "Outside the runs fitted, intervals hold only if the law goes on as it is: on the four corpora of a published "
    "sweep 24 to 83 % of the runs beyond a cutoff, by law and cutoff, lay inside their 95 % intervals."
)
"""Measured: ``benchmarks/extrapolation_intervals.py``."""
NO_INPUTS = ("value", "low", "high", "inside", "beyond", "beyond_in", "outcome", "wanted")
"""Keys of a row that are no inputs of the law."""


@command
def predict(
    saved: Annotated[
        Path,
        typer.Argument(metavar="LAW", help="A law.json, or the folder of `tamis fit` if it holds one law."),
    ],
    at: Annotated[
        list[str] | None,
        typer.Option(
            "--at", metavar="NAME=VALUE,...", help="A run: N=7e9,D=1.4e11 or C=1e21,M=20; repeat for more."
        ),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Compute budgets whose best model size is wanted: 1e21,1e22.")
    ] = None,
    solve: Annotated[
        str | None,
        typer.Option(
            help="The input wanted (D, N ...) so that the law reaches --reach; its interval is that of the law."
        ),
    ] = None,
    reach: Annotated[float | None, typer.Option(help="With --solve: the outcome to reach.")] = None,
    level: Annotated[float, typer.Option(help="Level of intervals.")] = 0.95,
    law_only: Annotated[
        bool, typer.Option("--law-only", help="Intervals of the law itself, not of a new run.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Predict runs by a law of `tamis fit`, find the best size for a budget, or what it takes to reach a loss.

    Every number has its interval, and says whether it lies among the runs that the law was fitted to.
    """
    from training.laws.law_file import load_law
    from training.laws.uncertainty.interval import level_checked

    level_checked(level)
    if not (at or budget or solve):
        raise InputError(f"{OWNER}: give --at N=7e9,D=1.4e11, --budget 1e21, or --solve D --reach 2.5.")
    if (solve is None) != (reach is None):
        raise InputError(f"{OWNER}: --solve and --reach are needed together.")
    law = load_law(saved)
    points = [parse_numbers(text.split(","), "--at") for text in at or []]
    document: dict[str, Any] = {
        "law": law.fitted.form.name,
        "about": law.about,
        "parameters": law.fitted.parameters,
        "cautions": [caution.text for caution in law.fitted.cautions],
        "level": level,
    }
    if solve is not None and reach is not None:
        document["reach"] = _reach(law, solve, reach, points, level)
    elif points:
        document["runs"] = _runs(law, points, level, not law_only)
    if budget:
        document["budgets"] = _budgets(law, budget, level)
    emit(document, as_json, lambda: _show(document))


def _runs(law: SavedLaw, points: list[dict[str, float]], level: float, noise: bool) -> list[dict[str, Any]]:
    from training.laws.predicting import predict as predicted

    found = []
    for point in points:
        p = predicted(law, point, level=level, noise=noise)
        found.append(
            {
                **{name: float(column[0]) for name, column in p.inputs.items()},
                "value": float(p.value_K[0]),
                "low": float(p.low_K[0]),
                "high": float(p.high_K[0]),
                **_place(law, {name: float(column[0]) for name, column in p.inputs.items()}),
            }
        )
    return found


def _place(law: SavedLaw, inputs: dict[str, float]) -> dict[str, Any]:
    """Whether a point lies among the runs of the law, and how many times the largest of what it goes beyond them."""
    from training.laws.measured_range import inside, reach

    if not all(0 < value < float("inf") for value in inputs.values()):
        return {"inside": False, "beyond": float("nan"), "beyond_in": ""}
    name, factor = reach(law.fitted, inputs)
    return {"inside": bool(inside(law.fitted, inputs)), "beyond": factor, "beyond_in": name}


def _reach(
    law: SavedLaw, wanted: str, outcome: float, points: list[dict[str, float]], level: float
) -> list[dict[str, Any]]:
    from training.laws.predicting import solve_for

    found = []
    for point in points or [{}]:
        interval = solve_for(law, wanted, outcome, point, level=level)
        found.append(
            {
                **point,
                "outcome": outcome,
                "wanted": wanted,
                "value": interval.value,
                "low": interval.low,
                "high": interval.high,
                **_place(law, {**point, wanted: interval.value}),
            }
        )
    return found


def _budgets(law: SavedLaw, text: str, level: float) -> list[dict[str, Any]]:
    from tamis.fit_command import read_budgets
    from training.laws.optimal import compute_optimal

    found = []
    for C in read_budgets(text, OWNER):
        best = compute_optimal(law.resampled or law.fitted, C, level)
        row: dict[str, Any] = {"C": C}
        for name in ("N", "D", "loss", "a"):
            interval = getattr(best, name)
            row[name] = [interval.value, interval.low, interval.high]
        found.append(row | _place(law, {"N": best.N.value, "D": best.D.value}))
    return found


def _show(document: dict[str, Any]) -> None:
    from scoring.lines import one_line
    from scoring.reports.section import Listing
    from tamis.grid import console
    from tamis.show_report import show_listing
    from training.laws.uncertainty.interval import Interval
    from training.laws.words.quantities import digits, with_interval

    screen, level = console(), document["level"]
    of = document["about"]
    what = " of ".join(str(each) for each in (of.get("metric"), of.get("corpus")) if each) or "outcome"
    screen.print(f"{document['law']}: {one_line(what)}", style="bold", markup=False)
    if runs := document.get("runs"):
        names = [name for name in runs[0] if name not in NO_INPUTS]
        rows: list[list[Cell]] = [
            [
                *(digits(run[name]) for name in names),
                with_interval(Interval(run["value"], run["low"], run["high"], level)),
                _where(run),
            ]
            for run in runs
        ]
        show_listing(screen, Listing([*names, f"predicted ({100 * level:g} %)", AMONG], rows))
    for row in document.get("reach", ()):
        given = ", ".join(f"{name} = {digits(value)}" for name, value in row.items() if name not in NO_INPUTS)
        at = f" at {given}" if given else ""
        screen.print(_reached(row, at, level), markup=False)
    if budgets := document.get("budgets"):
        rows = []
        for row in budgets:
            N, D, loss, a = (
                with_interval(Interval(row[k][0], row[k][1], row[k][2], level), k if k in "ND" else "")
                for k in ("N", "D", "loss", "a")
            )
            rows.append([digits(row["C"]), _where(row), N, D, loss, a])
        show_listing(screen, Listing(["C", AMONG, "N*", "D*", "loss there", "exponent of N*"], rows))
    told = [*document.get("runs", ()), *document.get("reach", ()), *document.get("budgets", ())]
    if any(not row["inside"] and isfinite(row.get("value", 0.0)) for row in told):
        screen.print(OUTSIDE, markup=False)
    for text in document["cautions"]:
        screen.print(f"Caution: {one_line(text)}", markup=False)


def _reached(row: dict[str, Any], at: str, level: float) -> str:
    """What it takes to reach an outcome; where the law never does, what its resamples say of that."""
    from training.laws.uncertainty.interval import Interval
    from training.laws.words.quantities import digits, size, with_interval

    found, wanted, outcome = (
        Interval(row["value"], row["low"], row["high"], level),
        row["wanted"],
        digits(row["outcome"]),
    )
    if isfinite(found.value):
        takes = f"{wanted} = {with_interval(found, wanted)}"
        return f"{outcome} is reached{at} with {takes}; {AMONG}: {_where(row)}."
    told = f"{outcome} is never reached{at} by the law, whatever {wanted}"
    if found.low == found.high:
        return f"{told}, nor by its refits: it lies beyond what the law can give there."
    ends = [size(end, wanted) for end in (found.low, found.high) if isfinite(end)]
    if not ends:
        return f"{told}; its refits do not agree whether it is, so the runs do not say."
    if len(ends) == 2:
        return f"{told}; its refits mostly reach it, with {wanted} from {ends[0]} to {ends[1]}, so the runs do not say."
    some = f"from {wanted} = {ends[0]} on" if isfinite(found.low) else f"up to {wanted} = {ends[0]}"
    return f"{told}; but some of its refits reach it {some}, so the runs do not say."


def _where(row: dict[str, Any]) -> str:
    from training.laws.words.quantities import digits

    if row["inside"]:
        return "yes"
    if row["beyond"] > 1:
        return f"no, {digits(row['beyond'], 3)} times their {row['beyond_in']}"
    return "no"
