"""Copies of rows under new ids, exact or nearly so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value, unknown_name
from scoring.examples import Examples
from scoring.hashing import derive_seed, hash64, uniform
from scoring.order import hash_order
from training.interventions.counts import asked_count, class_counts, class_names, labels_of
from training.interventions.intervention import Intervened, Planted, family_numbers
from training.interventions.new_ids import new_ids

OWNER = "duplicates"


@dataclass(frozen=True)
class Duplicates:
    """Copies of some rows, with their labels; which rows is a hash of (seed, id).

    Attributes:
        share: How many rows are copied, as a share of the rows that may be; or
        count: how many.
        copies: Of each of them.
        change: 0 for exact copies. Else how much a copy differs: of texts, every word is left out with this probability
            (at least one stays); to features, normal noise with ``change`` times the standard deviation of the feature
            is added, and to images noise with ``change`` times 255, cut off at 0 and 255.
        classes: Names of the classes whose rows may be copied; by default all.

    Ids of copies are ``<id>~1`` and so on, whole numbers hashes. Planted are the copies; each makes a family with the
    row that it copies and its other copies. A smaller share copies a subset of the rows.
    """

    share: float | None = None
    count: int | None = None
    copies: int = 1
    change: float = 0.0
    classes: Sequence[str] | None = None

    def apply(self, examples: Examples, seed: int) -> Intervened:
        """See ``Intervention``."""
        self._check()
        rows = self._rows(examples, seed)
        families = family_numbers(examples)
        whole, origin = examples, np.arange(len(examples))
        for _ in range(self.copies if len(rows) else 0):
            ids = new_ids(whole, examples.ids[rows].tolist(), OWNER)
            part = examples.take(rows)
            if self.change:
                part = _changed(part, ids, self.change, examples, derive_seed("duplicates change", seed))
            labels = None if examples.labels is None else examples.labels[rows]
            whole = whole.append(part, labels, ids=ids)
            origin, families = np.append(origin, rows), np.append(families, families[rows])
        planted = np.arange(len(whole)) >= len(examples)
        told: dict[str, Any] = {
            "name": OWNER, "rows": len(whole), "added": int(planted.sum()), "copied": len(rows),
            "share": float(planted.mean()),
        }  # fmt: skip
        if examples.labels is not None:
            told["added_to_class"] = class_counts(whole.labels[planted], whole.label_names)  # type: ignore[index]
        done = (Planted(OWNER, planted, "copies", families),) if planted.any() else ()
        return Intervened(whole, planted, (told,), done, origin)

    def _check(self) -> None:
        if not isinstance(self.copies, int) or isinstance(self.copies, bool) or self.copies < 1:
            raise bad_value("copies", OWNER, self.copies, "a whole number of at least 1")
        if (
            isinstance(self.change, bool)
            or not isinstance(self.change, int | float)
            or not 0 <= self.change < 1
        ):
            raise bad_value("change", OWNER, self.change, "a number from 0 to below 1")

    def _rows(self, examples: Examples, seed: int) -> npt.NDArray[np.int64]:
        able = np.arange(len(examples))
        if self.classes is not None:
            names = class_names(self.classes, OWNER, "classes")
            for name in names:
                if name not in examples.label_names:
                    raise unknown_name("class", OWNER, name, examples.label_names)
            wanted = [examples.label_names.index(name) for name in names]
            able = np.flatnonzero(np.isin(labels_of(examples, OWNER), wanted))
        wanted_rows = asked_count(self.share, self.count, len(able), OWNER)
        if wanted_rows > len(able):
            raise InputError(
                f"{OWNER}: only {len(able):,} rows can be copied, not {wanted_rows:,}; give copies for more of each."
            )
        return able[hash_order(examples.ids[able], derive_seed("duplicates rows", seed))[:wanted_rows]]


def _changed(part: Examples, ids_M: npt.NDArray[Any], change: float, of: Examples, seed: int) -> Examples:
    """The same rows with slightly other inputs: all a hash of (seed, the new id, the place in the input)."""
    every = np.arange(len(part))
    if part.kind == "text":
        drop = [_Dropped(seed, each, change) for each in ids_M.tolist()]
        texts = part.texts(every)
        if not part.has_pairs:
            return Examples.from_arrays(
                [one(str(text)) for one, text in zip(drop, texts)], ids=ids_M.tolist()
            )
        pairs = [(one(text[0]), one(text[1], second=True)) for one, text in zip(drop, texts)]
        columns = {"text": [a for a, _ in pairs], "text_pair": [b for _, b in pairs], "id": ids_M.tolist()}
        return Examples.load(columns, text="text", text_pair="text_pair", label=False, id="id")
    if part.kind == "features":
        # In the order of hashes, since the order of a sum decides its last bit.
        scale_D = of.features(hash_order(of.ids, 0)).astype(np.float64).std(axis=0)
        features = part.features(every).astype(np.float64)
        noise = np.stack([_normal(seed, each, features.shape[1]) for each in ids_M.tolist()])
        return Examples.from_arrays((features + change * scale_D * noise).astype(np.float32), ids=ids_M)
    pictures = []
    for each, picture in zip(ids_M.tolist(), part.images(every)):
        noise = _normal(seed, each, picture.size).reshape(picture.shape)
        pictures.append(np.clip(np.rint(picture + 255 * change * noise), 0, 255).astype(np.uint8))
    return Examples.load({"image": pictures, "id": ids_M.tolist()}, image="image", label=False, id="id")


@dataclass(frozen=True)
class _Dropped:
    """A text without some of its words; spaces become single where a word left."""

    seed: int
    id: int | str
    rate: float

    def __call__(self, text: str, second: bool = False) -> str:
        words = text.split()
        if not words:
            return text
        seed = derive_seed(self.seed, str(self.id), int(second))
        draw = uniform(seed, np.arange(len(words)))
        stay = draw >= self.rate
        stay[np.argmax(draw)] = True
        return text if stay.all() else " ".join(word for word, here in zip(words, stay) if here)


def _normal(seed: int, id: int | str, size: int) -> npt.NDArray[np.float64]:
    """Standard normal numbers of one id, (size,), by Box and Muller's transform of hashes."""
    places, own = np.arange(size), derive_seed(seed, str(id))
    # The radius needs a number above 0.
    radius = (hash64(derive_seed(own, 1), places) >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54
    angle = 2 * np.pi * uniform(derive_seed(own, 2), places)
    return np.asarray(np.sqrt(-2 * np.log(radius)) * np.cos(angle))
