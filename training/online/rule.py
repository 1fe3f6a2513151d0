"""What an online rule is, and what it may know of the examples it chooses among."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from scoring.hashing import UInt64Array

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Candidates:
    """L examples drawn for one update, of which B will be trained on.

    Attributes:
        labels_L: Their classes, (L,) int64.
        hashes_L: Hash of (seed, step, id), (L,) uint64: it decides ties, and draws are made from it.
        seed: Of this update, for what is drawn once per class.
        logits_LC: Of the current model in evaluation mode, (L, C) float64; None for rules that do not need them.
        irreducible_L: Loss under a reference model that did not train on the example, in nats, (L,) float64, or None.
    """

    labels_L: IntArray
    hashes_L: UInt64Array
    seed: int
    logits_LC: FloatArray | None = None
    irreducible_L: FloatArray | None = None

    @cached_property
    def log_probs_LC(self) -> FloatArray:
        """Log-softmax, (L, C) float64."""
        assert self.logits_LC is not None
        shifted = self.logits_LC - self.logits_LC.max(axis=1, keepdims=True)
        return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))

    @property
    def losses_L(self) -> FloatArray:
        """Cross-entropy in nats, (L,) float64."""
        return np.asarray(-self.log_probs_LC[np.arange(len(self.labels_L)), self.labels_L])

    @property
    def uniform_L(self) -> FloatArray:
        """A number in (0, 1) for every candidate, (L,) float64."""
        return np.asarray(((self.hashes_L >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53)


class Rule(Protocol):
    """A frozen dataclass whose fields are the options of one rule.

    ``needs``: ``logits`` (a forward pass over all candidates, whose cost is counted) and ``irreducible`` (a column of
    losses given from outside).
    """

    needs: ClassVar[Set[str]]

    def values(self, candidates: Candidates) -> FloatArray:
        """(L,) float64; the B highest are trained on, among equal ones those of the lowest hash."""
        ...
