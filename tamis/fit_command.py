"""``tamis fit``: scaling laws of a table of runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scoring.errors import InputError, bad_value
from tamis.app import command
from tamis.options import Json, Quiet, emit, parse_numbers, parse_pairs

if TYPE_CHECKING:
    from scoring.reports.folder import Report
    from training.laws.loss_to_loss.pairing import Series
    from training.laws.run_table import RunTable

OWNER = "tamis fit"


@command
def fit(
    table: Annotated[
        Path,
        typer.Argument(metavar="RUNS", help="Table of runs: CSV, Parquet or JSONL; or study.parquet."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.md, summary.json, figures and the laws.")
    ] = None,
    law: Annotated[
        str | None,
        typer.Option(
            help="A law of `tamis list laws`, such as broken_power(breaks=2), or a formula: 'E + A / N^a'; default: "
            "chinchilla, with --from kaplan_offset, with --base what its runs allow."
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="Which metrics, joined by commas; in a table with a column per metric, these columns."
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="NAME=COLUMN",
            help="Where the table has N, D, C, corpus, run, seed ... or an input of the law: N=params, x=tokens.",
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="COLUMN=VALUE", help="Only rows with this value."),
    ] = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option("--freeze", metavar="NAME=VALUE", help="Hold a parameter: E=1.69."),
    ] = None,
    tie: Annotated[
        list[str] | None,
        typer.Option("--tie", metavar="NAME=FORMULA", help="Tie a parameter to others: beta=alpha."),
    ] = None,
    objective: Annotated[
        str, typer.Option(help="huber or lad of the logarithms, log_square, square.")
    ] = "huber",
    delta: Annotated[float, typer.Option(help="Where the Huber loss becomes linear.")] = 1e-3,
    drop_highest: Annotated[
        int, typer.Option("--drop-highest", help="Leave out so many runs of highest loss.")
    ] = 0,
    ratio: Annotated[
        str | None, typer.Option(metavar="LOW:HIGH", help="Only runs with D / N between these.")
    ] = None,
    below: Annotated[
        str | None,
        typer.Option(
            help="Fit on runs of less compute than this, and predict the others; of several, 1e19,1e20, the law is of "
            "the largest, and a table tells the errors below each."
        ),
    ] = None,
    versus: Annotated[
        str | None,
        typer.Option(help="With --below: other laws to compare with on the runs held out, joined by commas."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Compute budgets whose best model size is wanted: 1e21,1e22.")
    ] = None,
    isoflop: Annotated[
        bool,
        typer.Option("--isoflop", help="Also the best size on curves of equal compute; runs must share C."),
    ] = False,
    profile: Annotated[
        str | None, typer.Option(help="Parameters whose profile is wanted, joined by commas, or all.")
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(help="Column whose equal values are resampled as a whole, such as N or seed."),
    ] = None,
    pooled: Annotated[bool, typer.Option("--pooled", help="One law for all corpora together.")] = False,
    all_steps: Annotated[
        bool, typer.Option("--all-steps", help="Every step of a run, not the last one alone.")
    ] = False,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="CORPUS:METRIC", help="Loss to loss: the losses to predict from."),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--to", metavar="CORPUS:METRIC", help="Loss to loss: the losses to predict.")
    ] = None,
    pair: Annotated[
        str, typer.Option(help="Loss to loss: what paired runs have in common: N,D or run or C.")
    ] = "N,D",
    several: Annotated[
        str, typer.Option(help="Loss to loss: runs of one pair are refused, or their mean or lowest taken.")
    ] = "refuse",
    fit_floor: Annotated[
        bool,
        typer.Option("--fit-floor", help="Loss to loss: fit the target's floor with the map; for few runs."),
    ] = False,
    base: Annotated[
        str | None,
        typer.Option(help="What is every other corpus worth beside this one, as data and as compute?"),
    ] = None,
    axis: Annotated[
        str | None,
        typer.Option(
            help="With --base: along what learning curves go, D, C, N or a column; default: D, or the rows of a study."
        ),
    ] = None,
    at: Annotated[
        float | None, typer.Option(help="With --base: a scale on the axis to predict the gap at.")
    ] = None,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples behind intervals.")] = 1_000,
    level: Annotated[float, typer.Option(help="Level of intervals.")] = 0.95,
    starts: Annotated[int, typer.Option(help="Points that a fit starts from.")] = 48,
    seed: Annotated[int, typer.Option(help="Decides starts and resamples.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace other laws in --out.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fit a scaling law to runs, map one loss to another, or say what a selection is worth.

    By default one law per corpus and metric. With --from and --to the losses of one corpus predict those of another;
    with --base learning curves are compared.
    """
    from scoring.call_syntax import split_commas
    from scoring.reports.folder import check_folder
    from tamis.show_report import show_report
    from training.laws.analysis.names import KIND

    if (source is None) != (target is None):
        raise InputError(f"{OWNER}: --from and --to are needed together.")
    if source is not None and base is not None:
        raise InputError(f"{OWNER}: --base and --from answer different questions; give one of them.")
    cutoffs = read_budgets(below, OWNER, "--below")
    if versus and not cutoffs:
        raise InputError(f"{OWNER}: --versus compares laws on the runs that --below holds out; give both.")
    if (versus or len(cutoffs) > 1) and (source is not None or base is not None):
        raise InputError(f"{OWNER}: --versus and several budgets go with a law, not with --from or --base.")
    if isoflop and (source is not None or base is not None):
        raise InputError(f"{OWNER}: --isoflop goes with a law, not with --from or --base.")
    if resamples < 20:
        raise bad_value("--resamples", OWNER, resamples, "at least 20")
    if seed < 0:
        raise bad_value("--seed", OWNER, seed, "at least 0")
    series = [_series(text, option) for text, option in ((source, "--from"), (target, "--to")) if text]
    metrics = (metric or "").split(",") if metric else [each.metric for each in series]
    rivals = split_commas(versus or "")
    found = _table(table, [law or "chinchilla", *rivals], metrics, column, where, groups)
    if (series or base is not None) and found.names("corpus") == [""]:
        raise InputError(
            f"{OWNER}: {table} has no corpora to compare; say which column holds them, --column corpus=COLUMN."
        )
    if out is not None:
        check_folder(out, KIND, OWNER, None, overwrite)
    shared: dict[str, Any] = {
        "below": max(cutoffs, default=None), "resamples": resamples, "seed": seed, "level": level,
    }  # fmt: skip
    report: Report
    if series:
        from training.laws.analysis.loss_to_loss import MapRequest, loss_to_loss_report

        asked = MapRequest(
            source=series[0], target=series[1], by=pair.split(","), fit_floor=fit_floor, several=several,  # type: ignore[arg-type]
            law=law or "kaplan_offset", **shared,
        )  # fmt: skip
        report = loss_to_loss_report(found, asked, source=table.name)
    elif base is not None:
        from training.laws.analysis.selections import SelectionRequest, selection_report

        if below is not None:
            raise InputError(f"{OWNER}: --below is for laws and for --from and --to, not for --base.")
        chosen = SelectionRequest(
            base=base,
            axis=axis or ("rows" if _is_study(table) else "D"),
            law=law,
            at=at,
            groups=groups,
            resamples=resamples,
            seed=seed,
            level=level,
        )
        report = selection_report(found, chosen, source=table.name)
    else:
        from training.laws.analysis.law import law_report
        from training.laws.analysis.law_request import LawRequest
        from training.laws.fit import Outliers

        request = LawRequest(
            law=law or "chinchilla", freeze=parse_numbers(freeze, "--freeze"), tie=parse_pairs(tie, "--tie"),
            objective=objective, delta=delta,  # type: ignore[arg-type]
            outliers=Outliers(drop_highest, _ratio(ratio)), budgets=read_budgets(budget, OWNER),
            profiles=profile.split(",") if profile else (), groups=groups, starts=starts, pooled=pooled,
            all_steps=all_steps, isoflop=isoflop, versus=rivals,
            cutoffs=cutoffs if rivals or len(cutoffs) > 1 else (), **shared,
        )  # fmt: skip
        report = law_report(found, request, source=table.name, show_progress=not quiet)
    if out is not None:
        check_folder(out, KIND, OWNER, report.about, overwrite)
        report.write(out)
    beside = "figures and the laws" if any(section.files for section in report.sections) else "figures"
    emit(report.document(), as_json, lambda: show_report(report, out, beside))


