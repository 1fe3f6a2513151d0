"""How the rows of a pool are labelled, and the gate that decides which of them may be added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value, unknown_name
from scoring.hashing import Ids, hash64
from selection.budget import parse_budget

OWNER = "study"
PSEUDO, GIVEN = "pseudo", "given"
KINDS = (PSEUDO, GIVEN)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """Labels of a pool and their gate.

    Attributes:
        labels: ``pseudo``: the class that a model trained on the labelled data thinks likeliest (Lee 2013); ``given``:
            the labels that came with the pool.
        confidence: Rows pass whose label is the model's own answer, with at least this probability. For given labels 0
            asks for agreement alone.
        most: Instead of a threshold: how many of the rows pass, the most confident first, as a budget such as ``50%``.
            Only rows whose label is the model's answer can pass, so of given labels it may be fewer.
    """

    labels: str = PSEUDO
    confidence: float | None = None
    most: Any = None

    def __post_init__(self) -> None:
        if self.labels not in KINDS:
            raise unknown_name("labels", OWNER, str(self.labels), KINDS)
        confidence = self.confidence
        number = isinstance(confidence, int | float) and not isinstance(confidence, bool)
        if confidence is not None and not (number and 0 <= confidence <= 1):
            raise bad_value("confidence", OWNER, confidence, "a probability from 0 to 1")
        if self.most is not None:
            if confidence is not None:
                raise InputError(f"{OWNER}: give confidence or most, not both; each is a gate.")
            if parse_budget(self.most).unit != "rows":
                raise bad_value("most", OWNER, self.most, "a share or a number of rows")

    @classmethod
    def read(cls, given: object, default: Labelling) -> Labelling:
        """From a mapping of a study file; what it does not say is as in ``default``. A gate replaces that one's."""
        if isinstance(given, Labelling):
            return given
        if not isinstance(given, Mapping):
            raise bad_value("pools", OWNER, given, "mappings such as {labels: given, confidence: 0.9}")
        names = [each.name for each in fields(cls)]
        for name in given:
            if name not in names:
                raise unknown_name("key of pools", OWNER, str(name), names)
        gate = {"confidence", "most"} & set(given)
        kept = {} if gate else {"confidence": default.confidence, "most": default.most}
        return cls(**{"labels": default.labels, **kept, **given})

    @property
    def gated(self) -> bool:
        """Whether some rows may not be added."""
        return self.confidence is not None or self.most is not None

    @property
    def needs_model(self) -> bool:
        """Whether a model must have looked at the pool."""
        return self.labels == PSEUDO or self.gated

    @property
    def told(self) -> str:
        """``pseudo labels, confidence 0.9``."""
        gate = f", confidence {self.confidence:g}" if self.confidence is not None else ""
        return f"{self.labels} labels{gate}{f', most {parse_budget(self.most)}' if self.most is not None else ''}"


def passing(labelling: Labelling, labels_P: IntArray, probs_PC: FloatArray | None, ids: Ids) -> BoolArray:
    """Which of P rows pass the gate, (P,) bool.

    Args:
        labels_P: The labels that the rows would be added with.
        probs_PC: The model's probabilities of the C classes; None only without a gate.
        ids: Of the rows: among equally confident ones at the edge of ``most``, a hash of them decides.
    """
    if not labelling.gated:
        return np.ones(len(labels_P), dtype=bool)
    assert probs_PC is not None
    agrees_P = probs_PC.argmax(axis=1) == labels_P
    confidence_P = probs_PC[np.arange(len(labels_P)), labels_P]
    if labelling.confidence is not None:
        passes: BoolArray = agrees_P & (confidence_P >= labelling.confidence)
        return passes
    wanted = parse_budget(labelling.most).amount(len(labels_P))
    order = np.lexsort((hash64(0, ids), -confidence_P, ~agrees_P))
    passes = np.zeros(len(labels_P), dtype=bool)
    passes[order[: min(wanted, int(agrees_P.sum()))]] = True
    return passes
