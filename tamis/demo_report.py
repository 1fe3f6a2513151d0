"""The demo's figures, tables and files, and what it prints."""

from __future__ import annotations

import csv
import io
import math
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.padding import Padding

from tamis.demo import CLEAN
from tamis.demo_words import accuracy, listed, outcome, percent, sections, titles
from tamis.grid import console, grid

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    from matplotlib.figure import Figure

    from scoring.table import ScoreTable
    from tamis.demo import Findings

FIGURES = ("data_map.png", "agreement.png", "pruning.png")


def figures(findings: Findings, noisy: ScoreTable, flipped: npt.NDArray[np.bool_]) -> dict[str, Figure]:
    """File name -> figure."""
    from scoring.plots.agreement import agreement_map
    from scoring.plots.data_map import data_map
    from scoring.plots.pruning import Curve, Panel, pruning_curves

    panels = []
    for name, title in titles(findings).items():
        cells = findings.outcomes[name]
        [full] = [each for each in cells if each.take == "all"]
        curves = []
        for take in ("hardest", "random", "easiest"):
            mine = sorted((each for each in cells if each.take == take), key=lambda each: each.keep)
            curves.append(
                Curve(take, [e.keep for e in mine], [e.mean for e in mine], [_zero(e.sd) for e in mine])
            )
        panels.append(Panel(title, curves, (full.mean, _zero(full.sd))))
    recipe = findings.recipe
    return {
        FIGURES[0]: data_map(
            noisy.column("mean_confidence"), noisy.column("variability"), noisy.column("accuracy_over_time"),
            marked=flipped, marked_name="planted label error",
            title=f"Data map of digits with {percent(recipe.flip)} of the labels wrong",
        ),
        FIGURES[1]: agreement_map(findings.agreement, title="Which scores call the same digits hard"),
        FIGURES[2]: pruning_curves(
            panels,
            title=f"Keeping a part of digits by {recipe.by}",
            note=f"mean and standard deviation over {len(recipe.retrain_seeds)} seeds; "
            f"{recipe.steps:,} steps for every run; the vertical axes differ",
        ),
    }  # fmt: skip


def score_rows(findings: Findings) -> list[list[Any]]:
    """Score, source of its signals, reliability, overlap, AUROC, its error, precision; best AUROC first."""
    repeats = {each.name: each for each in findings.reliability}
    rows = []
    for each in findings.detection:
        r = repeats.get(each.name)
        rho, overlap = (None, None) if r is None else (_none(r.rho), r.overlap)
        rows.append(
            [
                each.name, findings.views[each.name], rho, overlap, each.auroc, each.standard_error, each.precision_at_k
            ]
        )  # fmt: skip
    return rows


SCORE_HEADER = ["score", "computed from", "rho", "overlap", "AUROC", "se", "precision"]


def pruning_rows(findings: Findings, data: str) -> list[list[str]]:
    """Share kept; then for hardest, random and easiest accuracy and verdict against random."""
    rows = []
    for keep in findings.recipe.keeps:
        row = [percent(keep)]
        for take in ("hardest", "random", "easiest"):
            each = outcome(findings, data, take, keep)
            verdict = f" {each.verdict}" if each.verdict else ""
            row.append(f"{accuracy(each)}{verdict}")
        rows.append(row)
    [full] = [each for each in findings.outcomes[data] if each.take == "all"]
    return [*rows, ["all", "", accuracy(full), ""]]


def print_summary(findings: Findings, out: Path) -> None:
    """To the terminal."""
    screen = console()
    screen.print()
    rows = [[_cell(value) for value in row] for row in score_rows(findings)]
    header = ["score", "computed from", "rho", "overlap", "AUROC", "se", "found"]
    screen.print(grid("Scores", header, rows, left=2))
    first = findings.detection[0]
    screen.print(
        f"rho: Spearman between two runs. overlap: share of the hardest {percent(findings.reliability[0].keep)} "
        "that two runs have in common. "
        f"AUROC, se, found: how well the {first.positives} wrong labels are found, its standard error, and the share "
        f"of wrong labels among the {first.k} most suspect ({percent(first.prevalence)} by chance).\n",
        style="dim",
    )
    for name, title in titles(findings).items():
        caption = f"Accuracy on {findings.test_rows} test digits, {title}; verdict against random"
        header = ["kept", "hardest", "random", "easiest"]
        screen.print(caption, style="bold")
        screen.print(grid("", header, pruning_rows(findings, name), left=4))
        screen.print()
    for heading, lines in sections(findings, str(out)):
        screen.print(heading, style="bold")
        for line in lines:
            screen.print(Padding(escape(line), (0, 0, 0, 2), expand=False))
        screen.print()
    names = ", ".join(("report.md", "summary.json", "scores.csv", "pruning.csv", *FIGURES))
    screen.print(escape(f"{findings.seconds:.0f} s. Written to {out}: {names}."))


