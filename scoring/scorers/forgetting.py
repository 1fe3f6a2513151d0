"""Forgetting events: Toneva et al. 2019, "An Empirical Study of Example Forgetting"."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from scoring.errors import bad_value, unknown_name
from scoring.meaning import Meaning
from scoring.scorer import Outputs, Row, TrajectoryScorer
from scoring.signals import Signals, View

RUNS = ("sum", "mean")
POLICIES = "'max', 'inf', 'zero' or a number"


@dataclass(frozen=True)
class Forgetting(TrajectoryScorer):
    """How often an example turned from right to wrong between its presentations; high means hard.

    #{t : a_{t-1} = 1 and a_t = 0} with a_t the correctness of the training forward pass before the update (Toneva et
    al. 2019, section 2). An example that was never right cannot be forgotten; ``never_learned`` says what it gets:
    ``max``, its number of presentations T (Toneva); ``inf`` (Paul et al. 2021); a number, such as the 1000 of
    Swayamdipta et al.'s cartography code; ``zero``, which ranks the hardest examples easiest, as DeepCore and CCS do.
    The side column ``never_learned`` is 1 for them. ``runs``: counts of several runs are summed (Toneva) or averaged.
    """

    never_learned: str | float = "max"
    runs: Literal["sum", "mean"] = "sum"
    needs: ClassVar[frozenset[str]] = frozenset({"predictions", "labels"})
    meaning: ClassVar[Meaning] = "hard"
    view: ClassVar[View] = "presentation"
    state: ClassVar[Mapping[str, float]] = {"right": 0.0, "ever": 0.0, "count": 0.0, "seen": 0.0}

    def __post_init__(self) -> None:
        allowed = self.never_learned in ("max", "inf", "zero") or isinstance(self.never_learned, int | float)
        if not allowed or isinstance(self.never_learned, bool) or self.never_learned != self.never_learned:
            raise bad_value("never_learned", "forgetting", self.never_learned, POLICIES)
        if self.runs not in RUNS:
            raise unknown_name("runs", "forgetting", str(self.runs), RUNS)

    def step(self, signals: Signals, row: Row) -> Row:
        """Count the transition from right to wrong."""
        right = signals.correct_B
        return {
            "right": right,
            "ever": torch.maximum(row["ever"], right),
            "count": row["count"] + row["right"] * (1 - right),
            "seen": row["seen"] + 1,
        }

    def final(self, row: Row) -> Outputs:
        """The count, and the mask of examples that were never right."""
        never = row["ever"] == 0
        if self.never_learned == "max":
            value = row["seen"]
        else:
            number = {"inf": math.inf, "zero": 0.0}.get(str(self.never_learned), self.never_learned)
            value = torch.full_like(row["count"], float(number))
        mask = torch.where(row["ever"].isnan(), math.nan, never.double())
        return {"": torch.where(never, value, row["count"]), "never_learned": mask}

    def over_runs(self, values_RN: Tensor, seen_RN: Tensor) -> Tensor:
        """Sum or mean over the runs that presented the example; NaN where none did."""
        if self.runs == "mean":
            return super().over_runs(values_RN, seen_RN)
        # not the mean times the count: rounding would break ties between equal counts
        sum_N = torch.where(seen_RN, values_RN, 0.0).sum(dim=0)
        return torch.where(seen_RN.any(dim=0), sum_N, math.nan)

    def se_over_runs(self, values_RN: Tensor, seen_RN: Tensor) -> Tensor:
        """Standard error of that sum or mean."""
        se_N = super().se_over_runs(values_RN, seen_RN)
        return se_N * seen_RN.sum(dim=0) if self.runs == "sum" else se_N
