"""What a user reads when data does not fit: one sentence with parameter, allowed values, what was given."""

import json
import re
import subprocess
import sys
from io import BytesIO

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from scoring.errors import InputError
from scoring.examples import Examples

TEXT = {"text": ["a", "b", "c"], "label": ["x", "y", "x"]}


def sentence(source, **options) -> str:
    with pytest.raises((InputError, FileNotFoundError)) as caught:
        Examples.load(source, **options).fingerprint  # noqa: B018
    assert caught.value.__cause__ is None and (
        caught.value.__suppress_context__ or not caught.value.__context__
    )
    message = str(caught.value)
    assert "\n" not in message and message.startswith("Examples.") and message.endswith((".", "?"))
    return message


def columns(**changes):
    return {**TEXT, **changes}


@pytest.mark.parametrize(
    ("source", "options", "part"),
    [
        # columns
        (TEXT, {"text": "txt"}, "text must be one of label, text, got 'txt'. Did you mean 'text'?"),
        (TEXT, {"label": "lable"}, "label must be one of label, text, got 'lable'. Did you mean 'label'?"),
        (TEXT, {"id": "uid"}, "id must be one of label, text, got 'uid'."),
        (TEXT, {"features": ["text"]}, "features column 'text' must hold numbers, it holds values of type string."),
        (columns(text=[1, 2, 3]), {"text": "text"}, "must hold strings, it holds values of type integer"),
        (TEXT, {"text": "text", "features": "label"}, "give one of text, image and features, got text and features"),
        (TEXT, {"text_pair": "text"}, "text_pair 'text' needs text"),
        ({"intent": ["x"], "domain": ["y"], "text": ["a"]}, {}, "label could be 'intent' and 'domain'"),
        ({"sentence": ["x"], "title": ["y"]}, {}, "text could be 'sentence' and 'title'; pass text="),
        ({"java": ["x"], "csharp": ["y"]}, {}, "pass text=, image= or features= to say which column is the input; "
         "columns: java (string), csharp (string)."),
        ({"text": ["x"], "image": [Image.new("L", (2, 2))]}, {}, "any of text='text', image='image'"),
        # labels
        (columns(label=["x", None, None]), {}, "label column 'label' is null in 2 rows: row 1 (id "),
        (columns(label=[1.0, float("nan"), 2.0]), {}, "label column 'label' is null in 1 row: row 1 (id "),
        (columns(label=[None, None, None]), {}, "label column 'label' is null in 3 rows"),
        (columns(label=["x", "x", "x"]), {}, "at least two classes, got only 'x'"),
        (columns(label=["x", 1, "x"]), {}, "column 'label' must hold one type of value, got a mix of int and str"),
        (columns(label=[0, 1, 0.5]), {}, "must hold classes (whole numbers or texts), got 0.5"),
        (columns(label=np.eye(3)), {}, "number per row, it holds values of type vector of shape (3, 3)"),
        (columns(label=[["x"], ["y"], ["x"]]), {}, "it holds values of type other"),
        (TEXT, {"label_names": ["x", "z"]}, "label must be one of x, z, got 'y'."),
        (TEXT, {"label_names": ["x", "y", "x"]}, "label_names must be different from each other"),
        (columns(label=[0, 1, 2]), {"label_names": ["u", "v"]}, "must be 0..1 for the 2 label_names, got 2"),
        # inputs
        (columns(text=["a", None, "c"]), {}, "text column 'text' is null in 1 row: row 1."),
        (columns(text=["a", 5, "c"]), {}, "column 'text' must hold one type of value, got a mix of int and str."),
        ({"features": [[1, 2], [3], [4, 5]]}, {}, "must all have the same length, got lengths 1, 2 (see row 1"),
        ({"features": [[1, 2], [3, np.inf]]}, {}, "features must be finite, got NaN or infinity in 1 row: row 1"),
        ({"features": [[1, 2], [3, 1e300]]}, {}, "features must be finite"),
        ({"a": [1.0, None], "label": [0, 1]}, {}, "features column 'a' is null in 1 row: row 1"),
        ({"x": np.full((2, 4, 4), 3.5)}, {}, "must be uint8, or floats in [0, 1], got floats in [3.5, 3.5]"),
        ({"x": np.full((2, 4, 4), -1)}, {}, "must hold whole numbers from 0 to 255, got -1 to -1"),
        ({"x": np.zeros((2, 5, 5, 2), dtype=np.uint8)}, {}, "with 1, 3 or 4 channels, got (2, 5, 5, 2)"),
        # rows and ids
        ({"text": [], "label": []}, {}, "arrays holds no rows."),
        ({"text": ["a", "b"], "label": [0]}, {}, "the same number of rows, got text 2, label 1."),
        (columns(key=["k", "k", "m"]), {"id": "key"}, "ids must be unique, column 'key' repeats 1: 'k'."),
        (columns(key=[1, 1, 1]), {"id": "key"}, "ids must be unique, column 'key' repeats 1: 1."),
        (columns(key=["k", None, "m"]), {"id": "key"}, "id column 'key' is null in 1 row: 1."),
        (columns(key=[0.5, 1, 2]), {"id": "key"}, "must hold whole numbers or texts, it holds float values"),
        # splits and sources
        ("digits", {"split": "tets"}, "of digits: split must be one of all, test, train, got 'tets'. Did you mean"),
        ("digits", {"split": "train[:x]"}, "split 'train[:x]' cannot be read"),
        (TEXT, {"split": "test"}, "split must be one of all, train, got 'test'."),
        (columns(split=["a", "b", "c"]), {}, "split must be one of a, b, c or all, none was given."),
        ("digit", {}, "'digit' is not a file, a folder, built in (digits) or a dataset that the hub could deliver. "
         "Did you mean 'digits'?"),
        ("nobody/nothing", {}, "'nobody/nothing' is not a file, a folder, built in (digits) or a dataset that the hub"),
        ("no where/at all.parquet", {}, "'no where/at all.parquet' is not a file, a folder or a glob that matches."),
        ("*.nothing", {}, "'*.nothing' is not a file, a folder or a glob that matches."),
        (7, {}, "source must be a hub name, a file, folder or glob"),
        (iter([1]), {}, "source must be a hub name"),
        ({"x_train": np.eye(2), "x_test": np.eye(2), "y_train": [0, 1]}, {}, "must have the same arrays"),
    ],
)  # fmt: skip
def test_sentences(source, options, part):
    assert part in sentence(source, **options)


