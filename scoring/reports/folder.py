"""A report as files: report.md, summary.json, figures as PNG, tables as Parquet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from scoring.errors import InputError
from scoring.files import atomic_file, read_json, write_atomic
from scoring.manifest import parquet_options, plain, to_json
from scoring.reports.section import Listing, Section
from scoring.reports.text import escape, number
from scoring.versions import library_version

FORMAT = 1
REPORT, SUMMARY = "report.md", "summary.json"


@dataclass(frozen=True)
class Report:
    """What was asked and what was found.

    Attributes:
        kind: what it is, ``comparison``; a folder of another kind is never overwritten.
        title: its heading.
        preamble: what was looked at, sentence by sentence.
        about: the same for machines; two reports of equal ``about`` are of the same.
    """

    kind: str
    title: str
    preamble: Sequence[str]
    about: Mapping[str, Any]
    sections: Sequence[Section]

    def document(self) -> dict[str, Any]:
        """Everything for machines."""
        return {
            "kind": self.kind,
            "format": FORMAT,
            "library_version": library_version(),
            "about": self.about,
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
                for section in self.sections
            },
        }

    def markdown(self) -> str:
        """What was looked at, every first answer in short, then section by section."""
        lines = [f"# {escape(self.title)}", ""]
        lines += [f"- {escape(sentence)}" for sentence in self.preamble]
        if answers := [section.sentences[0] for section in self.sections if section.sentences]:
            lines += ["", "## In short", "", *(f"- {escape(sentence)}" for sentence in answers)]
        for section in self.sections:
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

    def write(self, folder: Path) -> list[Path]:
        """Write all files; those of the report that was there before go. Equal input, equal bytes."""
        from scoring.plots.style import save

        before = {str(name) for name in (_summary(folder, self.kind) or {"files": []})["files"]}
        files = {REPORT}
        for section in self.sections:
            files |= {f"{stem}.png" for stem in section.figures}
            files |= {f"{stem}.parquet" for stem in section.tables} | section.files.keys()
        # First of all whose files these are: what is interrupted below is a report that the same call may replace.
        found = self.document()
        started = {key: value for key, value in found.items() if key != "sections"}
        write_atomic(
            folder / SUMMARY, to_json({**started, "files": sorted(before | files)}, indent=1) + b"\n"
        )
        written: list[str] = []
        for section in self.sections:
            for stem, draw in section.figures.items():
                save(draw(), folder / f"{stem}.png")
                written.append(f"{stem}.png")
            for stem, table in section.tables.items():
                with atomic_file(folder / f"{stem}.parquet") as temporary:
                    pq.write_table(table, temporary, **parquet_options(table.schema))
                written.append(f"{stem}.parquet")
            for name, write in section.files.items():
                write(folder / name)
                written.append(name)
        write_atomic(folder / REPORT, self.markdown().encode())
        for name in sorted(before - files - {SUMMARY}):
            if Path(name).name == name:
                (folder / name).unlink(missing_ok=True)
        write_atomic(folder / SUMMARY, to_json({**found, "files": sorted(files)}, indent=1) + b"\n")
        return [folder / name for name in [REPORT, SUMMARY, *written]]


def check_folder(
    folder: Path,
    kind: str,
    owner: str,
    about: Mapping[str, Any] | None,
    overwrite: bool,
    work: Sequence[str] = (),
) -> None:
    """Refuse a folder that holds something else, or, unless ``overwrite``, a report of this kind about something else.

    With ``about=None``, when it is not known yet what it will be about, any report of the kind may be there. ``work``
    names what may lie there without a report.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{owner}: out must be a folder, and {str(folder)!r} is a file.")
    if not folder.exists():
        return
    found = _summary(folder, kind)
    if found is None:
        if others := sorted(path.name for path in folder.iterdir() if path.name not in work):
            raise InputError(
                f"{owner}: out must be a new folder or one of a {kind}, and {str(folder)!r} holds "
                f"{others[0]!r}; choose another name."
            )
    elif about is not None and not overwrite and found["about"] != plain(about):
        raise InputError(
            f"{owner}: out {str(folder)!r} holds another {kind}; choose another name or overwrite it."
        )


def _listing(listing: Listing) -> list[str]:
    texts = [
        all(isinstance(row[at], str | None) for row in listing.rows) for at in range(len(listing.header))
    ]
    lines = [f"**{escape(listing.caption)}**", ""] if listing.caption else []
    lines.append(f"| {' | '.join(escape(name) for name in listing.header)} |")
    lines.append(f"|{'|'.join('---' if text else '--:' for text in texts)}|")
    lines += [f"| {' | '.join(escape(number(value)) for value in row)} |" for row in listing.rows]
    return lines


def _summary(folder: Path, kind: str) -> dict[str, Any] | None:
    """The summary of a report of this kind in ``folder``; None if there is none."""
    try:
        found = read_json(folder / SUMMARY)
    except (OSError, ValueError):
        return None
    fits = isinstance(found, dict) and found.get("kind") == kind and {"about", "files"} <= found.keys()
    return found if fits else None
