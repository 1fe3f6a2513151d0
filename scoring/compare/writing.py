"""A comparison as files: report.md and summary.json, figures as PNG, rows per example as Parquet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from scoring.compare.section import Cell, Listing, Section
from scoring.errors import InputError
from scoring.files import atomic_file, read_json, write_atomic
from scoring.lines import one_line
from scoring.manifest import parquet_options, to_json
from scoring.versions import library_version

KIND = "comparison"
FORMAT = 1
REPORT, SUMMARY = "report.md", "summary.json"
WORK = ("scores", "predictions")
"""Folders beside the report that hold what was computed for it."""


def check_folder(folder: Path, about: Mapping[str, Any] | None, overwrite: bool) -> None:
    """Refuse a folder that holds something else, or, unless ``overwrite``, a comparison of something else.

    With ``about=None``, when it is not known yet what will be compared, any comparison may be there.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"compare: out must be a folder, and {str(folder)!r} is a file.")
    if not folder.exists():
        return
    found = _summary(folder)
    if found is None:
        if others := sorted(path.name for path in folder.iterdir() if path.name not in WORK):
            raise InputError(
                f"compare: out must be a new folder or one of a comparison, and {str(folder)!r} holds "
                f"{others[0]!r}; choose another name."
            )
    elif about is not None and not overwrite and found["about"] != _plain(about):
        raise InputError(
            f"compare: out {str(folder)!r} holds another comparison; choose another name or overwrite it."
        )


def write_comparison(folder: Path, about: Mapping[str, Any], sections: Sequence[Section]) -> list[Path]:
    """Write all files into ``folder``; those of the comparison that was there before go. Equal input, equal bytes."""
    from scoring.plots.style import save

    before = {str(name) for name in (_summary(folder) or {"files": []})["files"]}
    files = {REPORT}
    for section in sections:
        files |= {f"{stem}.png" for stem in section.figures} | {f"{stem}.parquet" for stem in section.tables}
    # First of all whose files these are: what is interrupted below is a comparison that the same call may replace.
    started = {key: value for key, value in document(about, ()).items() if key != "sections"}
    write_atomic(folder / SUMMARY, to_json({**started, "files": sorted(before | files)}, indent=1) + b"\n")
    written: list[str] = []
    for section in sections:
        for stem, draw in section.figures.items():
            save(draw(), folder / f"{stem}.png")
            written.append(f"{stem}.png")
        for stem, table in section.tables.items():
            with atomic_file(folder / f"{stem}.parquet") as temporary:
                pq.write_table(table, temporary, **parquet_options(table.schema))
            written.append(f"{stem}.parquet")
    write_atomic(folder / REPORT, markdown(about, sections).encode())
    for name in sorted(before - files - {SUMMARY}):
        if Path(name).name == name:
            (folder / name).unlink(missing_ok=True)
    summary = {**document(about, sections), "files": sorted(files)}
    write_atomic(folder / SUMMARY, to_json(summary, indent=1) + b"\n")
    return [folder / name for name in [REPORT, SUMMARY, *written]]


def document(about: Mapping[str, Any], sections: Sequence[Section]) -> dict[str, Any]:
    """Everything for machines."""
    return {
        "kind": KIND,
        "format": FORMAT,
        "library_version": library_version(),
        "about": about,
        "sections": {
            section.name: {
                "title": section.title,
                "sentences": list(section.sentences),
                "listings": [
                    {"caption": each.caption, "header": list(each.header), "rows": each.rows}
                    for each in section.listings
                ],
                **section.document,
            }
            for section in sections
        },
    }


def markdown(about: Mapping[str, Any], sections: Sequence[Section]) -> str:
    """The report: what was compared, every first answer in short, then section by section."""
    lines = [f"# {escape(headline(about))}", ""]
    lines += [f"- {escape(sentence)}" for sentence in preamble(about)]
    if answers := [section.sentences[0] for section in sections if section.sentences]:
        lines += ["", "## In short", "", *(f"- {escape(sentence)}" for sentence in answers)]
    for section in sections:
        lines += ["", f"## {escape(section.title)}", ""]
        for sentence in section.sentences:
            lines += [escape(sentence), ""]
        for listing in section.listings:
            lines += [*_listing(listing), ""]
        for stem in section.figures:
            lines += [f"![{escape(section.title)}: {escape(stem)}]({stem}.png)", ""]
        for stem, table in section.tables.items():
            columns = ", ".join(table.column_names)
            lines += [
                f"All {table.num_rows:,} rows ({escape(columns)}): [{stem}.parquet]({stem}.parquet)",
                "",
            ]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def headline(about: Mapping[str, Any]) -> str:
    """``12 scores of 1,200 examples in 30 runs of 3 architectures``."""
    scores, kinds = len(about["scores"]), len(about["architectures"])
    runs = sum(len(names) for names in about["architectures"].values())
    where = f"in {runs:,} {_many('run', runs)} of {kinds:,} {_many('architecture', kinds)}"
    return f"{scores:,} {_many('score', scores)} of {about['examples']:,} examples {where}"


def preamble(about: Mapping[str, Any]) -> list[str]:
    """What was compared."""
    kinds = ", ".join(f"{name} ({len(runs)})" for name, runs in about["architectures"].items())
    said = [f"architectures (runs): {kinds}", f"scores: {', '.join(about['scores'])}; high is hard on all"]
    said += [f"left out: {name} ({why})" for name, why in about["left_out"].items()]
    if about["dropped"]:
        said.append(f"{about['dropped']:,} examples without a value somewhere are left out")
    return [*said, f"kept sets: the hardest {about['keep'] * 100:.3g} %"]


def number(value: Cell) -> str:
    """A value of a listing: three decimals below 10, thousands separated, a dash for none, ``0.9 (0.8 to 1)``."""
    if isinstance(value, tuple):
        middle, low, high = (number(each) for each in value)
        return middle if "-" in (low, high) else f"{middle} ({low} to {high})"
    if value is None or value != value:
        return "-"
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    if 0 < size < 0.0005:
        return f"{value:.1e}"
    return f"{value:.3f}" if size < 10 else f"{value:.1f}" if size < 1000 else f"{value:,.0f}"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line: names and examples come from users."""
    line = one_line(text).replace("&", "&amp;").replace("<", "&lt;")
    line = re.sub(r"([\\`*\[\]>|~$])", r"\\\1", line)
    line = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", line)
    line = re.sub(r"^([#+-])(?=[\s#])", r"\\\1", line)
    return re.sub(r"^(\d+)([.)])(?=\s)", r"\1\\\2", line)


def _listing(listing: Listing) -> list[str]:
    texts = [
        all(isinstance(row[at], str | None) for row in listing.rows) for at in range(len(listing.header))
    ]
    lines = [f"**{escape(listing.caption)}**", ""] if listing.caption else []
    lines.append(f"| {' | '.join(escape(name) for name in listing.header)} |")
    lines.append(f"|{'|'.join('---' if text else '--:' for text in texts)}|")
    lines += [f"| {' | '.join(escape(number(value)) for value in row)} |" for row in listing.rows]
    return lines


def _many(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _summary(folder: Path) -> dict[str, Any] | None:
    """The summary of a comparison in ``folder``; None if there is none."""
    try:
        found = read_json(folder / SUMMARY)
    except (OSError, ValueError):
        return None
    fits = isinstance(found, dict) and found.get("kind") == KIND and {"about", "files"} <= found.keys()
    return found if fits else None


def _plain(about: Mapping[str, Any]) -> Any:
    import json

    return json.loads(to_json(about))
