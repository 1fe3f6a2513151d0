"""Section: may a small model score for a large one?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from scoring.compare.intervals.over_runs import Estimate
from scoring.compare.kept_sets import kept_count
from scoring.compare.predictions.agreement import PredictionAgreement, prediction_agreement
from scoring.compare.predictions.ensembling import Ensembling, ensembling, left_by_ensembling
from scoring.compare.proxy import MARGIN, ProxyCheck, proxy_checks
from scoring.compare.request import Request
from scoring.compare.run_scores import RunScores
from scoring.compare.wording import count_of_runs, decimal, ends, percent, percent_estimate
from scoring.reports.section import Cell, Listing, Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "May a small model score for a large one?"
NAME = "proxy"
MOST_ROWS = 12
"""A longer listing is cut to one proxy per score."""
MOST_SENTENCES = 6
"""Of more pairs of score and proxy only the first score is told in words; the listing has all."""


def section(scores: RunScores, request: Request) -> Section:
    """Every proxy of ``request.proxies`` against the last of them: kept sets, ranks and, if given, predictions."""
    why = _why_not(scores, request)
    if why is not None:
        return Section(NAME, TITLE, [why])
    checks = proxy_checks(scores, request.proxies, keep=request.keep, seed=request.seed)
    told = checks if len(checks) <= MOST_SENTENCES else [c for c in checks if c.score == checks[0].score]
    sentences = [*verdict_sentences(checks), *(check_sentence(check, request.keep) for check in told)]
    listed, cut = _telling(checks)
    listings = [_kept_listing(listed, request.keep, cut), _rank_listing(listed, cut)]
    figures: dict[str, Callable[[], Figure]] = {"proxy_kept": partial(_draw_kept, checks)}
    document: dict[str, Any] = {"checks": [_check_document(check) for check in checks], "margin": MARGIN}
    predictions = request.predictions
    known = [name for name in request.proxies if predictions is not None and name in predictions.runs]
    if predictions is None or len(known) < 2 or known[-1] != request.proxies[-1]:
        sentences.append(
            "Without predictions of a proxy and of the target nothing is said of how alike they predict."
        )
        return Section(NAME, TITLE, sentences, listings, figures, document)
    pairs = prediction_agreement(predictions.only(known))
    sentences.append(_agreement_sentence(pairs))
    listings.append(_agreement_listing(pairs))
    figures["proxy_predictions"] = partial(_draw_predictions, pairs)
    document["predictions"] = [_agreement_document(pairs, name) for name in known]
    if predictions.labels_N is None:
        sentences.append("The examples have no labels, so variance and bias are not told apart.")
        return Section(NAME, TITLE, sentences, listings, figures, document)
    found = [ensembling(predictions, name, request.seed) for name in known]
    sentences += [_bias_sentence(each, found[-1]) for each in found[:-1]]
    listings.append(_ensembling_listing(found))
    figures["proxy_ensembles"] = partial(_draw_ensembles, found)
    document["ensembles"] = [_ensembling_document(each, found[-1]) for each in found]
    return Section(NAME, TITLE, sentences, listings, figures, document)


def _why_not(scores: RunScores, request: Request) -> str | None:
    if len(scores.architectures) < 2:
        return "There is one architecture; a proxy check needs the scores of a cheaper one and of the target."
    if len(request.proxies) < 2:
        return "No proxies are named: give architectures from the cheapest to the target as proxies, or --proxies."
    if kept_count(request.keep, len(scores)) == len(scores):
        return f"All {len(scores)} examples are kept, whatever scores them."
    return None


def verdict_sentences(checks: Sequence[ProxyCheck]) -> list[str]:
    """By which scores which proxy will do, the cheapest one first; what 'will do' means."""
    target = checks[0].target
    by_score: dict[str, list[ProxyCheck]] = {}
    for check in checks:
        by_score.setdefault(check.score, []).append(check)
    cheapest: dict[str, list[str]] = {}
    refused, unclear = [], []
    for score, each in by_score.items():
        if fits := [check.proxy for check in each if check.verdict == "yes"]:
            cheapest.setdefault(fits[0], []).append(score)
        elif all(check.verdict == "no" for check in each):
            refused.append(score)
        else:
            unclear.append(score)
    order = list(dict.fromkeys(check.proxy for check in checks))
    parts = [
        f"{name} may score for {target} by {_listed(cheapest[name])}" for name in order if name in cheapest
    ]
    if refused:
        parts.append(f"no cheaper architecture may score for {target} by {_listed(refused)}")
    if unclear:
        parts.append(f"whether one may score by {_listed(unclear)} cannot be told")
    said = "; ".join(parts)
    return [
        f"{said if cheapest else said[0].upper() + said[1:]}.",
        f"A proxy will do if, by the 95 % interval over runs, it loses at most {100 * checks[0].margin:.3g} points of "
        "the kept set beyond what fresh runs of the target itself would lose; it will not if it loses more.",
    ]


def check_sentence(check: ProxyCheck, keep: float) -> str:
    """What a user asked: how much of the target's kept set the proxy keeps, and what that is worth."""
    ceiling = (
        f"{check.target} has one run, so what it shares with itself is not known"
        if check.target_runs < 2
        else f"{check.target} agrees with itself on {percent_estimate(check.ceiling)}"
    )
    return (
        f"Scoring {check.score} with {check.proxy} ({count_of_runs(check.proxy_runs)}) keeps "
        f"{percent_estimate(check.overlap)} of what {check.target} ({count_of_runs(check.target_runs)}) would keep at "
        f"{percent(keep)}; {ceiling}, chance is {percent(check.chance)}: {check.verdict} ({check.reason})."
    )


