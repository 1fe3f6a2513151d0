"""What is asked of an online selection, settled before a run starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scoring.errors import InputError, bad_value
from scoring.examples import Examples
from scoring.hashing import digest, hash_ids
from scoring.table import ScoreTable
from training.online.catalog import OWNER, make_rule
from training.online.rule import FloatArray, IntArray, Rule


@dataclass(frozen=True, kw_only=True)
class OnlineSelection:
    """Train every update on a part of what is drawn for it.

    Every update draws L = ``batch_size`` / ``keep`` examples, the rule gives each a value by the current model, and the
    ``batch_size`` with the highest values are trained on (algorithm 1 of Mindermann et al. 2022). An epoch is one pass
    over all examples as candidates; its last draw may be smaller, and the same share of it is kept.

    Attributes:
        rule: A name of ``training.online.catalog.RULES``.
        keep: The share of candidates that is trained on, in (0, 1].
        options: Of the rule.
        scores, by: The score table and the column with the irreducible losses, for rules that read them.
    """

    rule: str
    keep: float = 0.1
    options: Mapping[str, Any] = field(default_factory=dict)
    scores: ScoreTable | None = None
    by: str | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.keep, int | float) and 0 < self.keep <= 1):
            raise bad_value("keep", OWNER, self.keep, "a share above 0 and at most 1")
        reads = "irreducible" in self.made.needs
        if reads and (self.scores is None or self.by is None):
            raise InputError(
                f"{OWNER}: rule {self.rule} needs the loss of every example under a reference model; give scores and "
                "by, such as a table with the column 'loss' of cross-fitted runs."
            )
        if not reads and self.by is not None:
            raise InputError(f"{OWNER}: rule {self.rule} reads no scores, got by={self.by!r}.")

    @property
    def made(self) -> Rule:
        """The rule itself."""
        return make_rule(self.rule, self.options)

    def candidates(self, batch_size: int) -> int:
        """L, how many examples are drawn for an update."""
        return max(batch_size, round(batch_size / self.keep))

    def kept(self, drawn: int, batch_size: int) -> int:
        """How many of ``drawn`` candidates are trained on."""
        if self.keep == 1 or drawn == self.candidates(batch_size):
            return min(drawn, batch_size)
        return max(1, round(drawn * self.keep))

    def irreducible(self, examples: Examples, rows: IntArray) -> FloatArray | None:
        """Irreducible losses of some rows in nats, (len(rows),) float64; None if the rule reads none.

        Raises:
            InputError: Examples that the table does not have, or whose value is not finite.
        """
        if self.scores is None or self.by is None:
            return None
        values = self.scores.column(self.by, self.scores.rows_of(examples.ids[rows]))
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise InputError(f"{OWNER}: {self.by!r} must be finite, and is not for {bad:,} examples.")
        return values

    def describe(self, examples: Examples, rows: IntArray) -> dict[str, Any]:
        """As JSON, with a digest of the values it reads, which does not depend on the order of rows."""
        values = self.irreducible(examples, rows)
        read = None
        if values is not None:
            order = np.argsort(hash_ids(examples.ids[rows]), kind="stable")
            read = digest(np.ascontiguousarray(values[order]).tobytes()).hex()
        return {
            "rule": self.rule, "keep": float(self.keep), "options": dict(self.options), "by": self.by, "values": read
        }  # fmt: skip
