"""Does scoring pay: the ledger of a study, in words."""

from __future__ import annotations

import math
from pathlib import Path

from scoring.errors import InputError
from scoring.reports.section import Cell, Listing, Section
from training.measures.ledger import NOT_COUNTED, Entry, cheapest, cost_ledger
from training.studies.reporting.results import Results
from training.studies.running import STUDY

TITLE = "Does scoring pay?"
HEADER = (
    "variant", "model", "regime", "way", "kept", "scoring", "saved per run", "runs to pay", "what speaks against it"
)  # fmt: skip
KINDS = ("pruning",)
"""Studies whose ways train on less than all."""


def cost_section(results: Results, folder: Path) -> Section | None:
    """What scoring cost against what training on less saves, and what is recommended; None for other kinds of study."""
    if results.about.get("kind") not in KINDS or not (folder / STUDY).is_file():
        return None
    try:
        entries = [
            each
            for split in results.splits
            for each in cost_ledger(folder, metric=results.metric, split=split)
        ]
    except InputError:
        return None
    entries = [each for each in entries if each.outcome.budget is not None]
    if not entries:
        return None
    if all(each.equal_steps for each in entries):
        first = "All runs have equally many updates, so nothing was saved by training on less."
        return Section("costs", TITLE, [first], document=_document(entries))
    best = cheapest(entries)
    first = (
        "Nothing is recommended over training on all examples."
        if best is None
        else f"What costs least without being called worse than all examples{_where(best)}: {best.text()}"
    )
    scored = [each for each in entries if each.outcome.by is not None and not each.equal_steps]
    listings = [Listing(HEADER, [_row(each) for each in scored])] if scored else []
    return Section("costs", TITLE, [first, NOT_COUNTED], listings, document=_document(entries))


def _row(each: Entry) -> list[Cell]:
    outcome, paid = each.outcome, each.paid
    place = [outcome.variant, outcome.model, outcome.regime, outcome.way, outcome.budget]
    speaks = [name for name, verdict in _verdicts(each).items() if verdict]
    against = "; ".join(speaks) or "-"
    if paid is None:
        return [*place, None, None, None, "what it costs is not known"]
    runs = "never" if math.isinf(paid.runs_to_pay) else int(paid.runs_to_pay)
    return [*place, paid.scoring, paid.saved_per_run, runs, against]


def _verdicts(each: Entry) -> dict[str, bool]:
    outcome = each.outcome
    return {
        "worse than all examples": outcome.called(outcome.against_all) == "worse",
        "not called better than random": outcome.called(outcome.against_random) != "better",
    }


def _where(each: Entry) -> str:
    return f" ({each.outcome.variant}, {each.outcome.model})"


def _document(entries: list[Entry]) -> dict[str, object]:
    return {"entries": [each.to_dict() for each in entries], "not_counted": NOT_COUNTED}
