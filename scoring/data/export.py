"""Examples as a ``datasets.Dataset`` with one set of column names."""

from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.data.columns import DatasetColumns
from scoring.data.readers import quiet

if TYPE_CHECKING:
    from scoring.examples import Examples

_NAMES = {"text": ("text", "text_pair"), "image": ("image",), "features": ("features",)}
# Cells that datasets reads as they are; paths, for one, have to be made absolute.
_STORED = {"text": ("string",), "image": ("image", "bytes"), "features": ("vector",)}


def to_dataset(examples: "Examples") -> Any:
    """The inputs as ``text`` (and ``text_pair``), ``image`` or ``features``, with ``label`` and ``id``.

    Texts and encoded images that lie in files are not held in memory.
    """
    import datasets

    kind, inputs, columns = examples.kind, examples.schema.inputs, examples.table
    names = _NAMES[kind]
    every = np.arange(len(examples))
    with quiet():
        if (
            isinstance(columns, DatasetColumns)
            and len(inputs) <= len(names)
            and all(columns.flavor(name) in _STORED[kind] for name in inputs)
        ):
            dataset = columns.dataset.select_columns(list(inputs)).select(examples.table_rows(every))
            dataset = dataset.with_format(None)
            dataset = dataset.rename_columns({old: new for old, new in zip(inputs, names) if old != new})
            if kind == "image":
                dataset = dataset.cast_column("image", datasets.Image())
        elif kind == "text":
            texts = examples.texts(every)
            parts = zip(*texts) if examples.has_pairs else [texts]
            dataset = datasets.Dataset.from_dict(dict(zip(names, map(list, parts))))
        elif kind == "image":
            feature = datasets.Features({"image": datasets.Image()})
            dataset = datasets.Dataset.from_dict({"image": _pictures(examples)}, features=feature)
        else:
            dataset = datasets.Dataset.from_dict({"features": examples.features(every)})
        if examples.labels is not None:
            classes = datasets.ClassLabel(names=list(examples.label_names))
            dataset = dataset.add_column("label", examples.labels, feature=classes)
        return dataset.add_column("id", examples.ids.tolist())


def _pictures(examples: "Examples") -> list[Any]:
    every = np.arange(len(examples))
    paths = examples.image_files(every)
    if paths is not None:
        return list(paths)
    return [each[..., 0] if each.shape[2] == 1 else each for each in examples.images(every)]
