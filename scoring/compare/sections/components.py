"""Section: how much of what scores say is one difficulty?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.compare.components.copies import copies
from scoring.compare.components.principal import Components, components, congruence
from scoring.compare.intervals.crossed_error import blank
from scoring.compare.request import Request
from scoring.compare.run_scores import RunScores
from scoring.compare.wording import percent
from scoring.reports.section import Cell, Listing, Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME, TITLE, TITLE_OF_DOCUMENTS = "components", "One difficulty or several", "One component or several"


def section(scores: RunScores, request: Request) -> Section:
    """Principal components and one factor of ranked scores, copies counted as they are and once."""
    title = TITLE_OF_DOCUMENTS if scores.of_documents else TITLE
    if len(scores.scores) < 2:
        return Section(NAME, title, ["There is one score: components need two, a factor three."])

    def of(architecture: str, among: Sequence[str] | None = None) -> Components | None:
        return components(
            scores, architecture, among, keep=request.keep, resamples=request.resamples, seed=request.seed
        )

    found = [each for name in scores.architectures if (each := of(name)) is not None]
    if not found:
        said = "Fewer than two scores tell any examples apart: there is nothing to take components of."
        return Section(NAME, title, [said])
    alike = {first: others for first, others in copies(scores).items() if others}
    dropped = {name for others in alike.values() for name in others}
    distinct = [name for name in scores.scores if name not in dropped]
    once = {each.architecture: of(each.architecture, distinct) for each in found} if dropped else {}
    pairs = _congruences(found)
    sentences = [*_said(found, [each for each in once.values() if each is not None], scores.of_documents)]
    if alike:
        groups = "; ".join(", ".join([first, *others]) for first, others in alike.items())
        where = "" if scores.of_documents else " in every run"
        sentences.append(f"Scores that rank all examples alike{where} are one score: {groups}.")
    if pairs:
        a, b, phi, _ = min(pairs, key=lambda pair: pair[2])
        equal = "the same component" if phi >= 0.95 else "not the same component"
        sentences.append(
            "Architectures: the first loadings have a congruence (Tucker's phi: the cosine between two lists of "
            f"loadings, 1 where they are proportional) of at least {phi:.3f} ({a} and {b}): {equal}, by the usual "
            "bound of .95."
        )
    lost = {name for each in found for name in each.constant}
    if lost:
        sentences.append(f"Constant in some architecture and left out there: {', '.join(sorted(lost))}.")
    if any(each.runs < 3 for each in found) and not scores.of_documents:
        sentences.append("With fewer than 3 runs the intervals are over examples alone.")
    document = {
        "copies": alike,
        "architectures": {
            each.architecture: {**_document(each), "copies_once": _short(once.get(each.architecture))}
            for each in found
        },
        "congruence": [{"a": a, "b": b, "first": first, "factor": factor} for a, b, first, factor in pairs],
    }
    return Section(
        NAME, title, sentences, [_explained(found), _loadings(found, scores.of_documents)],
        {"components": partial(_draw, found, title)}, document,
    )  # fmt: skip


def _said(
    found: Sequence[Components], once: Sequence[Components], of_documents: bool = False
) -> Iterator[str]:
    """One sentence each on components and on the factor: a range over architectures."""
    runs = _numbers([each.runs for each in found])
    over = f"averaged over {runs} runs" if runs != "1" else "of documents" if of_documents else "of one run"
    named = not of_documents or len(found) > 1
    low, high = float(found[0].first_share.low), float(found[0].first_share.high)
    ends = "" if len(found) > 1 or np.isnan(low) else f" (95 %: {percent(low)} to {percent(high)})"
    sentence = (
        f"One component explains {_percents([float(each.explained[0]) for each in found])}{ends} of the variance of "
        f"{_numbers([len(each.names) for each in found])} ranked scores, {over}"
    )
    if named:
        sentence += f" ({', '.join(each.architecture for each in found)})"
    if once:
        sentence += (
            f"; {_percents([float(each.first_share.values) for each in once])} of the "
            f"{_numbers([len(each.names) for each in once])} that are no copies"
        )
    yield f"{sentence}. {_of_many(found)}"
    if fits := [(each.architecture, each.factor) for each in found if each.factor is not None]:
        factors = [fit for _, fit in fits]
        left = [fit.residual for fit in factors]
        sentence = (
            f"One factor explains {_percents([fit.share for fit in factors])} of the variance, and "
            f"{_percents([fit.common_share for fit in factors])} of what the scores share; the correlations it leaves "
            f"are {_ends(f'{min(left):.3f}', f'{max(left):.3f}')} (root mean square), "
            f"{max(fit.largest_residual for fit in factors):.3f} at most."
        )
        if bound := [name for name, fit in fits if fit.heywood]:
            place = f"In {', '.join(bound)} a" if named else "A"
            sentence += (
                f" {place} loading reached its bound 1: a score that is the factor itself, or one factor does not "
                "fit."
            )
        yield sentence
    for each in found:
        against = [name for name, loading in zip(each.names, each.loadings[:, 0]) if loading < 0]
        if against:
            verb = "orders" if len(against) == 1 else "order"
            place = f"{each.architecture}: " if named else ""
            yield f"{place}{', '.join(against)} {verb} examples against the first component."


def _of_many(found: Sequence[Components]) -> str:
    """How many components there are."""
    most, beyond = max(each.to_99 for each in found), [each.beyond_chance for each in found]
    to_99 = f"{_numbers([each.to_99 for each in found])} {'explains' if most == 1 else 'explain'} 99 %"
    if not any(beyond):
        return f"{to_99}; none explains more than unrelated scores would (parallel analysis)."
    verb = "explains" if max(beyond) == 1 else "explain"
    return f"{to_99}; {_numbers(beyond)} {verb} more than unrelated scores would (parallel analysis)."


def _percents(shares: Sequence[float]) -> str:
    """``77 % to 82 %``, of those that have a number."""
    known = [share for share in shares if not np.isnan(share)]
    return _ends(percent(min(known)), percent(max(known))) if known else "undefined"


def _numbers(counts: Sequence[int]) -> str:
    return _ends(str(min(counts)), str(max(counts)))


def _ends(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _congruences(found: Sequence[Components]) -> list[tuple[str, str, float, float | None]]:
    """Tucker's phi of first loadings and of factor loadings over the scores that both have, 3 at least."""
    rows: list[tuple[str, str, float, float | None]] = []
    for a, b in combinations(found, 2):
        shared = [name for name in a.names if name in b.names]
        if len(shared) < 3:
            continue
        i, j = ([each.names.index(name) for name in shared] for each in (a, b))
        factor = None
        if a.factor is not None and b.factor is not None:
            factor = congruence(a.factor.loadings[i], b.factor.loadings[j])
        first = congruence(a.loadings[i, 0], b.loadings[j, 0])
        rows.append((a.architecture, b.architecture, first, factor))
    return rows


