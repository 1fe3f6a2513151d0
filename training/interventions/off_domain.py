"""Rows that do not belong: those of another source, under labels of this data's classes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value, unknown_name
from scoring.examples import Examples
from scoring.hashing import derive_seed, uniform
from scoring.order import hash_order
from training.cell_data import DataRequest
from training.interventions.counts import asked_count, class_counts, labels_of
from training.interventions.intervention import Intervened, Planted
from training.interventions.new_ids import new_ids

OWNER = "off_domain"


@dataclass(frozen=True)
class OffDomain:
    """Rows of another source added; which rows, and their labels, are hashes of (seed, id).

    Attributes:
        data: ``Examples``, or ``source`` with options of ``Examples.load`` (``${NAME}`` in it is an environment
            variable). Of the same kind; its labels are not read.
        share: Rows to add, as a share of the rows that are there; or
        count: how many.
        label: The class that all of them get, by name; by default drawn uniformly from the classes.

    A smaller share adds a subset. The new ids are ``off_domain:<id>~1``, or for whole numbers a hash. Planted are the
    rows that were added.
    """

    data: Examples | DataRequest | Mapping[str, Any] | str
    share: float | None = None
    count: int | None = None
    label: str | None = None

    def apply(self, examples: Examples, seed: int) -> Intervened:
        """See ``Intervention``."""
        other = self._other()
        labels_of(examples, OWNER)
        count = asked_count(self.share, self.count, len(examples), OWNER)
        if count > len(other):
            raise InputError(f"{OWNER}: {other.name} has only {len(other):,} rows, {count:,} were asked for.")
        rows = hash_order(other.ids, derive_seed("off_domain rows", seed))[:count]
        part = other.take(rows)
        labels = self._labels(part, examples, seed)
        ids = new_ids(examples, [f"{OWNER}:{each}" for each in part.ids.tolist()], OWNER)
        whole = examples.append(part, labels, ids=ids) if count else examples
        planted = np.arange(len(whole)) >= len(examples)
        told = {
            "name": OWNER, "rows": len(whole), "added": count, "share": float(planted.mean()), "of": other.name,
            "added_to_class": class_counts(labels, examples.label_names),
        }  # fmt: skip
        origin = np.where(planted, -1, np.arange(len(whole)))
        done = (Planted(OWNER, planted, "foreign"),) if count else ()
        return Intervened(whole, planted, (told,), done, origin)

    def _other(self) -> Examples:
        if isinstance(self.data, Examples):
            return self.data
        if isinstance(self.data, DataRequest):
            return self.data.load()
        given = dict(self.data) if isinstance(self.data, Mapping) else {"source": self.data}
        source = given.pop("source", None)
        if not isinstance(source, str):
            raise bad_value(
                "data", OWNER, self.data, "a source, or {source: ..., text: ...} as for Examples.load"
            )
        return Examples.load(os.path.expandvars(source), **{"label": False, **given})

    def _labels(self, part: Examples, examples: Examples, seed: int) -> npt.NDArray[np.int64]:
        if self.label is not None:
            if str(self.label) not in examples.label_names:
                raise unknown_name("label", OWNER, str(self.label), examples.label_names)
            return np.full(len(part), examples.label_names.index(str(self.label)), dtype=np.int64)
        draw = uniform(derive_seed("off_domain labels", seed), part.ids)
        return np.floor(draw * examples.num_classes).astype(np.int64)