def _listed(names: Sequence[str]) -> str:
    if len(names) > 6:
        return f"{', '.join(names[:5])} and {len(names) - 5} more"
    return ", ".join(names)


def _telling(checks: Sequence[ProxyCheck]) -> tuple[Sequence[ProxyCheck], str]:
    """Of many checks one per score: the cheapest proxy that will do, else the one that keeps most; and so in words."""
    if len(checks) <= MOST_ROWS:
        return checks, ""
    chosen: dict[str, ProxyCheck] = {}
    for check in checks:
        before = chosen.setdefault(check.score, check)
        if before.verdict != "yes" and (check.verdict == "yes" or check.overlap.value > before.overlap.value):
            chosen[check.score] = check
    which = "of every score the cheapest proxy that will do, else the one that keeps most"
    few = sorted(chosen.values(), key=lambda check: -check.overlap.value)
    if len(few) > MOST_ROWS:
        few, which = few[:MOST_ROWS], f"{which}, of the {MOST_ROWS} scores where that keeps most"
    return few, f". Listed: {which}; all {len(checks)} checks are in summary.json"


def _kept_listing(checks: Sequence[ProxyCheck], keep: float, cut: str) -> Listing:
    rows: list[list[Cell]] = [
        [
            c.score, c.proxy, c.verdict, c.overlap.value, *ends(c.overlap), c.ceiling.value, *ends(c.ceiling),
            *ends(c.shortfall),
        ]
        for c in checks
    ]  # fmt: skip
    header = [
        "score", "proxy", "will do", "overlap", "from", "to", "ceiling", "from", "to", "shortfall from", "to",
    ]  # fmt: skip
    caption = (
        f"Share of the {percent(keep)} that {checks[0].target} keeps, with 95 % intervals over runs; by chance "
        f"{percent(checks[0].chance)}{cut}"
    )
    return Listing(header, rows, caption)


def _rank_listing(checks: Sequence[ProxyCheck], cut: str) -> Listing:
    rows: list[list[Cell]] = [
        [
            c.score, c.proxy, c.rho_single, c.rho_mean, c.rho_corrected.value, *ends(c.rho_corrected),
            c.reliability_proxy, c.reliability_target,
        ]
        for c in checks
    ]  # fmt: skip
    header = [
        "score", "proxy", "one run", "mean over runs", "corrected", "from", "to", "proxy, run to run",
        "target, run to run",
    ]  # fmt: skip
    target = checks[0].target
    caption = (
        f"Spearman correlation with the mean score of {target}; single runs, corrected for attenuation{cut}"
    )
    return Listing(header, rows, caption)


def _check_document(check: ProxyCheck) -> dict[str, Any]:
    estimates = {
        name: getattr(check, name).document() for name in ("rho_corrected", "overlap", "ceiling", "shortfall")
    }
    return {**asdict(check), **estimates, "verdict": check.verdict, "reason": check.reason}


def _between(pairs: PredictionAgreement, name: str) -> dict[str, Estimate]:
    """Agreement and total variation between runs of an architecture, and with runs of the target."""
    target = pairs.architectures[-1]
    found = {}
    for kind, other in (("within", name), ("target", target)):
        found[f"{kind}_agreement"] = pairs.mean(1 - pairs.disagreement_MM, name, other).within(0, 1)
        found[f"{kind}_variation"] = pairs.mean(pairs.variation_MM, name, other).within(0, 1)
    return found


