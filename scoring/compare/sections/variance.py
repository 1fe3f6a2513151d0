"""Whose variance is it: the example's, the architecture's own view of it, or run noise?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.compare.request import Request
from scoring.compare.run_scores import RunScores
from scoring.compare.variance.moments import Estimate
from scoring.compare.variance.shares import VarianceComponents, variance_components
from scoring.compare.wording import count_of_runs
from scoring.reports.section import Cell, Listing, Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME, TITLE = "variance", "Variance: example, architecture, run"
IN_WORDS = {
    "example": "the example",
    "interaction": "the architecture's own view of it",
    "noise": "run noise",
    "interaction and noise": "the architecture's own view of it and run noise together",
}
IN_HEADERS = {
    "interaction": "example x architecture",
    "noise": "run noise",
    "interaction and noise": "example x architecture and run noise",
}
AVERAGED = (1, 2, 5, 10)
SPOKEN = 4
"""Up to so many scores each gets its sentence; of more, those with the largest and the smallest share."""


def section(scores: RunScores, request: Request) -> Section:
    """Shares of the variance of ranks with intervals, what averaging runs does to them, main effects on raw values."""
    if len(scores.architectures) == 1 and not scores.single_runs:
        return Section(
            NAME, TITLE,
            ["Variance cannot be decomposed with one run of one architecture; train two runs or more, and a second "
             "architecture for the share that is its own view."],
        )  # fmt: skip
    found: list[VarianceComponents] = []
    raw: list[VarianceComponents] = []
    infinite: list[str] = []
    for score in scores.scores:
        found.append(variance_components(scores, score))
        if _finite(scores, score, found[-1].runs):
            raw.append(variance_components(scores, score, of="values"))
        else:
            infinite.append(score)
    varied = [each for each in found if each.shares()]
    sentences = _sentences(found, varied)
    if infinite:
        sentences.append(
            f"Left out of the raw values, since they contain infinities: {', '.join(infinite)}; ranks are not affected."
        )
    return Section(
        NAME,
        TITLE,
        sentences,
        listings=_listings(varied, raw) if varied else (),
        figures={"variance": lambda: _figure(varied)} if varied else {},
        document={"ranks": [_document(each) for each in found], "values": [_document(each) for each in raw]},
    )


def _finite(scores: RunScores, score: str, architectures: dict[str, int]) -> bool:
    return all(bool(np.isfinite(scores.values(score, name)).all()) for name in architectures)


def _sentences(found: Sequence[VarianceComponents], varied: Sequence[VarianceComponents]) -> list[str]:
    said = []
    ordered = sorted(varied, key=lambda each: -each.shares()["example"].value)
    if len(ordered) > SPOKEN:
        said.append(_over_scores(ordered))
        ordered = [ordered[0], ordered[-1]]
    said += [_in_words(each) for each in ordered]
    first = found[0]
    if varied and not first.merged and ordered[-1].shares(min(first.runs.values())):
        said.append(_averaging(ordered[-1]))
    if constant := [each.score for each in found if each not in varied]:
        said.append(f"The same for every example in every run, so without variance: {', '.join(constant)}.")
    if first.merged:
        said.append(
            "With one run per architecture its own view cannot be told from run noise: train two runs or more of each."
        )
    elif len(first.runs) == 1:
        said.append(
            "An architecture's own view of an example is not known from one architecture: compare two or more."
        )
    else:
        count = len(first.runs)
        said.append(
            f"The shares are of the {count} architectures compared; if these stand for many others, the architecture's "
            f"own view counts {count / (count - 1):.3g} times as much, at the expense of the example."
        )
    if first.left_out:
        names = ", ".join(first.left_out)
        said.append(f"Left out, since one run does not tell its noise: {names}; train a second run.")
    if first.examples_only:
        names, runs = ", ".join(first.examples_only), "one run" if first.merged else "two runs"
        said.append(
            f"Intervals (95 %) do not contain what a run of {names}, with {runs}, does to whole groups of examples; "
            "from three runs on they do."
        )
    truncated = [each.score for each in varied if any(part.truncated for part in each.components.values())]
    if truncated:
        said.append(f"An estimate below zero is given as 0, of a component of: {', '.join(truncated)}.")
    return said


def _over_scores(ordered: Sequence[VarianceComponents]) -> str:
    """The range of every share over the scores, which come with the largest share of the example first."""
    parts = []
    for name in ordered[0].shares():
        shares = [each.shares()[name].value for each in ordered]
        parts.append(f"{100 * min(shares):.0f} to {100 * max(shares):.0f} % is {IN_WORDS[name]}")
    return f"Of the variance of ranks in a single run, {', '.join(parts)}, over {len(ordered)} scores."


def _averaging(each: VarianceComponents) -> str:
    runs, several = min(each.runs.values()), len(each.runs) > 1
    before, after = each.shares(), each.shares(runs)
    said = (
        f"Averaging {runs} runs removes {100 * (1 - 1 / runs):.0f} % of the run noise: of {each.score}, it goes from "
        f"{_percent(before['noise'].value)} to {_percent(after['noise'].value)} of the variance, the example from "
        f"{_percent(before['example'].value)} to {_percent(after['example'].value)}"
    )
    return (
        f"{said}; the architecture's own view stays, and only other architectures average it out."
        if several
        else f"{said}."
    )


def _in_words(each: VarianceComponents) -> str:
    parts = [
        f"{_percent(share.value)} ({_range(share)}) is {IN_WORDS[name]}"
        for name, share in each.shares().items()
    ]
    return f"Of the variance of {each.score} ranks in a single run, {', '.join(parts)}."


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0095 or share == 0 else f"{100 * share:.1f} %"


def _range(share: Estimate) -> str:
    """``59 to 63 %``, with a decimal where the two ends would be one number."""
    low, high = 100 * share.low, 100 * share.high
    digits = 0 if high - low >= 1 else 1
    return f"{low:.{digits}f} to {high:.{digits}f} %"


def _listings(varied: Sequence[VarianceComponents], raw: Sequence[VarianceComponents]) -> list[Listing]:
    kinds = list(varied[0].shares())
    header = ["score", *(IN_HEADERS.get(kind, kind) for kind in kinds)]
    rows = [[each.score, *(_cell(share) for share in each.shares().values())] for each in varied]
    shares = Listing(
        header, rows, "Shares of the variance of ranks over examples in a single run, with 95 % intervals"
    )
    if varied[0].merged:
        return [shares]
    return [shares, _averages(varied), _per_architecture(varied), *([_raw(raw)] if raw else [])]


def _averages(varied: Sequence[VarianceComponents]) -> Listing:
    several = len(varied[0].runs) > 1
    header = [
        "score",
        *(f"example, {count_of_runs(runs)}" for runs in AVERAGED),
        *(f"G, {count_of_runs(runs)}" for runs in AVERAGED),
    ]
    caption = (
        "The example's share after averaging runs of one architecture; and G, the generalisability coefficient "
        "(the correlation to expect with another such mean), of the mean over all architectures compared with so many "
        "runs each"
    )
    if not several:
        header, caption = (
            ["score", *(f"G, {count_of_runs(runs)}" for runs in AVERAGED)],
            (
                "G, the generalisability coefficient of the mean over so many runs: the correlation to expect with "
                "another such mean, here also the example's share"
            ),
        )
    else:
        header.append("G, one other architecture")
        caption += "; last, of a single run of one architecture drawn from others like these"
    rows: list[list[Cell]] = []
    for each in varied:
        row: list[Cell] = [each.score]
        if several:
            known = [each.shares(runs) for runs in AVERAGED]
            row += [shares["example"].value if shares else None for shares in known]
        row += [_known(each.generalisability(runs).value) for runs in AVERAGED]
        if several:
            row.append(_known(each.generalisability(1, new_architectures=1).value))
        rows.append(row)
    return Listing(header, rows, caption)


def _per_architecture(varied: Sequence[VarianceComponents]) -> Listing:
    kinds = varied[0].runs
    rows: list[list[Cell]] = [
        [each.score, *(_cell(_noise(each, name)) if name in each.runs else None for name in kinds)]
        for each in varied
    ]
    return Listing(
        ["score", *(f"{name}, {count_of_runs(runs)}" for name, runs in kinds.items())], rows,
        "Share of run noise in the ranks of a single run, per architecture, with 95 % intervals",
    )  # fmt: skip


def _raw(raw: Sequence[VarianceComponents]) -> Listing:
    several = len(raw[0].runs) > 1
    kinds = ["example", *(["interaction"] if several else []), "noise"]
    moving = ["architecture", "run"] if several else ["run"]
    header = ["score", *(IN_HEADERS.get(kind, kind) for kind in [*kinds, *moving])]
    rows: list[list[Cell]] = []
    for each in raw:
        parts = [each.components[kind] for kind in kinds]
        assert each.main is not None
        parts += [part for part in (each.main.architecture, each.main.run) if part is not None]
        rows.append([each.score, *(_cell(part, np.sqrt) for part in parts)])
    moved = "architecture and run move" if several else "run moves"
    return Listing(
        header, rows,
        f"Raw values: standard deviations in units of the score, with 95 % intervals; {moved} all examples alike",
    )  # fmt: skip


def _noise(each: VarianceComponents, architecture: str) -> Estimate:
    """1 - reliability: the share of run noise within one architecture."""
    reliability = each.reliability_of(architecture)
    return Estimate(1 - reliability.value, 1 - reliability.high, 1 - reliability.low)


def _figure(varied: Sequence[VarianceComponents]) -> Figure:
    from scoring.plots.variance import Bar, variance_shares

    bars = []
    for each in varied:
        noise = {} if each.merged else {name: _noise(each, name) for name in each.runs}
        bars.append(
            Bar(
                each.score,
                each.shares(),
                {name: part for name, part in noise.items() if not np.isnan(part.value)},
            )
        )
    return variance_shares(bars)


def _document(each: VarianceComponents) -> dict[str, Any]:
    found: dict[str, Any] = {
        "score": each.score,
        "runs": each.runs,
        "left_out": list(each.left_out),
        "components": {name: asdict(part) for name, part in each.components.items()},
        "shares": {name: asdict(part) for name, part in each.shares().items()},
        "intervals_of_examples_only": list(each.examples_only),
    }
    if not each.merged:
        found["noise"] = {name: asdict(each.noise_of(name)) for name in each.runs}
        found["reliability"] = {name: asdict(each.reliability_of(name)) for name in each.runs}
        found["generalisability"] = {str(runs): asdict(each.generalisability(runs)) for runs in AVERAGED}
        found["random_architectures"] = {
            name: asdict(part) for name, part in each.random_architectures().items()
        }
    if each.main is not None:
        found["main_effects"] = {
            name: None if part is None else asdict(part)
            for name, part in (("run", each.main.run), ("architecture", each.main.architecture))
        }
    return found


def _cell(part: Estimate, scale: Callable[[float], float] = float) -> Cell:
    value, low, high = (float(scale(each)) for each in (part.value, part.low, part.high))
    return None if np.isnan(value) else (value, low, high)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
