"""Does scoring pay: the ledger of a study, in words."""

from __future__ import annotations

from pathlib import Path

from scoring.errors import InputError
from scoring.reports.section import Section
from training.measures.ledger import NOT_COUNTED, cheapest, cost_ledger
from training.studies.reporting.results import Results
from training.studies.running import STUDY

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
    best = cheapest(entries)
    first = (
        "Nothing is recommended over training on all examples."
        if best is None
        else f"What costs least without being called worse than all examples: {best.text()}"
    )
    if all(each.equal_steps for each in entries):
        first = "All runs have equally many updates, so nothing was saved by training on less."
    scored = [each.text() for each in entries if each.outcome.by is not None and not each.equal_steps]
    document = {"entries": [each.to_dict() for each in entries], "not_counted": NOT_COUNTED}
    return Section("costs", "Does scoring pay?", [first, NOT_COUNTED, *scored], document=document)
