"""How much real data brings a lost tail back, when much data that lack it are there already."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scoring.errors import bad_value
from training.theory.zipf import OWNER, FloatArray, Zipf


@dataclass(frozen=True)
class RealData:
    """What it takes to bring the unseen mass of ``cut_draws`` draws, cut at a rank, down to ``target``.

    Attributes:
        target: The unseen mass that is wanted.
        before: The unseen mass without real data.
        draws: Real draws that must be added; 0 where the target is met already.
        share: They among all draws then.
        alone: Real draws that would do without the cut data: what these save is the difference.
        last_rank: The last rank whose token is then seen with probability one half or more.
    """

    target: float
    before: float
    draws: int
    share: float
    alone: int
    last_rank: int


def real_data_needed(world: Zipf, rank: int, cut_draws: int, target: float) -> RealData:
    """Real draws to be added to ``cut_draws`` that have lost everything beyond ``rank``.

    The expected unseen mass, sum_i p_i (1 - p_i)^real (1 - q_i)^cut, falls with every real draw, so the least number is
    found by halving. The plateau of the cut data breaks once real draws see the ranks beyond the cut (Dohmatob et al.
    2024 call it grokking); a thousand times more cut data does not replace them.

    Raises:
        InputError: A rank, number of draws or target outside its range.
    """
    if not 0 < target < 1:
        raise bad_value("target", OWNER, target, "a mass between 0 and 1")
    if cut_draws < 0:
        raise bad_value("cut_draws", OWNER, cut_draws, "0 or more")
    q_V, p_V = world.cut(rank), world.p_V
    with np.errstate(divide="ignore", invalid="ignore"):
        ln_missed_V = np.log1p(-p_V)
        ln_missed_cut_V = cut_draws * np.log1p(-q_V) if cut_draws else np.zeros(len(p_V))

        def unseen(real: int, beside_V: FloatArray) -> float:
            return float(p_V @ np.exp((real * ln_missed_V if real else 0.0) + beside_V))

        def least(beside_V: FloatArray) -> int:
            low, high = -1, 0
            while unseen(high, beside_V) > target:
                low, high = high, max(1, 2 * high)
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if unseen(middle, beside_V) > target else (low, middle)
            return high

        draws, alone = least(ln_missed_cut_V), least(np.zeros(len(p_V)))
        ln_missing_V = (draws * ln_missed_V if draws else np.zeros(len(p_V))) + ln_missed_cut_V
    seen = np.flatnonzero(ln_missing_V <= np.log(0.5))
    total = draws + cut_draws
    return RealData(
        target=target, before=unseen(0, ln_missed_cut_V), draws=draws, share=draws / total if total else 0.0,
        alone=alone, last_rank=int(seen[-1]) + 1 if len(seen) else 0,
    )  # fmt: skip
