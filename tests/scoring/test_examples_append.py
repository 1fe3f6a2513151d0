"""Examples put behind others: inputs, ids, labels, fingerprints, and everything that does not fit."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from scoring.errors import InputError
from scoring.examples import Examples
from selection.apply import write_kept
from selection.subset import Subset


def texts() -> tuple[Examples, Examples]:
    """Columns of other names; one side column is shared, ``n`` and ``z`` are not."""
    first = {
        "text": ["a b", "c d", "e"], "label": ["x", "y", "x"], "id": ["p", "q", "r"], "by": ["m", "n", "m"],
        "n": [1, 2, 3],
    }  # fmt: skip
    other = {
        "query": ["f g", "h"],
        "by": ["o", "o"],
        "key": ["s", "t"],
        "z": [1, 2],
        "label": ["y", "x"],
    }
    return Examples.load(first, id="id"), Examples.load(other, text="query", id="key")


def test_texts_ids_labels_and_side_columns() -> None:
    first, other = texts()
    both = first.append(other)
    assert both.texts(np.array([4, 0, 3])) == ["h", "a b", "f g"]
    assert both.ids.tolist() == ["p", "q", "r", "s", "t"]
    assert both.labels is not None and both.labels.tolist() == [0, 1, 0, 1, 0]
    assert both.columns == first.columns
    rows = both.table_rows(np.arange(5))
    assert both.table.read("by", rows).to_pylist() == ["m", "n", "m", "o", "o"]
    assert both.table.read("n", rows).to_pylist() == [1, 2, 3, None, None]
    assert len(first) == 3 and first.ids.tolist() == ["p", "q", "r"]  # the input stays as it was


def test_the_fingerprint_is_that_of_the_same_rows_loaded_at_once() -> None:
    first, other = texts()
    both = first.append(other, labels=[1, 1], ids=["u", "v"]).take([3, 0, 4, 1, 2])
    whole = Examples.load(
        {"text": ["a b", "c d", "e", "f g", "h"], "label": ["x", "y", "x", "y", "y"], "id": [*"pqruv"]},
        id="id",
    )
    assert both.fingerprint == whole.fingerprint
    assert Examples.load(both).fingerprint == whole.fingerprint


def test_parts_of_parts() -> None:
    """Appending to what was appended, and behind it, reads the same rows."""
    first, other = texts()
    part = first.take([2, 0]).append(other.take([1]))
    again = part.append(first.take([1, 2]), ids=["c1", "c2"])
    assert again.texts(np.arange(5)) == ["e", "a b", "h", "c d", "e"]
    assert again.labels is not None and again.labels.tolist() == [0, 0, 0, 1, 0]
    assert again.append(part, ids=["d1", "d2", "d3"]).texts([7, 5, 3]) == ["h", "e", "c d"]
    hashes = again.content_hashes(np.arange(5))
    assert hashes[0] == hashes[4] and len(set(hashes.tolist())) == 4


def test_pairs_of_texts() -> None:
    first = Examples.load({"premise": ["a", "b"], "hypothesis": ["c", "d"], "label": ["x", "y"]})
    other = Examples.load({"sentence1": ["e"], "sentence2": ["f"]})
    both = first.append(other, labels=[1])
    assert both.has_pairs and both.texts([2, 0]) == [("e", "f"), ("a", "c")]
    assert set(other.ids) < set(both.ids)


@pytest.mark.parametrize("several", [False, True])
def test_features_of_one_column_and_of_several(several: bool) -> None:
    table: dict[str, Any] = (
        {"a": [1.0, 2.0], "b": [3.0, 4.0]} if several else {"x": np.array([[1.0, 3.0], [2.0, 4.0]])}
    )
    first = Examples.load({**table, "label": ["x", "y"]})
    both = first.append(Examples.from_arrays(np.array([[5.0, 6.0]]), ids=["z"]), [0])
    assert both.features([2, 1]).tolist() == [[5, 6], [2, 4]] and both.input_shape == (2,)
    assert both.content_hashes(np.arange(2)).tolist() == first.content_hashes(np.arange(2)).tolist()


def test_images_stored_in_different_ways(tmp_path: Path) -> None:
    """One array, encoded bytes, and paths: read as pictures, with the content hashes that they have alone."""
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (3, 8, 8, 1), dtype=np.uint8)
    arrays = Examples.from_arrays(pixels[:2], [0, 1], ids=["a", "b"], label_names=["x", "y"])
    picture = Image.fromarray(pixels[2, ..., 0])
    picture.save(tmp_path / "c.png")
    encoded = io.BytesIO()
    picture.save(encoded, format="PNG")
    as_bytes = Examples.load({"image": [encoded.getvalue()], "id": ["c"]}, id="id")
    as_path = Examples.load({"image": [str(tmp_path / "c.png")], "id": ["d"]}, image="image", id="id")
    both = arrays.append(as_bytes, [1]).append(as_path, [0])
    np.testing.assert_array_equal(np.stack(both.images([3, 2, 0])), pixels[[2, 2, 0]])
    assert both.input_shape == (8, 8, 1)
    alone = [each.content_hashes(np.arange(len(each))).tolist() for each in (arrays, as_bytes, as_path)]
    assert both.content_hashes(np.arange(4)).tolist() == [each for part in alone for each in part]
    alike = arrays.append(arrays, ids=["e", "f"])
    assert alike.schema.kind == "image" and alike.input_shape == (8, 8, 1)
    np.testing.assert_array_equal(np.stack(alike.images([3, 0])), pixels[[1, 0]])


def test_splits_stay_those_of_the_first() -> None:
    digits = Examples.load("digits")
    both = digits.append(digits.take([0]), ids=["copy"])
    assert (
        both.splits == ("test",)
        and both.other_split("test").fingerprint == digits.other_split("test").fingerprint
    )


def test_whole_number_ids() -> None:
    first = Examples.from_arrays(np.eye(2), [0, 1], ids=[1, 2])
    both = first.append(Examples.from_arrays(np.ones((1, 2)), ids=[7]), [0])
    assert both.ids.dtype == np.int64 and both.ids.tolist() == [1, 2, 7]
    with pytest.raises(InputError, match="ids must be whole numbers as those of arrays, got texts"):
        first.append(Examples.from_arrays(np.ones((1, 2))), [0])


def test_written_and_exported(tmp_path: Path) -> None:
    first, other = texts()
    both = first.append(other)
    write_kept(Subset.from_ids(both.ids[[4, 0]]), both, tmp_path / "kept.parquet")
    read = pq.read_table(tmp_path / "kept.parquet")
    assert dict(zip(read["id"].to_pylist(), read["text"].to_pylist())) == {"p": "a b", "t": "h"}
    assert both.to_dataset()["text"][:] == ["a b", "c d", "e", "f g", "h"]


def test_without_labels() -> None:
    first = Examples.load({"text": ["a", "b"]})
    other = Examples.load({"text": ["c"]})
    assert first.append(other).labels is None
    with pytest.raises(InputError, match="labels must be left out"):
        first.append(other, [0])


def test_what_does_not_fit() -> None:
    first, other = texts()
    with pytest.raises(InputError, match=r"ids must be unique, 1 would repeat: 'p'"):
        first.append(other, ids=["p", "t"])
    with pytest.raises(InputError, match="ids must be 2 ids"):
        first.append(other, ids=["u"])
    with pytest.raises(InputError, match="labels must be from 0 to 1, got 2"):
        first.append(other, [0, 2])
    with pytest.raises(InputError, match="labels must be 2 class indices"):
        first.append(other, [0])
    with pytest.raises(InputError, match="of the same kind as arrays \\(text\\), got 'features'"):
        first.append(Examples.from_arrays(np.eye(2)), [0, 0])
    with pytest.raises(InputError, match=r"features of the same length \(2\), got 3"):
        Examples.from_arrays(np.eye(2)).append(Examples.from_arrays(np.eye(3)))
    strange = Examples.load({"text": ["k", "l"], "label": ["x", "w"]})
    with pytest.raises(InputError, match="a label of arrays must be one of x, y, got 'w'"):
        first.append(strange)
    with pytest.raises(InputError, match="labels must be given, since arrays has none"):
        first.append(Examples.load({"text": ["k"]}))
    with pytest.raises(InputError, match="must be Examples"):
        first.append("digits")  # type: ignore[arg-type]
