"""From whatever the user has (hub name, folder, files, arrays, dataset objects) to columns and splits."""

import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from glob import glob, has_magic
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from scoring.data.columns import ArrayColumns, DatasetColumns
from scoring.data.schema import OWNER
from scoring.data.splits import Opened, first_line, ranges, with_split_column
from scoring.errors import InputError, name_some

BUILT_IN = ("digits",)
FORMATS = {
    ".parquet": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".txt": "text",
}
_WHOLE = {"sample_by": "document"}
"""A file of plain text is one document; ``datasets`` would make a row of every line."""
_PACKED = (".gz", ".bz2", ".xz", ".zst")
_HUB_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*(/[\w.-]+)?(:[\w.-]+)?$")
_SPLIT_KEY = re.compile(r"^(?:(?P<name>.+)_)?(?P<split>train|test|val|valid|validation|dev)$")
_KEY_SPLIT = re.compile(r"^(?P<split>train|test|val|valid|validation|dev)_(?P<name>.+)$")


def open_source(source: Any, split: str | None = None) -> Opened:
    """Columns and splits of ``source``; see :meth:`scoring.examples.Examples.load` for what it may be.

    ``split`` only matters where the splits have different columns: then the others are left out.
    """
    if isinstance(source, str | Path):
        return _open_text(str(source), split)
    module = type(source).__module__.partition(".")[0]
    if module == "datasets":
        return _open_dataset(source, split)
    if module == "pandas" and hasattr(source, "columns"):
        return Opened(
            ArrayColumns({str(name): source[name] for name in source.columns}), "DataFrame", "DataFrame"
        )
    if module == "pyarrow" and isinstance(source, pa.Table):
        return Opened(ArrayColumns(dict(zip(source.column_names, source.columns))), "Table", "pyarrow.Table")
    if isinstance(source, Mapping):
        return _open_mapping(source, "arrays", "dict of arrays")
    if isinstance(source, tuple) and len(source) == 2:
        return Opened(ArrayColumns({"x": source[0], "y": source[1]}), "arrays", "(x, y) arrays")
    if isinstance(source, list) and source and all(isinstance(each, str | Path) for each in source):
        return _open_files([Path(each) for each in source], "files", name_some(map(str, source)))
    if isinstance(source, np.ndarray):
        return Opened(ArrayColumns({"x": source}), "array", "array")
    if hasattr(source, "__getitem__") and hasattr(source, "__len__") and "torch" in sys.modules:
        from scoring.data.map_style import read_map_style

        return Opened(read_map_style(source), type(source).__name__, f"torch dataset {type(source).__name__}")
    raise InputError(
        f"{OWNER}: source must be a hub name, a file, folder or glob, a datasets.Dataset, a DataFrame, arrays, or a "
        f"torch Dataset with __len__, got {type(source).__name__}."
    )


def _open_text(source: str, split: str | None) -> Opened:
    path = Path(source).expanduser()
    if source in BUILT_IN:  # a folder of that name is still there as ./digits
        return _open_digits()
    if has_magic(source) and not path.exists():
        # Path.glob does not take absolute patterns.
        names = sorted(glob(str(path), recursive=True))  # noqa: PTH207
        found = [Path(each) for each in names if Path(each).is_file()]
        if not found:
            raise _not_found(source)
        return _open_files(found, path.parent.name or "files", source)
    if path.is_dir():
        return _open_folder(path, source, split)
    if path.suffix.lower() in (".npz", ".npy") and path.exists():
        return _open_numpy(path, source)
    if path.exists():
        return _open_files([path], _stem(path), source)
    if "/" not in source and get_close_matches(source, BUILT_IN, n=1, cutoff=0.8):
        raise _not_found(source)  # a slip of the finger, not worth waiting for the network
    if _format(path) or path.suffix.lower() in (".npz", ".npy") or not _HUB_NAME.match(source):
        raise _not_found(source)
    return _open_hub(source, split)


def _open_digits() -> Opened:
    from scoring.data.digits import digits

    parts = digits()
    columns = ArrayColumns(
        {
            "image": np.concatenate([images for images, _ in parts.values()]),
            "label": np.concatenate([labels for _, labels in parts.values()]),
        }
    )
    return Opened(columns, "digits", "digits", ranges({name: len(y) for name, (_, y) in parts.items()}))