def write_report(findings: Findings, studies: dict[str, pa.Table], out: Path) -> None:
    """report.md, summary.json, scores.csv and pruning.csv."""
    from scoring.files import write_atomic, write_json
    from scoring.manifest import plain
    from scoring.versions import library_version

    write_atomic(out / "scores.csv", _csv(SCORE_HEADER, score_rows(findings)))
    header = ["data", *studies[CLEAN].column_names]
    runs = [
        [name, *row.values()]
        for name, study in studies.items()
        for row in study.to_pylist()
        if row["metric"] == "accuracy" and not row["group"]
    ]
    write_atomic(out / "pruning.csv", _csv(header, runs))
    summary = asdict(findings)
    summary["agreement"] = {
        "names": findings.agreement.names,
        "rho": [[_none(value) for value in row] for row in findings.agreement.rho_SS.tolist()],
    }
    for name, cells in findings.outcomes.items():
        for cell, each in zip(summary["outcomes"][name], cells):
            cell["verdict"] = each.verdict
    for row, found in zip(summary["detection"], findings.detection):
        row["verdict"] = found.verdict
    summary["versions"] = {"tamis": library_version(), "python": platform.python_version()}
    write_json(out / "summary.json", plain(summary))
    write_atomic(out / "report.md", _markdown(findings, str(out)).encode())


def _markdown(findings: Findings, folder: str) -> str:
    recipe = findings.recipe
    settings = ", ".join(f"{key} {value}" for key, value in recipe.train.items() if value is not None)
    lines = [
        "# What tamis finds in digits",
        "",
        f"{findings.rows:,} training and {findings.test_rows:,} test digits, a multilayer perceptron with 64 hidden "
        f"units. {len(recipe.seeds)} recorded runs of {recipe.epochs} epochs (seeds {_numbers(recipe.seeds)}), and "
        f"retraining for {recipe.steps:,} steps (seeds {_numbers(recipe.retrain_seeds)}); {settings}. Examples are "
        f"chosen by `{recipe.by}`, the mean over the recorded runs.",
    ]
    for heading, words in sections(findings, folder):
        lines += ["", f"## {heading}", "", *(f"- {line}" for line in words)]
    lines += ["", "## Accuracy after keeping a part", ""]
    for name, title in titles(findings).items():
        lines += [f"{title.capitalize()}; verdict against random.", ""]
        lines += [*_table(["kept", "hardest", "random", "easiest"], pruning_rows(findings, name)), ""]
    lines += [f"![Accuracy against the share kept]({FIGURES[2]})", "", "## Scores", ""]
    lines += [
        f"`rho`: Spearman between two runs on clean labels. `overlap`: share of the hardest "
        f"{percent(findings.reliability[0].keep)} that two runs have in common. `AUROC`, `se`: how well the planted "
        "errors are found, and DeLong's standard error. `precision`: share of errors among the "
        f"{findings.detection[0].k} most suspect.",
        "",
        *_table(SCORE_HEADER, [[_cell(value) for value in row] for row in score_rows(findings)]),
        "",
    ]
    aliases = {name: others for name, others in findings.same_order.items() if others}
    if aliases:
        told = "; ".join(
            f"`{name}` as {listed([f'`{o}`' for o in others])}" for name, others in aliases.items()
        )
        lines += [f"The same ranking under several names, shown once: {told}.", ""]
    lines += [f"![Agreement of scores]({FIGURES[1]})", "", f"![Data map]({FIGURES[0]})", ""]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _zero(sd: float) -> float:
    return 0.0 if math.isnan(sd) else sd


def _numbers(values: Sequence[int]) -> str:
    return ", ".join(str(value) for value in values)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    line = [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]
    return line


def _csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if value is None else value for value in row] for row in rows)
    return text.getvalue().encode()