def png() -> bytes:
    buffer = BytesIO()
    Image.new("L", (2, 3)).save(buffer, "png")
    return buffer.getvalue()


def test_an_image_that_cannot_be_decoded_is_named():
    examples = Examples.load({"image": [png(), b"neither"]})
    assert examples.images([0])[0].shape == (3, 2, 1)
    with pytest.raises(
        InputError, match=rf"image of row 1 \(id '{examples.ids[1]}'\) cannot be decoded \(unknown for"
    ):
        examples.take([1]).images([0])
    named = Examples.load({"image": [b"not a picture", b"neither"], "key": ["k", "m"]}, id="key")
    with pytest.raises(
        InputError, match=r"of id 'k' cannot .*format\); mend the file or leave the row out\.$"
    ):
        named.images([0])
    several = Examples.load({"image": [b"not a picture", png(), b"neither"]})
    with pytest.raises(InputError, match=r"of row 2 .* cannot .*format\), and 1 more near it; mend the file"):
        several.images([1, 2, 0])


def test_a_truncated_image_is_named():
    buffer = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(
        buffer, "jpeg"
    )
    examples = Examples.load({"image": [buffer.getvalue(), buffer.getvalue()[:900]], "key": [1, 2]}, id="key")
    with pytest.raises(InputError, match="the image of id 2 cannot be decoded"):
        examples.images([1])


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "reviews.parquet").write_text("this is no parquet file")
    (tmp_path / "cut.jsonl").write_text('{"text": "a", "label": 1}\n{"text": "b", "lab')
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "header.csv").write_text("text,label\n")
    (tmp_path / "notes.md").write_text("hello")
    nothing = pa.table({"text": pa.array([], pa.string()), "label": pa.array([], pa.int64())})
    pq.write_table(nothing, tmp_path / "nothing.parquet")
    (tmp_path / "mixed.jsonl").write_text("\n".join(json.dumps({"text": "a", "label": x}) for x in (1, "x")))
    np.savez(tmp_path / "objects.npz", x=np.array([{}, 1], dtype=object))
    (tmp_path / "folder").mkdir()
    assert "reviews.parquet' cannot be read (Parquet" in sentence(tmp_path / "reviews.parquet")
    assert "cut.jsonl' cannot be read (JSON parse error" in sentence(tmp_path / "cut.jsonl")
    assert "empty.jsonl' holds no rows." in sentence(tmp_path / "empty.jsonl")
    assert "header.csv' holds no rows." in sentence(tmp_path / "header.csv")
    assert "nothing.parquet' holds no rows." in sentence(tmp_path / "nothing.parquet")
    assert "a file must be one of .arrow, .csv" in sentence(tmp_path / "notes.md")
    assert "label column 'label' must hold one type of value" in sentence(tmp_path / "mixed.jsonl")
    assert "without pickled objects" in sentence(tmp_path / "objects.npz")
    assert "doesn't contain any data files" in sentence(tmp_path / "folder")
    assert sentence(tmp_path / "review.parquet").endswith("Did you mean 'reviews.parquet'?")
    assert "files must be of one format, got csv and json" in sentence(str(tmp_path / "[ch]*[vl]"))


