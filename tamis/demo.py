"""``tamis demo``: the whole loop on scikit-learn's digits, once with clean labels and once with a tenth of them wrong.

Train with recorded dynamics, score, ask whether the scores repeat and whether they find the planted errors, keep the
hardest, the easiest or a random part, retrain, report. It only calls public functions; the numbers come from
``scoring.compare`` and ``training.studies``, the words from ``tamis.demo_report``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from scoring.compare.agreement.columns import Agreement
    from scoring.compare.detection import Detection
    from scoring.compare.reliability.single_runs import Reliability
    from scoring.examples import Examples
    from scoring.table import ScoreTable
    from training.interventions.noisy_labels import NoisyLabels
    from training.studies.outcomes import Outcome

CLEAN, NOISY = "clean", "noisy"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What the demo does; the defaults are those of the command."""

    seeds: Sequence[int] = (0, 1, 2)
    """Of the runs that are scored."""
    retrain_seeds: Sequence[int] = (10, 11, 12)
    """Others than ``seeds``, so that no retraining starts from the weights that chose its examples."""
    epochs: int = 30
    steps: int = 1100
    keeps: Sequence[float] = (0.5, 0.3, 0.1)
    flip: float = 0.1
    by: str = "el2n"
    """EL2N early in training, mean over the runs: the score for which hardest-first was published (Paul et al. 2021).
    It was chosen for that, not for its result here."""
    train: dict[str, Any] = field(
        default_factory=lambda: {
            "optimizer": "sgd", "lr": 0.015, "schedule": "cosine", "batch_size": 32, "device": "cpu",
            "evaluate_every": None,
        }
    )  # fmt: skip
    """SGD at 0.1 is a usual rate for pixels in [0, 1]. The ``mlp`` divides pixels by their standard deviation, 0.38
    here, which makes a step of its first layer 1 / 0.38^2 times as long; 0.1 * 0.38^2 = 0.015."""


TRAIN_AVERAGED = ("el2n", "loss", "entropy", "confidence", "margin")
"""Pointwise scores that are also averaged over the clean passes of training."""


@dataclass(frozen=True)
class Findings:
    """Everything that was measured; the report says nothing that is not in here."""

    recipe: Recipe
    rows: int
    test_rows: int
    flipped: int
    same_order: dict[str, list[str]]
    """Score -> other names that rank all examples the same way."""
    views: dict[str, str]
    """Score -> which signals and steps it was computed from."""
    reliability: list[Reliability]
    """From run to run, clean labels."""
    detection: list[Detection]
    """Of the flipped labels."""
    agreement: Agreement
    outcomes: dict[str, list[Outcome]]
    """Data set -> one entry per way of choosing."""
    flips_kept: dict[float, float]
    """Share kept -> share of flipped labels among the hardest of the noisy data."""
    seconds: float


def run_demo(
    out: str | Path = "tamis-demo",
    *,
    show_progress: bool = True,
    show_summary: bool = True,
    recipe: Recipe | None = None,
) -> Findings:
    """Run the demo, write runs, tables, figures and report into ``out``, and print the summary.

    Finished runs in ``out`` are not repeated: after an interruption the same call continues.
    """
    from scoring.compare.of_table import (
        comparable,
        same_order,
        table_agreement,
        table_detection,
        table_reliability,
    )
    from scoring.examples import Examples
    from scoring.plots.style import require, save
    from tamis.demo_report import figures, print_summary, write_report
    from training.interventions.noisy_labels import flip_labels

    require()
    recipe, out, started = recipe or Recipe(), Path(out), time.monotonic()
    examples, test = Examples.load("digits"), Examples.load("digits", split="test")
    noisy = flip_labels(examples, recipe.flip)
    data = {CLEAN: examples, NOISY: noisy.examples}

    say = _speaker(show_progress)
    say(f"1/4  Train {len(recipe.seeds)} runs with and without label errors, recording every example")
    with _runs("training", 2 * len(recipe.seeds), show_progress) as step:
        for name, each in data.items():
            _train_recorded(each, test, recipe, out / "runs" / name, step)
    say("2/4  Score every example with every scorer, and compare the scores")
    tables = {name: _score(each, recipe, out, name) for name, each in data.items()}
    names = same_order(list(tables.values()), comparable(tables[CLEAN]))
    reliability = table_reliability(tables[CLEAN], names, nan="drop")
    detection = table_detection(tables[NOISY], noisy.flipped, names, nan="drop")
    agreement = table_agreement(tables[CLEAN], names, nan="drop")
    say("3/4  Keep the hardest, the easiest or a random part, and retrain")
    studies = {
        name: _prune(each, test, tables[name], recipe, out / "runs" / f"{name}-pruned", show_progress)
        for name, each in data.items()
    }
    say("4/4  Figures and report")
    findings = Findings(
        recipe=recipe,
        rows=len(examples),
        test_rows=len(test),
        flipped=int(noisy.flipped.sum()),
        same_order=names,
        views={name: _view(tables[CLEAN], name) for name in names},
        reliability=reliability,
        detection=detection,
        agreement=agreement,
        outcomes={name: _outcomes(study) for name, study in studies.items()},
        flips_kept=_flips_kept(tables[NOISY], noisy, recipe),
        seconds=time.monotonic() - started,
    )
    for name, figure in figures(findings, tables[NOISY], noisy.flipped).items():
        save(figure, out / name)
    write_report(findings, studies, out)
    if show_summary:
        print_summary(findings, out)
    return findings


