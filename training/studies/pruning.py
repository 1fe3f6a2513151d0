"""The pruning study: keep a share of the examples, retrain, and compare with random shares of the same size.

Two random baselines stand beside every way of choosing at every budget, plain and class-stratified, and so does
training on all examples. Every run has the same number of updates, or of passes over what it keeps; which of the two
was held fixed can change who wins, so by default both are done and the table says which is which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy.typing as npt
import pyarrow as pa

from scoring.errors import InputError, bad_value
from scoring.table import ScoreTable
from selection.budget import Budget
from selection.subset import Subset
from training.architectures import Architecture
from training.job import make_job
from training.studies.choosing import choose
from training.studies.classification import ClassifierStudy
from training.studies.running import run_study
from training.studies.study import Cell
from training.studies.ways import ALL, RANDOM, Way, all_columns, way_columns

if TYPE_CHECKING:
    from scoring.engines.engine import Engine
    from scoring.examples import Examples

OWNER = "pruning_study"


@dataclass(frozen=True, kw_only=True)
class Pruning(ClassifierStudy):
    """Keep part of the examples by every way of choosing, and train on it; see ``ClassifierStudy``."""

    kind: ClassVar[str] = "pruning"

    def cells(self, out: Path) -> list[Cell]:
        """See ``Study``: seed by seed; all examples first, then the baselines and the ways, budget by budget."""
        material = self.material()
        tables = {name: self.tables(each.examples, out) for name, each in material.variants.items()}
        picks: list[tuple[Way | None, Budget | None]] = [(None, None)]
        picks += [(way, keep) for way in self.ways for keep in self.budgets]
        cells: list[Cell] = []
        for seed in self.seeds:
            for name, variant in material.variants.items():
                for way, keep in picks:
                    columns, path = all_columns(), None
                    if way is not None and keep is not None:
                        columns = way_columns(way, keep)
                        path = choose(
                            out, variant.examples, tables[name], way, keep, seed,
                            nan=self.nan, embeddings=self.embeddings,
                        )  # fmt: skip
                    subset = None if path is None else Subset.read(out / path)
                    job = make_job(variant.examples, material.test, subset, False)
                    cells += [
                        self.cell(
                            name, job, columns, regime, model, seed, {"subset": path}, len(variant.examples)
                        )
                        for model in self.architectures
                        for regime in self.regimes
                    ]
        return cells


def pruning_study(
    examples: Examples,
    model: Any,
    table: ScoreTable | str | Path,
    *,
    by: str | Sequence[str],
    out: str | Path,
    takes: Sequence[str | Way] = ("hardest", "easiest"),
    keeps: Sequence[float | int | str | Budget] = (0.5, 0.3, 0.1),
    steps: int | None = None,
    epochs: int | None = None,
    seeds: Iterable[int] = (0, 1, 2),
    evaluate: Examples | str | None = None,
    balance: str = "none",
    nan: str = "error",
    embeddings: npt.ArrayLike | str | Path | None = None,
    engine: Engine | None = None,
    progress: bool = False,
    model_options: Mapping[str, Any] | None = None,
    device: str = "auto",
    **settings: Any,
) -> pa.Table:
    """A ``Pruning`` study of one model and ready scores, in one call: ``by`` x ``takes`` x ``keeps``, once per seed.

    Runs that are finished are not repeated, so an interrupted study continues where it stopped.

    Args:
        examples: What to choose from; the score table must be of the same data.
        model: As in ``training.run.train``.
        table: The scores, or the path of a score table.
        by: The column or columns to choose by.
        out: Folder of the runs; ``study.parquet`` in it holds the table.
        takes: Strategies by name, or ``Way`` objects: ``Way("stratified", {"drop_hardest": 0.3})``,
            ``Way("hardest", balance="equal")``. Random shares, plain and class-stratified, are always added. Strategies
            that read no score are tried once, and not for every column.
        keeps: Budgets as in ``selection.budget.parse_budget``.
        steps, epochs: Exactly one of them; the same for every run.
        seeds: One run per seed; a seed also decides the random share and ties.
        evaluate: Labelled examples or the name of a split; default: the split ``test`` or ``validation``.
        balance: Class quotas of the ways that have none of their own; see ``selection.run.select``.
        nan: What becomes of examples without a score; see ``selection.run.select``.
        embeddings: For strategies that compare rows; see ``selection.run.select``.
        engine, progress: As for ``run_study``.
        settings: More arguments of ``train``: ``optimizer``, ``lr``, ``batch_size`` ... Checkpoints and evaluations are
            made at the end only, unless these say otherwise.

    Returns:
        The run table, see ``training.studies.table``.

    Raises:
        InputError: arguments that do not fit, or nothing to evaluate on.
    """
    if (steps is None) == (epochs is None):
        raise InputError("pruning_study: give steps or epochs, and not both; it is held fixed for all runs.")
    columns = [by] if isinstance(by, str) else list(by)
    if not columns or not keeps:
        raise bad_value("by and keeps", OWNER, [*columns, *keeps], "at least one each")
    ways = [take if isinstance(take, Way) else Way(take) for take in takes]
    asked: list[Way] = []
    for way in ways:
        if way.take in (RANDOM, ALL) and way.balance is None:
            continue
        asked += (
            [replace(way, by=column) for column in columns] if way.take != ALL and way.reads_score else [way]
        )
    name = model if isinstance(model, str) else type(model).__name__
    study = Pruning(
        data=examples, test=evaluate, models=[Architecture(name, model, model_options or {})],
        select=asked, keep=list(keeps), scores=ScoreTable.read(table) if isinstance(table, str | Path) else table,
        seeds=list(seeds), steps=steps, epochs=epochs, regimes=["steps" if epochs is None else "epochs"],
        train_settings=settings, balance=balance, nan=nan, embeddings=embeddings, leaked="keep", device=device,
    )  # fmt: skip
    return run_study(study, out, engine=engine, progress=progress)
