"""Results of a classifier on labelled examples, over all of them and over groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError
from training.evaluate import macro_f1
from training.measures.calibration import brier_score, calibration_error

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
    """What is measured of every classifier, from its logits and the right classes.

    | of | metric | |
    |---|---|---|
    | all | ``accuracy``, ``error`` | right predictions over N, and 1 - that |
    | all | ``loss`` | mean cross-entropy, nats |
    | all | ``macro_f1`` | see ``training.evaluate.evaluate`` |
    | all | ``worst_class_accuracy`` | the lowest accuracy of a class that has examples |
    | all | ``ece``, ``ece_equal_mass`` | calibration error of the top label, 15 bins; see ``calibration`` |
    | all | ``brier`` | see ``calibration.brier_score`` |
    | class | ``accuracy``, ``loss`` | of its examples; the accuracy of a class is its recall |
    | class | ``precision``, ``f1`` | TP / (TP + FP), and 2 TP / (2 TP + FP + FN) |
    | group | ``accuracy``, ``loss`` | of examples with that value of a column |

    The prediction is the highest logit, of equal ones the first. Classes without examples have no rows; precision has
    none where a class is never predicted. ``groups`` gives a value per example under the name of its column.

    Raises:
        InputError: No examples, or logits that are not finite, as of a training that diverged.
    """
    if len(labels_N) == 0:
        raise InputError("measures: there are no examples to measure on.")
    broken = int((~np.isfinite(logits_NC)).any(axis=1).sum())
    if broken:
        raise InputError(
            f"measures: logits of {broken:,} of {len(labels_N):,} examples are not finite; the training diverged, a "
            "lower lr or clip may help."
        )
    rows_N = np.arange(len(labels_N))
    shifted = logits_NC - logits_NC.max(axis=1, keepdims=True)
    log_probs_NC = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    probs_NC = np.exp(log_probs_NC)
    losses_N = -log_probs_NC[rows_N, labels_N]
    predictions_N = logits_NC.argmax(axis=1)
    right_N = (predictions_N == labels_N).astype(np.float64)
    confidence_N = np.minimum(probs_NC[rows_N, predictions_N], 1.0)
    classes = [*_classes(label_names, labels_N, predictions_N, losses_N)]
    accuracy = float(right_N.mean())
    found = [
        Measure("", "accuracy", accuracy),
        Measure("", "error", 1 - accuracy),
        Measure("", "loss", float(losses_N.mean())),
        Measure("", "macro_f1", macro_f1(labels_N, predictions_N)),
        Measure("", "worst_class_accuracy", min(each.value for each in classes if each.metric == "accuracy")),
        Measure("", "ece", calibration_error(confidence_N, right_N)),
        Measure("", "ece_equal_mass", calibration_error(confidence_N, right_N, binning="equal_mass")),
        Measure("", "brier", brier_score(probs_NC, labels_N)),
        *classes,
    ]
    for column, values in (groups or {}).items():
        each_N = np.array([str(value) for value in values], dtype=object)
        for value in sorted(set(each_N.tolist())):
            mask_N = each_N == value
            found.append(Measure(f"{column}:{value}", "accuracy", float(right_N[mask_N].mean())))
            found.append(Measure(f"{column}:{value}", "loss", float(losses_N[mask_N].mean())))
    return found


def _classes(
    label_names: Sequence[str], labels_N: IntArray, predictions_N: IntArray, losses_N: FloatArray
) -> list[Measure]:
    """Rows of every class that has examples."""
    classes = len(label_names)
    counts = np.bincount(labels_N, minlength=classes)
    predicted = np.bincount(predictions_N, minlength=classes)
    right = np.bincount(labels_N[labels_N == predictions_N], minlength=classes)
    losses = np.bincount(labels_N, losses_N, classes)
    found = []
    for label in np.flatnonzero(counts).tolist():
        group = f"class:{label_names[label]}"
        found += [
            Measure(group, "accuracy", float(right[label] / counts[label])),
            Measure(group, "loss", float(losses[label] / counts[label])),
            Measure(group, "f1", float(2 * right[label] / (counts[label] + predicted[label]))),
        ]
        if predicted[label]:
            found.append(Measure(group, "precision", float(right[label] / predicted[label])))
    return found
