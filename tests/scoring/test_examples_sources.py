"""Every kind of source gives the same examples."""

import gzip
import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from scoring.errors import InputError
from scoring.examples import Examples

ROWS = [{"text": f"row {row}", "label": ["up", "down"][row % 2]} for row in range(10)]
TABLE = pa.Table.from_pylist(ROWS)
WANTED = Examples.load({"text": [row["text"] for row in ROWS], "label": [row["label"] for row in ROWS]})


def same(examples):
    assert examples.ids.tolist() == WANTED.ids.tolist()
    assert examples.labels.tolist() == WANTED.labels.tolist()
    assert examples.label_names == ("down", "up")
    assert examples.fingerprint == WANTED.fingerprint
    return True


def write_stream(path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, TABLE.schema) as writer:
        writer.write_table(TABLE)


def write_gzip(path: Path, text: str) -> None:
    with gzip.open(path, "wt") as file:
        file.write(text)


LINES = "\n".join(json.dumps(row) for row in ROWS)
CSV = "text,label\n" + "\n".join(f"{row['text']},{row['label']}" for row in ROWS) + "\n"
WRITERS = {
    "a.parquet": lambda path: pa.parquet.write_table(TABLE, path),
    "a.jsonl": lambda path: path.write_text(LINES),
    "a.jsonl.gz": lambda path: write_gzip(path, LINES),
    "a.json": lambda path: path.write_text(json.dumps(ROWS)),
    "a.csv": lambda path: path.write_text(CSV),
    "a.csv.gz": lambda path: write_gzip(path, CSV),
    "a.tsv": lambda path: path.write_text(CSV.replace(",", "\t")),
    "a.feather": lambda path: pa.feather.write_feather(TABLE, path, compression="lz4"),
    "a.arrow": write_stream,
}


@pytest.mark.parametrize("name", WRITERS)
def test_files(tmp_path, name):
    WRITERS[name](tmp_path / name)
    examples = Examples.load(tmp_path / name)
    assert same(examples) and examples.name == "a" and examples.source == str(tmp_path / name)


def test_globs_and_lists_of_files_are_read_in_sorted_order(tmp_path):
    for part, name in ((TABLE[5:], "b.parquet"), (TABLE[:5], "a.parquet")):
        pa.parquet.write_table(part, tmp_path / name)
    assert same(Examples.load(str(tmp_path / "*.parquet")))
    assert same(Examples.load([tmp_path / "a.parquet", tmp_path / "b.parquet"]))


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(LINES)
    assert same(Examples.load(path))
    path.write_text(LINES.replace("row 3", "line 3"))
    os.utime(path, ns=(10**18, 10**18))
    assert Examples.load(path).texts([3]) == ["line 3"]


def test_texts_of_files_stay_on_disk(tmp_path):
    pa.parquet.write_table(TABLE, tmp_path / "a.parquet")
    table = Examples.load(tmp_path / "a.parquet").table
    assert table.dataset.cache_files
    assert Path(table.dataset.cache_files[0]["filename"]).is_relative_to(datasets.config.HF_DATASETS_CACHE)


def test_folders(tmp_path, capfd):
    data = datasets.Dataset(TABLE)
    datasets.disable_progress_bars()
    data.save_to_disk(tmp_path / "saved")
    datasets.DatasetDict(train=data, test=data.select(range(4))).save_to_disk(tmp_path / "both")
    datasets.enable_progress_bars()
    (tmp_path / "plain").mkdir()
    pa.parquet.write_table(TABLE, tmp_path / "plain" / "train.parquet")
    pa.parquet.write_table(TABLE[:4], tmp_path / "plain" / "test.parquet")
    capfd.readouterr()
    assert same(Examples.load(tmp_path / "saved"))
    for name in ("both", "plain"):
        examples = Examples.load(tmp_path / name)
        assert same(examples) and examples.splits == ("test",) and examples.name == name
        test = examples.other_split("test")
        assert len(test) == 4 and test.label_names == examples.label_names
    assert capfd.readouterr() == ("", "")
    assert not datasets.are_progress_bars_disabled()


def test_dataset_objects():
    data = datasets.Dataset(TABLE)
    assert same(Examples.load(data))
    assert Examples.load(data.shuffle(seed=3)).fingerprint == WANTED.fingerprint
    assert same(Examples.load(data.select(range(9, -1, -1)).select(range(9, -1, -1)).with_format("torch")))
    both = datasets.DatasetDict(train=data, test=data.select([1, 0]))
    assert same(Examples.load(both))
    assert Examples.load(both, split="test").texts([0, 1]) == ["row 1", "row 0"]
    assert Examples.load(both, split="train[2:4]+test").texts(np.arange(4)) == [
        "row 2",
        "row 3",
        "row 1",
        "row 0",
    ]
    assert len(Examples.load(both, split="all")) == 12
    alone = Examples.load(datasets.DatasetDict(test=data))
    assert same(alone) and alone.split == "test"


