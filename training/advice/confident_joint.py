"""The confident joint: which class the examples of every label seem to be of (Northcutt, Jiang and Chuang 2021).

N examples, C classes. "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70, equations 1 to 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value

Floats = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

OWNER = "confident_joint"
ROUNDING = 1e-6
"""So far below its threshold a probability still counts as at it, as in cleanlab."""


@dataclass(frozen=True)
class ConfidentJoint:
    """Given label by seeming class.

    Attributes:
        counts_CC: Examples labelled i that are confidently of class j (equation 1), at least one for every i = j with
            examples.
        joint_CC: Their shares, brought to the class counts of the labels (equation 3); sums to 1.
        suspected_N: The examples counted off the diagonal.
    """

    counts_CC: IntArray
    joint_CC: Floats
    suspected_N: npt.NDArray[np.bool_]

    @property
    def share(self) -> float:
        """The share of wrong labels: what the joint has off its diagonal."""
        return float(max(0.0, 1 - np.trace(self.joint_CC)))


def confident_joint(labels_N: npt.ArrayLike, probabilities_NC: npt.ArrayLike) -> ConfidentJoint:
    """The joint from labels and out-of-sample probabilities.

    An example is confidently of class j if p_j is at least the mean of p_j over the examples labelled j, and
    of the class with the largest p_j if several are (equations 1 and 2). A class without examples is never
    seemed to be. Every class keeps at least one example of its own, as in cleanlab, whose ``estimate_joint``
    this is but for its rounding of the calibrated counts to whole numbers.

    Raises:
        InputError: Probabilities that are not numbers, or shapes that do not fit.
    """
    labels = np.asarray(labels_N, dtype=np.int64)
    p_NC = np.asarray(probabilities_NC, dtype=np.float64)
    if p_NC.ndim != 2 or labels.shape != (len(p_NC),) or len(labels) == 0:
        raise bad_value("probabilities", OWNER, p_NC.shape, f"of shape ({labels.size} examples, classes)")
    if not np.isfinite(p_NC).all():
        raise InputError(f"{OWNER}: probabilities must be numbers.")
    classes = p_NC.shape[1]
    if labels.min() < 0 or labels.max() >= classes:
        raise bad_value("labels", OWNER, int(labels.max()), f"classes from 0 to {classes - 1}")
    count_C = np.bincount(labels, minlength=classes)
    own_N = p_NC[np.arange(len(labels)), labels]
    total_C = np.bincount(labels, weights=own_N, minlength=classes)
    threshold_C = np.where(count_C > 0, total_C / np.maximum(count_C, 1), np.inf)
    reached_NC = p_NC >= threshold_C - ROUNDING
    seeming_N = np.where(reached_NC, p_NC, -1.0).argmax(axis=1)
    confident_N = reached_NC.any(axis=1)
    counts_CC = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts_CC, (labels[confident_N], seeming_N[confident_N]), 1)
    own_C = np.maximum(np.diagonal(counts_CC), count_C > 0)
    np.fill_diagonal(counts_CC, own_C)
    rows_C = np.maximum(counts_CC.sum(axis=1), 1)
    joint_CC = counts_CC / rows_C[:, None] * count_C[:, None] / len(labels)
    return ConfidentJoint(counts_CC, joint_CC, confident_N & (seeming_N != labels))
