"""Section: would other runs rank the examples alike and keep the same ones, and how many runs are enough?"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.compare.intervals.over_pairs import Interval
from scoring.compare.reliability.more_runs import RunsFor, expected, miss, runs_for, unpredictable
from scoring.compare.reliability.run_curve import Measured, RunCurve, run_curve
from scoring.compare.reliability.run_errors import errors_table, run_errors
from scoring.compare.reliability.spearman_brown import MOST_TIE_LOSS, spearman_brown
from scoring.compare.request import Request
from scoring.compare.run_scores import RunScores
from scoring.compare.wording import percent
from scoring.reports.section import Cell, Listing, Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from scoring.plots.reliability import Curves

NAME, TITLE = "reliability", "Reliability over runs"
TARGET = 0.9
"""Overlap that the question "how many runs?" is about; halfway between keep and 1 where chance gives as much."""
SAID = 8
"""So many answers stand in the text one by one; more stand in the listing."""
MOST_RUNS = 1000
"""A larger number of runs is not written out."""


def section(scores: RunScores, request: Request) -> Section:
    """Single runs, means of k against means of k others, standard errors, kept sets, and how many runs are enough."""
    if not scores.single_runs:
        return Section(NAME, TITLE, [
            "There is one run of every architecture, so it is unknown what another run would say; score at least two "
            "runs, each with columns of its own (per_run=True, or --per-run)."
        ])  # fmt: skip
    curves: dict[str, dict[str, RunCurve]] = {}
    errors = []
    for score in scores.scores:
        curves[score] = {}
        for kind, runs in scores.runs.items():
            values_RN = scores.values(score, kind)
            errors.append(run_errors(values_RN, scores.meanings[score]))
            if len(runs) > 1:
                curves[score][kind] = run_curve(values_RN, keep=request.keep, seed=request.seed)
    tables = {"standard_errors": errors_table(scores, errors)}
    curves = dict(sorted(curves.items(), key=lambda item: _rank(item[1])))
    sentences = [
        *_said_of_runs(curves, request.keep),
        *_said_of_single_runs(curves),
        *_said_of_ties(curves),
        *_said_of_prediction(curves),
        *_said_of_intervals(scores),
    ]
    return Section(
        NAME,
        TITLE,
        sentences,
        [_rho_listing(curves), _overlap_listing(curves, request.keep)],
        {
            "reliability": partial(_draw, curves, request.keep, "rho"),
            "reliability_overlap": partial(_draw, curves, request.keep, "overlap"),
        },
        {"keep": request.keep, "target": target(request.keep), "scores": _documents(curves, request.keep)},
        tables,
    )


def target(keep: float) -> float:
    """The overlap that is asked for, above what chance gives."""
    return max(TARGET, (1 + keep) / 2)


def shown_size(curve: RunCurve) -> int:
    """The k of "k runs against k" that is listed: 5, as in published numbers, or as many as there are."""
    return min(5, curve.largest.runs)


def _rank(by: Mapping[str, RunCurve]) -> tuple[bool, float]:
    """The most reliable single run first, constants last."""
    mean = float(np.mean([curve.single.rho.value for curve in by.values()]))
    return bool(np.isnan(mean)), 0.0 if np.isnan(mean) else -mean


def _said_of_single_runs(curves: Curves) -> list[str]:
    means = {score: -_rank(by)[1] for score, by in curves.items() if not _rank(by)[0]}
    constant = [score for score in curves if score not in means]
    said = []
    if len(means) == 1:
        [score] = means
        for kind, curve in curves[score].items():
            said.append(
                f"{score} of {kind}: single runs rank the examples alike at Spearman "
                f"{_words(curve.single.rho)}{_and_means(curve)}."
            )
    elif means:
        first, last = next(iter(means)), list(means)[-1]
        where = " (mean over architectures)" if max(map(len, curves.values())) > 1 else ""
        said.append(
            f"Single runs rank the examples most alike by {first}, at Spearman {means[first]:.3f}, and least alike by "
            f"{last}, at {means[last]:.3f}{where}; {_gain(curves)}."
        )
    if constant:
        said.append(
            f"Some runs give all examples the same value: nothing can be said of {', '.join(constant)}."
        )
    return said


def _and_means(curve: RunCurve) -> str:
    size = shown_size(curve)
    return "" if size == 1 else f", means of {size} runs at {_words(curve.of(size).rho)}"


def _gain(curves: Curves) -> str:
    grown = [
        curve.of(shown_size(curve)).rho.value > curve.single.rho.value
        for by in curves.values()
        for curve in by.values()
        if shown_size(curve) > 1
    ]
    if not grown:
        return "to measure what averaging runs adds takes four runs"
    if all(grown):
        return "means of several runs agree better than single runs for every score"
    return f"means of several runs agree better than single runs in {sum(grown)} of {len(grown)} cases"


def _answer(score: str, kind: str, curve: RunCurve, keep: float) -> str:
    """``For el2n of cnn at 30 % keep, about 4 runs (3 to 6) give 90 % overlap (predicted); you have 2 ...``."""
    where, goal, have = f"For {score} of {kind} at {_round(keep)} keep", _round(target(keep)), curve.runs
    found = runs_for(curve, "overlap", target(keep))
    mine = expected(curve, "overlap", have)
    yours = f"you have {have}"
    if mine is not None:
        yours += f", which should give {percent(mine.value)}{_ends(mine.interval)}"
    if found is None:
        size, overlap = curve.largest.runs, curve.largest.overlap
        return (
            f"{where}, {_runs(size)} {percent(overlap.value)}{_ends(overlap.interval)} overlap; how many give {goal} "
            f"cannot be predicted, since {unpredictable(curve, 'overlap')}; {yours}."
        )
    if not found.predicted:
        return f"{where}, {_runs(found.runs)} {goal} overlap (measured); {yours}."
    how = "predicted" if miss(curve, "overlap") is not None else "predicted, which takes four runs to check"
    if found.runs > MOST_RUNS:
        return f"{where}, more than {MOST_RUNS:,} runs would be needed for {goal} overlap ({how}); {yours}."
    between = "" if found.interval is None else f" ({found.interval[0]:,} to {found.interval[1]:,})"
    return f"{where}, about {found.runs:,} runs{between} give {goal} overlap ({how}); {yours}."


def _runs(count: int) -> str:
    return "1 run gives" if count == 1 else f"{count:,} runs give"


def _ends(interval: Interval | None) -> str:
    return "" if interval is None else f" ({percent(interval[0])} to {percent(interval[1])})"


def _words(found: Measured) -> str:
    if found.interval is None:
        return f"{found.value:.3f}"
    return f"{found.value:.3f} ({found.interval[0]:.3f} to {found.interval[1]:.3f})"


def _said_of_runs(curves: Curves, keep: float) -> list[str]:
    """In how many cases there are enough runs, and where the most are missing; of a few, then each by itself."""
    goal = target(keep)
    cases = [(score, kind, curve) for score, by in curves.items() for kind, curve in by.items()]
    if len(cases) == 1:
        return [_answer(*cases[0], keep)]
    needed = {
        (score, kind): found for score, kind, curve in cases if (found := runs_for(curve, "overlap", goal))
    }
    enough = [case for case in cases if (found := needed.get(case[:2])) and found.runs <= case[2].runs]
    said = (
        f"At {_round(keep)} keep the runs there are give {_round(goal)} overlap in {len(enough)} of {len(cases)} "
        "cases (a score of an architecture)"
    )
    if needed:
        (score, kind), most = max(needed.items(), key=lambda case: case[1].runs)
        many = _needed(most) if most.runs <= MOST_RUNS else f"more than {MOST_RUNS:,}"
        runs = "run" if most.runs == 1 else "runs"
        how = "predicted" if most.predicted else "measured"
        said += f"; the most are needed by {score} of {kind}: {many} {runs} ({how}, {curves[score][kind].runs} there)"
    if unknown := len(cases) - len(needed):
        said += f"; in {unknown} the number cannot be predicted"
    return [f"{said}.", *([_answer(*case, keep) for case in cases] if len(cases) <= SAID else [])]


def _said_of_ties(curves: Curves) -> list[str]:
    tied = [
        score for score, by in curves.items() if any(curve.tie_loss > MOST_TIE_LOSS for curve in by.values())
    ]
    if not tied:
        return []
    return [
        f"Ties take more than {_round(MOST_TIE_LOSS)} of the differences in rank in single runs of {', '.join(tied)}: "
        "Spearman-Brown does not hold there (means over runs tie less, which is a gain of its own) and is not used."
    ]


def _said_of_prediction(curves: Curves) -> list[str]:
    """How far Spearman-Brown from single runs is from what was measured, without the scores that tie."""
    off = {
        (score, kind): spearman_brown(curve.single.rho.value, curve.largest.runs) - curve.largest.rho.value
        for score, by in curves.items()
        for kind, curve in by.items()
        if curve.largest.runs > 1 and curve.tie_loss <= MOST_TIE_LOSS and curve.single.rho.value > 0
    }
    if not off:
        return []
    score, kind = max(off, key=lambda case: abs(off[case]))
    return [
        f"Spearman-Brown from single runs is within {max(map(abs, off.values())):.3f} of what is measured "
        f"for the largest means (farthest: {score} of {kind}, {off[score, kind]:+.3f})."
    ]


def _said_of_intervals(scores: RunScores) -> list[str]:
    said = [
        "Overlap is the share of the kept that means over so many runs have in common with means over as many others, "
        "ties drawn by lot. Intervals are 95 %, for other runs like these on the same examples."
    ]
    if few := [f"{kind} ({len(runs)})" for kind, runs in scores.runs.items() if len(runs) == 2]:
        said.append(f"An interval takes three runs, which is more than there are of {', '.join(few)}.")
    if one := [kind for kind, runs in scores.runs.items() if len(runs) == 1]:
        said.append(f"There is one run of {', '.join(one)}, so nothing is said of it.")
    return said


def _rho_listing(curves: Curves) -> Listing:
    rows: list[list[Cell]] = []
    for score, by in curves.items():
        for kind, curve in by.items():
            size = shown_size(curve)
            several = curve.of(size).rho if size > 1 else None
            offered = size > 1 and curve.tie_loss <= MOST_TIE_LOSS and curve.single.rho.value > 0
            rows.append([
                score, kind, curve.runs, _cell(curve.single.rho), size if size > 1 else None, _cell(several),
                spearman_brown(curve.single.rho.value, size) if offered else None, curve.tie_loss,
            ])  # fmt: skip
    header = [
        "score", "architecture", "runs", "single run (95 %)", "k", "k runs (95 %)", "Spearman-Brown", "ties",
    ]  # fmt: skip
    return Listing(
        header,
        rows,
        "Spearman's correlation of one run with another, and of means of k runs with means of k others (measured, and "
        "as predicted from single runs); the most reliable score first. Ties: their share of "
        "the differences (variance) in rank.",
    )


def _overlap_listing(curves: Curves, keep: float) -> Listing:
    rows: list[list[Cell]] = []
    for score, by in curves.items():
        for kind, curve in by.items():
            size = shown_size(curve)
            several = curve.of(size).overlap if size > 1 else None
            mine = expected(curve, "overlap", curve.runs)
            found = runs_for(curve, "overlap", target(keep))
            rows.append([
                score, kind, curve.runs, None if found is None else _needed(found),
                _cell(curve.single.overlap), size if size > 1 else None, _cell(several),
                None if mine is None else mine.value,
                ("predicted" if found.predicted else "measured") if found else unpredictable(curve, "overlap"),
            ])  # fmt: skip
    header = [
        "score", "architecture", "runs", f"runs for {_round(target(keep))} (95 %)", "single run (95 %)", "k",
        "k runs (95 %)", "all runs (predicted)", "how",
    ]  # fmt: skip
    return Listing(
        header,
        rows,
        f"Overlap of the hardest {_round(keep)} ({_round(keep)} by chance), and the number of runs whose means "
        f"reach {_round(target(keep))}. What more than half of the runs give is predicted from the "
        "overlap measured at the largest k.",
    )


def _cell(found: Measured | None) -> str | None:
    return None if found is None or np.isnan(found.value) else _words(found)


def _needed(found: RunsFor) -> str:
    between = "" if found.interval is None else f" ({found.interval[0]:,} to {found.interval[1]:,})"
    return f"{found.runs:,}{between}"


def _documents(curves: Curves, keep: float) -> dict[str, Any]:
    return {
        score: {kind: _document(curve, keep) for kind, curve in by.items()} for score, by in curves.items()
    }


def _document(curve: RunCurve, keep: float) -> dict[str, Any]:
    mine, found = expected(curve, "overlap", curve.runs), runs_for(curve, "overlap", target(keep))
    return {
        "runs": curve.runs,
        "tie_loss": curve.tie_loss,
        "curve": [
            {
                "runs": point.runs,
                "splits": point.splits,
                "rho": _number(point.rho.value),
                "rho_interval": point.rho.interval,
                "overlap": point.overlap.value,
                "overlap_interval": point.overlap.interval,
                "by_lot": point.by_lot,
            }
            for point in curve.points
        ],
        "all_runs_overlap": None if mine is None else {"predicted": mine.value, "interval": mine.interval},
        "runs_for_target": None
        if found is None
        else {"runs": found.runs, "interval": found.interval, "predicted": found.predicted},
        "unpredictable": {measure: unpredictable(curve, measure) for measure in ("rho", "overlap")},
    }


def _round(share: float) -> str:
    """``30 %``: what was asked for, as it was asked."""
    return f"{share * 100:.3g} %"


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value


def _draw(curves: Curves, keep: float, measure: Any) -> Figure:
    from scoring.plots.reliability import run_curves

    return run_curves(curves, keep=keep, measure=measure)
