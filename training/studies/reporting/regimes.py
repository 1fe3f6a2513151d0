"""Equal steps or equal epochs: where the answer depends on which of them is held equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from scoring.reports.section import Cell, Listing, Section
from training.studies.outcomes import Outcome, higher_is_better
from training.studies.reporting.comparisons import Comparison
from training.studies.reporting.results import Results, fixed, world_of

MOST_ROWS = 40


class Disagreement(NamedTuple):
    """One way at one budget whose verdict against random is not the same in all regimes."""

    split: str
    variant: str | None
    model: str
    way: str
    budget: str | None
    verdicts: dict[str, str]
    """Regime -> verdict."""

    @property
    def turned(self) -> bool:
        """Better in one and worse in another, rather than called in one of them alone."""
        return {"better", "worse"} <= set(self.verdicts.values())


class Winner(NamedTuple):
    """The way of the best mean at a budget, in every regime, where it is not the same."""

    split: str
    variant: str | None
    model: str
    budget: str
    ways: dict[str, str]
    """Regime -> way, baselines among them."""


def regime_section(results: Results, comparisons: Sequence[Comparison]) -> Section | None:
    """None with one regime."""
    kinds = list(dict.fromkeys(results.regimes.values()))
    if len(kinds) < 2:
        return None
    pairs, changed = disagreements(results, comparisons)
    turned = [each for each in changed if each.turned]
    won, budgets = winners(results)
    between = " and ".join(f"equal {kind}" for kind in kinds)
    sentences = [
        f"Between {between}, {len(changed)} of {pairs} verdicts against random differ, {len(turned)} of them from "
        "better to worse."
        if pairs
        else f"No verdict can be compared between {between}.",
        f"The best mean belongs to another way in {len(won)} of {budgets} places (a mean is not a verdict).",
    ]
    listings = []
    if changed:
        rows = [
            [each.way, each.budget, *_where(results, each), *(each.verdicts.get(kind, "-") for kind in kinds)]
            for each in sorted(changed, key=lambda each: not each.turned)
        ]
        listings.append(
            _listing(["way", "budget"], results, kinds, rows, "Verdicts against random that differ")
        )
    if won:
        rows = [
            [each.budget, *_where(results, each), *(each.ways.get(kind, "-") for kind in kinds)]
            for each in won
        ]
        listings.append(_listing(["budget"], results, kinds, rows, "The best mean, where it differs"))
    return Section(
        "regimes", f"{' or '.join(f'Equal {kind}' if not at else f'equal {kind}' for at, kind in enumerate(kinds))}?",
        sentences, listings,
        document={
            "compared": pairs, "differ": [{**each._asdict(), "turned": each.turned} for each in changed],
            "best_mean_differs": [each._asdict() for each in won], "places": budgets,
        },
    )  # fmt: skip


def disagreements(results: Results, comparisons: Sequence[Comparison]) -> tuple[int, list[Disagreement]]:
    """How many (way, budget) have verdicts in two regimes or more, and those whose verdicts differ."""
    found: dict[tuple[str, str | None, str, str, str | None], dict[str, str]] = {}
    for each in comparisons:
        if each.tested and each.verdict is not None:
            outcome = each.outcome
            key = (outcome.split, outcome.variant, outcome.model, outcome.way, outcome.budget)
            found.setdefault(key, {})[results.regimes[world_of(outcome)]] = each.verdict
    several = {key: verdicts for key, verdicts in found.items() if len(verdicts) > 1}
    changed = [
        Disagreement(*key, verdicts) for key, verdicts in several.items() if len(set(verdicts.values())) > 1
    ]
    return len(several), changed


def winners(results: Results) -> tuple[list[Winner], int]:
    """Where another way has the best mean, and in how many places that was asked. Equal means are no change."""
    best: dict[tuple[str, str | None, str, str], dict[str, list[Outcome]]] = {}
    for each in results.everything:
        if each.budget is not None and not fixed(each) and each.mean == each.mean:
            key = (each.split, each.variant, each.model, each.budget)
            best.setdefault(key, {}).setdefault(results.regimes[world_of(each)], []).append(each)
    sign = 1 if higher_is_better(results.metric) else -1
    asked, found = 0, []
    for key, regimes in best.items():
        if len(regimes) < 2:
            continue
        asked += 1
        tops = {kind: max(sign * each.mean for each in ways) for kind, ways in regimes.items()}
        firsts = {
            kind: [each.way for each in ways if sign * each.mean == tops[kind]]
            for kind, ways in regimes.items()
        }
        if not set.intersection(*(set(ways) for ways in firsts.values())):
            found.append(Winner(*key, {kind: " = ".join(ways) for kind, ways in firsts.items()}))
    return found, asked


def _where(results: Results, each: Disagreement | Winner) -> list[str]:
    parts = [each.split] if len(results.splits) > 1 else []
    if len({world.variant for world in results.worlds}) > 1:
        parts.append(str(each.variant))
    return [*parts, each.model] if len(results.models) > 1 else parts


def _listing(
    first: list[str], results: Results, kinds: Sequence[str], rows: Sequence[Sequence[Cell]], caption: str
) -> Listing:
    header = [*first, *(["split"] if len(results.splits) > 1 else [])]
    header += ["variant"] if len({world.variant for world in results.worlds}) > 1 else []
    header += ["model"] if len(results.models) > 1 else []
    more = f" (the first {MOST_ROWS} of {len(rows)})" if len(rows) > MOST_ROWS else ""
    return Listing(
        [*header, *(f"equal {kind}" for kind in kinds)], list(rows)[:MOST_ROWS], f"{caption}{more}"
    )
