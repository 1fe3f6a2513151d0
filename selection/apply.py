"""A subset on data: match by id, keep the order of the data, and refuse data that the scores do not belong to."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError
from scoring.hashing import fingerprint, hash_ids
from scoring.ids import check_unique, find_rows, id_column

if TYPE_CHECKING:
    from scoring.examples import Examples
    from selection.subset import Subset

IntArray = npt.NDArray[np.int64]
OWNER = "Subset.apply"


def apply_subset(subset: Subset, data: Any, id: str = "id", allow_changed_data: bool = False) -> Any:
    """The kept rows of ``data``, in the order of the data; ``Examples`` give Examples, a Dataset gives a Dataset.

    ``Examples`` must have the fingerprint of the data that was scored, or, where scores came from bare arrays, the
    same ids. A ``datasets.Dataset`` is matched by its column ``id``; its content is not compared, but it must have as
    many rows as the data that was scored. ``allow_changed_data`` lifts both checks, never the match by id.
    """
    if _is_examples(data):
        return data.take(np.sort(kept_rows(subset, data, allow_changed_data)))
    datasets = sys.modules.get("datasets")
    if datasets is not None and isinstance(data, datasets.DatasetDict):
        raise InputError(
            f"{OWNER}: dataset must be one split, got a DatasetDict; choose one of {', '.join(data)}."
        )
    if datasets is None or not isinstance(data, datasets.Dataset):
        raise InputError(
            f"{OWNER}: dataset must be Examples or a datasets.Dataset, got {type(data).__name__}."
        )
    if id not in data.column_names:
        raise InputError(
            f"{OWNER}: id must be one of the dataset's columns {', '.join(data.column_names)}, got {id!r}; "
            "Examples.load(dataset).to_dataset() adds the ids that were scored."
        )
    of = subset.info.get("of")
    if of is not None and of != len(data) and not allow_changed_data:
        raise InputError(
            f"{OWNER}: dataset must have the {of:,} rows that the subset was chosen from, got {len(data):,}; "
            "pass allow_changed_data=True if the change is meant."
        )
    ids = id_column(data.select_columns([id]).with_format("arrow")[:][id], OWNER)
    check_unique(ids, OWNER)
    return data.select(np.sort(find_rows(ids, subset.ids, OWNER, "the dataset")))


def kept_rows(subset: Subset, examples: Examples, allow_changed_data: bool = False) -> IntArray:
    """Row positions in ``examples`` of the subset's ids, in the order of the subset."""
    known = subset.fingerprint
    if known is not None and not allow_changed_data:
        same = known == examples.fingerprint or known == fingerprint(hash_ids(examples.ids))
        if not same:
            raise InputError(
                f"{OWNER}: data must be what the scores were computed on, got fingerprint {examples.fingerprint} "
                f"instead of {known}; pass allow_changed_data=True if the change is meant."
            )
    return find_rows(examples.ids, subset.ids, OWNER, "the data")


def _is_examples(data: Any) -> bool:
    return all(hasattr(data, name) for name in ("rows_of", "take", "fingerprint", "ids"))
