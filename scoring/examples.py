"""Examples: the rows of a dataset with stable ids, inputs of one kind, and labels.

examples = Examples.load("reviews.parquet", text="review", label="stars")
examples.ids, examples.labels, examples.label_names, examples.fingerprint
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from scoring.data.append import appended_labels, check_inputs, joined_ids
from scoring.data.columns import Columns, Rows
from scoring.data.contents import Numbers, Texts
from scoring.data.images import Images
from scoring.data.loaded import IdArray, Loaded
from scoring.data.readers import open_source
from scoring.data.schema import OWNER, Kind, Schema, choose
from scoring.data.splits import Opened, choose_split
from scoring.data.stacked import stacked
from scoring.errors import InputError, bad_value, name_some
from scoring.hashing import UInt64Array, combine, fingerprint, hash_ids

_Content = TypeVar("_Content", Texts, Numbers, Images)


class Examples:
    """N examples of one kind; make them with :meth:`load` or :meth:`from_arrays`.

    Attributes:
        kind: ``"text"``, ``"image"`` or ``"features"``.
        labels: class indices, (N,) int64, or None.
        label_names: the classes, in the order of the indices; empty without labels.
        name: a short name of the data.
        source: what was given, as text.
        split: the split that was loaded, or None.
        splits: other splits that the source offers; see :meth:`other_split`.
    """

    def __init__(
        self, loaded: Loaded, rows: Rows | None, labels: npt.NDArray[np.int64] | None, name: str
    ) -> None:
        # ``rows`` are positions in what was loaded, None for all of it: parts share columns, hashes and ids.
        self._loaded, self._rows = loaded, rows
        self.labels = labels
        self.label_names: tuple[str, ...] = loaded.labels.names if loaded.labels else ()
        self.kind: Kind = loaded.schema.kind
        self.name = name
        self.source = loaded.opened.source
        self.split = loaded.split
        self.splits = tuple(sorted(set(loaded.opened.splits) - {loaded.split}))

    @classmethod
    def load(
        cls,
        source: Any,
        *,
        split: str | None = None,
        text: str | None = None,
        text_pair: str | None = None,
        image: str | None = None,
        features: str | Sequence[str] | None = None,
        label: str | Literal[False] | None = None,
        id: str | None = None,
        name: str | None = None,
        label_names: Sequence[str] | None = None,
        trust_remote_code: bool = False,
    ) -> "Examples":
        """Read examples from nearly anything.

        Args:
            source: ``"digits"``; a file, several files or a glob (.parquet .jsonl .json .csv .tsv .arrow .feather,
                .txt, where a file is one document, also .gz; .npz .npy); a folder that ``datasets`` can load or has
                saved; a hub name (``"owner/name"``, with a configuration ``"owner/name:config"``); a
                ``datasets.Dataset`` or ``DatasetDict``; a ``pandas.DataFrame``; a ``pyarrow.Table``; a dictionary of
                arrays or lists; an ``(x, y)`` pair; a torch map-style ``Dataset``; ``Examples``. Files are
                memory-mapped from the cache of ``datasets`` (``HF_DATASETS_CACHE``); arrays, DataFrames and torch
                datasets stay in memory.
            split: which split. None is ``"train"`` if there is one, else the only one, else all rows of a source
                without splits. ``"all"`` is every row; ``"train[:100]"`` and ``"train+test"`` work as in
                ``datasets``. Splits come from the hub or folder, from array names such as ``x_train``, or from the
                values of a text column called ``split``.
            text, text_pair: column of the text and, for pairs, of the second text.
            image: column of pictures: uint8 arrays (H, W) or (H, W, C), floats in [0, 1], encoded bytes, paths
                (relative to the file), PIL images, or the ``Image`` feature of ``datasets``.
            features: column of equally long vectors, or several columns of numbers.
            label: column of classes, texts or whole numbers; ``False`` reads no labels. Labels may be absent.
            id: column of unique texts or whole numbers. Without it an id is the hash of the input.
            name: a short name for tables and reports.
            label_names: all classes, in order; give those of the training data when you load the test data.
            trust_remote_code: accepted for symmetry with models; ``datasets`` runs no code of a dataset any more.

        Columns that are not named are guessed from usual names; an ambiguous guess is an error.

        Raises:
            InputError: one sentence about the columns, labels, ids or splits that do not fit.
            FileNotFoundError: if the source is not found.
        """
        given = {
            "text": text,
            "text_pair": text_pair,
            "image": image,
            "features": features,
            "label": label,
            "id": id,
        }
        if isinstance(source, Examples):
            return source._reloaded(split, given, name, label_names)
        opened = open_source(source, split)
        schema = choose(
            opened.columns, text=text, text_pair=text_pair, image=image, features=features, label=label, id=id
        )
        return cls._from_opened(opened, schema, split, name, label_names)

    @classmethod
    def from_arrays(
        cls,
        inputs: Any,
        labels: Any = None,
        *,
        ids: Any = None,
        label_names: Sequence[str] | None = None,
        name: str = "arrays",
    ) -> "Examples":
        """Examples from features (N, D), images (N, H, W[, C]) or N texts, with N labels and ids if there are any."""
        columns = {"x": inputs, "y": labels, "id": ids}
        opened = open_source({key: value for key, value in columns.items() if value is not None})
        # A single column of inputs leaves nothing to guess but its kind.
        schema = choose(
            opened.columns, label=False if labels is None else "y", id=None if ids is None else "id"
        )
        return cls._from_opened(opened, schema, None, name, label_names)

    @classmethod
    def _from_opened(
        cls,
        opened: Opened,
        schema: Schema,
        split: str | None,
        name: str | None,
        label_names: Sequence[str] | None,
    ) -> "Examples":
        rows, chosen = choose_split(opened, split)
        if not len(rows):
            part = f" (split {chosen!r})" if chosen else ""
            raise InputError(f"{OWNER}: {opened.name}{part} holds no rows.")
        loaded = Loaded.read(opened, schema, rows, chosen, label_names)
        return cls(loaded, None, loaded.labels.indices if loaded.labels else None, name or opened.name)

    def _reloaded(
        self, split: str | None, given: dict[str, Any], name: str | None, label_names: Sequence[str] | None
    ) -> "Examples":
        """``Examples.load`` of examples: themselves, or another split of their source."""
        named = [parameter for parameter, value in given.items() if value is not None]
        if named:
            raise InputError(
                f"{OWNER}: {' and '.join(named)} cannot be changed on Examples; load the source again."
            )
        if label_names is not None and tuple(label_names) != self.label_names:
            raise bad_value("label_names", f"{OWNER} of Examples", tuple(label_names), f"{self.label_names}")
        if split is not None and split != self.split:
            return self.other_split(split, name=name)
        return self if name is None else self._with(self._rows, self.labels, name=name)

    def other_split(self, split: str, *, name: str | None = None) -> "Examples":
        """Another split of the same source, with the same columns and the same classes (see ``splits``)."""
        classes = self.label_names or None
        return Examples._from_opened(
            self._loaded.opened, self._loaded.schema, split, name or self.name, classes
        )

    def _with(
        self, rows: Rows | None, labels: npt.NDArray[np.int64] | None, name: str | None = None
    ) -> "Examples":
        return Examples(self._loaded, rows, labels, name or self.name)

    def __len__(self) -> int:
        return len(self._loaded.rows) if self._rows is None else len(self._rows)

    def __repr__(self) -> str:
        classes = f", {self.num_classes} classes" if self.labels is not None else ", no labels"
        return f"Examples({self.name!r}, {len(self):,} rows, {self.kind}{classes})"

    @property
    def num_classes(self) -> int:
        """C; 0 without labels."""
        return len(self.label_names)

    @property
    def columns(self) -> tuple[str, ...]:
        """All column names of the source."""
        return self._loaded.opened.columns.names

    @property
    def schema(self) -> Schema:
        """Which columns of the source are read as what."""
        return self._loaded.schema

    @property
    def has_pairs(self) -> bool:
        """Whether every text is a pair."""
        return self.kind == "text" and len(self._loaded.schema.inputs) == 2

    @cached_property
    def ids(self) -> IdArray:
        """Unique ids, (N,) int64 or object of str; without an id column computed from the inputs on first use."""
        ids = self._loaded.ids
        return ids if self._rows is None else ids[self._rows]

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of the set of (id, input, label); the order of rows does not matter."""
        content = self._loaded.content_hashes
        parts = [hash_ids(self.ids), content if self._rows is None else content[self._rows]]
        if self.labels is not None:
            parts.append(hash_ids(list(self.label_names))[self.labels])
        return fingerprint(combine(*parts))

    def content_fingerprint(self, rows: npt.NDArray[np.int64]) -> str:
        """Hex digest of the set of (id, input) of some rows, whatever their labels and order."""
        return fingerprint(combine(hash_ids(self.ids[rows]), self.content_hashes(rows)))

    def content_hashes(self, rows: npt.NDArray[np.int64]) -> UInt64Array:
        """The first 64 bits of the digest of the input of some rows, (B,) uint64."""
        places = rows if self._rows is None else self._rows[rows]
        return self._loaded.content_hashes[places]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(D,) for features; (H, W, C) for images: the commonest size and the most channels; () for text.

        Sizes are read from the 1,024 images whose ids hash lowest, so that the order of rows does not matter.
        """
        return self._loaded.input_shape

    def texts(self, rows: Rows | Sequence[int]) -> list[str] | list[tuple[str, str]]:
        """Texts, or pairs of texts, of some rows."""
        return self._content(Texts).read(self.table_rows(rows))

    def features(self, rows: Rows | Sequence[int]) -> npt.NDArray[np.float32]:
        """Features of some rows, (B, D) float32."""
        return self._content(Numbers).read(self.table_rows(rows))

    def images(self, rows: Rows | Sequence[int]) -> list[npt.NDArray[np.uint8]]:
        """Decoded images of some rows, uint8 (H, W, C) each; sizes may differ, C is that of ``input_shape``."""
        content, channels = self._content(Images), self.input_shape[2]
        return content.read(self.table_rows(rows), channels, self._loaded.where)

    def image_files(self, rows: Rows | Sequence[int]) -> list[str] | None:
        """Absolute paths of the images of some rows, or None if they are not kept as paths."""
        content = self._content(Images)
        if content.flavor != "string":
            return None
        cells = self.table.read(content.name, self.table_rows(rows)).to_pylist()
        return [str(content.path(cell).resolve()) for cell in cells]

    def describe_row(self, row: int) -> str:
        """The input of one row in one short line of plain text."""
        return self._loaded.content.describe(int(self.table_rows([row])[0]))

    def take(self, rows: Rows | Sequence[int]) -> "Examples":
        """The examples at some positions, in that order; ids, classes and name stay.

        Raises:
            InputError: if a position is out of range or given twice.
        """
        chosen = np.asarray(rows)
        if chosen.dtype == bool:
            chosen = np.flatnonzero(chosen)
        chosen = chosen.astype(np.int64)
        if len(chosen) and not (chosen.min() >= 0 and chosen.max() < len(self)):
            wrong = int(chosen[(chosen < 0) | (chosen >= len(self))][0])
            raise bad_value("rows", "Examples.take", wrong, f"from 0 to {len(self) - 1}")
        if len(np.unique(chosen)) < len(chosen):
            raise InputError("Examples.take: rows must be different from each other, ids would repeat.")
        labels = None if self.labels is None else self.labels[chosen]
        return self._with(chosen if self._rows is None else self._rows[chosen], labels)

    def with_labels(self, labels_N: npt.ArrayLike) -> "Examples":
        """The same examples, ids and classes with other class indices, (N,)."""
        labels = np.asarray(labels_N)
        classes = self.num_classes
        if self.labels is None:
            raise InputError("Examples.with_labels: the examples have no classes; load them with label=.")
        if labels.shape != (len(self),) or labels.dtype.kind not in "iu":
            raise bad_value("labels", "Examples.with_labels", labels.shape, f"{len(self)} class indices")
        if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
            wrong = int(labels[(labels < 0) | (labels >= classes)][0])
            raise bad_value("labels", "Examples.with_labels", wrong, f"from 0 to {classes - 1}")
        return self._with(self._rows, labels.astype(np.int64))

    def append(
        self, other: "Examples", labels: npt.ArrayLike | None = None, *, ids: npt.ArrayLike | None = None
    ) -> "Examples":
        """These examples and those of ``other`` behind them, with the classes, name and splits of these.

        Args:
            other: of the same kind: texts, pairs of texts, images, or features of the same length. Its inputs may be
                stored in another way.
            labels: class indices of the appended rows among ``label_names``, (M,); by default the labels of
                ``other``, matched by name.
            ids: of the appended rows, (M,); by default those of ``other``.

        Rows of ``other`` are read where they are, and nothing is copied. Side columns are those of these examples, null
        in appended rows where ``other`` has no such column.

        Raises:
            InputError: inputs that do not fit, labels that are not classes, ids that repeat or are of another type.
        """
        require_examples(other, "Examples.append")
        check_inputs(self, other)
        new_labels, ids_N = appended_labels(self, other, labels), joined_ids(self, other, ids)
        rows, below = (each.table_rows(np.arange(len(each))) for each in (self, other))
        loaded = stacked(self._loaded, rows, other._loaded, below, ids_N)
        joined = None if new_labels is None else np.concatenate([self.labels, new_labels])
        return Examples(loaded, None, joined, self.name)

    @cached_property
    def _positions(self) -> dict[Any, int]:
        return {each: row for row, each in enumerate(self.ids.tolist())}

    def rows_of(self, ids: npt.ArrayLike | Sequence[str] | Sequence[int]) -> Rows:
        """The position of every id, int64, in the order asked.

        Raises:
            InputError: naming ids that are not there.
        """
        wanted = np.asarray(ids).tolist()
        positions = self._positions
        missing = [each for each in wanted if each not in positions]
        if missing:
            raise InputError(
                f"Examples.rows_of: {len(missing):,} of {len(wanted):,} ids are not in {self.name}: "
                f"{name_some(missing)}."
            )
        return np.fromiter((positions[each] for each in wanted), dtype=np.int64, count=len(wanted))

    def to_dataset(self) -> Any:
        """A ``datasets.Dataset`` with the columns ``id``; ``text`` (and ``text_pair``), ``image`` or ``features``;
        and ``label``, a ``ClassLabel``."""
        from scoring.data.export import to_dataset

        return to_dataset(self)

    @property
    def table(self) -> Columns:
        """The columns of the source, with all of its rows (see :meth:`table_rows`)."""
        return self._loaded.opened.columns

    def table_rows(self, rows: Rows | Sequence[int]) -> Rows:
        """Positions in ``table`` of some rows."""
        chosen = np.asarray(rows, dtype=np.int64)
        if self._rows is not None:
            chosen = self._rows[chosen]
        found: Rows = self._loaded.rows[chosen]
        return found

    def _content(self, kind: type[_Content]) -> _Content:
        if not isinstance(self._loaded.content, kind):
            wanted = {Texts: "texts", Numbers: "features", Images: "images"}[kind]
            raise InputError(f"Examples.{wanted}: {self.name} holds {self.kind}, not {wanted}.")
        return self._loaded.content


def require_examples(value: object, owner: str) -> None:
    """Refuse what only names or holds data, such as a path or a ``datasets.Dataset``: it must be loaded first."""
    if not isinstance(value, Examples):
        given = repr(value) if isinstance(value, str) else type(value).__name__
        raise InputError(f"{owner}: examples must be Examples, made by Examples.load(...), got {given}.")