def _table(
    path: Path,
    laws: list[str],
    metrics: list[str],
    columns: list[str] | None,
    where: list[str] | None,
    groups: str | None,
) -> RunTable:
    from training.laws.catalog import FORMS, form_of
    from training.laws.run_table import columns_of, read_run_table
    from training.laws.selections.from_studies import run_table_of_study

    mapping, equal = parse_pairs(columns, "--column"), parse_pairs(where, "--where")
    if _is_study(path):
        study = run_table_of_study(path)
        study = study.with_metrics(metrics) if metrics else study
        return study.where(**equal) if equal else study
    there = columns_of(path)
    columns_there = dict.fromkeys([*there, *mapping, "N", "D", "C", "M"])
    forms = [(law, form_of(law, columns_there)) for law in laws]
    read = [name for law, form in forms if law not in FORMS for name in form.inputs]
    named = [*equal, *([groups] if groups else []), *read]
    mapping = {name: name for name in named if name in there} | mapping
    table = read_run_table(path, mapping, metrics or None)
    return table.where(**equal) if equal else table


def _is_study(path: Path) -> bool:
    from training.laws.run_table import columns_of
    from training.studies.table import SCHEMA

    return set(SCHEMA.names) <= set(columns_of(path))


def _series(text: str, option: str) -> Series:
    from training.laws.loss_to_loss.pairing import Series

    parts = text.split(":")
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise bad_value(option, OWNER, text, "CORPUS:METRIC, or CORPUS:METRIC:SPLIT")
    return Series(*parts)


def _ratio(text: str | None) -> tuple[float, float]:
    if text is None:
        return (0.0, float("inf"))
    low, _, high = text.partition(":")
    try:
        return (float(low or 0), float(high or "inf"))
    except ValueError:
        raise bad_value("--ratio", OWNER, text, "LOW:HIGH, such as 5:200") from None


def read_budgets(text: str | None, owner: str, option: str = "--budget") -> list[float]:
    """``1e21,1e22`` as numbers."""
    try:
        found = [float(each) for each in (text or "").split(",") if each]
    except ValueError:
        raise bad_value(option, owner, text, "numbers such as 1e21,1e22") from None
    if any(not 0 < each < float("inf") for each in found):
        raise bad_value(option, owner, text, "numbers above 0")
    return found
