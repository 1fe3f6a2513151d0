"""When scoring a corpus pays for itself, in the training that the selection saves."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from scoring.corpus.wording import count
from scoring.errors import bad_value

OWNER = "break_even"


@dataclass(frozen=True)
class BreakEven:
    """Compute spent on scoring against compute that training on less data saves; any one unit throughout.

    Attributes:
        scoring: Spent once.
        saved_per_run: By one training on the selection.
        runs: Trainings that use the same selection.
        full: One training without selection, where it is known.
    """

    scoring: float
    saved_per_run: float
    runs: int
    full: float | None = None

    @property
    def net(self) -> float:
        """Saved over all runs, less scoring; negative where scoring costs more than it saves."""
        return self.runs * self.saved_per_run - self.scoring

    @property
    def pays(self) -> bool:
        """Whether scoring and training on the selection cost less than training without."""
        return self.net > 0

    @property
    def runs_to_pay(self) -> float:
        """The fewest runs for which it pays; infinite where training saves nothing."""
        if self.saved_per_run <= 0:
            return math.inf
        return math.floor(self.scoring / self.saved_per_run) + 1

    @property
    def keep(self) -> float | None:
        """The share of training that is left."""
        return None if self.full is None else 1 - self.saved_per_run / self.full

    @property
    def most_keep(self) -> float | None:
        """The share of training that may be left for these runs to cost the same with scoring; below 0: none may."""
        return None if self.full is None else 1 - self.scoring / (self.runs * self.full)

    @property
    def total(self) -> float | None:
        """Scoring and all runs on the selection."""
        return None if self.full is None else self.scoring + self.runs * (self.full - self.saved_per_run)

    def to_dict(self) -> dict[str, Any]:
        """As JSON; ``runs_to_pay`` is None where no number of runs pays."""
        fewest = None if math.isinf(self.runs_to_pay) else self.runs_to_pay
        more = {name: getattr(self, name) for name in ("net", "pays", "keep", "most_keep", "total")}
        return {**asdict(self), **more, "runs_to_pay": fewest}

    def text(self, unit: str = "FLOPs") -> str:
        """For people."""
        runs = "1 run" if self.runs == 1 else f"{self.runs:,} runs"
        first = (
            f"Scoring costs {count(self.scoring)} {unit}; training saves {count(self.saved_per_run)} {unit} per run, "
            f"{count(self.runs * self.saved_per_run)} {unit} in {runs}: "
        )
        first += f"it pays, by {count(self.net)} {unit}." if self.pays else "it does not pay."
        if math.isinf(self.runs_to_pay):
            return f"{first} It never does, since training saves nothing."
        if not self.pays:
            first += f" It does from {self.runs_to_pay:,.0f} runs on."
        if self.most_keep is None:
            return first
        if self.most_keep <= 0:
            return f"{first} In {runs} it cannot, whatever is kept: scoring costs as much as training."
        return f"{first} In {runs} it pays as long as less than {self.most_keep:.1%} of the training is left."


def break_even(
    scoring_flops: float,
    training_flops_per_token: float,
    tokens_saved: float,
    runs: int = 1,
    *,
    tokens: float | None = None,
) -> BreakEven:
    """Whether scoring is paid back by training on fewer tokens.

    Sachdeva et al. 2024, in its revision, count in accelerator-hours: T5-Large trains in 24.0, scoring with the
    Flan-T5-XL scorer takes 10.0, and what is kept trains in .56 of the time, so .56 * 24 + 10 = 23.4 < 24:
    ``break_even(10.0, 24.0, 0.44, tokens=1.0)``, with the whole corpus as the unit of tokens.

    Only cost is compared: the selection must reach what all data reach, which a study of training has to show.

    Args:
        scoring_flops: Spent on scores; those of a table: ``costs_of(table).flops``.
        training_flops_per_token: About 6 per parameter of a dense decoder (Kaplan et al. 2020, 2.1).
        tokens_saved: Fewer tokens that one training reads; negative if it reads more.
        runs: Trainings that use the same selection: a selection is scored once.
        tokens: That one training reads without selection, to be told the share that may be kept.

    Raises:
        InputError: A cost below 0 or not finite, no run, more tokens saved than there are.
    """
    for name, value in (
        ("scoring_flops", scoring_flops),
        ("training_flops_per_token", training_flops_per_token),
    ):
        if not (math.isfinite(value) and value >= 0):
            raise bad_value(name, OWNER, value, "a finite number from 0")
    if not math.isfinite(tokens_saved):
        raise bad_value("tokens_saved", OWNER, tokens_saved, "a finite number")
    if not isinstance(runs, int) or runs < 1:
        raise bad_value("runs", OWNER, runs, "a whole number from 1")
    if tokens is not None and not (math.isfinite(tokens) and tokens > 0 and tokens_saved <= tokens):
        raise bad_value("tokens", OWNER, tokens, f"above 0 and at least tokens_saved ({tokens_saved:g})")
    if tokens is not None and not training_flops_per_token > 0:
        raise bad_value(
            "training_flops_per_token", OWNER, training_flops_per_token, "above 0 where tokens are given"
        )
    full = None if tokens is None else tokens * training_flops_per_token
    return BreakEven(float(scoring_flops), tokens_saved * training_flops_per_token, runs, full)
