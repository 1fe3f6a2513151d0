"""compare(): all that can be asked of scores in many runs, as a report."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scoring.compare.digests import joined, values_digest
from scoring.compare.request import Request
from scoring.compare.run_scores import RunScores
from scoring.compare.score_columns import OWNER
from scoring.compare.writing import check_folder, report_of
from scoring.errors import bad_value, unknown_name
from scoring.hashing import hash_ids
from scoring.manifest import plain
from scoring.meaning import HARD_WHEN_HIGH
from scoring.progress import progress
from scoring.reports.folder import Report
from scoring.reports.section import Section

if TYPE_CHECKING:
    from scoring.compare.predictions.probabilities import Predictions
    from scoring.examples import Examples
    from scoring.table import ScoreTable

SECTIONS = (
    "agreement", "reliability", "components", "variance", "sensitive", "fingerprint", "beside", "proxy", "predictions",
)  # fmt: skip
"""Names of the questions, in the order of the report; each is a module of ``scoring.compare.sections``."""

OF_DOCUMENTS = ("agreement", "components")
"""Those that ask nothing about runs, for scores of documents."""

HELD_OUT = "at least 1 and fewer than the runs of every architecture"


@dataclass(frozen=True)
class Comparison:
    """What ``compare`` found."""

    about: dict[str, Any]
    """What was compared and how."""
    sections: Sequence[Section]
    seconds: dict[str, float] = field(compare=False)
    """How long every section took."""

    def __getitem__(self, name: str) -> Section:
        """A section by name."""
        for section in self.sections:
            if section.name == name:
                return section
        raise unknown_name("section", OWNER, name, [section.name for section in self.sections])

    @property
    def report(self) -> Report:
        """It as a report, to be written."""
        return report_of(self.about, self.sections)

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers, without NaN."""
        found: dict[str, Any] = plain(self.report.document())
        return found

    def markdown(self) -> str:
        """The report without its files."""
        return self.report.markdown()

    def write(self, folder: str | Path, overwrite: bool = False) -> list[Path]:
        """Write report.md, summary.json, figures and tables into ``folder``; see ``compare``."""
        check_folder(Path(folder), self.about, overwrite)
        return self.report.write(Path(folder))


