"""Signals: the one record that flows from every source to every scorer.

Shape letters, everywhere in this project: B rows of a batch, N rows of a dataset, C classes, D embedding or
feature width, T checkpoints or presentations (of one text: tokens), R runs, J rows of a target set.

What there is to ask for, and what it costs, stands in ``scoring.needs``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scoring.needs import Need

if TYPE_CHECKING:
    from scoring.corpus.documents import Documents

Derived = TypeVar("Derived")
View = Literal["clean", "presentation"]
"""``clean``: evaluation mode, no augmentation, fixed weights. ``presentation``: the training forward pass of the
example itself, before the update, with dropout and augmentation as they were."""

VIEWS: tuple[View, ...] = get_args(View)


@dataclass(frozen=True, kw_only=True)
class Target:
    """The examples that a score compares with, at the same checkpoint.

    ``extras`` holds what was asked for of them, as in ``Signals``; ``groups_J`` names the part of the target that each
    belongs to (a task; the class where nothing was said).
    """

    ids_J: npt.NDArray[np.generic]
    labels_J: npt.NDArray[np.int64]
    groups_J: npt.NDArray[np.str_]
    losses_J: Tensor
    extras: Mapping[Need, tuple[Tensor, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids_J)

    def extra(self, need: Need) -> Tensor:
        """A need with options that has one tensor, (J, ...)."""
        (value,) = self.extras[need]
        return value

    def layers(self, need: Need) -> tuple[Tensor, ...]:
        """A need with options that has a tensor per layer, (J, D) each."""
        return self.extras[need]


@dataclass(frozen=True, kw_only=True)
class TargetDocuments:
    """Documents that a score compares with, J of them; ``extras`` holds what was asked for of them.

    ``labels_J`` are class indices into ``label_names``, or None.
    """

    ids_J: npt.NDArray[np.generic]
    texts_J: Sequence[str]
    labels_J: npt.NDArray[np.int64] | None
    label_names: Sequence[str] = ()
    extras: Mapping[Need, tuple[Tensor, ...]] = field(default_factory=dict)
    _derived: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.ids_J)

    def once(self, key: Hashable, make: Callable[[], Derived]) -> Derived:
        """What a scorer makes of the target (counts, a classifier), made at the first batch that asks and kept.

        ``key`` must tell all that decides the value, but for the target.
        """
        if key not in self._derived:
            self._derived[key] = make()
        found: Derived = self._derived[key]
        return found


@dataclass(frozen=True, kw_only=True)
class Signals:
    """What is known about B examples at one checkpoint or presentation; tensors are on the CPU.

    Scorers read the properties; each is computed once per batch and shared by all scorers. Whatever a source
    stored instead of logits stands in ``summaries`` under its need name, needs with options in ``extras``.
    """

    ids_B: npt.NDArray[np.generic]
    step: int
    epoch: float
    run: str = ""
    view: View = "clean"
    learning_rate: float | None = None
    label_tensor: Tensor | None = None
    logits: Tensor | None = None
    summaries: Mapping[str, Tensor] = field(default_factory=dict)
    trained: Tensor | None = None
    trained_share: float = float("nan")
    """The share of its examples that the run trained on; NaN where it is not known."""
    extras: Mapping[Need, tuple[Tensor, ...]] = field(default_factory=dict)
    target: Target | None = None
    documents: Documents | None = None
    target_documents: TargetDocuments | None = None

    def __len__(self) -> int:
        return len(self.ids_B)

    @property
    def texts_B(self) -> Sequence[str]:
        """The documents; of a pair both texts, a blank line between them."""
        assert self.documents is not None, "the source has no documents"
        return self.documents.texts_B

    @property
    def pairs_B(self) -> Sequence[tuple[str, str]]:
        """Prompt and response of every row; refused where there is one text only."""
        assert self.documents is not None, "the source has no documents"
        return self.documents.pairs_B

    def extra(self, need: Need) -> Tensor:
        """A need with options that has one tensor: (B,) float64 numbers, (B, ...) float32 gradients."""
        (value,) = self.extras[need]
        return value

    def layers(self, need: Need) -> tuple[Tensor, ...]:
        """A need with options that has a tensor per layer, (B, D) float32 each, first layer first."""
        return self.extras[need]

    @cached_property
    def trained_B(self) -> Tensor:
        """Whether the run trained on the example, (B,) bool."""
        assert self.trained is not None, "the source was not asked for trained"
        return self.trained.bool()

    @cached_property
    def reference_losses_B(self) -> Tensor:
        """Cross-entropy of the gold label under the reference model, (B,), nats."""
        return self.summaries["reference_losses"].double()

    @cached_property
    def null_losses_B(self) -> Tensor:
        """Cross-entropy of the gold label under the model that was trained without inputs, (B,), nats."""
        return self.summaries["null_losses"].double()

    @cached_property
    def labels_B(self) -> Tensor:
        """Gold labels, (B,) int64."""
        assert self.label_tensor is not None, "the source was not asked for labels"
        return self.label_tensor.long()

    @cached_property
    def logits_BC(self) -> Tensor:
        """Pre-softmax outputs, (B, C) float64; arithmetic after the forward pass is in double precision."""
        assert self.logits is not None, "the source was not asked for logits"
        return self.logits.double()

    @cached_property
    def log_probs_BC(self) -> Tensor:
        """log softmax, (B, C), nats; finite wherever the logits are.

        The largest entry keeps its digits where it is nearly 0: -log1p of what the other classes weigh. A logit of
        -inf is a probability of 0; one of +inf makes the row NaN (inf - inf), as does a NaN.
        """
        top_B1, index_B1 = self.logits_BC.max(dim=1, keepdim=True)
        shifted_BC = self.logits_BC - top_B1
        others_B1 = shifted_BC.exp().scatter_(1, index_B1, 0.0).sum(dim=1, keepdim=True)
        return shifted_BC - others_B1.log1p() + (top_B1 - top_B1)  # 0, or NaN for the whole row

    @cached_property
    def probs_BC(self) -> Tensor:
        """softmax, (B, C)."""
        return self.log_probs_BC.exp()

    @cached_property
    def losses_B(self) -> Tensor:
        """Cross-entropy of the gold label, -log p_y, (B,), nats."""
        if "losses" in self.summaries:
            return self.summaries["losses"].double()
        return 0.0 - self.log_probs_BC.gather(1, self.labels_B[:, None])[:, 0]  # never -0.0

    @cached_property
    def label_probs_B(self) -> Tensor:
        """Probability of the gold label, p_y, (B,)."""
        return (-self.losses_B).exp()

    @cached_property
    def predictions_B(self) -> Tensor:
        """The class of the largest logit, (B,) int64; ties go to the lowest class index; -1 where a logit is NaN."""
        if "predictions" in self.summaries:
            return self.summaries["predictions"].long()
        return torch.where(self.logits_BC.isnan().any(dim=1), -1, self.logits_BC.argmax(dim=1))

    @cached_property
    def correct_B(self) -> Tensor:
        """1.0 where the prediction is the gold label, else 0.0, (B,); NaN where there is no prediction."""
        right_B = (self.predictions_B == self.labels_B).double()
        return torch.where(self.predictions_B < 0, float("nan"), right_B)

    @cached_property
    def logit_margins_B(self) -> Tensor:
        """Gold logit minus the largest other logit, z_y - max_{k != y} z_k, (B,)."""
        if "logit_margins" in self.summaries:
            return self.summaries["logit_margins"].double()
        return self.margins(self.logits_BC)

    @cached_property
    def entropies_B(self) -> Tensor:
        """Entropy of the predicted distribution, (B,), nats; 0 log 0 = 0."""
        if "entropies" in self.summaries:
            return self.summaries["entropies"].double()
        # log p as it came out of log_softmax: log(exp(log p)) rounds to 0 where p is nearly 1
        terms_BC = torch.where(self.probs_BC == 0, 0.0, -self.probs_BC * self.log_probs_BC)
        return terms_BC.sum(dim=1)

    def margins(self, values_BC: Tensor) -> Tensor:
        """Gold value minus the largest other value of ``values_BC`` (logits or probabilities), (B,)."""
        index = self.labels_B[:, None]
        others = values_BC.scatter(1, index, float("-inf"))
        return values_BC.gather(1, index)[:, 0] - others.amax(dim=1)
