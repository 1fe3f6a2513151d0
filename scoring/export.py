"""Examples as a ``datasets.Dataset`` with one set of column names."""

from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.columns import DatasetColumns

if TYPE_CHECKING:
    from scoring.examples import Examples


def to_dataset(examples: "Examples") -> Any:
    """The inputs as ``text`` (and ``text_pair``), ``image`` or ``features``, with ``id`` and ``label``.

    Columns that lie in files stay there: texts and encoded images are not copied into memory.
    """
    import datasets

    every = np.arange(len(examples))
    names = {"text": ("text", "text_pair"), "image": ("image",), "features": ("features",)}[examples.kind]
    inputs, columns = examples.schema.inputs, examples.table
    if (
        isinstance(columns, DatasetColumns)
        and len(inputs) <= len(names)
        and columns.flavor(inputs[0]) != "array"
    ):
        dataset = columns.dataset.select(examples.table_rows(every)).select_columns(list(inputs))
        dataset = dataset.rename_columns({old: new for old, new in zip(inputs, names) if old != new})
        if examples.kind == "image":
            dataset = dataset.cast_column("image", datasets.Image())
    elif examples.kind == "text":
        texts = examples.texts(every)
        parts = zip(*texts) if examples.has_pairs else [texts]
        dataset = datasets.Dataset.from_dict(dict(zip(names, map(list, parts))))
    elif examples.kind == "image":
        pictures = [
            picture[..., 0] if picture.shape[2] == 1 else picture for picture in examples.images(every)
        ]
        feature = datasets.Features({"image": datasets.Image()})
        dataset = datasets.Dataset.from_dict({"image": pictures}, features=feature)
    else:
        dataset = datasets.Dataset.from_dict({"features": examples.features(every)})
    if examples.labels is not None:
        labels = datasets.ClassLabel(names=list(examples.label_names))
        dataset = dataset.add_column("label", examples.labels, feature=labels)
    return dataset.add_column("id", examples.ids.tolist())
