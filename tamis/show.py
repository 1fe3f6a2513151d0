"""What the commands print for people: plain tables, read from left to right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from scoring.errors import InputError
from tamis.grid import cell, console, grid

if TYPE_CHECKING:
    from scoring.checkpoints import RunDirectory
    from scoring.examples import Examples
    from scoring.table import ScoreTable
    from selection.sharded.run import ShardedSubset
    from selection.subset import Subset

Print = Callable[[], None]

PER_RUN_ROLES = ("se", "runs", "run")
MOST_SIDES = 6
"""More columns beside a score than these are named, not shown."""


def show_runs(runs: Sequence[RunDirectory]) -> None:
    """One line per run with the last value of every metric; first the means of folders, if there are several."""
    from scoring.find_runs import place_of

    summaries = [run.summary() for run in runs]
    metrics = sorted({name for summary in summaries for name in summary["metrics"]})
    fewer = [name for name in reversed(metrics) if not name.endswith("accuracy")]
    unfinished = {summary["status"] for summary in summaries} != {"finished"}
    folders: dict[str, list[dict[str, Any]]] = {}
    for run, summary in zip(runs, summaries):
        folders.setdefault(str(place_of(run).parent), []).append(summary)
    if len(folders) > 1:
        means = [
            [folder, len(inside), *(_mean([each["metrics"].get(m) for each in inside]) for m in metrics)]
            for folder, inside in folders.items()
        ]
        title = "Mean and standard deviation over the runs of a folder"
        console().print(grid(title, ["folder", "runs", *metrics], means, drop=fewer))
        console().print()
    rows = [
        [
            str(run.path),
            *([summary["status"]] if unfinished else []),
            summary["steps"],
            summary["wall_time_s"],
            *(summary["metrics"].get(m) for m in metrics),
        ]
        for run, summary in zip(runs, summaries)
    ]
    header = ["run", *(["status"] if unfinished else []), "steps", "seconds", *metrics]
    console().print(grid("Runs", header, rows, left=1 + unfinished, drop=[*fewer, "seconds"]))


def _mean(values: Sequence[float | None]) -> str | None:
    """Mean and standard deviation of the values that are there."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return cell(fmean(known)) + (f" ± {stdev(known):.2g}" if len(known) > 1 else "")


def show_table(table: ScoreTable, path: Path | None) -> None:
    """Every score column: meaning, where its signals come from, quartiles."""
    described = {row["column"]: row for row in table.describe()}
    rows = []
    beside = Counter(meta.get("parent") for meta in table.columns.values() if meta["role"] == "side")
    many = {parent for parent, count in beside.items() if count > MOST_SIDES}
    for name, meta in table.columns.items():
        if meta["role"] in PER_RUN_ROLES or name == "label":
            continue
        if meta["role"] == "side" and meta.get("parent") in many:
            continue
        row = described[name]
        how = " ".join(str(meta[key]) for key in ("view", "steps") if meta.get(key)) + _epoch(meta)
        how = "documents" if table.info.get("runs") == [] else how
        values = [row[key] for key in ("min", "q25", "median", "q75", "max", "nan", "inf")]
        rows.append([name, row["meaning"] if meta["role"] == "score" else "", how, *values])
    header = ["column", "high means", "from", "min", "q25", "median", "q75", "max", "NaN", "inf"]
    runs = table.info.get("runs") or []
    where = f" in {path}" if path else ""
    several = f", {len(runs)} run{'s' if len(runs) > 1 else ''}" if runs else ""
    title = f"{len(table):,} examples{several}{where}"
    empty = [
        name for at, name in enumerate(header) if name in ("inf", "NaN") and not any(r[at] for r in rows)
    ]
    console().print(grid(title, header, rows, left=3, drop=[*empty, "q25", "q75", "from"]))
    for parent in sorted(many, key=str):
        sides = [
            name.removeprefix(f"{parent}.") for name, m in table.columns.items() if m.get("parent") == parent
        ]
        console().print(f"{escape(str(parent))} has {len(sides)} more columns: {escape(', '.join(sides))}")
    for name, meta in table.columns.items():
        if said := meta.get("summary"):
            numbers = ", ".join(f"{what.replace('_', ' ')} {cell(value)}" for what, value in said.items())
            console().print(f"{escape(name)}: {numbers}")
    if held_out := table.info.get("held_out"):
        console().print(f"{held_out:,} examples were held out by every run and are not scored.")
    checkpoints = [each for meta in table.columns.values() for each in meta.get("checkpoints") or []]
    if any(each.get("classes") == "by position" for each in checkpoints):
        names = ", ".join(table.info.get("label_names") or [])
        console().print(
            f"note: the model has no names for its classes; its outputs were taken to be, in order, {escape(names)}. "
            "Where that is not the order of its training these scores are wrong."
        )


