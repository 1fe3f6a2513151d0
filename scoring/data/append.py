"""What it takes to put examples behind others: inputs that fit, labels that are classes, ids that do not repeat."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scoring.data.loaded import IdArray, objects
from scoring.errors import InputError, bad_value, name_some, unknown_name

if TYPE_CHECKING:
    from scoring.examples import Examples

OWNER = "Examples.append"


def check_inputs(first: "Examples", other: "Examples") -> None:
    """Refuse examples of another kind, or features of another length."""
    kinds = [f"{each.kind} pairs" if each.has_pairs else each.kind for each in (first, other)]
    if kinds[0] != kinds[1]:
        raise bad_value("other", OWNER, kinds[1], f"of the same kind as {first.name} ({kinds[0]})")
    if first.kind == "features" and first.input_shape != other.input_shape:
        raise bad_value(
            "other", OWNER, other.input_shape[0], f"features of the same length ({first.input_shape[0]})"
        )


def appended_labels(
    first: "Examples", other: "Examples", labels: npt.ArrayLike | None
) -> npt.NDArray[np.int64] | None:
    """Labels of the appended rows as classes of the first, (M,); None if the first have no labels."""
    if first.labels is None:
        if labels is not None:
            raise InputError(f"{OWNER}: labels must be left out, since {first.name} has none.")
        return None
    if labels is None:
        if other.labels is None:
            raise InputError(f"{OWNER}: labels must be given, since {other.name} has none.")
        places = {name: index for index, name in enumerate(first.label_names)}
        used = np.unique(other.labels)
        for name in (other.label_names[index] for index in used):
            if name not in places:
                raise unknown_name(f"a label of {other.name}", OWNER, name, first.label_names)
        by_class = np.array([places.get(name, -1) for name in other.label_names], dtype=np.int64)
        return by_class[other.labels]
    given = np.asarray(labels)
    if given.shape != (len(other),) or (len(given) and given.dtype.kind not in "iu"):
        raise bad_value("labels", OWNER, given.shape, f"{len(other)} class indices")
    if len(given) and not (given.min() >= 0 and given.max() < first.num_classes):
        wrong = int(given[(given < 0) | (given >= first.num_classes)][0])
        raise bad_value("labels", OWNER, wrong, f"from 0 to {first.num_classes - 1}")
    return given.astype(np.int64)


def joined_ids(first: "Examples", other: "Examples", ids: npt.ArrayLike | None) -> IdArray:
    """The ids of both, (N + M,): whole numbers or texts, each once."""
    given = other.ids if ids is None else np.asarray(ids)
    if given.shape != (len(other),):
        raise bad_value("ids", OWNER, given.shape, f"{len(other)} ids")
    whole, own = given.dtype.kind in "iu", first.ids.dtype.kind == "i"
    if len(given) and whole != own:
        told = ("texts", "whole numbers")
        raise InputError(
            f"{OWNER}: ids must be {told[own]} as those of {first.name}, got {told[whole]}; pass ids= for the new rows."
        )
    ids_N = [*first.ids.tolist(), *(int(each) if own else str(each) for each in given.tolist())]
    if len(set(ids_N)) < len(ids_N):
        values, counts = np.unique(np.asarray(ids_N), return_counts=True)
        repeated = values[counts > 1].tolist()
        raise InputError(
            f"{OWNER}: ids must be unique, {len(repeated):,} would repeat: {name_some(repeated)}; pass other ids= for "
            "the new rows."
        )
    return np.array(ids_N, dtype=np.int64) if own else objects(ids_N)
