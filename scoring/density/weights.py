"""What drawing rows with weights 1 / S would be like: numbers that add up over rows, and what they tell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from scoring.scorer import Review

OCTAVES = range(-41, 64)
"""Powers of two in which scores are counted; the first and the last hold all that lies beyond."""
UNIFORM, UNEVEN = 0.98, 0.02
"""ESS / N of weights 1 / S beyond which they are worth a warning."""
FEW = 10
"""Of fewer rows nothing is said."""


def effective_share(scores_N: Tensor) -> float:
    """Effective sample size of weights 1 / S over the number of rows, (sum w)^2 / (N sum w^2); in (0, 1]."""
    weights_N = 1.0 / scores_N
    return float(weights_N.sum().square() / weights_N.square().sum() / len(scores_N))


def tally(scores_N: Tensor) -> dict[str, float]:
    """Sums over rows from which the numbers below follow; ``min_`` and ``max_`` as in ``Scorer.tally``."""
    weights_N = 1.0 / scores_N
    octaves_N = scores_N.log2().floor().clamp(OCTAVES[0], OCTAVES[-1]).long() - OCTAVES[0]
    counts = torch.bincount(octaves_N, minlength=len(OCTAVES)).tolist()
    return {
        "rows": float(len(scores_N)),
        "weights": float(weights_N.sum()),
        "squares": float(weights_N.square().sum()),
        "min_score": float(scores_N.min()) if len(scores_N) else math.inf,
        "max_score": float(scores_N.max()) if len(scores_N) else -math.inf,
        **{f"octave {octave}": float(count) for octave, count in zip(OCTAVES, counts)},
    }


def effective_share_of(tally: Mapping[str, float]) -> float:
    """``effective_share`` from a tally."""
    return tally["weights"] * tally["weights"] / tally["squares"] / tally["rows"]


def share_below(tally: Mapping[str, float], score: float) -> float:
    """The share of rows with a smaller score; inside its octave by the logarithm."""
    place = math.log2(score)
    below: float = sum(tally[f"octave {octave}"] * min(1.0, max(0.0, place - octave)) for octave in OCTAVES)
    return below / tally["rows"]


def median(tally: Mapping[str, float]) -> float:
    """The middle score, to a small part of a power of two."""
    left = tally["rows"] / 2
    for octave in OCTAVES:
        count = tally[f"octave {octave}"]
        if count >= left and count:
            middle = math.exp2(octave + left / count)
            return min(max(middle, tally["min_score"]), tally["max_score"])
        left -= count
    raise AssertionError("the octaves hold all rows")


def review(
    tally: Mapping[str, float], more: Mapping[str, float], said: Sequence[str], uniform: str = ""
) -> Review:
    """ESS / N, extremes and median, and warnings at both ends of ESS / N; ``more`` numbers, and what is ``said``.

    ``uniform``: why weights may be nearly uniform, or what to do about it.
    """
    share = effective_share_of(tally)
    warnings = list(said)
    if share > UNIFORM:
        warnings.append(
            f"the effective sample size of weights 1 / score is {share:.1%} of the documents, so drawing with them is "
            f"nearly uniform sampling{uniform}"
        )
    if share < UNEVEN:
        warnings.append(
            f"the effective sample size of weights 1 / score is {share:.1%} of the documents, so a few of them have "
            "nearly all the weight"
        )
    summary = {
        "ess_share": share,
        "min": tally["min_score"],
        "max": tally["max_score"],
        "max_over_min": tally["max_score"] / tally["min_score"],
        "median": median(tally),
        **more,
    }
    return Review(summary, warnings if tally["rows"] >= FEW else [])
