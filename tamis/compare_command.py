"""``tamis compare``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from scoring.errors import InputError, bad_value
from tamis.app import command
from tamis.options import (
    Device,
    Features,
    Id,
    Image,
    Json,
    Label,
    Precision,
    Quiet,
    Split,
    Text,
    TextPair,
    Trust,
    emit,
    load_data,
)  # fmt: skip

if TYPE_CHECKING:
    from scoring.compare.run_scores import RunScores
    from scoring.compare.score_columns import Columns
    from scoring.table import ScoreTable


@command
def compare(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]PATH...",
            help="A score table per architecture, or runs as `tamis train --models` makes them.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.md, summary.json, figures and rows per example.")
    ] = None,
    scorers: Annotated[
        str | None,
        typer.Option(
            help="With runs: what to score, such as el2n,loss@mean,forgetting. With tables: which of their columns."
        ),
    ] = None,
    keep: Annotated[str, typer.Option(help="Share of the kept sets that are compared, such as 30%.")] = "30%",
    only: Annotated[
        str | None,
        typer.Option(
            help="Some of agreement, reliability, components, variance, sensitive, fingerprint, beside, proxy, "
            "predictions."
        ),
    ] = None,
    proxies: Annotated[
        str | None,
        typer.Option(help="Architectures from the cheapest to the target: may the first score for the last?"),
    ] = None,
    predict: Annotated[
        str | None,
        typer.Option(help="With runs: split whose predictions are compared; default: the scored one; none."),
    ] = None,
    beside: Annotated[
        Path | None,
        typer.Option(help="Score table or Parquet file with columns from elsewhere to correlate with."),
    ] = None,
    beside_meaning: Annotated[
        list[str] | None,
        typer.Option(
            "--beside-meaning", metavar="COLUMN=MEANING", help="What its columns mean: c_score=easy."
        ),
    ] = None,
    beside_id: Annotated[str, typer.Option("--beside-id", help="Its id column.")] = "id",
    q: Annotated[float, typer.Option(help="False discovery rate of sensitive examples.")] = 0.05,
    held_out: Annotated[
        int | None,
        typer.Option(
            "--held-out", help="Runs per architecture that test the fingerprint; default: each in turn."
        ),
    ] = None,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples behind intervals.")] = 200,
    shown: Annotated[int, typer.Option(help="How many sensitive examples to show.")] = 12,
    seed: Annotated[int, typer.Option(help="Decides resamples, permutations and splits of runs.")] = 0,
    nan: Annotated[
        str, typer.Option(help="error, or drop the examples that lack a value anywhere.")
    ] = "error",
    allow_changed_data: Annotated[
        bool,
        typer.Option("--allow-changed-data", help="Tables of other content or labels under the same ids."),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace another comparison in --out.")
    ] = False,
    data: Annotated[
        str | None, typer.Option(help="The data: what runs score, and to show sensitive examples.")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="With runs: most examples per forward pass.")] = 256,
    precision: Precision = "float32",
    device: Device = "auto",
    trust_remote_code: Trust = False,
    split: Split = None,
    text: Text = None,
    text_pair: TextPair = None,
    image: Image = None,
    features: Features = None,
    label: Label = None,
    id_column: Id = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Compare scores with each other, over runs, and over architectures.

    How reliable is a score, how many runs does it need, do scores measure one thing, which examples tell architectures
    apart, may a small model score for a large one?
    """
    from scoring.compare.run import check_options
    from scoring.compare.run import compare as run_compare
    from scoring.compare.writing import check_folder
    from tamis.show_report import show_report

    columns = {
        "text": text, "text_pair": text_pair, "image": image, "features": features, "label": label, "id": id_column
    }  # fmt: skip
    asked: dict[str, Any] = {
        "keep": _share(keep), "q": q, "resamples": resamples, "seed": seed, "shown": shown, "held_out": held_out,
        "proxies": _names(proxies) or (), "sections": _names(only),
    }  # fmt: skip
    meanings = _meanings(beside_meaning)
    if meanings and beside is None:
        raise InputError("tamis compare: --beside-meaning is for the file of --beside, which is not given.")
    others = None if beside is None else _others(beside, meanings, beside_id)
    examples = load_data(data, split=split, **columns) if data else None
    found: RunScores
    predictions = None
    if _are_runs(paths):
        if examples is None or scorers is None or out is None:
            raise InputError(
                "tamis compare: runs need --data DATA, --scorers NAMES and --out FOLDER; tables need none of these."
            )
        from scoring.compare.cells import find_architectures, score_cells
        from scoring.compare.predictions.predicting import predictions_of_runs

        kinds = find_architectures(paths)
        check_options(kinds, **asked)
        check_folder(out, None, overwrite)
        predicted = None
        if predict != "none" and (only is None or {"predictions", "proxy"} & set(asked["sections"])):
            predicted = examples if predict is None else examples.other_split(predict)
        how: dict[str, Any] = {
            "device": device, "precision": precision, "batch_size": batch_size,
            "trust_remote_code": trust_remote_code, "show_progress": not quiet, "overwrite": overwrite,
        }  # fmt: skip
        found = score_cells(examples, scorers, kinds, out / "scores", **how | {"nan": nan})
        if predicted is not None:
            predictions = predictions_of_runs(kinds, predicted, out=out / "predictions", **how)
    else:
        if predict is not None:
            raise InputError(f"tamis compare: --predict is for runs, and {paths[0]!r} is a score table.")
        found = _of_tables(paths, scorers, nan, allow_changed_data)
    comparison = run_compare(
        found, **asked, predictions=predictions, beside=others, examples=examples, out=out, overwrite=overwrite,
        show_progress=not quiet,
    )  # fmt: skip
    emit(
        comparison.to_json(),
        as_json,
        lambda: show_report(comparison.report, out, "figures and rows per example"),
    )


