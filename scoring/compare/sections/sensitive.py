"""Section: which examples do architectures rank differently?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from scoring.compare.request import Request
from scoring.compare.run_scores import RunScores
from scoring.compare.sensitive.examples import Sensitive, pairs
from scoring.compare.sensitive.pairs import Found, Pair, search
from scoring.compare.sensitive.rows import joined
from scoring.ids import find_rows
from scoring.reports.section import Cell, Listing, Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Which examples do architectures rank differently?"
NAME = "sensitive"
MOST_TOLD = 6
MOST_COUNTS = 12
"""A longer listing of counts is cut to the pair of each score that differs in most examples."""
MOST_FIGURES = 3


def section(scores: RunScores, request: Request) -> Section:
    """Counts per score and pair beside what chance gives, the most sensitive examples, a row per example."""
    why = _why_not(scores)
    if why is not None:
        return Section(NAME, TITLE, [why])
    found = search(scores, request.q, request.seed)
    sentences = [_over_pairs(found, scores, request.q)] if len(found.pairs) > 1 else []
    sentences += [_answer(pair, found, scores, request.q) for pair in found.pairs[:MOST_TOLD]]
    sentences += _remarks(scores, found)
    listings = [_counts(scores, found, request.q)]
    figures: dict[str, Callable[[], Figure]] = {}
    shown = [pair for pair in found.pairs if pair.best is not None and pair.best.count(request.q)]
    for pair in shown[:MOST_TOLD]:
        assert pair.best is not None
        listings.append(_examples(pair.best, scores, request))
    for number, pair in enumerate(found.pairs[:MOST_FIGURES], 1):
        assert pair.best is not None
        figures[f"sensitive_{number}"] = partial(_draw, pair.best, scores, request.q)
    for number, pair in enumerate(shown[:MOST_FIGURES], 1):
        if request.examples is not None and request.examples.kind == "image":
            assert pair.best is not None
            figures[f"sensitive_examples_{number}"] = partial(_draw_examples, pair.best, scores, request)
    return Section(
        NAME,
        TITLE,
        sentences,
        listings,
        figures,
        _document(scores, found, request),
        {NAME: joined(found.rows)},
    )


def _why_not(scores: RunScores) -> str | None:
    if len(scores.architectures) < 2:
        return "There is one architecture; examples can be sensitive only to a choice between two or more."
    if not pairs(scores):
        few = ", ".join(f"{name} has {len(runs)}" for name, runs in scores.runs.items())
        return (
            f"A difference between architectures is tested against that between runs, so each needs at least two "
            f"runs ({few}); train more seeds and score them with per_run=True, or --per-run."
        )
    return None


def _over_pairs(found: Found, scores: RunScores, q: float) -> str:
    """The range over pairs, and that of what halves of own runs give."""
    best = [pair.best for pair in found.pairs if pair.best is not None]
    counts = [each.count(q) for each in best]
    by = {each.score for each in best}
    which = f"by {by.pop()}" if len(by) == 1 else "each by the score that finds most"
    if len(scores.scores) > 1 and which != "each by the score that finds most":
        which += f", which finds most of {len(scores.scores)} scores"
    said = (
        f"Of {len(scores):,} examples two architectures rank {_to(min(counts), max(counts))} differently "
        f"(q < {q:g}; {len(counts)} pairs, {which})"
    )
    own = [
        null
        for each in best
        for name in (each.first, each.second)
        if (null := found.nulls.get((each.score, name))) is not None
    ]
    if not own:
        return (
            f"{said}; what two halves of one architecture's runs give is not known, as that takes four runs."
        )
    most = max(null.most for null in own)
    medians = [null.median for null in own]
    more = sum(bool(pair.beyond[each.score]) and pair.sure for pair, each in zip(found.pairs, best))
    return (
        f"{said}, and two halves of one architecture's own runs {_to(min(medians), max(medians))}"
        f"{f' (at most {most:,})' if most else ''}; {more} of {len(counts)} pairs surely differ by more than their "
        "own runs do."
    )


def _to(low: float, high: float) -> str:
    ends = [f"{each:,.0f}" if float(each).is_integer() else f"{each:,.1f}" for each in (low, high)]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _answer(pair: Pair, found: Found, scores: RunScores, q: float) -> str:
    """How many examples one pair ranks differently, and how many chance would give."""
    best = pair.best
    assert best is not None
    count, total = best.count(q), len(scores)
    own = [
        f"{null.median:g} (at most {null.most:,} in {len(null.counts)} splits)"
        if null.most
        else f"0 in {len(null.counts)} splits"
        for name in (pair.first, pair.second)
        if (null := found.nulls.get((best.score, name))) is not None
    ]
    named = [name for name in (pair.first, pair.second) if (best.score, name) in found.nulls]
    halves = "; ".join(
        f"two halves of {name}'s own runs, {len(scores.runs[name]) // 2} each: {text}"
        for name, text in zip(named, own)
    )
    tried = len(scores.scores)
    few = f"(q < {q:g}; {best.score}{f', the most of {tried} scores' if tried > 1 else ''})"
    both = f"{pair.first} and {pair.second}"
    if not count:
        return (
            f"{both} rank none of {total:,} examples differently (q < {q:g}; any score) as far as "
            f"{best.runs[0]} and {best.runs[1]} runs can tell{f'; {halves}' if halves else ''}."
        )
    told = f"{both} rank {count:,} of {total:,} {'example' if total == 1 else 'examples'} differently {few}"
    if not pair.sure and pair.beyond[best.score] is not False:
        own_runs = f"; {halves}" if halves else ""
        return (
            f"{told}{own_runs}. As many are found by chance where {tried} scores are looked at, so no example is "
            "surely specific to one of them."
        )
    if pair.beyond[best.score] is None:
        need = "; what two halves of one architecture's runs give is not known, as that takes four runs"
        return f"{told}{need}."
    if not pair.beyond[best.score]:
        return (
            f"{told}, but {halves}: the architectures do not differ by more than their own runs do, "
            "so no example is specific to one of them."
        )
    return f"{told}; {halves}."


def _remarks(scores: RunScores, found: Found) -> list[str]:
    methods = {pair.best.method for pair in found.pairs if pair.best is not None}
    permuted = "permutations of the labels of runs, their statistics pooled over examples"
    both = f"Welch's t, and by {permuted}, where runs are few or of very different number"
    test = both if len(methods) > 1 else permuted if methods == {"pooled"} else "Welch's t"
    said = [
        f"Tested on normal scores of ranks by {test}; what all examples of like difficulty differ by, such as the "
        "pull of noisy runs to the middle, is taken off first."
    ]
    alone = [name for name, runs in scores.runs.items() if len(runs) == 1]
    if alone:
        said.append(f"{', '.join(alone)} took no part: one run does not tell how much runs differ.")
    if few := [name for name, runs in scores.runs.items() if len(runs) == 2]:
        said.append(
            f"Two runs of {', '.join(few)} hardly tell how much runs differ: with ties or uneven noise more of these "
            "examples are found by chance than q says."
        )
    if found.tied:
        said.append(
            f"More than half of the examples tie under {', '.join(found.tied)}; tied ranks count as broken at "
            "random, so few examples can be told apart there."
        )
    return said


def _counts(scores: RunScores, found: Found, q: float) -> Listing:
    cases = [(score, pair) for score in scores.scores for pair in found.pairs]
    which = ""
    if len(cases) > MOST_COUNTS:
        most = [(score, max(found.pairs, key=lambda pair: pair.counts[score])) for score in scores.scores]
        cases = sorted(most, key=lambda case: -case[1].counts[case[0]])[:MOST_COUNTS]
        few = f", of the {MOST_COUNTS} scores with the most" if len(most) > MOST_COUNTS else ""
        which = (
            f" Of every score the pair with the most{few}; all counts are in summary.json, and what they count in "
            f"{NAME}.parquet."
        )
    rows: list[Sequence[Cell]] = []
    for score, pair in cases:
        own = [found.nulls.get((score, name)) for name in (pair.first, pair.second)]
        halves = [value for n in own for value in ((n.median, n.most) if n else (None, None))]
        beyond = pair.beyond[score]
        rows.append([
            score, f"{pair.first} / {pair.second}", pair.counts[score], *halves,
            None if beyond is None else "yes" if beyond else "no", pair.pooled[score],
        ])  # fmt: skip
        if not which and score in found.some_pair and pair is found.pairs[-1]:
            rows.append([score, "some pair", found.some_pair[score], *[None] * 6])
    header = [
        "score", "pair", "sensitive", "first's own runs: median", "most", "second's own runs: median", "most",
        "beyond own runs", "by permutation",
    ]  # fmt: skip
    caption = (
        f"Examples with q < {q:g} of {len(scores):,}. Own runs: the same test between two halves of the runs of one "
        "architecture, over several random splits. By permutation: labels of runs permuted, statistics pooled over "
        f"examples.{which}"
    )
    return Listing(header, rows, caption)


def _label(scores: RunScores, row: int) -> str | None:
    if scores.labels_N is None:
        return None
    k = int(scores.labels_N[row])
    return scores.label_names[k] if 0 <= k < len(scores.label_names) else str(k)


def _examples(best: Sensitive, scores: RunScores, request: Request) -> Listing:
    """The most sensitive examples of one pair."""
    rows = best.most(request.shown, request.q)
    texts: dict[int, str] = {}
    if request.examples is not None and request.examples.kind != "image":
        there = find_rows(request.examples.ids, scores.ids[rows], "compare", "the examples")
        texts = {int(row): request.examples.describe_row(int(at)) for row, at in zip(rows, there)}
    listed = [
        [
            str(scores.ids[row]), _label(scores, row), *([texts[row]] if texts else []),
            float(best.first_N[row]), float(best.second_N[row]),
            float(best.effect_N[row]), float(best.g_N[row]), float(best.q_N[row]),
        ]
        for row in rows.tolist()
    ]  # fmt: skip
    header = [
        "id", "label", *(["example"] if texts else []), f"{best.first}, percentile", f"{best.second}, percentile",
        "difference", "Hedges' g", "q",
    ]  # fmt: skip
    caption = (
        f"The {len(listed)} of {best.count(request.q):,} sensitive examples that {best.first} and {best.second} rank "
        f"most differently by {best.score}; percentile 100 is the hardest, means over runs. All are in {NAME}.parquet."
    )
    return Listing(header, listed, caption)


def _document(scores: RunScores, found: Found, request: Request) -> dict[str, Any]:
    return {
        "q": request.q,
        "table": "all examples" if found.all_rows else "sensitive examples",
        "pairs": [
            {
                "first": pair.first, "second": pair.second, "sensitive": pair.counts, "by_permutation": pair.pooled,
                "beyond_own_runs": pair.beyond, "shown_by": pair.best.score, "runs": list(pair.best.runs),
                "method": pair.best.method, "beyond_choice_of_score": pair.sure,
                "examples": [
                    {
                        "id": scores.ids[row].item() if hasattr(scores.ids[row], "item") else scores.ids[row],
                        "percentiles": [float(pair.best.first_N[row]), float(pair.best.second_N[row])],
                        "g": float(pair.best.g_N[row]), "p": float(pair.best.p_N[row]), "q": float(pair.best.q_N[row]),
                    }
                    for row in pair.best.most(request.shown, request.q).tolist()
                ],
            }
            for pair in found.pairs
            if pair.best is not None
        ],
        "own_runs": [
            {"score": score, "architecture": name, "runs": list(null.runs), "counts": list(null.counts)}
            for (score, name), null in found.nulls.items()
        ],
        "some_pair": found.some_pair,
        "tied": found.tied,
    }  # fmt: skip


def _draw(best: Sensitive, scores: RunScores, q: float) -> Figure:
    from scoring.plots.manhattan import manhattan

    return manhattan(
        best.p_N, best.q_N, best.g_N, (best.first, best.second), q=q,
        labels_N=scores.labels_N, label_names=scores.label_names,
        title=f"{best.first} and {best.second} by {best.score}",
    )  # fmt: skip


def _draw_examples(best: Sensitive, scores: RunScores, request: Request) -> Figure:
    from scoring.plots.contact_sheet import contact_sheet

    assert request.examples is not None
    rows = best.most(request.shown, request.q)
    there = find_rows(request.examples.ids, scores.ids[rows], "compare", "the examples")
    captions = [
        "\n".join(
            [
                *([label] if (label := _label(scores, row)) is not None else []),
                f"{best.first} {best.first_N[row]:.0f}",
                f"{best.second} {best.second_N[row]:.0f}",
            ]
        )
        for row in rows.tolist()
    ]
    return contact_sheet(
        request.examples.images(there), captions,
        title=f"Ranked most differently by {best.score} (percentile, 100 hardest)",
    )  # fmt: skip