def _open_files(paths: Sequence[Path], name: str, source: str) -> Opened:
    formats = {_format(path) for path in paths}
    for path in paths:
        if not path.exists():
            raise _not_found(str(path))
        if _format(path) is None:
            raise InputError(
                f"{OWNER}: a file must be one of {', '.join(sorted(FORMATS))} (also .gz), .npz or .npy, "
                f"got {str(path)!r}."
            )
    if len(formats) > 1:
        raise InputError(
            f"{OWNER}: files must be of one format, got {' and '.join(sorted(map(str, formats)))}."
        )
    builder = str(formats.pop())
    options: dict[str, Any] = {}
    if builder == "csv":
        # Only an empty cell is missing: pandas would also drop texts and classes called "NA", "null" or "None".
        options = {"keep_default_na": False, "na_values": [""]}
        if ".tsv" in paths[0].suffixes:
            options["sep"] = "\t"
    elif builder == "text":
        options = dict(_WHOLE)
    files = [str(path.resolve()) for path in paths]
    with quiet(), _one_sentence(source):
        from datasets import load_dataset

        dataset = load_dataset(builder, data_files={"train": files}, split="train", **options)
    return with_split_column(DatasetColumns(dataset), name, source, paths[0].resolve().parent)


def _open_folder(path: Path, source: str, split: str | None) -> Opened:
    with quiet(), _one_sentence(source):
        from datasets import load_dataset, load_from_disk

        saved = (path / "state.json").exists() or (path / "dataset_dict.json").exists()
        options = _WHOLE if not saved and _only_texts(path) else {}
        dataset = load_from_disk(str(path)) if saved else load_dataset(str(path.resolve()), **options)
    return _open_dataset(dataset, split, path.resolve().name, source, path.resolve())


def _only_texts(folder: Path) -> bool:
    """Whether a folder holds files of plain text, and nothing else but notes about them."""
    files = [each for each in folder.rglob("*") if each.is_file()]
    return {_format(each) for each in files if each.suffix != ".md" and each.name[0] != "."} == {"text"}


def _open_hub(source: str, split: str | None) -> Opened:
    name, _, config = source.partition(":")
    with quiet():
        from datasets import load_dataset

        try:
            dataset = load_dataset(name, config or None)
        except Exception as error:  # the hub client raises many kinds, all of them mean the same to the user
            if "onfig" in str(error) and "pick one" in str(error):
                configs = re.findall(r"'([^']+)'", str(error).partition("[")[2].partition("]")[0])
                raise InputError(
                    f"{OWNER}: {name!r} has several configurations; write {name}:NAME with one of "
                    f"{', '.join(configs)}."
                ) from None
            raise _not_found(source, f"({type(error).__name__}: {first_line(error)})") from None
    return _open_dataset(dataset, split, source, source)


def _open_dataset(
    dataset: Any,
    split: str | None,
    name: str | None = None,
    source: str | None = None,
    folder: Path | None = None,
) -> Opened:
    kind = type(dataset).__name__
    if kind.startswith("Iterable"):
        raise InputError(f"{OWNER}: a streaming dataset has no stable rows; load it without streaming=True.")
    source = source or f"datasets.{kind}"
    if kind != "DatasetDict":
        name = name or dataset.info.dataset_name or "dataset"
        return with_split_column(DatasetColumns(dataset), name, source, folder)
    if not dataset:
        raise InputError(f"{OWNER}: {source} holds no data.")
    parts = {str(each): part for each, part in dataset.items()}
    features = [part.features for part in parts.values()]
    if any(each != features[0] for each in features):
        # Their columns cannot be joined, but the split that is wanted can be read alone.
        wanted = "train" if split is None and "train" in parts else split
        if wanted not in parts:
            raise InputError(
                f"{OWNER}: the splits of {source} differ in their columns, load one of {', '.join(parts)}."
            )
        parts = {wanted: parts[wanted]}
    lengths = {each: len(part) for each, part in parts.items()}
    if len(parts) == 1:
        only = DatasetColumns(next(iter(parts.values())))
        opened = with_split_column(only, name or source, source, folder)
        return opened if opened.splits else replace(opened, splits=ranges(lengths))
    from datasets import concatenate_datasets

    joined = concatenate_datasets(list(parts.values()))
    return Opened(DatasetColumns(joined), name or source, source, ranges(lengths), folder)