def _are_runs(paths: list[str]) -> bool:
    """Whether the paths hold runs rather than score tables; a mix is refused."""
    kinds = {}
    for path in paths:
        place = Path(path.rpartition("=")[2])
        if not place.exists():
            raise FileNotFoundError(f"tamis compare: {str(place)!r} does not exist.")
        kinds[path] = place.is_dir() and not (place / "manifest.json").is_file()
    if len(set(kinds.values())) > 1:
        table = next(path for path, runs in kinds.items() if not runs)
        raise InputError(
            f"tamis compare: paths must be all runs or all score tables, got both ({table!r} is a table)."
        )
    return next(iter(kinds.values()))


def _of_tables(paths: list[str], scorers: str | None, nan: Any, allow_changed_data: bool) -> RunScores:
    from scoring.compare.run_scores import RunScores

    tables: dict[str, str] = {}
    for path in paths:
        name, _, place = path.rpartition("=")
        name = name or Path(place).stem
        if name in tables:
            raise InputError(
                f"tamis compare: architectures must have different names, got {name!r} twice; write NAME=PATH."
            )
        tables[name] = place
    joined = _joined(tables, allow_changed_data) if len(tables) > 1 else None
    if joined is not None:
        return RunScores.of_tables({"documents": joined}, _names(scorers), nan=nan)
    return RunScores.of_tables(tables, _names(scorers), nan=nan, allow_changed_data=allow_changed_data)


def _joined(tables: Mapping[str, str], allow_changed_data: bool) -> ScoreTable | None:
    """All columns beside each other, if all tables are of documents: they have no runs that could be compared."""
    from scoring.compare.score_columns import OWNER, of_documents
    from scoring.stored_table import StoredTable
    from scoring.table import ScoreTable

    if not of_documents(cast("list[Columns]", [StoredTable(path, OWNER) for path in tables.values()])):
        return None
    first, *others = (ScoreTable.read(path) for path in tables.values())
    for other in others:
        first = first.join(other, allow_changed_data=allow_changed_data)
    return first


def _names(text: str | None) -> list[str] | None:
    """Names separated by commas, those inside brackets left alone."""
    if text is None:
        return None
    from scoring.catalog import split_scorers

    return split_scorers(text)


def _share(text: str) -> float:
    from selection.budget import parse_budget

    budget = parse_budget(text)
    if budget.fraction is None or budget.unit != "rows":
        raise bad_value("--keep", "tamis compare", text, "a share of the examples, such as 30%")
    return float(budget.fraction)


def _meanings(pairs: list[str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs or []:
        column, equals, meaning = pair.rpartition("=")
        if not equals or not column:
            raise bad_value("--beside-meaning", "tamis compare", pair, "COLUMN=MEANING, such as c_score=easy")
        found[column] = meaning
    return found


def _others(path: Path, meanings: dict[str, str], id: str) -> ScoreTable:
    """The table of --beside; without --beside-meaning it must be a score table."""
    from scoring.table import ScoreTable

    try:
        return ScoreTable.read(path, meaning=meanings or None, id=id)
    except InputError as error:
        if "pass meaning=" not in str(error):
            raise
        raise InputError(
            f"tamis compare: {str(path)!r} does not say what its columns mean; give --beside-meaning COLUMN=hard (or "
            "easy ...) for those to compare, and --beside-id where ids are not in 'id'."
        ) from error
