"""How far a score can be trusted to be more than the chance of its runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scoring.compare.ranks import Floats
from scoring.compare.reliability.more_runs import expected, runs_for, unpredictable
from scoring.compare.reliability.run_curve import run_curve
from scoring.compare.run_scores import RunScores
from scoring.describe import tied_fraction
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.table import ScoreTable


@dataclass(frozen=True)
class ScoreTrust:
    """Reliability of one score.

    Attributes:
        name: The column; ``runs`` behind it.
        hard_N: Its mean over runs, in the order of the examples, turned so that high is hard.
        single: Spearman's correlation of two single runs, mean over pairs; None of one run.
        of_mean: That of the mean over all the runs with the mean over as many others, by Spearman-Brown from
            the largest halves that were measured; 0 where runs agree no better
            than chance, None where it cannot be told, for the reason ``unknown``.
        runs_for: Runs whose mean reaches the target reliability; None where it cannot be told.
        tied: Share of the rows whose mean value another row has too.
    """

    name: str
    runs: int
    hard_N: Floats
    single: float | None
    of_mean: float | None
    runs_for: int | None
    tied: float
    unknown: str = ""


def score_trust(
    scores: ScoreTable | str | Path, examples: Examples, target: float, by: str | None = None
) -> ScoreTrust:
    """Of the column ``by``, which may be left out where the table has one score with a hard end.

    Raises:
        InputError: Several scores and no ``by``; examples without a score.
    """
    read = RunScores.of_tables({"model": scores}, None if by is None else [by])
    if by is None and len(read.scores) > 1:
        raise InputError(f"advise: name by, one of the scores {', '.join(read.scores)}.")
    name = read.scores[0]
    values_RN = read.values(name, "model")
    place = {id_: row for row, id_ in enumerate(read.ids.tolist())}
    missing = [id_ for id_ in examples.ids.tolist() if id_ not in place]
    if missing:
        raise InputError(
            f"advise: scores must be of all examples, and {len(missing):,} of them have no {name!r}, such "
            f"as {missing[0]!r}."
        )
    rows = np.array([place[id_] for id_ in examples.ids.tolist()])
    mean_N = values_RN.mean(axis=0)
    runs, tied = len(values_RN), tied_fraction(mean_N)
    if runs < 2:
        return ScoreTrust(name, runs, mean_N[rows], None, None, None, tied, "the table keeps no single runs")
    curve = run_curve(values_RN)
    of_mean = expected(curve, "rho", runs)
    value = None if of_mean is None else of_mean.value
    if curve.largest.rho.value <= 0:
        value = 0.0
    needed = runs_for(curve, "rho", target)
    return ScoreTrust(
        name, runs, mean_N[rows], curve.single.rho.value, value,
        None if needed is None else needed.runs, tied, unpredictable(curve, "rho"),
    )  # fmt: skip
