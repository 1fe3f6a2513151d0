"""The pruning study: keep a share of the examples by a score, retrain, and compare with a random share.

Every run has the same number of updates (or of epochs) however many examples it keeps; which of the two was held fixed
changes who wins, so the table says both. The random baseline draws a new share for every seed, and all examples are
trained on too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from scoring.errors import InputError, bad_value, unknown_name
from scoring.manifest import write_parquet
from scoring.table import ScoreTable
from selection.budget import Budget, parse_budget
from selection.run import select
from training.job import make_job
from training.run import train
from training.studies.paired import Difference, Verdict, paired_difference

if TYPE_CHECKING:
    from scoring.checkpoints import RunDirectory
    from scoring.examples import Examples
    from selection.subset import Subset

METRICS = ("accuracy", "loss", "macro_f1")
Metric = Literal["accuracy", "loss", "macro_f1"]

RANDOM, ALL = "random", "all"

SCHEMA = pa.schema(
    {
        "by": pa.string(),
        "take": pa.string(),
        "keep": pa.float64(),
        "seed": pa.int64(),
        "rows": pa.int64(),
        "steps": pa.int64(),
        "epochs": pa.float64(),
        **{name: pa.float64() for name in METRICS},
        "flops": pa.float64(),
        "wall_time_s": pa.float64(),
        "run": pa.string(),
    }
)
"""One row per run. ``by`` is null for the baselines ``random`` and ``all``; ``keep`` is rows / all rows; ``run`` is the
run directory, relative to the folder of the study."""


@dataclass(frozen=True)
class Cell:
    """One way of choosing, before seeds: what is trained."""

    by: str | None
    take: str
    keep: Budget | None
    """None: all examples."""

    @property
    def name(self) -> str:
        """``hardest 30% by el2n``."""
        keep = "" if self.keep is None else f" {self.keep}"
        return f"{self.take}{keep}{f' by {self.by}' if self.by else ''}"

    @property
    def folder(self) -> str:
        """Where its runs lie."""
        return re.sub(r"[^\w.=@%]+", "-", self.name)


def pruning_study(
    examples: Examples,
    model: Any,
    table: ScoreTable | str | Path,
    *,
    by: str | Sequence[str],
    out: str | Path,
    takes: Sequence[str] = ("hardest", "easiest"),
    keeps: Sequence[float | int | str | Budget] = (0.5, 0.3, 0.1),
    steps: int | None = None,
    epochs: int | None = None,
    seeds: Iterable[int] = (0, 1, 2),
    evaluate: Examples | str | None = None,
    balance: str = "none",
    nan: str = "error",
    on_run: Callable[[int, int, str], None] | None = None,
    **settings: Any,
) -> pa.Table:
    """Train on every share that ``by`` x ``takes`` x ``keeps`` asks for, once per seed, beside random and all.

    Runs that are finished are not repeated, so an interrupted study continues where it stopped.

    Args:
        examples: What to choose from; the score table must be of the same data.
        model: As in ``training.run.train``.
        table: The scores, or the path of a score table.
        by: The column or columns to choose by.
        out: Folder of the runs; ``study.parquet`` in it holds the table.
        takes: Strategies by name; ``random`` is always added and need not be named.
        keeps: Budgets as in ``selection.budget.parse_budget``.
        steps, epochs: Exactly one of them; the same for every run.
        seeds: One run per seed; a seed also decides the random share and ties.
        evaluate: Labelled examples or the name of a split; default: the split ``test`` or ``validation``.
        balance: Class quotas of every share, random included; see ``selection.run.select``.
        nan: What becomes of examples without a score; see ``selection.run.select``.
        on_run: Called before every run with its number, how many there are, and its name.
        settings: More arguments of ``train``: ``optimizer``, ``lr``, ``batch_size``, ``model_options`` ...
            Checkpoints and evaluations are made at the end only, unless these say otherwise.

    Returns:
        One row per run, columns of ``SCHEMA``: what was kept, how long was trained, metrics of the evaluation split.

    Raises:
        InputError: arguments that do not fit, or nothing to evaluate on.
    """
    if (steps is None) == (epochs is None):
        raise InputError("pruning_study: give steps or epochs, and not both; it is held fixed for all runs.")
    if isinstance(evaluate, float):
        raise bad_value("evaluate", "pruning_study", evaluate, "Examples or the name of a split")
    split = make_job(examples, evaluate, None, False).evaluation_name
    if split is None:
        raise bad_value("evaluate", "pruning_study", evaluate, "given, since the data have no test split")
    seeds = list(seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise bad_value("seeds", "pruning_study", seeds, "one or more different whole numbers")
    scores = ScoreTable.read(table) if isinstance(table, str | Path) else table
    cells = _cells([by] if isinstance(by, str) else list(by), takes, [parse_budget(keep) for keep in keeps])
    fixed = {"steps": steps} if epochs is None else {"epochs": epochs}
    defaults = {"checkpoint_every": None, "evaluate_every": None}

    def subset_of(cell: Cell, seed: int) -> Subset | None:
        if cell.keep is None:
            return None
        return select(scores, by=cell.by, take=cell.take, keep=cell.keep, balance=balance, seed=seed, nan=nan)

    for cell in cells:  # every mistake shows before the first run
        make_job(examples, evaluate, subset_of(cell, seeds[0]), False)
    out, total = Path(out), len(cells) * len(seeds)
    rows: list[dict[str, Any]] = []
    for cell in cells:
        for seed in seeds:
            subset = subset_of(cell, seed)
            if on_run is not None:
                on_run(len(rows), total, f"{cell.name}, seed {seed}")
            [run] = train(
                examples, model, out=out / cell.folder, subset=subset, seeds=[seed], evaluate=evaluate,
                **{**defaults, **fixed, **settings},
            )  # fmt: skip
            rows.append(_row(cell, seed, run, split, len(examples), out))
    study = pa.Table.from_pylist(rows, schema=SCHEMA)
    about = {
        "balance": balance,
        "fixed": fixed,
        "evaluation": split,
        "model": str(model),
        "data": examples.name,
    }
    write_parquet(
        out / "study.parquet", study, "study", {"info": {**about, "fingerprint": examples.fingerprint}}
    )
    return study


def _cells(by: Sequence[str], takes: Sequence[str], keeps: Sequence[Budget]) -> list[Cell]:
    if not by or not keeps:
        raise bad_value("by and keeps", "pruning_study", [*by, *keeps], "at least one each")
    chosen = [take for take in takes if take not in (RANDOM, ALL)]
    cells = [
        Cell(None, ALL, None),
        *(Cell(None, RANDOM, keep) for keep in keeps),
        *(Cell(column, take, keep) for column in by for take in chosen for keep in keeps),
    ]
    folders = [cell.folder for cell in cells]
    if len(set(folders)) < len(folders):
        twice = next(folder for folder in folders if folders.count(folder) > 1)
        raise InputError(f"pruning_study: by, takes and keeps must not repeat, got {twice!r} twice.")
    return cells


def _row(cell: Cell, seed: int, run: RunDirectory, split: str, of: int, out: Path) -> dict[str, Any]:
    last = run.summary()["metrics"]
    config = run.config
    rows = of if config["subset"] is None else config["subset"]["rows"]
    return {
        "by": cell.by, "take": cell.take, "keep": rows / of, "seed": seed, "rows": rows,
        "steps": config["steps"], "epochs": config["epochs"],
        **{name: last[f"{split}/{name}"] for name in METRICS},
        "flops": config["flops"], "wall_time_s": config["wall_time_s"],
        "run": run.path.relative_to(out).as_posix(),
    }  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """One way of choosing over its seeds, against the random share of the same size."""

    by: str | None
    take: str
    keep: float
    rows: int
    metric: Metric
    mean: float
    sd: float
    """Over seeds, ddof 1; NaN for one seed."""
    against_random: Difference | None
    """None for the baselines themselves."""

    @property
    def verdict(self) -> Verdict | None:
        """Against the random share: ``better`` or ``worse`` if the paired 95 % interval excludes zero."""
        return None if self.against_random is None else self.against_random.verdict(self.metric != "loss")


def outcomes(study: pa.Table, metric: Metric = "accuracy") -> list[Outcome]:
    """Mean, spread and verdict of every cell, in the order of the table.

    Each verdict is made by itself: of twenty comparisons with nothing to find, one will still be called.
    """
    if metric not in METRICS:
        raise unknown_name("metric", "outcomes", metric, METRICS)
    groups: dict[tuple[str | None, str, int], list[dict[str, Any]]] = {}
    for row in study.to_pylist():
        groups.setdefault((row["by"], row["take"], row["rows"]), []).append(row)
    found = []
    for (by, take, size), rows in groups.items():
        values = {row["seed"]: row[metric] for row in rows}
        against = None
        if take not in (RANDOM, ALL):
            random = {row["seed"]: row[metric] for row in groups.get((None, RANDOM, size), [])}
            shared = sorted(values.keys() & random.keys())
            if shared:
                against = paired_difference([values[s] for s in shared], [random[s] for s in shared])
        each = np.array(list(values.values()))
        sd = float(each.std(ddof=1)) if len(each) > 1 else float("nan")
        found.append(Outcome(by, take, rows[0]["keep"], size, metric, float(each.mean()), sd, against))
    return found
