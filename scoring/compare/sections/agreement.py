"""Section: do scores call the same examples hard, within a run, over runs, and over architectures?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa

from scoring.compare.agreement import words as agreement_words
from scoring.compare.agreement.cell_agreement import (
    AcrossAgreement,
    CellAgreement,
    across_agreement,
    cell_agreement,
)
from scoring.compare.agreement.columns import Agreement
from scoring.compare.intervals.crossed_error import Estimates, blank
from scoring.compare.ranks import Floats
from scoring.compare.request import Request
from scoring.compare.run_scores import RunScores
from scoring.reports.section import Cell, Listing, Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = TypeVar("Row")
NAME, TITLE = "agreement", "Agreement of scores"
MOST_ROWS = 12
"""A longer listing is cut to what agrees least, once for every score; the Parquet files have all."""


def section(scores: RunScores, request: Request) -> Section:
    """Spearman, Kendall and Jaccard between scores, runs and architectures, raw and corrected for attenuation."""
    several = len(scores.architectures) > 1
    if len(scores.scores) < 2 and not several:
        return Section(
            NAME, TITLE, ["There is one score in one architecture: agreement needs two of either."]
        )
    cells = [cell_agreement(scores, a, keep=request.keep, seed=request.seed) for a in scores.architectures]
    across = [
        across_agreement(scores, s, keep=request.keep, seed=request.seed)
        for s in (scores.scores if several else ())
    ]
    sentences: list[str] = []
    listings: list[Listing] = []
    figures: dict[str, Callable[[], Figure]] = {}
    tables: dict[str, pa.Table] = {}
    if len(scores.scores) > 1:
        order = _order(cells, len(scores))
        sentences += [
            *agreement_words.of_scores(cells, request.keep, scores.of_documents),
            *agreement_words.of_correction(cells),
        ]
        listings.append(_scores_listing(cells))
        for number, found in enumerate(cells, 1):
            stem = "agreement" if not several else f"agreement_{number}_{_safe(found.architecture)}"
            figures[stem] = partial(_draw_cells, found, order, scores.of_documents)
        tables["agreement_pairs"] = _table(row for found in cells for row in _pair_rows(found))
    if several:
        sentences += agreement_words.of_architectures(across, [found.runs for found in cells])
        listings.append(_across_listing(across))
        figures["agreement_architectures"] = partial(_draw_across, across)
        tables["agreement_architectures"] = _table(row for found in across for row in _across_rows(found))
    sentences.append(agreement_words.of_intervals(cells, scores.of_documents))
    document = {
        "keep": request.keep,
        "architectures": {found.architecture: _cell_document(found) for found in cells},
        "scores": {found.score: _across_document(found) for found in across},
    }
    return Section(NAME, TITLE, sentences, listings, figures, document, tables)


def _scores_listing(cells: Sequence[CellAgreement]) -> Listing:
    """A row per score and architecture: reliability, mean agreement with the other scores, the closest of them."""
    single = any(found.between is not None for found in cells)
    listed = [(float(mean), found, i) for found in cells for i, mean in enumerate(_mean_with_others(found))]
    least, cut = _least(
        [(found.names[i], mean, (mean, found, i)) for mean, found, i in listed], "architecture"
    )
    rows: list[list[Cell]] = []
    for mean, found, i in least:
        row: list[Cell] = [found.names[i], *([found.architecture] if len(cells) > 1 else [])]
        if single:
            row.append(None if found.between is None else _cell(found.between.between.values[i, i]))
        if np.isnan(mean):
            rows.append([*row, None, None, None, None, None])
            continue
        j = int(
            np.nanargmax(np.where(np.arange(len(found.names)) == i, np.nan, found.averaged.rho.values[i]))
        )
        closest = found.averaged.rho.at(i, j).words()
        row += [mean, found.names[j], closest]
        rows.append([*row, _cell(found.averaged.kendall[i, j]), _cell(found.averaged.jaccard[i, j])])
    header = [
        "score", *(["architecture"] if len(cells) > 1 else []),
        *(["single-run reliability"] if single else []),
        "mean with others", "closest", "Spearman (95 %)", "Kendall", "Jaccard",
    ]  # fmt: skip
    over = ", averaged over runs" if single else ""
    which = f"; {cut}, all pairs are in agreement_pairs.parquet" if cut else ""
    sample = f"; Kendall over {cells[0].averaged.kendall_rows:,} examples"
    return Listing(header, rows, f"Agreement of every score with the others{over}{which}{sample}")


def _mean_with_others(found: CellAgreement) -> Floats:
    rho = np.where(np.eye(len(found.names)) > 0, np.nan, found.averaged.rho.values)
    known = ~np.isnan(rho)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, rho, 0).sum(axis=1) / known.sum(axis=1))


def _least(rows: Sequence[tuple[str, float | None, Row]], what: str) -> tuple[list[Row], str]:
    """Of (score, agreement, row) the lowest row of every score, then of all, if there are many; and what was done."""
    if len(rows) <= MOST_ROWS:
        return [row for _, _, row in rows], ""

    def known(value: float | None) -> tuple[bool, float]:
        return (True, 0.0) if value is None or np.isnan(value) else (False, value)

    lowest: dict[str, tuple[tuple[bool, float], Row]] = {}
    for score, value, row in rows:
        if score not in lowest or known(value) < lowest[score][0]:
            lowest[score] = known(value), row
    if len(lowest) <= MOST_ROWS:
        return [row for _, row in lowest.values()], f"of every score the {what} where it agrees least"
    chosen = sorted(lowest.values(), key=lambda each: each[0])[:MOST_ROWS]
    return [row for _, row in chosen], f"the {MOST_ROWS} scores that agree least, each where it does"


def _across_listing(across: Sequence[AcrossAgreement]) -> Listing:
    listed = [row for found in across for row in _across_rows(found)]
    rows, cut = _least([(row["score"], row["averaged"], row) for row in listed], "pair")
    header = ["score", "a", "b", "single run", "averaged (95 %)", "corrected (95 %)", "Kendall", "Jaccard"]
    which = f": {cut}; all {len(listed)} are in agreement_architectures.parquet" if cut else ""
    return Listing(
        header, [_across_cells(row) for row in rows], f"The same score in two architectures{which}"
    )


def _across_cells(row: dict[str, Any]) -> list[Cell]:
    cells: list[Cell] = [row["score"], row["a"], row["b"], row["single"]]
    for key in ("averaged", "corrected"):
        found = (row[key], row[f"{key}_low"], row[f"{key}_high"])
        cells.append(found[0] if None in found else found)
    return [*cells, row["kendall"], row["jaccard"]]


def _pair_rows(found: CellAgreement) -> Iterator[dict[str, Any]]:
    single = found.between
    for i, a in enumerate(found.names):
        for j in range(i if single is not None else i + 1, len(found.names)):
            yield {
                "architecture": found.architecture, "a": a, "b": found.names[j],
                **_flat("within", found.within, i, j),
                **_flat("between", None if single is None else single.between, i, j),
                **_flat("averaged", found.averaged.rho, i, j),
                **_flat("corrected", None if single is None else single.corrected, i, j),
                "kendall": _cell(found.averaged.kendall[i, j]),
                "jaccard_within": None if found.jaccard_within is None else _cell(found.jaccard_within[i, j]),
                "jaccard_between": None if found.jaccard_between is None else _cell(found.jaccard_between[i, j]),
                "jaccard_averaged": _cell(found.averaged.jaccard[i, j]),
            }  # fmt: skip


def _across_rows(found: AcrossAgreement) -> Iterator[dict[str, Any]]:
    for i, j in combinations(range(len(found.architectures)), 2):
        yield {
            "score": found.score, "a": found.architectures[i], "b": found.architectures[j],
            **_flat("single", found.single.between, i, j),
            **_flat("averaged", found.averaged.rho, i, j),
            **_flat("corrected", found.single.corrected, i, j),
            "kendall": _cell(found.averaged.kendall[i, j]),
            "jaccard": _cell(found.averaged.jaccard[i, j]),
        }  # fmt: skip


def _cell_document(found: CellAgreement) -> dict[str, Any]:
    known: dict[str, Any] = {
        "names": found.names, "runs": found.runs, "averaged": found.averaged.rho.document(),
        "kendall": blank(found.averaged.kendall), "kendall_examples": found.averaged.kendall_rows,
        "jaccard_averaged": blank(found.averaged.jaccard), "kept": found.averaged.kept,
        "jaccard_by_chance": found.averaged.jaccard_chance,
    }  # fmt: skip
    if found.within is not None and found.between is not None:
        assert found.jaccard_within is not None and found.jaccard_between is not None
        known |= {
            "within": found.within.document(), "between": found.between.between.document(),
            "corrected": found.between.corrected.document(), "impossible": found.between.impossible.tolist(),
            "jaccard_within": blank(found.jaccard_within), "jaccard_between": blank(found.jaccard_between),
        }  # fmt: skip
    return known


def _across_document(found: AcrossAgreement) -> dict[str, Any]:
    return {
        "architectures": found.architectures, "single": found.single.between.document(),
        "corrected": found.single.corrected.document(), "averaged": found.averaged.rho.document(),
        "kendall": blank(found.averaged.kendall), "jaccard": blank(found.averaged.jaccard),
    }  # fmt: skip


def _order(cells: Sequence[CellAgreement], rows: int) -> list[int]:
    """Similar scores side by side, the same for all architectures: by the mean of their matrices."""
    rho = np.stack([found.averaged.rho.values for found in cells])
    known = ~np.isnan(rho)
    mean = np.where(known, rho, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    names = cells[0].names
    return [names.index(name) for name in Agreement(names, mean, rows).ordered().names]


def _draw_cells(found: CellAgreement, order: Sequence[int], of_documents: bool = False) -> Figure:
    from scoring.plots.agreement import agreement_panels

    chosen = np.ix_(order, order)
    panels = {"averaged": found.averaged.rho.values[chosen]}
    if found.within is not None and found.between is not None:
        panels = {
            "same run": found.within.values[chosen],
            "different runs (diagonal: reliability)": found.between.between.values[chosen],
            f"mean of {found.runs} runs": panels["averaged"],
            "corrected for the noise of runs": found.between.corrected.values[chosen],
        }
    else:
        panels = {"Spearman": panels["averaged"], "Kendall": found.averaged.kendall[chosen]}
    names = [found.names[i] for i in order]
    if of_documents:
        return agreement_panels(names, panels, title="Agreement of scores", label="correlation")
    return agreement_panels(names, panels, title=f"Agreement of scores: {found.architecture}")


def _draw_across(across: Sequence[AcrossAgreement]) -> Figure:
    from scoring.plots.agreement import architecture_map

    kinds = across[0].architectures
    pairs = list(combinations(range(len(kinds)), 2))

    def of(matrices: list[Floats]) -> Floats:
        return np.array([[matrix[pair] for pair in pairs] for matrix in matrices])

    panels = {
        "single runs": of([found.single.between.values for found in across]),
        "averaged over runs": of([found.averaged.rho.values for found in across]),
        "corrected for noise": of([found.single.corrected.values for found in across]),
    }
    if np.isnan(panels["corrected for noise"]).all():
        panels = {"Spearman": panels["averaged over runs"]}
    return architecture_map(
        [found.score for found in across], [f"{kinds[i]} – {kinds[j]}" for i, j in pairs], panels
    )


def _flat(name: str, found: Estimates | None, i: int, j: int) -> dict[str, Cell]:
    if found is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {
        name: _cell(found.values[i, j]), f"{name}_low": _cell(found.low[i, j]), f"{name}_high": _cell(found.high[i, j])
    }  # fmt: skip


def _cell(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _safe(name: str) -> str:
    """Letters, digits and dashes, for the name of a file."""
    return "".join(c if c.isascii() and (c.isalnum() or c == "-") else "-" for c in name)[:40]


def _table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Rows as they are; names are text, all else numbers."""
    found = list(rows)
    text = ("architecture", "score", "a", "b")
    return pa.Table.from_pylist(
        found, pa.schema([(key, pa.string() if key in text else pa.float64()) for key in found[0]])
    )
