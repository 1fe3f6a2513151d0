"""One loaded source: its inputs, ids and labels, checked once and shared by all its parts."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from scoring.data.columns import Columns, Rows, batches
from scoring.data.contents import DIGEST_SIZE, Numbers, Texts, count, nulls
from scoring.data.images import Images
from scoring.data.labels import Labels, read_labels
from scoring.data.schema import OWNER, Schema
from scoring.data.splits import Opened
from scoring.errors import InputError, name_some
from scoring.hashing import hash_ids

IdArray = npt.NDArray[np.int64] | npt.NDArray[np.object_]
_SAMPLED_IMAGES = 1024


class Loaded:
    """What all parts of one loaded source share: columns, and ids and content hashes computed once."""

    def __init__(
        self,
        opened: Opened,
        schema: Schema,
        rows: Rows,
        split: str | None,
        ids: IdArray | None,
        labels: Labels | None,
    ) -> None:
        self.opened, self.schema, self.rows, self.split = opened, schema, rows, split
        self.named_ids, self.labels = ids, labels
        self.content = _content(opened, schema)

    @classmethod
    def read(
        cls, opened: Opened, schema: Schema, rows: Rows, split: str | None, label_names: Sequence[str] | None
    ) -> "Loaded":
        """The rows of a source, checked, with the ids and labels of its columns."""
        ids = read_ids(opened.columns, schema.id, rows) if schema.id else None
        loaded = cls(opened, schema, rows, split, ids, None)
        loaded.content.check(rows, loaded.where)
        if schema.label:
            loaded.labels = read_labels(opened.columns, schema.label, rows, loaded.where, label_names)
        return loaded

    @cached_property
    def digests(self) -> npt.NDArray[np.uint8]:
        """Digests of the inputs, (N, 12)."""
        found = [b"".join(self.content.digests(part)) for part in batches(self.rows)]
        return np.frombuffer(b"".join(found), dtype=np.uint8).reshape(len(self.rows), DIGEST_SIZE)

    @cached_property
    def ids(self) -> IdArray:
        """The named ids, else digests as hex with -1, -2 behind further copies of equal inputs."""
        if self.named_ids is not None:
            return self.named_ids
        raw, size = self.digests.tobytes().hex(), 2 * DIGEST_SIZE
        ids = [raw[start : start + size] for start in range(0, len(raw), size)]
        heads = np.ascontiguousarray(self.digests[:, :8]).view(np.uint64)[:, 0]
        _, inverse, counts = np.unique(heads, return_inverse=True, return_counts=True)
        seen: dict[str, int] = {}
        repeated = np.flatnonzero(counts[inverse] > 1).tolist()
        # Copies are told apart by label, then by order: rows of equal input and label are interchangeable.
        if self.labels is not None:
            names, codes = self.labels.names, self.labels.indices
            repeated.sort(key=lambda row: names[codes[row]])
        for row in repeated:
            copies = seen.get(ids[row], 0)
            seen[ids[row]] = copies + 1
            if copies:
                ids[row] = f"{ids[row]}-{copies}"
        return objects(ids)

    @cached_property
    def content_hashes(self) -> npt.NDArray[np.uint64]:
        """The first 64 bits of every digest, (N,)."""
        return np.ascontiguousarray(self.digests[:, :8]).view("<u8")[:, 0].astype(np.uint64)

    @cached_property
    def input_shape(self) -> tuple[int, ...]:
        """See :attr:`scoring.examples.Examples.input_shape`."""
        content = self.content
        if isinstance(content, Texts):
            return ()
        if isinstance(content, Numbers):
            return (content.width(self.rows),)
        if content.uniform_shape is not None:
            return content.uniform_shape
        lowest = np.argsort(hash_ids(self.ids), kind="stable")[:_SAMPLED_IMAGES]
        shapes = self._shapes(content, self.rows[lowest])
        sizes: Counter[tuple[int, ...]] = Counter()
        for shape, times in shapes.items():
            sizes[shape[:2]] += times
        # Ties go to the larger size.
        height, width = max(sizes, key=lambda size: (sizes[size], size))
        return height, width, max(shape[2] for shape in shapes)

    def _shapes(self, content: Images, rows: Rows) -> Counter[tuple[int, ...]]:
        """How often every shape occurs. A broken image is no error before it is used, unless all are broken."""
        shapes: Counter[tuple[int, ...]] = Counter()
        broken: InputError | None = None
        for row in rows:
            try:
                shapes[content.read(np.array([row]), None, self.where)[0].shape] += 1
            except InputError as error:
                broken = broken or error
        if not shapes and broken is not None:
            raise broken
        return shapes

    def where(self, column_rows: Iterable[int]) -> str:
        """Ids and row numbers (counted in the source) of some rows, for error sentences."""
        wanted = list(column_rows)
        told = [self._name_row(row) for row in wanted[:3]]
        more = f" and {len(wanted) - 3:,} more" if len(wanted) > 3 else ""
        return ", ".join(told) + more

    def _name_row(self, row: int) -> str:
        if self.named_ids is not None:
            return f"id {self.named_ids.tolist()[int(np.flatnonzero(self.rows == row)[0])]!r}"
        try:
            return f"row {row} (id {self.content.digests(np.array([row]))[0].hex()!r})"
        except Exception:  # the input itself is what is broken
            return f"row {row}"


def _content(opened: Opened, schema: Schema) -> Texts | Numbers | Images:
    if schema.kind == "text":
        return Texts(opened.columns, schema.inputs)
    if schema.kind == "features":
        return Numbers(opened.columns, schema.inputs)
    return Images(opened.columns, schema.inputs[0], opened.folder)


def read_ids(columns: Columns, name: str, rows: Rows) -> IdArray:
    """The ids of a column: int64, or an object array of texts.

    Raises:
        InputError: for ids that are null, repeated, or neither whole numbers nor texts.
    """
    column = columns.read(name, rows)
    flavor = columns.flavor(name)
    missing = rows[nulls(column)]
    if len(missing):
        raise InputError(f"{OWNER}: id column {name!r} is null in {count(missing, name_some)}.")
    if flavor not in ("integer", "string"):
        raise InputError(
            f"{OWNER}: id column {name!r} must hold whole numbers or texts, it holds {flavor} values."
        )
    ids: IdArray
    if flavor == "string":
        ids = objects(column.to_pylist())
        values, counts = np.unique(np.asarray(ids, dtype=str), return_counts=True)
    else:
        ids = np.asarray(column.to_numpy() if not isinstance(column, np.ndarray) else column).astype(np.int64)
        values, counts = np.unique(ids, return_counts=True)
    repeated = values[counts > 1]
    if len(repeated):
        raise InputError(
            f"{OWNER}: ids must be unique, column {name!r} repeats {len(repeated):,}: {name_some(repeated.tolist())}."
        )
    return ids


def objects(values: list[str]) -> npt.NDArray[np.object_]:
    """A list of texts as an object array, (N,)."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
