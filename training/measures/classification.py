"""Results of a classifier on labelled examples, over all of them and over groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from training.evaluate import macro_f1

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Measure(NamedTuple):
    """One number: ``group`` is empty for all examples, else ``class:NAME`` or ``COLUMN:VALUE``."""

    group: str
    metric: str
    value: float


def classification_measures(
    logits_NC: FloatArray,
    labels_N: IntArray,
    label_names: Sequence[str],
    groups: Mapping[str, Sequence[str]] | None = None,
) -> list[Measure]:
    """``accuracy``, ``loss`` (nats) and ``macro_f1`` of all examples, accuracy and loss of every class and group.

    Classes without examples have no row. ``groups`` gives a value per example under the name of its column.
    """
    shifted = logits_NC - logits_NC.max(axis=1, keepdims=True)
    log_probs_NC = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    losses_N = -log_probs_NC[np.arange(len(labels_N)), labels_N]
    predictions_N = logits_NC.argmax(axis=1)
    right_N = (predictions_N == labels_N).astype(np.float64)
    found = [
        Measure("", "accuracy", float(right_N.mean())),
        Measure("", "loss", float(losses_N.mean())),
        Measure("", "macro_f1", macro_f1(labels_N, predictions_N)),
    ]
    parts = {f"class:{name}": labels_N == label for label, name in enumerate(label_names)}
    for column, values in (groups or {}).items():
        each = np.array([str(value) for value in values], dtype=object)
        parts |= {f"{column}:{value}": each == value for value in sorted(set(each.tolist()))}
    for name, mask in parts.items():
        if mask.any():
            found.append(Measure(name, "accuracy", float(right_N[mask].mean())))
            found.append(Measure(name, "loss", float(losses_N[mask].mean())))
    return found