def _epoch(meta: Mapping[str, Any]) -> str:
    """The epoch, if a column was computed at the same one in every run: what ``early`` came to."""
    epochs = {each.get("epoch") for each in meta.get("checkpoints") or []}
    only = epochs.pop() if len(epochs) == 1 and meta.get("steps") else None
    return "" if only is None else f" (epoch {only:g})"


def show_subset(
    subset: Subset | ShardedSubset,
    path: Path | None,
    written: bool = False,
    pictures: Mapping[int | str, str] | None = None,
) -> None:
    """How many were kept, by which rule, from which classes, and some of the examples."""
    info = subset.info
    where = f"{', written to' if written else ' in'} {path}" if path else ""
    of = f" of {info['of']:,}" if isinstance(info.get("of"), int) else ""
    console().print(f"kept {len(subset):,}{of} examples{escape(where)}")
    rule = info.get("select") or {}
    shown = ("by", "take", "keep", "balance", "floor", "nan", "weight", "seed")
    usual = {"nan": "error", "weight": "one", "balance": "none"}
    given = {key: rule.get(key) for key in shown if rule.get(key) not in (None, usual.get(key))}
    given |= {key: value for key, value in (rule.get("options") or {}).items() if value is not None}
    console().print("  ".join(f"{key} {escape(cell(value))}" for key, value in given.items()))
    if groups := info.get("groups"):
        names = tuple(name for name in ("group", "rows", "kept", "copies") if name in groups[0])
        classes = ((info.get("scores") or {}).get("table") or {}).get("label_names") or []
        rows = [[row[name] for name in names] for row in groups]
        if rule.get("groups") == "label" and all(row[0] in range(len(classes)) for row in rows):
            rows = [[classes[row[0]], *row[1:]] for row in rows]
        console().print(grid("", names, rows))
    if pictures:
        from selection.subset import Subset

        assert isinstance(subset, Subset), "a sharded subset is not read to be shown"
        rows = [[str(id_), text, subset.explain(id_)] for id_, text in pictures.items()]
        console().print(grid("\nFirst of the kept", ["id", "example", "why"], rows, left=3, drop=["why"]))


def describe_path(
    path: Path, by: str | None, top: int, bottom: int, examples: Examples | None
) -> tuple[Any, Print]:
    """A score table, a subset or runs as a document, and the function that prints it."""
    from scoring.manifest import parse_manifest, read_parquet
    from scoring.table import ScoreTable
    from selection.sharded.run import ShardedSubset
    from selection.subset import KIND, SUPPRESSED, Subset

    head = path / "manifest.json"
    if path.is_dir() and not head.is_file():
        return _describe_runs(path, by)
    manifest: dict[str, Any] | None
    if head.is_file():
        manifest = parse_manifest(head.read_bytes(), "tamis show", head)
    else:
        manifest = read_parquet(path, "tamis show")[1] if path.is_file() else None
    if path.is_file() and manifest is None:
        raise InputError(
            f"tamis show: {str(path)!r} must be a score table, a subset or runs, and is none of them."
        )
    if manifest is not None and manifest["kind"] in (KIND, SUPPRESSED):
        if by is not None:
            raise InputError(
                f"tamis show: --by orders a score table, but this is {'a ' * (manifest['kind'] == KIND)}"
                f"{manifest['kind']}; leave it out."
            )
        if manifest["kind"] == SUPPRESSED:
            return _describe_suppressed(path, top)
        in_shards = path.is_dir() and examples is None  # as large as may be: the manifest tells enough
        subset = ShardedSubset(path, manifest["info"]) if in_shards else Subset.read(path)
        return _describe_subset(path, subset, top, examples)
    table = ScoreTable.read(path)
    if by is not None:
        return _describe_ends(table, by, top, bottom, examples)
    if examples is not None:
        raise InputError(
            f"tamis show: --by must name a score to show examples by, one of {', '.join(table.scores)}."
        )
    document = {"path": str(path), "rows": len(table), "info": table.info, "columns": table.describe()}
    return document, lambda: show_table(table, path)