def test_splits_with_different_columns_load_one_at_a_time():
    data = datasets.Dataset(TABLE)
    both = datasets.DatasetDict(train=data, test=data.remove_columns("label"))
    assert same(Examples.load(both)) and Examples.load(both).splits == ()
    assert Examples.load(both, split="test").labels is None
    with pytest.raises(InputError, match="differ in their columns, load one of train, test"):
        Examples.load(both, split="all")


def test_class_labels_keep_their_names_and_order():
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["up", "down"])}
    )
    data = datasets.Dataset.from_list([{**row, "label": row["label"]} for row in ROWS], features=features)
    examples = Examples.load(data)
    assert examples.label_names == ("up", "down")
    assert examples.labels.tolist() == [0, 1] * 5
    assert examples.fingerprint == WANTED.fingerprint  # names count, not positions


def test_frames_and_tables():
    frame = TABLE.to_pandas()
    assert same(Examples.load(frame))
    assert same(Examples.load(frame.sample(frac=1, random_state=0).sort_values("text")))
    assert same(Examples.load(frame.astype({"label": "category", "text": object})))
    assert same(Examples.load(TABLE))


def test_numbers_from_arrays_frames_and_files_agree(tmp_path):
    x = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    y = np.arange(12) % 3
    wanted = Examples.load((x, y))
    np.savez(tmp_path / "a.npz", X=x, y=y)
    np.savez(tmp_path / "b.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "label": y})
    frame.to_csv(tmp_path / "a.csv", index=False, float_format="%.17g")
    sources = [
        (tmp_path / "a.npz", {}),
        (tmp_path / "b.npz", {}),
        (tmp_path / "a.csv", {}),
        (frame, {"features": ["a", "b", "c"]}),
        ({"x": torch.from_numpy(x), "y": torch.from_numpy(y)}, {}),
        ({"features": x.tolist(), "target": y.tolist()}, {}),
        (datasets.Dataset.from_dict({"embedding": x, "label": y}), {}),
        (torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), {}),
    ]
    for source, options in sources:
        examples = Examples.load(source, **options)
        assert examples.kind == "features" and examples.input_shape == (3,)
        assert examples.fingerprint == wanted.fingerprint
        assert np.array_equal(examples.features([3, 1]), x[[3, 1]])
    assert Examples.load(tmp_path / "b.npz", split="test").features([1]).dtype == np.float32


def pixels(rows=6, height=5, width=7):
    return np.random.default_rng(1).integers(0, 256, (rows, height, width, 3), dtype=np.uint8)


def png(array) -> bytes:
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, "png")
    return buffer.getvalue()


def test_images_from_arrays_in_all_layouts_agree():
    x, y = pixels(), np.arange(6) % 2
    wanted = Examples.load((x, y))
    assert wanted.kind == "image" and wanted.input_shape == (5, 7, 3)
    for other in (
        x.transpose(0, 3, 1, 2),
        x.astype(np.int64),
        x / 255.0,
        torch.from_numpy(x).permute(0, 3, 1, 2) / 255,
    ):
        assert Examples.load((other, y)).fingerprint == wanted.fingerprint
    grey = Examples.load({"image": x[..., 0], "label": y})
    assert grey.input_shape == (5, 7, 1) and np.array_equal(grey.images([2])[0][..., 0], x[2, ..., 0])


def test_images_from_bytes_paths_and_pictures_show_the_same_pixels(tmp_path):
    x, y = pixels(), np.arange(6) % 2
    (tmp_path / "png").mkdir()
    for row, each in enumerate(x):
        (tmp_path / "png" / f"{row}.png").write_bytes(png(each))
    paths = [f"png/{row}.png" for row in range(6)]
    pd.DataFrame({"image": paths, "label": y}).to_csv(tmp_path / "a.csv")
    pd.DataFrame({"image_png": [png(each) for each in x], "label": y}).to_parquet(tmp_path / "a.parquet")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int8")})
    sources = [
        tmp_path / "a.csv",
        tmp_path / "a.parquet",
        {"image": [Image.fromarray(each) for each in x], "label": y},
        datasets.Dataset.from_dict({"image": list(x), "label": y}, features=features),
        datasets.Dataset.from_dict({"image": x.tolist(), "label": y}),
    ]
    for source in sources:
        examples = Examples.load(source)
        assert examples.kind == "image" and examples.input_shape == (5, 7, 3)
        assert all(np.array_equal(got, want) for got, want in zip(examples.images([4, 0]), x[[4, 0]]))
        exported = examples.to_dataset()
        assert np.array_equal(np.asarray(exported[2]["image"]), x[2])
        assert exported["id"][:] == examples.ids.tolist()
    by_path, by_bytes = Examples.load(sources[0]), Examples.load(sources[1])
    assert by_path.fingerprint == by_bytes.fingerprint  # the file's bytes count, not where they lie


