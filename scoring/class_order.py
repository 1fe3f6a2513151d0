"""Outputs in the order of the examples' classes: a model may know them in another order, or know more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scoring.errors import InputError, name_some


def nameless(names: Sequence[str]) -> bool:
    """Whether a model's outputs only have numbers, such as the LABEL_0, LABEL_1 that transformers makes up."""
    numbers = [str(index) for index in range(len(names))]
    return [str(name).strip().lower().removeprefix("label_") for name in names] == numbers


@dataclass(frozen=True)
class ClassOrder:
    """``columns[k]`` is the output of a model that stands for class k of the examples.

    Classes that only the model knows come after those of the examples, in its own order, and last its outputs without
    a name: all of them have a part in the softmax.
    """

    columns: Tensor

    @staticmethod
    def between(theirs: Sequence[str], ours: Sequence[str], owner: str) -> ClassOrder | None:
        """Match the classes of a model with those of the examples by name; None where nothing has to move.

        Raises:
            InputError: The examples have classes that the model does not know.
        """
        known, wanted = [str(name) for name in theirs], [str(name) for name in ours]
        if known[: len(wanted)] == wanted or not known:
            return None
        strange = [name for name in wanted if name not in known]
        if strange:
            raise InputError(
                f"score: the labels must be classes of {owner}, got {name_some(strange)}; "
                f"it knows {name_some(known, 10)}."
            )
        order = [known.index(name) for name in wanted]
        order += [column for column in range(len(known)) if column not in set(order)]
        return ClassOrder(torch.tensor(order))

    def logits(self, logits_BC: Tensor) -> Tensor:
        """Logits with the columns in the order of the examples' classes."""
        nameless = torch.arange(len(self.columns), logits_BC.shape[1])
        return logits_BC[:, torch.cat([self.columns, nameless])]

    def predictions(self, predictions_B: Tensor) -> Tensor:
        """Predicted outputs as classes of the examples; -1 (no prediction) stays."""
        classes = torch.empty_like(self.columns)
        classes[self.columns] = torch.arange(len(self.columns))
        named_B = (predictions_B >= 0) & (predictions_B < len(classes))
        return torch.where(named_B, classes[predictions_B.clamp(0, len(classes) - 1)], predictions_B)