def _explained(found: Sequence[Components]) -> Listing:
    rows: list[list[Cell]] = []
    for each in found:
        running = 0.0
        for k in range(min(len(each.names), max(3, each.to_99))):
            running += float(each.explained[k])
            share: Cell = float(each.explained[k])
            if k == 0 and not np.isnan(each.first_share.low):
                share = (float(each.explained[0]), float(each.first_share.low), float(each.first_share.high))
            rows.append([each.architecture, k + 1, share, running, float(each.chance[k])])
    header = ["architecture", "component", "share (95 %)", "together", "95 % of chance below"]
    return Listing(header, rows, "Shares of the variance of ranked scores")


def _loadings(found: Sequence[Components], of_documents: bool) -> Listing:
    """A row per score; of several architectures the first component alone, side by side."""
    caption = "Loadings: correlations of scores with what they have in common"
    caption += "" if of_documents else "; high is hard"
    if len(found) > 1:
        names = dict.fromkeys(name for each in found for name in each.names)
        rows: list[list[Cell]] = [[name, *(_loading(each, name) for each in found)] for name in names]
        caption += ". First component (95 %) by architecture; summary.json has those on the factor"
        return Listing(["score", *(each.architecture for each in found)], rows, caption)
    [one] = found
    rows = []
    for i, name in enumerate(one.names):
        factor: list[Cell] = [None, None]
        if one.factor is not None and one.factor_loadings is not None:
            factor = [one.factor_loadings.at(i).words(), float(one.factor.uniquenesses[i])]
        rows.append([name, _loading(one, name), *factor])
    return Listing(["score", "first component (95 %)", "factor (95 %)", "uniqueness"], rows, caption)


def _loading(found: Components, name: str) -> Cell:
    return found.first_loadings.at(found.names.index(name)).words() if name in found.names else None


def _document(found: Components) -> dict[str, Any]:
    known: dict[str, Any] = {
        "names": found.names, "runs": found.runs, "constant": found.constant, "explained": found.explained.tolist(),
        "first_share": found.first_share.document(), "loadings": found.loadings.tolist(),
        "first_loadings": found.first_loadings.document(), "components_to_99": found.to_99,
        "chance": found.chance.tolist(), "components_beyond_chance": found.beyond_chance, "factor": None,
    }  # fmt: skip
    if found.factor is not None and found.factor_loadings is not None and found.factor_share is not None:
        known["factor"] = {
            "loadings": found.factor_loadings.document(), "uniquenesses": found.factor.uniquenesses.tolist(),
            "share": found.factor_share.document(), "common_share": blank(found.factor.common_share),
            "residual": found.factor.residual, "largest_residual": found.factor.largest_residual,
            "heywood": found.factor.heywood,
        }  # fmt: skip
    return known


def _short(found: Components | None) -> dict[str, Any] | None:
    """The numbers that copies inflate."""
    if found is None:
        return None
    return {
        "names": found.names, "first_share": found.first_share.document(),
        "factor_share": None if found.factor_share is None else found.factor_share.document(),
        "common_share": None if found.factor is None else blank(found.factor.common_share),
    }  # fmt: skip


def _draw(found: Sequence[Components], title: str) -> Figure:
    from scoring.plots.components import component_plot

    explained = {each.architecture: each.explained for each in found}
    chance = max(found, key=lambda each: len(each.names)).chance
    names = list(dict.fromkeys(name for each in found for name in each.names))
    loadings = {}
    for each in found:
        place = [names.index(name) for name in each.names]
        whole = np.full((3, len(names)), np.nan)
        whole[:, place] = each.first_loadings.values, each.first_loadings.low, each.first_loadings.high
        loadings[each.architecture] = whole
    return component_plot(explained, chance, names, loadings, title=title)