def _agreement_sentence(pairs: PredictionAgreement) -> str:
    found = {name: _between(pairs, name) for name in pairs.architectures}
    target = pairs.architectures[-1]

    def told(key: str, say: Callable[[Estimate], str], names: Sequence[str]) -> str:
        return ", ".join(f"{name} {say(found[name][key])}" for name in names)

    several = [name for name in pairs.architectures if found[name]["within_agreement"].value >= 0]
    others = pairs.architectures[:-1]
    own = (
        f"Two runs predict the same class for {told('within_agreement', percent_estimate, several)} of "
        f"{pairs.rows:,} examples, with mean total variation {told('within_variation', decimal, several)}; "
        if several
        else ""
    )
    return (
        f"{own}with {target}: {told('target_agreement', percent_estimate, others)}, mean total variation "
        f"{told('target_variation', decimal, others)}."
    )


def _agreement_listing(pairs: PredictionAgreement) -> Listing:
    target = pairs.architectures[-1]
    rows: list[list[Cell]] = []
    for kind, names in (("within", pairs.architectures), ("target", pairs.architectures[:-1])):
        for name in names:
            found = _between(pairs, name)
            agreement, variation = found[f"{kind}_agreement"], found[f"{kind}_variation"]
            other = name if kind == "within" else target
            rows.append([name, other, agreement.value, *ends(agreement), variation.value, *ends(variation)])
    header = ["runs of", "and of", "same class", "from", "to", "total variation", "from", "to"]
    return Listing(
        header, rows, "Predictions, means over pairs of different runs, with 95 % intervals over runs"
    )


def _agreement_document(pairs: PredictionAgreement, name: str) -> dict[str, Any]:
    return {"architecture": name, **{key: each.document() for key, each in _between(pairs, name).items()}}


def _bias_sentence(narrow: Ensembling, wide: Ensembling) -> str:
    left = left_by_ensembling(narrow, wide)
    many = (
        f"an ensemble of {narrow.runs} {decimal(narrow.whole)}"
        if narrow.infinite is None
        else f"ensembles of {narrow.runs} {decimal(narrow.whole)}, of infinitely many {decimal(narrow.infinite)}"
    )
    if not left.firm:
        rest = "with more runs it could be told whether the difference is bias"
    elif left.interval[0] > 0:
        rest = f"{decimal(left)} stays, which is bias: no number of runs of {narrow.architecture} removes it"
        if narrow.infinite is None:
            rest = f"{decimal(left)} stays with so many runs"
    elif left.interval[1] < 0:
        rest = (
            f"such an ensemble is better than one run of {wide.architecture}, by {decimal(_negative(left))}"
        )
    else:
        rest = f"whether some of it stays ({decimal(left)}) cannot be told"
    return (
        f"Loss in nats: one run of {narrow.architecture} {decimal(narrow.single)}, {many}; one run of "
        f"{wide.architecture} {decimal(wide.single)}: {rest}."
    )


def _negative(found: Estimate) -> Estimate:
    low, high = found.interval
    return Estimate(-found.value, found.standard_error, (-high, -low))


def _ensembling_listing(found: Sequence[Ensembling]) -> Listing:
    sizes = sorted({size for each in found for size in each.sizes if size > 1})
    rows: list[list[Cell]] = []
    for each in found:
        losses = dict(zip(each.sizes, each.losses))
        row: list[Cell] = [each.architecture, each.single.value, *ends(each.single)]
        row += [losses.get(size) for size in sizes]
        row += [None if part is None else part.value for part in (each.infinite, each.bias, each.variance)]
        rows.append(row)
    header = ["architecture", "one run", "from", "to", *(f"of {size}" for size in sizes)]
    caption = (
        "Loss (negative log-likelihood, nats) of one run and of ensembles; one run is bias + variance, the mean "
        "divergence of runs from their geometric mean"
    )
    return Listing([*header, "of infinitely many", "bias", "variance"], rows, caption)


def _ensembling_document(each: Ensembling, wide: Ensembling) -> dict[str, Any]:
    estimates = {name: getattr(each, name) for name in ("single", "whole", "infinite", "bias", "variance")}
    found = {
        "architecture": each.architecture,
        "runs": each.runs,
        "losses": dict(zip(map(str, each.sizes), each.losses)),
        **{name: None if value is None else value.document() for name, value in estimates.items()},
    }
    return found if each is wide else {**found, "left_to_target": left_by_ensembling(each, wide).document()}


def _draw_kept(checks: Sequence[ProxyCheck]) -> Figure:
    from scoring.plots.proxy import kept_by_proxies

    return kept_by_proxies(checks)


def _draw_predictions(pairs: PredictionAgreement) -> Figure:
    from scoring.plots.proxy import agreement_by_width

    return agreement_by_width(pairs)


def _draw_ensembles(found: Sequence[Ensembling]) -> Figure:
    from scoring.plots.proxy import ensemble_curves

    return ensemble_curves(found)
