"""Reducible holdout loss: what is not learned yet and can be learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from training.online.rule import Candidates, FloatArray


@dataclass(frozen=True)
class ReducibleLoss:
    """Loss of the current model minus the irreducible loss of the example (RHO-LOSS).

    Mindermann et al. 2022, equation 3 and algorithm 1: the irreducible loss is that of a model trained on other data,
    fixed and computed once before. A wrong label has a high loss under both models, what is learned has none under the
    current one. ``training.reference_model`` trains such models without a holdout set, and the column is
    ``score(examples, "loss", runs)`` of their runs, whose cost is not counted in the run that uses it.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits", "irreducible"})

    def values(self, candidates: Candidates) -> FloatArray:
        """See ``Rule``."""
        assert candidates.irreducible_L is not None
        return candidates.losses_L - candidates.irreducible_L