def _open_numpy(path: Path, source: str) -> Opened:
    try:
        if path.suffix.lower() == ".npy":
            return Opened(ArrayColumns({"x": np.load(path, allow_pickle=False)}), path.stem, source)
        with np.load(path, allow_pickle=False) as stored:
            return _open_mapping({key: stored[key] for key in stored.files}, path.stem, source)
    except (ValueError, OSError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{OWNER}: {source!r} must be a numpy file without pickled objects ({first_line(error)})."
        ) from None


def _open_mapping(values: Mapping[Any, Any], name: str, source: str) -> Opened:
    """Arrays by name; names such as x_train and y_test become columns x and y of the splits train and test."""
    parts: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        found = _SPLIT_KEY.match(str(key)) or _KEY_SPLIT.match(str(key))
        if found is None or found["name"] is None:
            return with_split_column(ArrayColumns({str(k): v for k, v in values.items()}), name, source, None)
        parts.setdefault(found["split"], {})[found["name"]] = value
    if len({frozenset(part) for part in parts.values()}) > 1:
        told = ", ".join(map(str, values))
        raise InputError(f"{OWNER}: every split of {source} must have the same arrays, got {told}.")
    columns = {split: ArrayColumns(part) for split, part in parts.items()}
    first = next(iter(parts.values()), {})
    joined = {key: _joined([columns[split].read(key) for split in parts]) for key in first}
    return Opened(ArrayColumns(joined), name, source, ranges({split: len(columns[split]) for split in parts}))


def _joined(values: list[Any]) -> Any:
    if len(values) == 1:
        return values[0]
    if all(isinstance(value, np.ndarray) for value in values):
        return np.concatenate(values)
    return pa.concat_arrays([chunk for v in values for chunk in (v.chunks if hasattr(v, "chunks") else [v])])


def _format(path: Path) -> str | None:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None


def _stem(path: Path) -> str:
    """A name for the data of a file: its own, or that of its folder if it is only called train or data."""
    name = path.name
    for suffix in (*_PACKED, *FORMATS):
        name = name.removesuffix(suffix)
    if name in ("data", "train", "test", "val", "valid", "validation", "dev"):
        name = path.resolve().parent.name or name
    return name


def _not_found(source: str, why: str = "") -> FileNotFoundError:
    path = Path(source).expanduser()
    folder = path.parent if path.parent.is_dir() else Path()
    try:
        near = [each.name for each in folder.iterdir()]
    except OSError:
        near = []
    close = get_close_matches(path.name, near, n=3, cutoff=0.7)
    close += get_close_matches(source, BUILT_IN, n=1, cutoff=0.7)
    hint = f" Did you mean {' or '.join(repr(each) for each in close)}?" if close else ""
    what = "a file, a folder or a glob that matches"
    if _HUB_NAME.match(source) and not _format(path):
        what = f"a file, a folder, built in ({', '.join(BUILT_IN)}) or a dataset that the hub could deliver"
    return FileNotFoundError(f"{OWNER}: {source!r} is not {what}{' ' + why if why else ''}.{hint}")


@contextmanager
def _one_sentence(source: str) -> Iterator[None]:
    """Whatever goes wrong while reading files, told in one sentence with the innermost cause."""
    try:
        yield
    except (InputError, MemoryError, ImportError):
        raise
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ is not None and "CastError" not in type(cause).__name__:
            cause = cause.__cause__
        empty = ("corresponds to no data", "BatchSize must be greater than 0, got 0")
        if isinstance(cause, StopIteration) or any(sign in str(cause) for sign in empty):
            raise InputError(f"{OWNER}: {source!r} holds no rows.") from None
        if "CastError" in type(cause).__name__:
            raise InputError(
                f"{OWNER}: all files of {source!r} must have the same columns; load the ones that belong together."
            ) from None
        raise InputError(f"{OWNER}: {source!r} cannot be read ({first_line(cause)}).") from None


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no notices of ``datasets`` and the hub inside; the user's settings come back afterwards.

    Whatever they would say is in the exception as well.
    """
    import datasets

    bars = datasets.are_progress_bars_disabled()
    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    datasets.disable_progress_bars()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
        if not bars:
            datasets.enable_progress_bars()
