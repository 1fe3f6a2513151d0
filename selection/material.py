"""What strategies read beside the score table: sizes of rows, embeddings, texts; all matched to the table by id."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.embeddings.store import EmbeddingStore
from scoring.errors import InputError, bad_value, name_some, unknown_name
from scoring.ids import check_unique, find_rows, id_column
from scoring.table import ScoreTable
from selection.budget import Budget

if TYPE_CHECKING:
    from scoring.examples import Examples

IntArray = npt.NDArray[np.int64]
OWNER = "select"


def size_column(table: ScoreTable, budget: Budget | None, size: str | None) -> str | None:
    """The column that a budget in tokens or bytes adds up, checked; None for rows.

    Raises:
        InputError: no such column, or values that are negative, fractional or missing.
    """
    if budget is None or budget.unit == "rows":
        if size is not None:
            raise bad_value("size", OWNER, size, "left out unless keep is in tokens or bytes")
        return None
    name = budget.unit if size is None else size
    if name not in table.columns:
        if size is None:
            raise InputError(
                f"{OWNER}: keep in {budget.unit} needs a column {name!r} in the score table, or size= that names "
                f"another, got {', '.join(table.names)}."
            )
        raise unknown_name("size", OWNER, name, table.columns)
    values = table.column(name)
    good = np.isfinite(values) & (values >= 0) & (values == np.trunc(values)) & (values < 2**53)
    if not good.all():
        ids = table.ids[~good].tolist()
        raise size_refusal(name, float(values[~good][0]), ids, len(ids))
    return name


def size_refusal(name: str, value: float, ids: Sequence[object], count: int) -> InputError:
    """The error for sizes that are no whole numbers: one of the values, and the first of ``count`` ids."""
    return InputError(
        f"{OWNER}: size {name!r} must be whole numbers from 0, got {value!r} (ids {name_some(ids, of=count)})."
    )


def read_embeddings(given: npt.ArrayLike | str | Path | None, table: ScoreTable) -> npt.NDArray[Any]:
    """Vectors of all rows of the table, in its order, (N, D) of a float type; ``.npy`` files are memory-mapped.

    A folder that ``scoring.embeddings`` wrote, and a Parquet file, are matched by id; other files and arrays are in the
    order of the table.

    Raises:
        InputError: none given, another number of rows, ids that are missing, or values that are not finite.
    """
    if given is None:
        raise InputError(
            f"{OWNER}: embeddings must be given for this strategy: an array (N, D) in the order of the table, "
            "a .npy file, a Parquet file with the columns 'id' and 'embedding', or a folder that `tamis embed` wrote."
        )
    if isinstance(given, (str, Path)):
        path = Path(given)
        if path.is_dir():
            return EmbeddingStore.open(path, OWNER).in_order_of(table.ids)
        if not path.is_file():
            raise FileNotFoundError(f"{OWNER}: no embeddings at {str(path)!r}.")
        if path.suffix == ".parquet":
            return _from_parquet(path, table)
        try:
            given = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise InputError(
                f"{OWNER}: embeddings must be a .npy file of floats or a .parquet file, and {str(path)!r} is neither."
            ) from error
    vectors = np.asarray(given)
    if vectors.ndim != 2 or len(vectors) != len(table) or vectors.dtype.kind != "f":
        raise bad_value(
            "embeddings",
            OWNER,
            f"{vectors.dtype} of shape {vectors.shape}",
            f"floats of shape ({len(table)}, D)",
        )
    return vectors


def _from_parquet(path: Path, table: ScoreTable) -> npt.NDArray[Any]:
    try:
        names = pq.read_schema(path).names
    except pa.ArrowInvalid as error:
        raise InputError(f"{OWNER}: embeddings {str(path)!r} must be Parquet ({error}).") from error
    if not {"id", "embedding"} <= {*names}:
        raise InputError(
            f"{OWNER}: embeddings {str(path)!r} must have the columns 'id' and 'embedding', got {', '.join(names)}."
        )
    found = pq.read_table(path, columns=["id", "embedding"])
    ids = id_column(found.column("id"), OWNER)
    check_unique(ids, OWNER)
    lists = found.column("embedding").combine_chunks()
    flat = lists.flatten().to_numpy(zero_copy_only=False)
    if lists.null_count or flat.dtype.kind != "f" or len(flat) % max(1, len(lists)):
        raise bad_value("embeddings", OWNER, str(path), "lists of equally many floats, none missing")
    vectors = flat.reshape(len(lists), -1) if len(lists) else flat.reshape(0, 0)
    return np.asarray(vectors[find_rows(ids, table.ids, OWNER, f"the embeddings {str(path)!r}")])


def texts_of(given: Examples | Sequence[str] | None, table: ScoreTable) -> Callable[[IntArray], list[str]]:
    """A function from positions in the table to texts; the parts of a pair are joined by a newline.

    Raises:
        InputError: none given, another number of texts, or ids that the examples lack.
    """
    if given is None:
        raise InputError(
            f"{OWNER}: texts must be given for this strategy: the examples, or one text per row of the table."
        )
    if hasattr(given, "rows_of") and hasattr(given, "texts"):
        examples: Any = given
        if examples.kind != "text":
            raise bad_value("texts", OWNER, f"examples of kind {examples.kind!r}", "texts")
        try:
            places = examples.rows_of(table.ids)
        except InputError as error:
            raise InputError(
                f"{OWNER}: texts must be of the examples that were scored, with the same id column (id=): {error}"
            ) from None

        def read(rows: IntArray) -> list[str]:
            return [t if isinstance(t, str) else "\n".join(t) for t in examples.texts(places[rows])]

        return read
    texts = list(given)
    if len(texts) != len(table) or not all(isinstance(text, str) for text in texts):
        raise bad_value(
            "texts", OWNER, f"{len(texts):,} values", f"one text per row of the table ({len(table):,})"
        )
    return lambda rows: [texts[row] for row in rows.tolist()]