def compare(
    scores: RunScores,
    *,
    keep: float = 0.3,
    q: float = 0.05,
    resamples: int = 200,
    seed: int = 0,
    shown: int = 12,
    held_out: int | None = None,
    proxies: Iterable[str] = (),
    predictions: Predictions | None = None,
    beside: ScoreTable | None = None,
    examples: Examples | None = None,
    sections: Iterable[str] | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    show_progress: bool = False,
) -> Comparison:
    """Compare scores with each other, over runs, and over architectures.

    Args:
        scores: ``RunScores.of_tables({"mlp": "mlp.parquet", "cnn": "cnn.parquet"})``, or from ``score_cells``.
        keep: The kept sets that are compared: this share, the hardest.
        q: False discovery rate of sensitive examples.
        resamples: Bootstrap resamples behind intervals.
        seed: Decides resamples, permutations and splits of the runs.
        shown: How many sensitive examples are shown.
        held_out: Runs per architecture that test the fingerprint; default: every run in turn.
        proxies: Architectures from the cheapest to the target: may the first ones score for the last?
        predictions: Of the same runs, from ``predictions_of_runs``.
        beside: Columns from elsewhere (published scores, human votes) to correlate every score with.
        examples: To show the sensitive ones.
        sections: Which of ``SECTIONS``; default: all, but ``proxy``, ``beside`` and ``predictions`` only with what they
            read, and of scores of documents ``OF_DOCUMENTS``. A section that has too little to go by, such as single
            runs, says so.
        out: Folder for report.md, summary.json, figures (PNG) and rows per example (Parquet). A comparison of something
            else that is there is refused unless ``overwrite``.

    Raises:
        InputError: An option outside its range, names that are not there, a folder that holds something else.
    """
    kinds = tuple(proxies)
    check_options(
        scores.runs, keep=keep, q=q, resamples=resamples, seed=seed, shown=shown, held_out=held_out, proxies=kinds,
        sections=sections,
    )  # fmt: skip
    given = {"proxy": bool(kinds), "beside": beside is not None, "predictions": predictions is not None}
    usual = [name for name in SECTIONS if given.get(name, name in OF_DOCUMENTS or not scores.of_documents)]
    names = usual if sections is None else list(sections)
    if held_out is not None and held_out >= min(len(runs) for runs in scores.runs.values()):
        raise bad_value("held_out", OWNER, held_out, HELD_OUT)
    about: dict[str, Any] = {
        "examples": len(scores), "scores": scores.meanings, "architectures": scores.runs,
        "of_documents": scores.of_documents,
        "as_it_is": [name for name, meaning in scores.meanings.items() if meaning not in HARD_WHEN_HIGH],
        "left_out": scores.left_out, "dropped": scores.dropped, "fingerprint": scores.fingerprint, "keep": keep, "q": q,
        "resamples": resamples, "seed": seed, "shown": shown, "held_out": held_out, "proxies": kinds,
        "sections": names, "beside": None if beside is None else beside.scores,
        "digests": {
            "scores": scores.digest, "beside": None if beside is None else _beside_digest(beside),
            "predictions": None if predictions is None else predictions.digest,
        },
    }  # fmt: skip
    if out is not None:
        check_folder(Path(out), about, overwrite)
    request = Request(
        keep=keep, q=q, resamples=resamples, seed=seed, shown=shown, held_out=held_out, proxies=kinds,
        predictions=predictions, beside=beside, examples=examples,
    )  # fmt: skip
    found, seconds = [], {}
    with progress("comparing", len(names), "sections", show_progress) as advance:
        for name in names:
            started = time.monotonic()
            found.append(import_module(f"scoring.compare.sections.{name}").section(scores, request))
            seconds[name] = time.monotonic() - started
            advance(1)
    comparison = Comparison(about, found, seconds)
    if out is not None:
        comparison.report.write(Path(out))
    return comparison


def _beside_digest(table: ScoreTable) -> str:
    ids_N = hash_ids(table.ids)
    parts = {name: values_digest(table.column(name)[None], ids_N) for name in table.scores}
    return joined(parts | {f"meaning of {name}": table.meaning(name) for name in parts})


def check_options(
    architectures: Iterable[str],
    *,
    keep: float = 0.3,
    q: float = 0.05,
    resamples: int = 200,
    seed: int = 0,
    shown: int = 12,
    held_out: int | None = None,
    proxies: Iterable[str] = (),
    sections: Iterable[str] | None = None,
) -> None:
    """Refuse options of ``compare`` that can be told to be wrong before there are scores, which may take hours."""
    for name in sections or ():
        if name not in SECTIONS:
            raise unknown_name("section", OWNER, name, SECTIONS)
    known, kinds = list(architectures), list(proxies)
    for kind in kinds:
        if kind not in known:
            raise unknown_name("proxy", OWNER, kind, known)
    if kinds and (len(set(kinds)) < 2 or len(set(kinds)) < len(kinds)):
        raise bad_value("proxies", OWNER, kinds, "two or more different architectures, the target last")
    for option, share in (("keep", keep), ("q", q)):
        if not 0 < share < 1:
            raise bad_value(option, OWNER, share, "between 0 and 1, both excluded")
    for option, count, least in (("resamples", resamples, 20), ("shown", shown, 0), ("seed", seed, 0)):
        if isinstance(count, bool) or not isinstance(count, int) or count < least:
            raise bad_value(option, OWNER, count, f"a whole number from {least}")
    if held_out is not None and held_out < 1:
        raise bad_value("held_out", OWNER, held_out, HELD_OUT)
