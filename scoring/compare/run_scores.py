"""Scores of many runs of several architectures: what every comparison reads, one score at a time.

A *cell* is one (architecture, run). All cells score the same examples; values are turned by their meaning so that high
is hard. Nothing but ids stays in memory: 50 runs x 10^6 examples x 20 scores are read as 400 MB at a time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol, cast

import numpy as np
import numpy.typing as npt

from scoring.compare.ranks import Floats, NanPolicy, average_ranks, hard_high, has_hard_end
from scoring.errors import InputError, bad_value, name_some, unknown_name
from scoring.hashing import Ids
from scoring.ids import find_rows
from scoring.meaning import Meaning
from scoring.stored_table import StoredTable

Kind = Literal["values", "ranks"]
OWNER = "compare"
KEPT_BYTES = 1 << 29
"""Arrays that were read last stay in memory up to this size."""


class Columns(Protocol):
    """What is read of a score table: a ``ScoreTable`` or a ``StoredTable``."""

    columns: dict[str, dict[str, object]]
    info: dict[str, object]

    @property
    def ids(self) -> Ids: ...

    def __len__(self) -> int: ...

    def column(self, name: str) -> Floats: ...

    def meaning(self, name: str) -> str: ...


class RunScores:
    """S scores of N examples in every run of A architectures.

    Attributes:
        ids: (N,), in the order of all arrays.
        scores: names, in the order of the first table.
        meanings: score -> what a high value meant before it was turned.
        architectures: names.
        runs: architecture -> names of its runs; tables without columns of single runs have one run, ``all``.
        labels_N: classes of the examples, (N,) int64, or None.
        label_names: names of the classes, or empty.
        fingerprint: of the data, if it is known.
        left_out: score -> why it cannot be compared.
        dropped: examples left out under ``nan="drop"``.
    """

    def __init__(
        self,
        ids: Ids,
        meanings: Mapping[str, Meaning],
        runs: Mapping[str, Sequence[str]],
        read: Callable[[str, str], Floats],
        *,
        labels_N: npt.NDArray[np.int64] | None = None,
        label_names: Sequence[str] = (),
        fingerprint: str | None = None,
        left_out: Mapping[str, str] | None = None,
        dropped: int = 0,
    ) -> None:
        """``read(score, architecture)`` gives values as they are stored, (R, N), without NaN."""
        self.ids, self.meanings = ids, dict(meanings)
        self.scores = tuple(self.meanings)
        self.runs = {name: tuple(names) for name, names in runs.items()}
        self.architectures = tuple(self.runs)
        self.labels_N, self.label_names, self.fingerprint = labels_N, tuple(label_names), fingerprint
        self.left_out, self.dropped = dict(left_out or {}), dropped
        self._read = read
        self._kept: OrderedDict[tuple[str, str, Kind], Floats] = OrderedDict()
        if not self.scores:
            why = "; ".join(f"{name}: {reason}" for name, reason in self.left_out.items())
            raise InputError(
                f"{OWNER}: there must be a score to compare, got none{f' ({why})' if why else ''}."
            )
        if len(ids) < 3:
            raise bad_value("examples with a number in every column", OWNER, len(ids), "at least 3")

    @classmethod
    def of_arrays(
        cls,
        values: Mapping[str, Mapping[str, npt.ArrayLike]],
        meanings: Mapping[str, Meaning] | None = None,
        ids: Ids | None = None,
        labels_N: npt.ArrayLike | None = None,
    ) -> RunScores:
        """From arrays: score -> architecture -> (R, N), high = hard unless ``meanings`` says otherwise.

        Raises:
            InputError: shapes that differ, scores with other architectures, NaN.
        """
        if not values:
            raise bad_value("values", OWNER, {}, "at least one score")
        arrays = {
            score: {name: np.asarray(each, dtype=np.float64) for name, each in by.items()}
            for score, by in values.items()
        }
        first = next(iter(arrays.values()))
        shapes = {name: array.shape for name, array in first.items()}
        for score, by in arrays.items():
            if {name: array.shape for name, array in by.items()} != shapes or not shapes:
                raise bad_value("values", OWNER, score, f"arrays of shapes {shapes} for every score")
            for name, array in by.items():
                if array.ndim != 2 or not len(array) or np.isnan(array).any():
                    raise bad_value(f"{score} of {name}", OWNER, array.shape, "(runs, examples), free of NaN")
        sizes = {shape[1] for shape in shapes.values()}
        if len(sizes) > 1:
            raise bad_value("values", OWNER, sorted(sizes), "of one number of examples")
        count = sizes.pop()
        return cls(
            np.arange(count) if ids is None else ids,
            {score: (meanings or {}).get(score, "hard") for score in arrays},
            {name: [str(run) for run in range(shape[0])] for name, shape in shapes.items()},
            lambda score, name: arrays[score][name],
            labels_N=None if labels_N is None else np.asarray(labels_N, dtype=np.int64),
        )

    @classmethod
    def of_tables(
        cls,
        tables: Mapping[str, Columns | str | Path],
        scores: Iterable[str] | None = None,
        *,
        nan: NanPolicy = "error",
        allow_changed_data: bool = False,
    ) -> RunScores:
        """From one score table per architecture, matched by id; ``score(..., per_run=True)`` keeps single runs.

        A score takes part if every table has it, with columns of single runs wherever other scores have them; the
        others are listed in ``left_out``. Random numbers take part only if they are named.

        Args:
            tables: architecture -> table or path.
            scores: names; default: all that have a hard end.
            nan: ``error``, or ``drop`` the examples that lack a value anywhere.
            allow_changed_data: Compare tables of data with other content or labels under the same ids.

        Raises:
            InputError: other ids, other data, a name that is nowhere, NaN.
        """
        if not tables:
            raise bad_value("tables", OWNER, {}, "at least one score table")
        if nan not in ("error", "drop"):
            raise bad_value("nan", OWNER, nan, "'error' or 'drop'")
        opened: dict[str, Columns] = {
            name: cast(Columns, StoredTable(table, OWNER)) if isinstance(table, str | Path) else table
            for name, table in tables.items()
        }
        _check_same_data(opened, allow_changed_data)
        first = next(iter(opened.values()))
        rows = {name: _rows(first, table, name) for name, table in opened.items()}
        columns, meanings, left_out = _columns(opened, None if scores is None else list(scores))
        keep = np.ones(len(first), dtype=np.bool_)
        for name, by in columns.items():
            for score in meanings:
                _check_nan(opened[name], by[score], rows[name], keep, name, nan)
        kept = None if keep.all() else np.flatnonzero(keep)

        def read(score: str, name: str) -> Floats:
            order = rows[name]
            if kept is not None:
                order = kept if order is None else order[kept]
            found = _rows_of(opened[name], columns[name][score])
            return found if order is None else found[:, order]

        labels = first.column("label").astype(np.int64) if "label" in first.columns else None
        return cls(
            first.ids if kept is None else first.ids[kept],
            meanings,
            {name: _run_names(opened[name], by, meanings) for name, by in columns.items()},
            read,
            labels_N=labels if labels is None or kept is None else labels[kept],
            label_names=cast(Sequence[str], first.info.get("label_names") or ()),
            fingerprint=cast(str | None, first.info.get("fingerprint")),
            left_out=left_out,
            dropped=int((~keep).sum()),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        runs = ", ".join(f"{name} x {len(names)}" for name, names in self.runs.items())
        return f"RunScores({len(self):,} examples: {', '.join(self.scores)}; {runs})"

    @property
    def single_runs(self) -> bool:
        """Whether some architecture has two runs or more."""
        return any(len(names) > 1 for names in self.runs.values())

    def values(self, score: str, architecture: str) -> Floats:
        """One score in every run of an architecture, (R, N), high = hard; read-only."""
        return self._get(score, architecture, "values")

    def ranks(self, score: str, architecture: str) -> Floats:
        """The same as ranks among the examples, scaled to (0, 1): (average rank - 1/2) / N, (R, N); read-only.

        Every run has mean 1/2, so runs differ in the order they give and in nothing else.
        """
        return self._get(score, architecture, "ranks")

    def mean(self, score: str, architecture: str) -> Floats:
        """Mean of the values over the runs of an architecture, (N,), high = hard."""
        found: Floats = self.values(score, architecture).mean(axis=0)
        return found

    def only(
        self, scores: Iterable[str] | None = None, architectures: Iterable[str] | None = None
    ) -> RunScores:
        """The named scores and architectures alone, in the order given."""
        names = list(self.scores if scores is None else scores)
        kinds = list(self.architectures if architectures is None else architectures)
        for score in names:
            if score not in self.meanings:
                raise unknown_name("score", OWNER, score, self.scores)
        for kind in kinds:
            if kind not in self.runs:
                raise unknown_name("architecture", OWNER, kind, self.architectures)
        return RunScores(
            self.ids, {score: self.meanings[score] for score in names}, {kind: self.runs[kind] for kind in kinds},
            self._read, labels_N=self.labels_N, label_names=self.label_names, fingerprint=self.fingerprint,
            left_out=self.left_out, dropped=self.dropped,
        )  # fmt: skip

    def _get(self, score: str, architecture: str, kind: Kind) -> Floats:
        if score not in self.meanings:
            raise unknown_name("score", OWNER, score, self.scores)
        if architecture not in self.runs:
            raise unknown_name("architecture", OWNER, architecture, self.architectures)
        key = (score, architecture, kind)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if kind == "values":
            found = hard_high(self._read(score, architecture), self.meanings[score], score).copy()
        else:
            values_RN = self.values(score, architecture)
            found = np.stack([(average_ranks(values_N) - 0.5) / len(values_N) for values_N in values_RN])
        found.flags.writeable = False
        self._kept[key] = found
        while len(self._kept) > 1 and sum(array.nbytes for array in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return found


def _rows_of(table: Columns, names: Sequence[str]) -> Floats:
    """Values of columns as rows, (len(names), N)."""
    if isinstance(table, StoredTable):
        return table.rows_of(names)
    return np.stack([table.column(name) for name in names])


def _check_same_data(tables: Mapping[str, Columns], allow_changed_data: bool) -> None:
    known = {
        name: table.info["fingerprint"] for name, table in tables.items() if table.info.get("fingerprint")
    }
    if not allow_changed_data and len(set(known.values())) > 1:
        a, b = next((a, b) for a in known for b in known if known[a] != known[b])
        raise InputError(
            f"{OWNER}: tables must be of the same data, but {a} and {b} have different fingerprints; "
            "pass allow_changed_data=True if that is meant."
        )


def _rows(first: Columns, table: Columns, name: str) -> npt.NDArray[np.int64] | None:
    """Positions that put the rows of ``table`` into the order of ``first``; None if they are in it."""
    if len(first) == len(table) and np.array_equal(first.ids, table.ids):
        return None
    find_rows(first.ids, table.ids, OWNER, "the table of the first architecture")
    return find_rows(table.ids, first.ids, OWNER, f"the table of {name}")


def _columns(
    tables: Mapping[str, Columns], names: list[str] | None
) -> tuple[dict[str, dict[str, list[str]]], dict[str, Meaning], dict[str, str]]:
    """Architecture -> score -> its columns; meanings of the scores that can be compared; why others cannot."""
    own = {
        name: [c for c, meta in table.columns.items() if meta["role"] == "score"]
        for name, table in tables.items()
    }
    everywhere = list(dict.fromkeys(score for scores in own.values() for score in scores))
    for score in names or ():
        if score not in everywhere:
            raise unknown_name("score", OWNER, score, everywhere)
    found: dict[str, dict[str, list[str]]] = {name: {} for name in tables}
    meanings: dict[str, Meaning] = {}
    left_out: dict[str, str] = {}
    for score in everywhere if names is None else names:
        lacking = [name for name in tables if score not in own[name]]
        if lacking:
            left_out[score] = f"not in the table of {', '.join(lacking)}"
            continue
        kinds = {table.meaning(score) for table in tables.values()}
        if len(kinds) > 1:
            left_out[score] = f"high means {' and '.join(sorted(kinds))}"
            continue
        meaning = cast(Meaning, kinds.pop())
        if not has_hard_end(meaning):
            left_out[score] = f"high means {meaning}, which has no hard end"
            continue
        if meaning == "arbitrary" and names is None:
            left_out[score] = "its numbers are arbitrary"
            continue
        meanings[score] = meaning
    for name, table in tables.items():
        for score in meanings:
            runs = [
                (int(column.removeprefix(f"{score}.run")), column)
                for column, meta in table.columns.items()
                if meta["role"] == "run" and meta.get("parent") == score and column.startswith(f"{score}.run")
            ]
            found[name][score] = [column for _, column in sorted(runs)] or [score]
        most = max((len(columns) for columns in found[name].values()), default=1)
        for score in [s for s, columns in found[name].items() if len(columns) < most and s in meanings]:
            left_out[score] = f"{name} has no columns of its single runs, as other scores have"
            del meanings[score]
    return found, meanings, left_out


def _run_names(table: Columns, columns: Mapping[str, list[str]], meanings: Iterable[str]) -> list[str]:
    count = max((len(columns[score]) for score in meanings), default=1)
    names = [str(name) for name in cast(Sequence[object], table.info.get("runs") or ())]
    return (
        names if len(names) == count else (["all"] if count == 1 else [f"run{run}" for run in range(count)])
    )


def _check_nan(
    table: Columns,
    columns: Sequence[str],
    rows: npt.NDArray[np.int64] | None,
    keep: npt.NDArray[np.bool_],
    name: str,
    nan: NanPolicy,
) -> None:
    """Mark the rows without a value in ``keep``, or refuse them."""
    for column, values in zip(columns, _rows_of(table, columns)):
        missing = np.isnan(values)
        if nan == "error" and missing.any():
            some = name_some(table.ids[missing].tolist())
            raise bad_value(
                f"{column!r} of {name}",
                OWNER,
                f"{int(missing.sum()):,} NaN ({some})",
                "free of NaN, or use nan='drop'",
            )
        keep &= ~(missing if rows is None else missing[rows])
