"""Study files: YAML and Python come to the same grid; mistakes are one sentence."""

import json

import pytest

from scoring.errors import InputError
from training.cell_data import DataRequest
from training.studies.pruning import Pruning
from training.studies.running import run_study
from training.studies.study_file import make_study, read_study
from training.studies.ways import Way, read_ways, settle_ways

YAML = """
kind: pruning
data: {source: rows.jsonl, text: text, label: kind}
test: test
models: linear
scores: {scorers: [el2n@mean, aum], model: linear, seeds: [7], train: {epochs: 2}}
select:
  - hardest by el2n@mean
  - {take: stratified, by: aum, drop_hardest: 0.1}
keep: [50%, 20%]
seeds: [0, 1]
epochs: 2
regimes: [steps]
train: {lr: 0.1, optimizer: sgd}
variants:
  clean:
  noisy: [{uniform_noise: 0.1}]
"""


@pytest.fixture
def folder(tmp_path):
    rows = [
        {"id": k, "text": f"{'red' if k % 2 else 'blue'} number {k}", "kind": "a" if k % 2 else "b",
         "split": "train" if k < 40 else "test"}
        for k in range(60)
    ]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "study.yaml").write_text(YAML)
    return tmp_path


def test_a_file_is_a_grid(folder):
    found = read_study(folder / "study.yaml")
    assert isinstance(found, Pruning) and found.train_settings == {"lr": 0.1, "optimizer": "sgd"}
    assert [way.name for way in found.ways] == [
        "random", "stratified random", "hardest by el2n@mean", "stratified by aum, drop_hardest=0.1"
    ]  # fmt: skip
    table = run_study(found, folder / "out")
    assert (
        len({(row["variant"], row["way"], row["budget"], row["seed"]) for row in table.to_pylist()})
        == 2 * 9 * 2
    )


def test_a_python_file_makes_the_same_runs(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "study.py").write_text(
        "from training.cell_data import DataRequest\n"
        "from training.studies.pruning import Pruning\n"
        "study = Pruning(data=DataRequest('rows.jsonl', {'text': 'text', 'label': 'kind'}), test='test',\n"
        "    models='linear', select=['random'], keep='50%', seeds=[0], epochs=1)\n"
    )
    (folder / "same.yaml").write_text(
        "data: {source: rows.jsonl, text: text, label: kind}\ntest: test\nselect: [random]\nkeep: 50%\n"
        "seeds: [0]\nepochs: 1\nmodels: linear\n"
    )
    runs = [
        set(run_study(read_study(folder / name), folder / "out")["run"].to_pylist())
        for name in ("study.py", "same.yaml")
    ]
    assert runs[0] == runs[1]


def test_a_folder_called_digits_is_not_the_built_in_data(folder):
    (folder / "digits").mkdir()
    assert make_study({"data": "digits"}, folder).data == DataRequest("digits")


def test_paths_beside_the_file_and_environment_variables(folder, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert read_study(folder / "study.yaml").material().test.split == "test"
    monkeypatch.setenv("ROWS", str(folder))
    found = make_study({"data": "${ROWS}/rows.jsonl"})
    assert found.data == DataRequest(f"{folder}/rows.jsonl")
    with pytest.raises(InputError, match="environment variable that is not set"):
        make_study({"data": "${NOT_THERE_AT_ALL}/rows.jsonl"})


def test_tables_embeddings_and_sources_beside_the_file_too(folder):
    for name in ("scores.parquet", "vectors.npy", "other.jsonl"):
        (folder / name).touch()
    given = {
        "data": "rows.jsonl",
        "scores": ["scores.parquet", {"table": "scores.parquet"}],
        "embeddings": "vectors.npy",
    }
    given["variants"] = {"mixed": [{"off_domain": {"data": {"source": "other.jsonl"}, "share": 0.1}}]}
    found = make_study(given, folder)
    assert [each.table for each in found.score_requests] == [str(folder / "scores.parquet")] * 2
    assert found.embeddings == str(folder / "vectors.npy")
    assert found.interventions["mixed"][0].data["source"] == str(folder / "other.jsonl")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: prunning", "Did you mean 'pruning'"),
        ("data: digits\nmodel: linear", "Did you mean 'models'"),
        ("kind: pruning", "the keys 'data' are needed"),
        ("data: {label: x}", "data must be a source"),
        ("data: digits\ntrain: 3", "settings and their values"),
        ("data: digits\nselect: [hardest by]", "STRATEGY by SCORE"),
        ("data: digits\nselect: [{tak: hardest}]", "take"),
        ("data: digits\nscores: {scorer: el2n}", "Did you mean 'scorers'"),
        ("data: digits\nscores: {scorers: el2n, folds: 3}", "name model"),
        ("data: digits\nkeep: [0]", "keep"),
        ("- a\n- b", "keys and values"),
        ("a: [", "is not YAML"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path, text, words):
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(InputError, match=words) as error:
        read_study(tmp_path / "study.yaml")
    assert "\n" not in str(error.value)


def test_files_that_are_no_studies(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        read_study(tmp_path / "x.yaml")
    (tmp_path / "x.py").write_text("study = 3\n")
    with pytest.raises(InputError, match="must set study"):
        read_study(tmp_path / "x.py")
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(InputError, match=r"\.yaml or \.py"):
        read_study(tmp_path / "x.txt")


def test_ways_as_they_are_written():
    assert read_ways("hardest by el2n") == [Way("hardest", by="el2n")]
    assert read_ways([{"take": "band", "by": ["a", "b"], "low": 0.1}]) == [
        Way("band", {"low": 0.1}, by="a"), Way("band", {"low": 0.1}, by="b")
    ]  # fmt: skip
    settled = settle_ways(read_ways(["random", "all", {"take": "random", "balance": "equal"}]), "none")
    assert [way.name for way in settled] == ["random", "stratified random", "random, balance equal"]