def _train_recorded(examples: Examples, test: Examples, recipe: Recipe, out: Path, step: Any) -> None:
    from training.run import train

    for seed in recipe.seeds:
        train(
            examples, "mlp", evaluate=test, epochs=recipe.epochs, seeds=[seed], record=True, clean_every="1 epoch",
            out=out, **recipe.train,
        )  # fmt: skip
        step(1)


def _score(examples: Examples, recipe: Recipe, out: Path, name: str) -> ScoreTable:
    from scoring.catalog import scorers_of_runs
    from scoring.run import score

    scorers = [*scorers_of_runs(), *(f"{scorer}@mean" for scorer in TRAIN_AVERAGED)]
    if recipe.by not in scorers:
        scorers.append(recipe.by)
    return score(examples, scorers, out / "runs" / name, out=out / f"scores-{name}.parquet", per_run=True)


def _prune(
    examples: Examples, test: Examples, table: ScoreTable, recipe: Recipe, out: Path, show_progress: bool
) -> pa.Table:
    from training.studies.pruning import pruning_study

    return pruning_study(
        examples, "mlp", table, by=recipe.by, keeps=recipe.keeps, steps=recipe.steps, seeds=recipe.retrain_seeds,
        evaluate=test, out=out, progress=show_progress, **recipe.train,
    )  # fmt: skip


def _outcomes(study: pa.Table) -> list[Outcome]:
    from training.studies.outcomes import outcomes
    from training.studies.ways import STRATIFIED_RANDOM

    # The digits' classes are equally large, so the stratified share says nothing else; pruning.csv has it.
    return [each for each in outcomes(study) if each.way != STRATIFIED_RANDOM.name]


def _flips_kept(table: ScoreTable, noisy: NoisyLabels, recipe: Recipe) -> dict[float, float]:
    from scoring.compare.of_table import table_detection
    from selection.budget import parse_budget

    sizes = {keep: parse_budget(keep).amount(len(table)) for keep in recipe.keeps}
    found = {
        keep: table_detection(table, noisy.flipped, [recipe.by], k=size)[0] for keep, size in sizes.items()
    }
    return {keep: each.precision_at_k for keep, each in found.items()}


def _view(table: ScoreTable, name: str) -> str:
    """``clean, last`` or ``presentations``: where the values come from."""
    meta = table.columns[name]
    view = {"clean": "clean passes", "presentation": "presentations"}[meta["view"]]
    return view if meta["steps"] is None else f"{view}, {meta['steps']}"


def _speaker(enabled: bool) -> Any:
    def say(words: str) -> None:
        if enabled:
            print(words, file=sys.stderr, flush=True)

    return say


@contextmanager
def _runs(what: str, total: int, enabled: bool) -> Iterator[Any]:
    from scoring.progress import progress

    with progress(what, total, "runs", enabled) as advance:
        yield advance