def _describe_runs(path: Path, by: str | None) -> tuple[Any, Print]:
    from scoring.find_runs import read_runs

    runs = read_runs(path, depth=3)
    if not runs or by is not None:
        what = "runs, which have no --by" if runs else "none of them"
        raise InputError(f"tamis show: {str(path)!r} must be a score table, a subset or runs, and is {what}.")
    return run_documents(runs), lambda: show_runs(runs)


def run_documents(runs: Sequence[RunDirectory]) -> list[dict[str, Any]]:
    """Runs for machines."""
    return [{"path": str(run.path), **run.summary()} for run in runs]


def _describe_subset(
    path: Path, subset: Subset | ShardedSubset, top: int, examples: Examples | None
) -> tuple[Any, Print]:
    from selection.subset import Subset

    document: dict[str, Any] = {"path": str(path), "rows": len(subset), **subset.info}
    ids = subset.ids[:top].tolist() if examples is not None and isinstance(subset, Subset) else []
    rows = _rows_of(examples, ids)
    if examples is not None:
        document["examples"] = [{"id": id_, "example": examples.describe_row(rows[id_])} for id_ in ids]

    def print_it() -> None:
        show_subset(subset, path, pictures=_pictures(examples, rows))

    return document, print_it


def _describe_suppressed(path: Path, top: int) -> tuple[Any, Print]:
    from scoring.manifest import read_parquet

    table, _ = read_parquet(path, "tamis show")
    first = table.slice(0, max(0, top)).to_pylist()
    document = {"path": str(path), "rows": table.num_rows, "first": first}

    def print_it() -> None:
        lines = [[str(row["id"]), str(row["by"]), row["similarity"]] for row in first]
        console().print(f"{table.num_rows:,} examples left out as near-duplicates in {escape(str(path))}")
        if lines:
            console().print(grid("", ["id", "of", "similarity"], lines, left=2))

    return document, print_it


def _describe_ends(
    table: ScoreTable, by: str, top: int, bottom: int, examples: Examples | None
) -> tuple[Any, Print]:
    ends = {"highest": table.top(by, top), "lowest": table.bottom(by, bottom)}
    ends = {end: rows for end, rows in ends.items() if rows}
    if not ends:
        raise InputError("tamis show: --top or --bottom must be above 0 to show examples, got 0 for both.")
    at = _rows_of(examples, [id_ for rows in ends.values() for id_, _ in rows])
    labels = dict(zip(table.ids.tolist(), table.column("label"))) if "label" in table.names else {}
    names = table.info.get("label_names") or []
    document: dict[str, Any] = {"by": by, "meaning": table.meaning(by)}
    for end, rows in ends.items():
        document[end] = [
            {
                "id": id_, "value": value, "label": _label(labels.get(id_), names),
                "example": None if examples is None else examples.describe_row(at[id_]),
            }
            for id_, value in rows
        ]  # fmt: skip

    def print_it() -> None:
        pictures = _pictures(examples, at)
        for end, rows in ends.items():
            header = ["id", "label", *(["example"] if pictures else []), by]
            lines = [
                [str(id_), _label(labels.get(id_), names), *([pictures[id_]] if pictures else []), value]
                for id_, value in rows
            ]
            title = f"{end} {by}"
            if table.columns[by]["role"] != "side":  # a count beside a score means itself
                title += f" (high means {table.meaning(by)})"
            console().print(grid(title, header, lines, left=len(header) - 1))

    return document, print_it


def _rows_of(examples: Examples | None, ids: Sequence[int | str]) -> dict[int | str, int]:
    if examples is None:
        return {}
    try:
        return dict(zip(ids, examples.rows_of(list(ids)).tolist()))
    except InputError as error:
        raise InputError(
            f"tamis show: --data must be what was scored, with the same columns, --id and --split ({error})"
        ) from None


def _pictures(examples: Examples | None, rows: Mapping[int | str, int]) -> dict[int | str, str]:
    from tamis.drawing import picture_of

    return {} if examples is None else {id_: picture_of(examples, row) for id_, row in rows.items()}


def _label(label: float | None, names: Sequence[str]) -> str | None:
    if label is None:
        return None
    return names[int(label)] if int(label) < len(names) else str(int(label))