def test_files_with_different_columns(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": 1}')
    (tmp_path / "b.jsonl").write_text('{"words": "b", "other": [1]}')
    assert "must have the same columns" in sentence(str(tmp_path / "*.jsonl"))


def test_a_missing_picture_is_named(tmp_path):
    pd.DataFrame({"image": ["here/is/none.png", "nor/here.png"]}).to_csv(tmp_path / "a.csv")
    assert "image file 'here/is/none.png' does not exist" in sentence(tmp_path / "a.csv")


def test_code_in_a_folder_is_not_run(tmp_path):
    folder = tmp_path / "scripted"
    folder.mkdir()
    (folder / "scripted.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').write('x')")
    sentence(folder)
    sentence(folder, trust_remote_code=True)
    assert not (tmp_path / "ran").exists()


def test_rows_without_a_class_label():
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["n", "y"])}
    )
    data = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [0, -1, 1]}, features=features)
    assert "label column 'label' is -1 (no label) in 1 row: row 1" in sentence(data)
    assert Examples.load(data, label=False).labels is None


def test_streams_are_refused():
    stream = datasets.Dataset.from_dict(TEXT).to_iterable_dataset()
    assert "a streaming dataset has no stable rows" in sentence(stream)

    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            yield from range(3)

    assert "a torch Dataset with __len__, got Stream" in sentence(Stream())


def test_odd_items_of_a_torch_dataset():
    triples = torch.utils.data.TensorDataset(torch.zeros(2, 1), torch.zeros(2), torch.zeros(2))
    assert "must be (x, y) or dictionaries, got a tuple of 3 in row 0" in sentence(triples)


def test_the_hub_is_quiet_when_it_cannot_be_reached():
    code = "from scoring.examples import Examples\nExamples.load('nobody/nothing')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("Traceback") == 1  # no chain of what the hub client raised
    assert re.search(r"^FileNotFoundError: Examples.load: 'nobody/nothing' is not", done.stderr, re.MULTILINE)
    assert "Retrying" not in done.stderr and "HEAD" not in done.stderr


@pytest.mark.parametrize("kind", [list, np.array, lambda texts: pd.Series(texts, dtype=object)])
def test_half_of_a_surrogate_pair(kind):
    assert "half of a surrogate pair in 'a \\ud800 b'" in sentence({"text": kind(["fine", "a \ud800 b"])})