def test_a_folder_of_pictures(tmp_path):
    for row, each in enumerate(pixels()):
        folder = tmp_path / "pets" / ("cat" if row % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{row}.png").write_bytes(png(each))
    examples = Examples.load(tmp_path / "pets")
    assert examples.label_names == ("cat", "dog") and len(examples) == 6 and examples.input_shape == (5, 7, 3)


def test_pictures_of_several_sizes_and_modes():
    modes = [("L", (8, 6)), ("RGB", (8, 6)), ("1", (4, 4)), ("RGBA", (8, 6)), ("P", (9, 9)), ("I;16", (8, 6))]
    pictures = [Image.new(mode, size) for mode, size in modes]
    examples = Examples.load({"image": pictures, "label": [0, 1] * 3})
    assert examples.input_shape == (6, 8, 3)  # the commonest size, height first
    assert [each.shape for each in examples.images(np.arange(6))] == [
        (6, 8, 3), (6, 8, 3), (4, 4, 3), (6, 8, 3), (9, 9, 3), (6, 8, 3),
    ]  # fmt: skip
    backwards = Examples.load({"image": pictures[::-1], "label": [1, 0] * 3})
    assert backwards.input_shape == (6, 8, 3) and backwards.fingerprint == examples.fingerprint


class Pets(torch.utils.data.Dataset):
    """Like a torchvision dataset with a random transform."""

    classes = ("cat", "dog")

    def __len__(self):
        return 6

    def __getitem__(self, row):
        return torch.rand(3, 4, 4), row % 2


class Reviews(torch.utils.data.Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, row):
        return {"text": ROWS[row]["text"], "label": ROWS[row]["label"], "stars": torch.tensor(row)}


def test_torch_map_style_datasets():
    pets = Examples.load(Pets())
    assert pets.label_names == ("cat", "dog") and pets.kind == "image" and pets.name == "Pets"
    assert pets.fingerprint == Examples.load(Pets()).fingerprint
    assert same(Examples.load(Reviews()))


def test_a_split_column_divides_one_file(tmp_path):
    table = TABLE.append_column("split", pa.array(["train"] * 6 + ["valid"] * 3 + ["test"]))
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    examples = Examples.load(tmp_path / "a.parquet")
    assert len(examples) == 6 and examples.split == "train" and examples.splits == ("test", "valid")
    valid = Examples.load(tmp_path / "a.parquet", split="valid", label_names=examples.label_names)
    assert valid.texts([0]) == ["row 6"] and examples.other_split("valid").fingerprint == valid.fingerprint
    assert examples.other_split("test").labels.tolist() == [0]  # one row, one class: the classes are known
    assert same(Examples.load(tmp_path / "a.parquet", split="all"))
    assert Examples.load(tmp_path / "a.parquet", split="train[:50%]+valid").texts([2, 3]) == [
        "row 2",
        "row 6",
    ]
    assert same(Examples.load(TABLE, split="train"))  # a source without splits is all "train"


def test_only_an_empty_cell_of_a_csv_is_missing(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\nNA,None\nnull,nan\nNaN,None\n")
    examples = Examples.load(tmp_path / "a.csv")
    assert examples.texts([0, 1, 2]) == ["NA", "null", "NaN"] and examples.label_names == ("None", "nan")


def test_export_of_a_part(tmp_path):
    table = pa.table({"premise": ["a", "b", "c"], "hypothesis": ["d", "e", "f"], "gold": ["n", "y", "n"]})
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    part = Examples.load(tmp_path / "a.parquet", label="gold").take([2, 1])
    exported = part.to_dataset()
    assert sorted(exported.column_names) == ["id", "label", "text", "text_pair"]
    assert exported[0] == {"text": "c", "text_pair": "f", "label": 0, "id": part.ids[0]}
    again = Examples.load(exported, id="id")
    assert again.fingerprint == part.fingerprint
    features = Examples.load({"a": [1.0, 2.0], "b": [3.0, 4.0], "label": [0, 1]}, features=["b", "a"])
    assert features.to_dataset()[1]["features"] == [4.0, 2.0]


def test_nothing_heavy_is_loaded_for_arrays():
    code = (
        "import sys, numpy as np; from scoring.examples import Examples;"
        "e = Examples.load((np.eye(4), [0, 1, 0, 1])); e.fingerprint;"
        "print([m for m in ('torch', 'datasets', 'transformers', 'sklearn', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_file_of_plain_text_is_one_document(tmp_path: Path) -> None:
    texts = {"a.txt": "First line.\nSecond\u2028line.\n", "b.txt.gz": "Another document."}
    (tmp_path / "a.txt").write_text(texts["a.txt"])
    write_gzip(tmp_path / "b.txt.gz", texts["b.txt.gz"])
    given = Examples.load({"text": list(texts.values())})
    for source in (tmp_path, f"{tmp_path}/*", [tmp_path / name for name in texts]):
        assert Examples.load(source).ids.tolist() == given.ids.tolist()
        assert Examples.load(source).texts([0, 1]) == list(texts.values())
    (tmp_path / "README.md").write_text("What this is.")
    assert len(Examples.load(tmp_path)) == 2
    (tmp_path / "c.txt").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match="cannot be read"):
        Examples.load(f"{tmp_path}/*.txt")


def test_pictures_beside_a_list_of_classes_are_no_texts(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((4, 4), dtype=np.uint8)).save(tmp_path / name / "0.png")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    assert Examples.load(tmp_path).label_names == ("cat", "dog")
