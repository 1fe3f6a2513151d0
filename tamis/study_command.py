"""``tamis study``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scoring.errors import InputError
from tamis.app import command
from tamis.engine_options import Address
from tamis.options import Device, Json, Quiet, emit

if TYPE_CHECKING:
    from training.studies.reporting.report import Summary

OWNER = "tamis study"


@command
def study(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="STUDY", help="A study file (.yaml, .py), or the folder of a study to report on."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for runs, table and report; default: NAME-study beside NAME.yaml."),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="What the report judges by; default accuracy, or loss of language models."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Of several test sets, the one the report judges by.")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(help="local (one run after another), processes (this machine) or ray (a cluster)."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="--engine processes or ray: how many runs at once; default: the cores, or what the cluster has."
        ),
    ] = None,
    address: Address = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Train only slice I (from 0) of N of the runs, as one task of a batch job.",
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option(help="Threads per run; the same number gives the same weights.")
    ] = 1,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Run a study: a grid of selections, shares kept, seeds, models and data, and what came of it.

    Plain and class-stratified random shares of every size are always trained on, and all examples. Runs that are
    finished are not repeated; the same command continues an interrupted study. Writes study.parquet (one row per run
    and result), report.md, figures and tables.
    """
    from training.studies.classification import ClassifierStudy
    from training.studies.detection import study_detections
    from training.studies.reporting.report import write_report
    from training.studies.running import run_study
    from training.studies.study_file import read_study

    if source.is_dir():
        given = {"--out": out, "--engine": engine, "--shard": shard, "--workers": workers}
        if named := [name for name, value in given.items() if value is not None]:
            raise InputError(
                f"{OWNER}: {named[0]} is for a study file; {str(source)!r} is a folder, which is reported on."
            )
        _show(write_report(source, metric=metric, split=split), source, as_json)
        return
    asked = read_study(source)
    folder = source.with_name(f"{source.stem}-study") if out is None else out
    from tamis.engine_options import engine_of

    table = run_study(
        asked, folder, engine=engine_of(engine, workers, address, shard, folder), threads=threads, device=device,
        progress=not quiet,
    )  # fmt: skip
    if isinstance(asked, ClassifierStudy) and asked.kind == "pruning":
        study_detections(asked, folder)
    if table.num_rows:
        _show(write_report(folder, metric=metric, split=split), folder, as_json)


def _show(summary: Summary, folder: Path, as_json: bool) -> None:
    from scoring.files import read_json
    from tamis.show_study import show_study

    emit(read_json(folder / "summary.json"), as_json, lambda: show_study(summary, folder))
