"""What agreement means, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import numpy as np

from scoring.compare.agreement.attenuation import LEAST_RELIABILITY
from scoring.compare.agreement.cell_agreement import AcrossAgreement, CellAgreement
from scoring.compare.intervals.crossed_error import LEAST_RUNS
from scoring.compare.ranks import Floats


def of_scores(cells: Sequence[CellAgreement], keep: float, of_documents: bool = False) -> Iterator[str]:
    """How the scores agree, as a range over architectures; ``keep`` is the share of the kept sets."""
    several = [found for found in cells if found.within is not None and found.between is not None]
    single = [found for found in cells if found.within is None or found.between is None]
    if several:
        runs = sorted({found.runs for found in several})
        many = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
        within = _range(found.within.values for found in several if found.within is not None)
        between = [found.between for found in several if found.between is not None]
        yield (
            f"Two scores agree at Spearman {within} on average in the same run, "
            f"{_range(each.between.values for each in between)} in different runs, "
            f"{_range(found.averaged.rho.values for found in several)} averaged over {many} runs, and "
            f"{_range(each.corrected.values for each in between)} corrected for the noise of runs ({_names(several)})."
        )
    if single:
        agree = (
            f"Two scores agree at Spearman {_range(found.averaged.rho.values for found in single)} on average (Kendall "
            f"{_range(found.averaged.kendall for found in single)})"
        )
        of_others = "Nothing is said there of other runs; score several with per_run=True, or --per-run."
        yield f"{agree}." if of_documents else f"{agree} in one run ({_names(single)}). {of_others}"
    pairs = [
        (found, pair)
        for found in cells
        for pair in combinations(range(len(found.names)), 2)
        if not np.isnan(found.averaged.rho.values[pair])
    ]
    if not pairs:
        yield "Scores that give every example the same value agree with none."
        return
    rho = [float(found.averaged.rho.values[pair]) for found, pair in pairs]
    high, low = pairs[int(np.argmax(rho))], pairs[int(np.argmin(rho))]
    named = not of_documents or len(cells) > 1
    ends = [
        f"{found.names[i]} and {found.names[j]}{f' in {found.architecture}' if named else ''} at "
        f"{found.averaged.rho.at(i, j).words()}"
        for found, (i, j) in (high, low)
    ]
    yield f"Closest are {ends[0]}" + (f", farthest {ends[1]}." if len(pairs) > 1 else ".")
    yield (
        f"Of the {'highest' if of_documents else 'hardest'} {keep * 100:.3g} % two scores share a Jaccard index of "
        f"{_range(found.averaged.jaccard for found in cells)} on average; by chance it would be "
        f"{cells[0].averaged.jaccard_chance:.3f}."
    )


def of_correction(cells: Sequence[CellAgreement]) -> Iterator[str]:
    """What could not be corrected, or came out above 1, over all architectures."""
    noisy: list[str] = []
    constant: list[str] = []
    over, impossible = 0, 0
    for found in cells:
        if found.between is None:
            continue
        own = np.diagonal(found.between.between.values)
        at = f" of {found.architecture}" if len(cells) > 1 else ""
        noisy += [f"{name}{at} ({rho:.2f})" for name, rho in zip(found.names, own) if rho < LEAST_RELIABILITY]
        constant += [f"{name}{at}" for name, rho in zip(found.names, own) if np.isnan(rho)]
        upper = np.triu(np.ones((len(own), len(own)), dtype=np.bool_), 1)
        with np.errstate(invalid="ignore"):
            over += int((upper & (found.between.corrected.values > 1 + 1e-9)).sum())
        impossible += int((upper & found.between.impossible).sum())
    if noisy:
        yield (
            f"Single runs say too little for a correction (reliability below {LEAST_RELIABILITY}) of "
            f"{', '.join(noisy)}."
        )
    if constant:
        yield f"Constant in some run, and so without correlations: {', '.join(constant)}."
    if over:
        yield (
            f"{over} corrected {_values(over)} above 1 by no more than sampling error: "
            "read 1, the same order but for noise."
        )
    if impossible:
        yield (
            f"{impossible} corrected {_values(impossible)} would be above 1 by more than "
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


def of_intervals(cells: Sequence[CellAgreement], of_documents: bool = False) -> str:
    """What the intervals speak of."""
    if of_documents:
        return "Intervals are 95 % over documents."
    few = [found.architecture for found in cells if found.runs < LEAST_RUNS]
    if len(few) == len(cells):
        return "Intervals are 95 % over examples alone: they say nothing of other runs, for which 3 runs are needed."
    but = f"; of {', '.join(few)}, with fewer than 3 runs, over examples alone" if few else ""
    return f"Intervals are 95 % over examples and runs, both drawn{but}."


def _range(matrices: Iterable[Floats]) -> str:
    """``0.637 to 0.649``: the means of the architectures that have one."""
    means = [mean for matrix in matrices if not np.isnan(mean := _mean(matrix))]
    if not means:
        return "undefined"
    low, high = f"{min(means):.3f}", f"{max(means):.3f}"
    return low if low == high else f"{low} to {high}"


def _names(cells: Sequence[CellAgreement]) -> str:
    return ", ".join(found.architecture for found in cells)


def _mean(matrix: Floats) -> float:
    """Mean over pairs of different scores that have a number."""
    upper = matrix[np.triu_indices(len(matrix), 1)]
    return float(np.nanmean(upper)) if not np.isnan(upper).all() else float("nan")


def _values(count: int) -> str:
    return "value" if count == 1 else "values"
