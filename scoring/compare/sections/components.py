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
from scoring.compare.run_scores import RunScores
from scoring.compare.section import Cell, Listing, Request, Section
from scoring.compare.wording import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME, TITLE = "components", "One difficulty or several"


def section(scores: RunScores, request: Request) -> Section:
    """Principal components and one factor of ranked scores, copies counted as they are and once."""
    if len(scores.scores) < 2:
        return Section(NAME, TITLE, ["There is one score: components need two, a factor three."])

    def of(architecture: str, among: Sequence[str] | None = None) -> Components | None:
        return components(
            scores, architecture, among, keep=request.keep, resamples=request.resamples, seed=request.seed
        )

    found = [each for name in scores.architectures if (each := of(name)) is not None]
    if not found:
        said = "Fewer than two scores tell any examples apart: there is nothing to take components of."
        return Section(NAME, TITLE, [said])
    alike = {first: others for first, others in copies(scores).items() if others}
    dropped = {name for others in alike.values() for name in others}
    distinct = [name for name in scores.scores if name not in dropped]
    once = {each.architecture: of(each.architecture, distinct) for each in found} if dropped else {}
    pairs = _congruences(found)
    sentences = [sentence for each in found for sentence in _said(each, once.get(each.architecture))]
    if alike:
        groups = "; ".join(", ".join([first, *others]) for first, others in alike.items())
        sentences.append(f"Scores that rank all examples alike in every run are one score: {groups}.")
    if pairs:
        a, b, phi, _ = min(pairs, key=lambda pair: pair[2])
        equal = "the same component" if phi >= 0.95 else "not the same component"
        sentences.append(
            f"Architectures: the first loadings have a congruence (Tucker's phi) of at least {phi:.3f} ({a} and {b}): "
            f"{equal}, by the usual bound of .95."
        )
    lost = {name for each in found for name in each.constant}
    if lost:
        sentences.append(f"Constant in some architecture and left out there: {', '.join(sorted(lost))}.")
    if any(each.runs < 3 for each in found):
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
        NAME, TITLE, sentences, [_explained(found), _loadings(found)], {"components": partial(_draw, found)}, document
    )  # fmt: skip


def _said(found: Components, once: Components | None) -> Iterator[str]:
    over = f"averaged over {found.runs} runs" if found.runs > 1 else "of one run"
    low, high = float(found.first_share.low), float(found.first_share.high)
    ends = "" if np.isnan(low) else f" (95 %: {percent(low)} to {percent(high)})"
    sentence = (
        f"{found.architecture}: one component explains {percent(found.explained[0])}{ends} of the variance of "
        f"{len(found.names)} ranked scores, {over}"
    )
    if once is not None:
        sentence += f"; {percent(float(once.first_share.values))} of the {len(once.names)} that are no copies"
    yield f"{sentence}. {_of_many(found)}"
    if found.factor is not None:
        fit = found.factor
        sentence = (
            f"{found.architecture}: one factor explains {percent(fit.share)} of the variance, and "
            f"{percent(fit.common_share)} of what the scores share; the correlations it leaves are "
            f"{fit.residual:.3f} (root mean square), "
            f"{fit.largest_residual:.3f} at most."
        )
        if fit.heywood:
            sentence += " A loading reached its bound 1: a score that is the factor itself, or one factor does not fit."
        yield sentence
    against = [name for name, loading in zip(found.names, found.loadings[:, 0]) if loading < 0]
    if against:
        verb = "orders" if len(against) == 1 else "order"
        yield f"{found.architecture}: {', '.join(against)} {verb} examples against the first component."


def _of_many(found: Components) -> str:
    """How many components there are."""
    to_99 = f"{found.to_99} {'explains' if found.to_99 == 1 else 'explain'} 99 %"
    beyond = found.beyond_chance
    if not beyond:
        return f"{to_99}; none explains more than unrelated scores would (parallel analysis)."
    return f"{to_99}; {beyond} {'explains' if beyond == 1 else 'explain'} more than unrelated scores would."


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
            rows.append([each.architecture, k + 1, float(each.explained[k]), running, float(each.chance[k])])
    header = ["architecture", "component", "share", "together", "95 % of chance below"]
    return Listing(header, rows, "Shares of the variance of ranked scores")


def _loadings(found: Sequence[Components]) -> Listing:
    rows: list[list[Cell]] = []
    for each in found:
        for i, name in enumerate(each.names):
            factor: list[Cell] = [None, None]
            if each.factor is not None and each.factor_loadings is not None:
                factor = [each.factor_loadings.at(i).words(), float(each.factor.uniquenesses[i])]
            rows.append([each.architecture, name, each.first_loadings.at(i).words(), *factor])
    header = ["architecture", "score", "first component (95 %)", "factor (95 %)", "uniqueness"]
    return Listing(
        header, rows, "Loadings: correlations of scores with what they have in common; high is hard"
    )


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


def _draw(found: Sequence[Components]) -> Figure:
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
    return component_plot(explained, chance, names, loadings)
