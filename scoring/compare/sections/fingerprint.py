"""Section: how few examples tell which architecture a run is of?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.compare.fingerprints.fingerprint import Fingerprint, made_from
from scoring.compare.fingerprints.held_out_runs import Of, Tested, chosen_in_folds, on_held_out_runs
from scoring.compare.request import Request
from scoring.compare.run_scores import RunScores
from scoring.compare.wording import percent
from scoring.reports.section import Cell, Listing, Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "How few examples tell which architecture a run is of?"
NAME = "fingerprint"
REACH = 0.95
REACHED = "95 %"
MOST = 20


def section(scores: RunScores, request: Request) -> Section:
    """Accuracy on held-out runs by number of examples and score, and the fingerprint of all runs."""
    kinds = [name for name, runs in scores.runs.items() if len(runs) > 1]
    if len(kinds) < 2:
        return Section(NAME, TITLE, [_why_not(scores)])
    used = scores.only(None, kinds)
    fewest = min(len(runs) for runs in used.runs.values())
    if request.held_out is not None and not 1 <= request.held_out < fewest:
        why = (
            f"{request.held_out} runs per architecture cannot be held out where one has {fewest}; "
            f"ask for at most {fewest - 1}."
        )
        return Section(NAME, TITLE, [why])
    finite, of = _finite(used), "values"
    infinite = [score for score in used.scores if score not in finite]
    if not finite:
        finite, of = list(used.scores), "ranks"
    options: dict[str, Any] = {"held_out": request.held_out, "most": MOST, "seed": request.seed}
    each = [on_held_out_runs(used, score, of=_of(of), **options) for score in finite]
    made = made_from(used, each, _of(of), REACH)
    known = chosen_in_folds(each) if len(each) > 1 else each[0]
    by_rank = on_held_out_runs(used, made.score, of="ranks", **options) if of == "values" else None
    sentences = [_answer(made, known, used, each), _honesty(known, each, request)]
    if by_rank is not None:
        sentences.append(_ranks(by_rank, made))
    if left := [name for name in scores.architectures if name not in kinds]:
        sentences.append(f"{', '.join(left)} took no part: of one run none can be held out.")
    if infinite:
        how = "by rank, as all scores have infinite values" if of == "ranks" else "without"
        sentences.append(
            "All scores have infinite values, so ranks are used."
            if of == "ranks"
            else f"Found {how} {', '.join(infinite)}, which have infinite values."
        )
    curves = {f"{_by(each)}, {of}": known} | ({f"{made.score}, ranks": by_rank} if by_rank else {})
    figures: dict[str, Callable[[], Figure]] = {NAME: partial(_draw, curves, each, made, used)}
    document = {
        "reach": REACH,
        "fingerprint": made.to_json(),
        "right_by_score": {one.score: one.right_K.tolist() for one in each},
        "right": known.right_K.tolist(),
        "right_by_ranks": None if by_rank is None else by_rank.right_K.tolist(),
        "sizes": list(known.sizes),
        "held_out_runs": len(known.runs),
        "confusion": _confusion(known, len(made), used),
    }
    listings = [_accuracies(each, known, by_rank, of), _examples(made, used)]
    return Section(NAME, TITLE, sentences, listings, figures, document)


def _of(name: str) -> Of:
    return "ranks" if name == "ranks" else "values"


def _why_not(scores: RunScores) -> str:
    if len(scores.architectures) < 2:
        return "There is one architecture; a fingerprint tells two or more apart."
    few = ", ".join(f"{name} has {len(runs)}" for name, runs in scores.runs.items())
    return (
        "A fingerprint is tested on runs that had no part in choosing it, so two architectures need at least two runs "
        f"each ({few}); train more seeds and score them with per_run=True, or --per-run."
    )


def _finite(scores: RunScores) -> list[str]:
    return [
        score
        for score in scores.scores
        if all(np.isfinite(scores.values(score, name)).all() for name in scores.architectures)
    ]


def _by(each: Sequence[Tested]) -> str:
    return "score chosen in every fold" if len(each) > 1 else each[0].score


def _chance(scores: RunScores) -> float:
    counts = [len(runs) for runs in scores.runs.values()]
    return max(counts) / sum(counts)


def _answer(made: Fingerprint, known: Tested, scores: RunScores, each: Sequence[Tested]) -> str:
    found, (low, high) = made.accuracy, made.accuracy["interval"]
    right = found["right"][found["sizes"].index(found["size"])]
    chance = _chance(scores)
    share = (
        f"{right:,} of {found['runs']:,} held-out runs "
        f"({percent(low)} to {percent(high)}; {percent(chance)} by chance)"
    )
    size = f"{len(made)} {'example' if len(made) == 1 else 'examples'}"
    names = ", ".join(scores.architectures)
    if min(low, known.overall_interval[0]) <= chance:
        return (
            f"No fingerprint of {names} was found that is surely better than chance: {size} name the architecture "
            f"of {share}, all numbers of examples that were tried {percent(float(known.accuracy_K.mean()))} on average."
        )
    if found["accuracy"] < REACH:
        return (
            f"Up to {known.sizes[-1]} examples do not name {REACHED} of the held-out runs of {names} rightly; "
            f"{size} name {share}."
        )
    by = ""
    if len(each) > 1:
        by = f"; {made.score} is used, since its examples set the architectures apart most clearly"
        fewer = sum((least := one.fewest(REACH)) is not None and least < len(made) for one in each)
        if fewer:
            need = "needs" if fewer == 1 else "need"
            by += f", though {fewer} of {len(each)} scores, by narrower margins, {need} fewer"
    return f"{size} {'tells' if len(made) == 1 else 'tell'} {names} apart: right for {share}{by}."


def _honesty(known: Tested, each: Sequence[Tested], request: Request) -> str:
    held = "one run at a time" if request.held_out is None else f"{request.held_out} runs of each at a time"
    score = "examples and score" if len(each) > 1 else "the examples"
    return (
        f"Held out {held}: {score} were chosen without them in every fold. The interval is Wilson's for "
        f"{len(known.runs)} runs; it does not know that folds share runs, nor that the number of examples was read off "
        "the same runs; so it counts as better than chance only if the mean over all numbers of examples is, too."
    )


def _ranks(by_rank: Tested, made: Fingerprint) -> str:
    size = by_rank.best_size(REACH)
    right = int(by_rank.right_K[list(by_rank.sizes).index(size)])
    return (
        f"By ranks instead of values of {made.score}, {size} {'example names' if size == 1 else 'examples name'} "
        f"{right} of {len(by_rank.runs)}: values also see that a whole level differs (training longer moves it), ranks "
        "only an order, for which a new run must be scored on all examples."
    )


def _accuracies(each: Sequence[Tested], known: Tested, by_rank: Tested | None, of: str) -> Listing:
    rows: list[Sequence[Cell]] = [
        [one.score, of, *one.accuracy_K.tolist(), one.fewest(REACH)]
        for one in sorted(each, key=lambda one: (-one.accuracy_K.sum(), one.score))
    ]
    if len(each) > 1:
        rows.insert(0, [known.score, of, *known.accuracy_K.tolist(), known.fewest(REACH)])
    if by_rank is not None:
        rows.append([by_rank.score, "ranks", *by_rank.accuracy_K.tolist(), by_rank.fewest(REACH)])
    header = ["score", "of", *(str(size) for size in known.sizes), f"fewest for {REACHED}"]
    caption = (
        f"Share of {len(known.runs)} held-out runs whose architecture is named rightly, by number of examples; the "
        "best of many scores looks better than it is, the score chosen in every fold does not."
    )
    return Listing(header, rows, caption)


def _examples(made: Fingerprint, scores: RunScores) -> Listing:
    rows: list[Sequence[Cell]] = []
    for k, id in enumerate(made.ids):
        at = int(np.flatnonzero(scores.ids == id)[0])
        label = None
        if scores.labels_N is not None:
            c = int(scores.labels_N[at])
            label = scores.label_names[c] if 0 <= c < len(scores.label_names) else str(c)
        rows.append([str(id), label, *made.mean_AK[:, k].tolist(), float(made.scale_K[k])])
    header = ["id", "label", *scores.architectures, "scale"]
    what = "values" if made.of == "values" else "scaled ranks"
    caption = f"The fingerprint: mean {what} of {made.score} in the runs of every architecture, high is hard."
    return Listing(header, rows, caption)


def _confusion(known: Tested, size: int, scores: RunScores) -> dict[str, dict[str, int]]:
    at = list(known.sizes).index(size)
    table: dict[str, dict[str, int]] = {
        name: dict.fromkeys(scores.architectures, 0) for name in scores.architectures
    }
    for run in known.runs:
        truth, said = (scores.architectures[k] for k in (run.architecture, int(run.predicted_K[at])))
        table[truth][said] += 1
    return table


def _draw(curves: dict[str, Tested], each: Sequence[Tested], made: Fingerprint, scores: RunScores) -> Figure:
    from scoring.plots.fingerprint import fingerprint_figure

    first = next(iter(curves.values()))
    ends = np.array([first.interval(size) for size in first.sizes]).T
    means = (made.mean_AK - made.mean_AK.mean(axis=0)) / made.scale_K
    return fingerprint_figure(
        {name: one.accuracy_K for name, one in curves.items()}, first.sizes, (ends[0], ends[1]), _chance(scores), means,
        scores.architectures, others=[one.accuracy_K for one in each] if len(each) > 1 else (), reach=REACH,
        title="Held-out runs",
    )  # fmt: skip
