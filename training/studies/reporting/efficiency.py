"""How many more errors, for how much less data: relative error change and data efficiency of every way."""

from __future__ import annotations

from scoring.errors import InputError
from scoring.reports.section import Cell, Listing, Section
from training.measures.relative_error import RelativeError, relative_errors
from training.studies.reporting.kinds import USUAL
from training.studies.reporting.results import Results, World, world_of
from training.studies.reporting.verdicts import place_of
from training.studies.ways import ALL

TOLD = (
    "Change of the error against all examples in percent (negative is better), with its 95 % interval over seeds, and "
    "sigma, that change per share of data removed (0 is best: -10 is 10 % more errors for all of the data, in "
    "proportion)."
)


def efficiency_section(results: Results) -> Section | None:
    """As the production table of Anand et al. 2023; None where the metric is no share of errors, or nothing to pair.

    Nor is there one where ``keep`` is not what was left of the data: sigma is per share removed.
    """
    if results.metric not in ("accuracy", "error", "macro_f1") or results.words.done != USUAL.done:
        return None
    listings, document = [], []
    for split in results.splits:
        try:
            found = relative_errors(results.table, results.metric, against=ALL, split=split)
        except InputError:
            continue
        finite = [each for each in found if each.baseline > 0 and each.outcome.budget is not None]
        for world in results.worlds:
            mine = [each for each in finite if world_of(each.outcome) == world]
            if mine:
                listings.append(_listing(results, split, world, mine))
                document += [_document(split, each) for each in mine]
    if not listings:
        return None
    title = "Errors gained for data removed"
    return Section("efficiency", title, [TOLD], listings, document={"relative_errors": document})


def _listing(results: Results, split: str, world: World, found: list[RelativeError]) -> Listing:
    cells = {(each.outcome.way, each.outcome.budget): each for each in found}
    budgets = [each for each in results.budgets if any(budget == each for _, budget in cells)]
    ways = [way for way in results.ways if any(name == way for name, _ in cells)]
    rows: list[list[Cell]] = [
        [way, *(None if (way, budget) not in cells else _cell(cells[way, budget]) for budget in budgets)]
        for way in ways
    ]
    where = place_of(results, split, results.told(world))
    return Listing(["way", *budgets], rows, f"error against all examples, %{f', {where}' if where else ''}")


def _cell(each: RelativeError) -> str:
    percent, sigma = each.percent, each.sigma
    said = f"{percent.mean:+.1f} ({percent.low:+.1f} to {percent.high:+.1f})"
    return said if sigma is None else f"{said}, sigma {sigma.mean:.1f}"


def _document(split: str, each: RelativeError) -> dict[str, object]:
    outcome, percent, sigma = each.outcome, each.percent, each.sigma
    return {
        "split": split, "variant": outcome.variant, "model": outcome.model, "regime": outcome.regime,
        "way": outcome.way, "budget": outcome.budget, "percent": percent.mean,
        "percent_95": [percent.low, percent.high], "verdict": each.verdict,
        "sigma": None if sigma is None else sigma.mean,
        "sigma_95": None if sigma is None else [sigma.low, sigma.high],
    }  # fmt: skip
