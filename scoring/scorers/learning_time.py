"""When an example is learned, and whether it stays so.

Presentations count from 0 and T is their number. In the sequence 0 1 0 1 1 (wrong, right, wrong, right, right) the
first learning is at 1 and the last at 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from scoring.meaning import Meaning
from scoring.scorer import Outputs, Row, TrajectoryScorer
from scoring.signals import Signals, View


@dataclass(frozen=True)
class FirstLearned(TrajectoryScorer):
    """Presentations before the first right one, 0..T, T if never right; high means hard.

    ``firstlearn`` of Kwok et al. 2024: the first transition from wrong to right, with a wrong one put before the first.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"predictions", "labels"})
    meaning: ClassVar[Meaning] = "hard"
    view: ClassVar[View] = "presentation"
    state: ClassVar[Mapping[str, float]] = {"ever": 0.0, "before": 0.0}

    def step(self, signals: Signals, row: Row) -> Row:
        """Count while it was never right."""
        ever = torch.maximum(row["ever"], signals.correct_B)
        return {"ever": ever, "before": row["before"] + (1 - ever)}

    def final(self, row: Row) -> Outputs:
        """The count, and the mask of examples that were never right."""
        mask = torch.where(row["ever"].isnan(), float("nan"), (row["ever"] == 0).double())
        return {"": row["before"], "never_learned": mask}


@dataclass(frozen=True)
class IterationLearned(TrajectoryScorer):
    """Presentations after which the example is right for good, 0..T, T if wrong at the last; high means hard.

    Iteration learned, Baldock et al. 2021, section 3; "consistently learned", Siddiqui et al. 2022;
    ``firstunforgettable`` of Kwok et al. 2024; ``presentations_needed_to_learn`` in the code of Toneva et al. 2019:
    the last wrong presentation plus 1, 0 if none is wrong.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"predictions", "labels"})
    meaning: ClassVar[Meaning] = "hard"
    view: ClassVar[View] = "presentation"
    state: ClassVar[Mapping[str, float]] = {"learned": 0.0, "seen": 0.0}

    def step(self, signals: Signals, row: Row) -> Row:
        """A wrong presentation moves the moment behind itself."""
        seen, right = row["seen"] + 1, signals.correct_B
        learned = torch.where(right == 0, seen, row["learned"])
        return {"learned": learned + 0 * right + 0 * row["learned"], "seen": seen}  # NaN stays NaN

    def final(self, row: Row) -> Outputs:
        """The moment."""
        return {"": row["learned"]}


@dataclass(frozen=True)
class Unforgettable(TrajectoryScorer):
    """1 if the example was learned and never forgotten, else 0; high means easy.

    Toneva et al. 2019, section 2. Never right is not unforgettable. Over runs: the share of runs.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"predictions", "labels"})
    meaning: ClassVar[Meaning] = "easy"
    view: ClassVar[View] = "presentation"
    state: ClassVar[Mapping[str, float]] = {"right": 0.0, "forgotten": 0.0}

    def step(self, signals: Signals, row: Row) -> Row:
        """Note a transition from right to wrong."""
        right = signals.correct_B
        return {"right": right, "forgotten": torch.maximum(row["forgotten"], row["right"] * (1 - right))}

    def final(self, row: Row) -> Outputs:
        """Right at the end and never forgotten (which is: learned and never forgotten)."""
        return {"": row["right"] * (1 - row["forgotten"])}
