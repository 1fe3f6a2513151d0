"""How well a model does on examples that it was not trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from scoring.batching import plan_batches
from scoring.errors import InputError, bad_value
from scoring.inference import forward_logits, pick_device

if TYPE_CHECKING:
    from scoring.examples import Examples
    from scoring.models import Model
    from scoring.networks.inputs import Prepared

IntArray = npt.NDArray[np.int64]


def evaluate_model(
    model: Model,
    examples: Examples,
    *,
    device: str = "auto",
    precision: str = "float32",
    batch_size: int = 256,
) -> dict[str, float]:
    """``accuracy``, ``loss`` and ``macro_f1`` of a model (which moves to ``device``) on examples, see ``evaluate``.

    Raises:
        InputError: There are no examples, they have no labels, or other classes than the model.
    """
    if len(examples) == 0:
        raise InputError(f"evaluate_model: there are no examples in {examples.name}.")
    if examples.labels is None:
        raise InputError(f"evaluate_model: examples must have labels, and {examples.name} has none.")
    if examples.label_names != model.label_names:
        allowed = f"labelled with the classes {model.label_names} of the model"
        raise bad_value("examples", "evaluate_model", examples.label_names, allowed)
    where = pick_device(device)
    model.module.to(where)
    return evaluate(model, model.inputs.prepare(examples), examples.labels, where, precision, batch_size)


def evaluate(
    model: Model,
    prepared: Prepared,
    labels_N: IntArray,
    device: torch.device,
    precision: str = "float32",
    batch_size: int = 256,
) -> dict[str, float]:
    """``accuracy`` and ``macro_f1`` in [0, 1], and ``loss``, the mean cross-entropy in nats.

    Macro-F1 is the mean over the classes that occur among labels or predictions (scikit-learn's convention).
    """
    predictions_N = np.empty(len(labels_N), dtype=np.int64)
    loss = 0.0
    batches = plan_batches(prepared.lengths, batch_size, 16_384)
    for rows, logits_BC in forward_logits(model, prepared, batches, device, precision):
        gold = torch.from_numpy(labels_N[rows])
        loss += float(torch.nn.functional.cross_entropy(logits_BC.double(), gold, reduction="sum"))
        predictions_N[rows] = logits_BC.argmax(dim=1).numpy()
    return {
        "accuracy": float((predictions_N == labels_N).mean()),
        "loss": loss / len(labels_N),
        "macro_f1": macro_f1(labels_N, predictions_N),
    }


def macro_f1(labels_N: IntArray, predictions_N: IntArray) -> float:
    """Mean over classes of 2 TP / (2 TP + FP + FN)."""
    classes = int(max(labels_N.max(), predictions_N.max())) + 1
    right = np.bincount(labels_N[labels_N == predictions_N], minlength=classes)
    total = np.bincount(labels_N, minlength=classes) + np.bincount(predictions_N, minlength=classes)
    return float((2 * right[total > 0] / total[total > 0]).mean())
