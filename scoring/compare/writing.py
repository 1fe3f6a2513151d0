"""A comparison as a report: its title and what was compared, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scoring.reports import folder as report_folder
from scoring.reports.folder import Report
from scoring.reports.section import Section

KIND = "comparison"
WORK = ("scores", "predictions")
"""Folders beside the report that hold what was computed for it."""


def report_of(about: Mapping[str, Any], sections: Sequence[Section]) -> Report:
    """The report of a comparison."""
    return Report(KIND, headline(about), preamble(about), about, sections)


def check_folder(folder: Path, about: Mapping[str, Any] | None, overwrite: bool) -> None:
    """Refuse a folder that holds something else; see :func:`scoring.reports.folder.check_folder`."""
    report_folder.check_folder(folder, KIND, "compare", about, overwrite, WORK)


def headline(about: Mapping[str, Any]) -> str:
    """``12 scores of 1,200 examples in 30 runs of 3 architectures``."""
    scores, kinds = len(about["scores"]), len(about["architectures"])
    if about.get("of_documents"):
        return f"{scores:,} {_many('score', scores)} of {about['examples']:,} documents"
    runs = sum(len(names) for names in about["architectures"].values())
    where = f"in {runs:,} {_many('run', runs)} of {kinds:,} {_many('architecture', kinds)}"
    return f"{scores:,} {_many('score', scores)} of {about['examples']:,} examples {where}"


def preamble(about: Mapping[str, Any]) -> list[str]:
    """What was compared."""
    kinds = ", ".join(f"{name} ({len(runs)})" for name, runs in about["architectures"].items())
    as_it_is = about.get("as_it_is") or []
    on = f"all but {', '.join(as_it_is)}, taken as they are" if as_it_is else "all"
    said = [f"architectures (runs): {kinds}", f"scores: {', '.join(about['scores'])}; high is hard on {on}"]
    if about.get("of_documents"):
        turned = [name for name in about["scores"] if name not in as_it_is]
        means = ", ".join(f"{name} ({meaning})" for name, meaning in about["scores"].items())
        said = [f"scores and what high means: {means}"]
        said += [f"turned so that high is hard: {', '.join(turned)}"] if turned else []
    said += [f"left out: {name} ({why})" for name, why in about["left_out"].items()]
    if about["dropped"]:
        said.append(f"{about['dropped']:,} examples without a value somewhere are left out")
    end = "hardest, or highest," if as_it_is else "hardest"
    return [*said, f"kept sets: the {end} {about['keep'] * 100:.3g} %"]


def _many(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
