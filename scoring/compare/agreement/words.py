"""What agreement means, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from scoring.compare.agreement.attenuation import LEAST_RELIABILITY
from scoring.compare.agreement.cell_agreement import AcrossAgreement, CellAgreement
from scoring.compare.intervals.crossed_error import LEAST_RUNS
from scoring.compare.ranks import Floats


def of_scores(found: CellAgreement, keep: float) -> Iterator[str]:
    """How the scores of one architecture agree; ``keep`` is the share of the kept sets."""
    rho = found.averaged.rho
    if found.within is None or found.between is None:
        yield (
            f"{found.architecture}: two scores agree at Spearman {_words(rho.values)} on average (Kendall "
            f"{_words(found.averaged.kendall)}). There is one run, so nothing is said of other runs; score several "
            "with per_run=True (--per-run)."
        )
    else:
        yield (
            f"{found.architecture}: two scores agree at Spearman {_words(found.within.values)} on average in the "
            f"same run, {_words(found.between.between.values)} in different runs, {_words(rho.values)} averaged "
            f"over {found.runs} runs, and {_words(found.between.corrected.values)} corrected for the noise of runs."
        )
    pairs = [pair for pair in combinations(range(len(found.names)), 2) if not np.isnan(rho.values[pair])]
    if not pairs:
        yield f"{found.architecture}: scores that give every example the same value agree with none."
        return
    high, low = max(pairs, key=lambda p: rho.values[p]), min(pairs, key=lambda p: rho.values[p])
    ends = [f"{found.names[i]} and {found.names[j]} at {rho.at(i, j).words()}" for i, j in (high, low)]
    yield f"{found.architecture}: closest are {ends[0]}" + (f", farthest {ends[1]}." if high != low else ".")
    yield (
        f"{found.architecture}: of the hardest {keep * 100:.3g} % two scores share a Jaccard index of "
        f"{_mean(found.averaged.jaccard):.3f} on average; by chance it would be {found.averaged.jaccard_chance:.3f}."
    )


def of_correction(found: CellAgreement) -> Iterator[str]:
    """What could not be corrected, or came out above 1."""
    if found.between is None:
        return
    own, names = np.diagonal(found.between.between.values), found.names
    noisy = [f"{name} ({rho:.2f})" for name, rho in zip(names, own) if rho < LEAST_RELIABILITY]
    if noisy:
        yield (
            f"{found.architecture}: single runs say too little for a correction (reliability below "
            f"{LEAST_RELIABILITY}) of {', '.join(noisy)}."
        )
    constant = [name for name, rho in zip(names, own) if np.isnan(rho)]
    if constant:
        yield f"{found.architecture}: constant in some run, and so without correlations: {', '.join(constant)}."
    upper = np.triu(np.ones((len(names), len(names)), dtype=np.bool_), 1)
    with np.errstate(invalid="ignore"):
        over = int((upper & (found.between.corrected.values > 1 + 1e-9)).sum())
    if over:
        yield (
            f"{found.architecture}: {over} corrected {_values(over)} above 1 by no more than sampling error: "
            "read 1, the same order but for noise."
        )
    impossible = int((upper & found.between.impossible).sum())
    if impossible:
        yield (
            f"{found.architecture}: {impossible} corrected {_values(impossible)} would be above 1 by more than "
            "sampling error and so not given: different runs have errors in common."
        )


def of_architectures(across: Sequence[AcrossAgreement], runs: Sequence[int]) -> Iterator[str]:
    """How the same score agrees in two architectures, and where least; ``runs`` of every architecture."""
    averaged = {
        (found.score, found.architectures[i], found.architectures[j]): float(found.averaged.rho.values[i, j])
        for found in across
        for i, j in combinations(range(len(found.architectures)), 2)
    }
    corrected = {
        (found.score, found.architectures[i], found.architectures[j]): float(
            found.single.corrected.values[i, j]
        )
        for found in across
        for i, j in combinations(range(len(found.architectures)), 2)
    }
    averaged, corrected = (
        {pair: rho for pair, rho in each.items() if not np.isnan(rho)} for each in (averaged, corrected)
    )
    if not averaged:
        yield "No score varies in two architectures: nothing is said of their agreement."
        return
    mean = float(np.mean(list(averaged.values())))
    when = " when averaged over runs" if any(count > 1 for count in runs) else ""
    after = (
        f", and {np.mean(list(corrected.values())):.3f} corrected for the noise of runs" if corrected else ""
    )
    yield f"The same score in two architectures agrees at Spearman {mean:.3f} on average{when}{after}."
    known, how = (corrected, " corrected") if corrected else (averaged, "")
    if len(known) > 1:
        (score, a, b), rho = min(known.items(), key=lambda item: item[1])
        yield f"Architectures differ most in {score}, between {a} and {b}: {rho:.3f}{how}."


def of_intervals(cells: Sequence[CellAgreement]) -> str:
    """What the intervals speak of."""
    few = [found.architecture for found in cells if found.runs < LEAST_RUNS]
    if len(few) == len(cells):
        return "Intervals are 95 % over examples alone: they say nothing of other runs, for which 3 runs are needed."
    but = f"; of {', '.join(few)}, with fewer than 3 runs, over examples alone" if few else ""
    return f"Intervals are 95 % over examples and runs, both drawn{but}."


def _words(matrix: Floats) -> str:
    mean = _mean(matrix)
    return "undefined" if np.isnan(mean) else f"{mean:.3f}"


def _mean(matrix: Floats) -> float:
    """Mean over pairs of different scores that have a number."""
    upper = matrix[np.triu_indices(len(matrix), 1)]
    return float(np.nanmean(upper)) if not np.isnan(upper).all() else float("nan")


def _values(count: int) -> str:
    return "value" if count == 1 else "values"
