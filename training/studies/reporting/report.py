"""write_report(): the report of a study in its folder; study_tables(): its tables in short, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from scoring.reports.folder import Report
from scoring.reports.section import Listing, Section
from training.studies.reporting.asked import asked_section
from training.studies.reporting.cautions import caution_section, cautions
from training.studies.reporting.classes import group_rows, group_section
from training.studies.reporting.collapsed import collapse_section
from training.studies.reporting.comparisons import Comparison, Counts, compare_with_random, count
from training.studies.reporting.costs import cost_section
from training.studies.reporting.efficiency import efficiency_section
from training.studies.reporting.figures import curve_figures, difference_figures, training_figures
from training.studies.reporting.found import detection_section
from training.studies.reporting.kept import representation_section, share_sections
from training.studies.reporting.metrics import metric_section
from training.studies.reporting.regimes import regime_section
from training.studies.reporting.results import Results
from training.studies.reporting.sizes import size_section
from training.studies.reporting.tables import MARKS, outcome_rows, result_listings, write_csv
from training.studies.reporting.verdicts import counts_sentence, plain_sentence, verdict_section
from training.studies.significance.section import significance_section

KIND = "report of a study"


@dataclass(frozen=True)
class Summary:
    """What a study came to.

    Attributes:
        sentences: Where anything beats random and where random beats it; how much of that chance makes.
        counts: The same as numbers.
        cautions: What to know before believing it.
        listings: One table per place: ways by budgets.
        report: The whole.
        files: What was written; empty if nothing was.
    """

    sentences: Sequence[str]
    counts: Counts
    cautions: Sequence[str]
    listings: Sequence[Listing]
    report: Report
    files: Sequence[Path] = ()


def write_report(
    folder: str | Path, *, metric: str | None = None, split: str | None = None, figures: bool = True
) -> Summary:
    """Write report.md, summary.json, CSV tables and figures into the folder of a study, from its run table alone.

    Equal tables give equal bytes; files of an earlier report that this one does not have go.

    Args:
        folder: Of ``run_study``, with study.parquet; study.json says what was asked.
        metric: What ways are compared by; default: accuracy, else loss, else the first. All others get a table.
        split: One of the splits that the metric was measured on; default: all of them.
        figures: Whether to draw; needs the extra ``report``.

    Raises:
        FileNotFoundError: No table. InputError: A metric or split that it does not have.
    """
    if figures:
        from scoring.plots.style import require

        require()
    summary = summarise(Results.open(folder, metric, split), figures, Path(folder))
    return replace(summary, files=summary.report.write(Path(folder)))


def study_tables(folder: str | Path, *, metric: str | None = None, split: str | None = None) -> Summary:
    """The same without writing or drawing anything."""
    return summarise(Results.open(folder, metric, split), False, Path(folder))


def summarise(results: Results, figures: bool = True, folder: Path | None = None) -> Summary:
    """The report of results in memory; with the ``folder`` of the study also what scores found and cost."""
    comparisons = compare_with_random(results)
    counts = count(comparisons)
    found = [
        verdict_section(results, comparisons), caution_section(results), _results(results, comparisons),
        regime_section(results, comparisons), collapse_section(results), _groups(results), *share_sections(results),
        representation_section(results), None if folder is None else detection_section(folder),
        _metrics(results, comparisons), efficiency_section(results), size_section(results), *_significance(results),
        None if folder is None else cost_section(results, folder), _training(results), asked_section(results),
    ]  # fmt: skip
    sections = [each for each in found if each is not None]
    if not figures:
        sections = [replace(each, figures={}) for each in sections]
    about = {
        "study": results.about, "metric": results.metric, "splits": results.splits, "seeds": results.seeds,
    }  # fmt: skip
    preamble = [
        f"{results.metric} on {', '.join(results.splits)}; seeds {', '.join(map(str, results.seeds))}",
        "verdicts against random shares of the same size; whichever way a result comes out, it is reported",
    ]
    title = f"{results.kind[:1].upper()}{results.kind[1:]} study" if results.kind else "Study"
    return Summary(
        [each for each in (plain_sentence(results, comparisons), counts_sentence(results, counts)) if each],
        counts, cautions(results), result_listings(results), Report(KIND, title, preamble, about, sections),
    )  # fmt: skip


def _results(results: Results, comparisons: Sequence[Comparison]) -> Section:
    rows = outcome_rows(results, comparisons)
    return Section(
        "results", "Results", [f"In every table: {MARKS}. All numbers and intervals are in outcomes.csv."],
        result_listings(results), {**curve_figures(results), **difference_figures(results, comparisons)},
        document={"outcomes": rows}, files={"outcomes.csv": partial(write_csv, rows=rows)},
    )  # fmt: skip


def _groups(results: Results) -> Section | None:
    section = group_section(results)
    rows = group_rows(results)
    return section and replace(section, files={"groups.csv": partial(write_csv, rows=rows)})


def _metrics(results: Results, comparisons: Sequence[Comparison]) -> Section | None:
    section, rows = metric_section(results, comparisons)
    return section and replace(section, files={"metrics.csv": partial(write_csv, rows=rows)})


def _significance(results: Results) -> list[Section]:
    """Signal and noise on every split, where there is something to compare."""
    if len(results.ways) < 2 or len(results.seeds) < 2:
        return []
    found = [significance_section(results.table, results.metric, split=split) for split in results.splits]
    several = len(found) > 1
    return [
        replace(each, name=f"{each.name}-{at}", title=f"{each.title[:-1]} on {split}?") if several else each
        for at, (split, each) in enumerate(zip(results.splits, found), 1)
    ]


def _training(results: Results) -> Section | None:
    drawn: dict[str, Any] = training_figures(results)
    if not drawn:
        return None
    sentence = (
        "The metric was measured during training, too; steps are those that every seed was measured at."
    )
    return Section("training", "During training", [sentence], figures=drawn)
