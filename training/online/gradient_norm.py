"""The largest gradients, as far as the last layer tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from training.online.rule import Candidates, FloatArray


@dataclass(frozen=True)
class GradientNorm:
    """The norm of the loss' gradient at the logits, ||softmax - one-hot||_2: EL2N of the current model.

    Katharopoulos and Fleuret 2018 bound the norm of the whole gradient by it up to a constant and sample
    in proportion, with weights that undo the bias; here the largest are taken and weights stay as they are.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    def values(self, candidates: Candidates) -> FloatArray:
        """See ``Rule``."""
        errors_LC = np.exp(candidates.log_probs_LC)
        errors_LC[np.arange(len(errors_LC)), candidates.labels_L] -= 1.0
        return np.asarray(np.sqrt((errors_LC**2).sum(axis=1)))
