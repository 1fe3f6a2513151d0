"""Reducible loss: what a model has still to learn, without what no model learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scoring.meaning import Meaning
from scoring.scorer import Scorer
from scoring.signals import Signals


@dataclass(frozen=True)
class ReducibleLoss(Scorer):
    """Loss minus the loss of a reference model, in nats; high means worth learning: not learned yet, but learnable.

    Reducible holdout loss (RHO-loss), Mindermann et al. 2022 ("Prioritized Training on Points that are Learnable, Worth
    Learning, and Not Yet Learnt"), equation 3: the reference model, whose loss is the irreducible one, is trained on
    other data (``reference=`` of ``score``; ``training.reducible_loss`` trains two, each on the half that it does not
    judge). A label error keeps its loss under both, an easy example has none: both are near 0 or below.

    The paper computes it for every batch while training goes on; the value here is its mean over the checkpoints, since
    at the end of training next to nothing is left to learn. NaN where a loss is NaN, or both are infinite.

    Of documents, without runs: nats under the language model ``lm`` minus those under ``reference``, a better one,
    both per token of ``lm``, so that tokenizers may differ. What a small model still can learn (rare facts)
    is high; what no model predicts (random strings) has a high loss under both and is near 0, though plain ``loss``
    ranks it first (Ahdritz et al. 2024 tell the two kinds of tokens apart). NaN where no token is predicted; where only
    one of two tokenizers has a begin token, the first token counts under that model alone.
    ``scoring.language_models.write_token_losses`` writes it per token.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"losses", "reference_losses"})
    meaning: ClassVar[Meaning] = "quality"
    default_steps: ClassVar[str] = "mean"

    def score(self, signals: Signals) -> Tensor:
        """Nats, (B,)."""
        return signals.losses_B - signals.reference_losses_B
