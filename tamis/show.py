"""What the commands print for people: plain tables, read from left to right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scoring.errors import InputError

if TYPE_CHECKING:
    from scoring.checkpoints import RunDirectory
    from scoring.examples import Examples
    from scoring.table import ScoreTable
    from selection.subset import Subset

Print = Callable[[], None]

PER_RUN_ROLES = ("se", "runs", "run")


def console() -> Console:
    """The terminal, or a pipe with lines long enough that nothing is cut."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=160)


def grid(title: str, header: Sequence[str], rows: Sequence[Sequence[object]], left: int = 1) -> Table:
    """A table whose first ``left`` columns are text and the others numbers."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell(value)) for value in row))
    return table


def cell(value: object) -> str:
    """A value as a person reads it: four significant digits, thousands separated, - for none."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def show_runs(runs: Sequence[RunDirectory]) -> None:
    """One line per finished run, with the last value of every evaluation metric."""
    summaries = [run.summary() for run in runs]
    metrics = sorted({name for summary in summaries for name in summary["metrics"]})
    rows = [
        [
            str(run.path),
            summary["steps"],
            summary["wall_time_s"],
            *(summary["metrics"].get(m) for m in metrics),
        ]
        for run, summary in zip(runs, summaries)
    ]
    console().print(grid("Runs", ["run", "steps", "seconds", *metrics], rows))


def show_table(table: ScoreTable, path: Path | None) -> None:
    """Every score column: meaning, where its signals come from, quartiles."""
    described = {row["column"]: row for row in table.describe()}
    rows = []
    for name, meta in table.columns.items():
        if meta["role"] in PER_RUN_ROLES or name == "label":
            continue
        row = described[name]
        how = " ".join(str(meta[key]) for key in ("view", "steps") if meta.get(key))
        values = [row[key] for key in ("min", "q25", "median", "q75", "max", "nan", "inf")]
        rows.append([name, row["meaning"] if meta["role"] == "score" else "", how, *values])
    header = ["column", "high means", "from", "min", "q25", "median", "q75", "max", "NaN", "inf"]
    runs = table.info.get("runs") or []
    where = f" in {path}" if path else ""
    console().print(grid(f"{len(table):,} examples, {len(runs) or 1} run(s){where}", header, rows, left=3))
    if held_out := table.info.get("held_out"):
        console().print(f"{held_out:,} examples were held out by every run and are not scored.")
    checkpoints = [each for meta in table.columns.values() for each in meta.get("checkpoints") or []]
    if any(each.get("classes") == "by position" for each in checkpoints):
        names = ", ".join(table.info.get("label_names") or [])
        console().print(
            f"note: the model has no names for its classes; its outputs were taken to be, in order, {escape(names)}. "
            "Where that is not the order of its training these scores are wrong."
        )


def show_subset(subset: Subset, path: Path | None) -> None:
    """How many were kept, by which rule, and from which classes."""
    info = subset.info
    where = f", written to {path}" if path else ""
    of = f" of {info['of']:,}" if isinstance(info.get("of"), int) else ""
    console().print(f"kept {len(subset):,}{of} examples{escape(where)}")
    rule = info.get("select") or {}
    shown = ("by", "take", "keep", "balance", "seed")
    console().print(
        "  ".join(f"{key} {escape(cell(rule[key]))}" for key in shown if rule.get(key) is not None)
    )
    if groups := info.get("groups"):
        console().print(grid("", list(groups[0]), [list(row.values()) for row in groups]))


def describe_file(
    path: Path, by: str | None, top: int, bottom: int, examples: Examples | None
) -> tuple[dict[str, Any], Print]:
    """A score table or a subset as a document, and the function that prints it."""
    from scoring.manifest import read_parquet
    from scoring.table import ScoreTable
    from selection.subset import KIND, Subset

    manifest = read_parquet(path, "tamis show")[1] if path.is_file() else None
    if manifest is not None and manifest["kind"] == KIND:
        if by is not None:
            raise InputError("tamis show: --by orders a score table, but this is a subset; leave it out.")
        subset = Subset.read(path)
        return {"path": str(path), "rows": len(subset), **subset.info}, lambda: show_subset(subset, path)
    table = ScoreTable.read(path)
    if by is None:
        document = {"path": str(path), "rows": len(table), "info": table.info, "columns": table.describe()}
        return document, lambda: show_table(table, path)
    ends = {"highest": table.top(by, top), "lowest": table.bottom(by, bottom)}
    ends = {end: rows for end, rows in ends.items() if rows}
    texts = _texts(examples, [id_ for rows in ends.values() for id_, _ in rows])
    labels = dict(zip(table.ids.tolist(), table.column("label"))) if "label" in table.names else {}
    names = table.info.get("label_names") or []
    document = {
        "by": by,
        "meaning": table.meaning(by),
        **{
            end: [
                {
                    "id": id_,
                    "value": value,
                    "label": _label(labels.get(id_), names),
                    "example": texts.get(id_),
                }
                for id_, value in rows
            ]
            for end, rows in ends.items()
        },
    }

    def print_it() -> None:
        for end, rows in ends.items():
            header = ["id", "label", *(["example"] if texts else []), by]
            lines = [
                [str(id_), _label(labels.get(id_), names), *([texts[id_]] if texts else []), value]
                for id_, value in rows
            ]
            title = f"{end} {by} (high means {table.meaning(by)})"
            console().print(grid(title, header, lines, left=len(header) - 1))

    return document, print_it


def _texts(examples: Examples | None, ids: Sequence[int | str]) -> dict[int | str, str]:
    if examples is None:
        return {}
    return {id_: examples.describe_row(int(row)) for id_, row in zip(ids, examples.rows_of(list(ids)))}


def _label(label: float | None, names: Sequence[str]) -> str | None:
    if label is None:
        return None
    return names[int(label)] if int(label) < len(names) else str(int(label))


def describe_catalog() -> tuple[dict[str, Any], Print]:
    """Scorers, strategies and models as a document, and the function that prints them."""
    from scoring.catalog import describe
    from scoring.networks.options import describe_models
    from selection.catalog import describe_strategies

    document = {"scorers": describe(), "strategies": describe_strategies(), "models": describe_models()}

    def print_it() -> None:
        scorers = [[row["name"], row["meaning"], row["view"], row["doc"]] for row in document["scorers"]]
        console().print(grid("Scorers", ["name", "high means", "view", "what it is"], scorers, left=4))
        strategies = [[row["name"], row["doc"]] for row in document["strategies"]]
        console().print(grid("\nStrategies (--take)", ["name", "what it keeps"], strategies, left=2))
        models = [[row["name"], ", ".join(row["reads"]), row["doc"]] for row in document["models"]]
        console().print(grid("\nModels (--model)", ["name", "reads", "what it is"], models, left=3))
        console().print("Any Hugging Face model name or folder and module:function are models too.")

    return document, print_it
