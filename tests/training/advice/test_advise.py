"""advise(): on digits as they are and with flips, on bad requests, and the study that it writes."""

import numpy as np
import pytest

from scoring.errors import InputError
from scoring.examples import Examples
from scoring.table import ScoreTable
from training.advice.advise import advise
from training.advice.noise_check import NoiseCheck, checked_labels
from training.advice.planted_flips import PlantedCheck
from training.cell_data import DataRequest
from training.interventions.noisy_labels import flip_labels
from training.laws.uncertainty.interval import Interval
from training.studies.pruning import Pruning
from training.studies.study_file import read_study

FAST = {"seeds": (0,), "epochs": 8, "device": "cpu"}
QUICK = {**FAST, "train": {"lr": 0.1}, "planted": (0.1,), "folds": 3}


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    features = (np.array([[0, 4], [4, -3], [-4, -3]])[labels] + rng.normal(size=(300, 2))).astype(np.float32)
    seen = np.where(np.arange(300) < 60, labels, -1)
    checked = [str(each) if each >= 0 else None for each in seen]
    return Examples.load({"features": features, "label": labels, "id": np.arange(300), "person": checked})


def test_a_small_world(blobs, tmp_path):
    found = advise(blobs, "linear", keep=["50%"], **QUICK)
    assert found.noise.sees and found.noise.planted[0].recall > 0.7
    assert found.recommendations[0].choice == "keep hard" and found.parameters == 9
    noisy = flip_labels(blobs, 0.2).examples
    again = advise(noisy, "linear", keep=["50%"], checked="person", out=tmp_path, **QUICK)
    assert again.recommendations[0].choice in ("drop the hardest", "keep easy")
    assert again.noise.checked_rows == 60 and 0.2 in again.noise.checked
    assert again.noise.estimate.value == pytest.approx(0.2, abs=0.06) and (tmp_path / "as-is").is_dir()


def test_scores_that_other_runs_would_not_repeat(blobs):
    rng = np.random.default_rng(1)
    runs = rng.normal(size=(3, 300))
    columns = {"noise": runs.mean(axis=0), **{f"noise.run{k}": values for k, values in enumerate(runs)}}
    table = ScoreTable.from_columns(blobs.ids, columns, "hard")
    described = {"noise": {"meaning": "hard"}} | {
        f"noise.run{k}": {"meaning": "hard", "role": "run", "parent": "noise"} for k in range(3)
    }
    table = ScoreTable(table.table, described, {"fingerprint": blobs.fingerprint})
    check = advise(blobs, "linear", keep=[0.5], **QUICK).noise
    found = advise(blobs, "linear", keep=[0.5], scores=table, noise=check)
    assert found.recommendations[0].because == "unreliable score"
    assert found.recommendations[0].way["take"] == "random"


def test_the_study_that_is_written_can_be_read(tmp_path):
    data = DataRequest("digits")
    advise(data, "mlp(hidden=[16])", keep=["40%"], noise=False, study_out=tmp_path / "sure.yaml", test="test")
    study = read_study(tmp_path / "sure.yaml")
    assert isinstance(study, Pruning) and [str(each) for each in study.budgets] == ["40%"]
    assert {"hardest by el2n@mean", "easiest by el2n@mean"} <= {way.name for way in study.ways}
    assert len(study.seeds) == 3 and study.architectures[0].options == {"hidden": [16]}


def test_the_study_has_no_share_that_a_way_of_it_cannot_keep(tmp_path):
    """Without the hardest 13 % no 90 % are left: the advice is given, and the study is of the other shares."""
    planted = (PlantedCheck(0.1, 0.21, 0.1, 0.1, 0.8, 0.01),)
    noise = NoiseCheck("linear", 0.9, Interval(0.11, 0.09, 0.13, 0.95), planted)
    file = tmp_path / "s.yaml"
    found = advise(DataRequest("digits"), keep=["90%", "87%", "50%"], noise=noise, study_out=file)
    assert [each.choice for each in found.recommendations] == [
        "keep easy",
        "drop the hardest",
        "drop the hardest",
    ]
    study = read_study(file)
    assert isinstance(study, Pruning) and [str(each) for each in study.budgets] == ["87%", "50%"]
    assert "90%" in file.read_text().partition("kind:")[0]
    advise(DataRequest("digits"), keep=["95%", "90%"], noise=noise, study_out=file)
    study = read_study(file)
    assert isinstance(study, Pruning) and [str(each) for each in study.budgets] == ["95%", "90%"]


def test_what_is_wrong_shows_before_anything_is_trained(blobs, tmp_path, monkeypatch):
    monkeypatch.setattr("training.advice.advise.noise_check", lambda *_, **__: pytest.fail("trained"))
    digits = DataRequest("digits")
    with pytest.raises(InputError, match=r"must end in \.yaml"):
        advise(digits, study_out=tmp_path / "s.txt")
    with pytest.raises(InputError, match="scores must be the path"):
        table = ScoreTable.from_columns(np.arange(3), {"a": np.arange(3.0)}, "hard")
        advise(digits, scores=table, study_out=tmp_path / "s.yaml")
    with pytest.raises(InputError, match="scores must be of all examples"):
        advise(blobs, scores=ScoreTable.from_columns(blobs.ids[:9], {"a": np.arange(9.0)}, "hard"))


def test_bad_requests(blobs, tmp_path):
    with pytest.raises(InputError, match="above 0 and below 1, got '100%'"):
        advise(blobs, "linear", keep=["100%"], noise=False)
    with pytest.raises(InputError, match="study_out needs data and model"):
        advise(blobs, "linear", noise=False, study_out=tmp_path / "s.yaml")
    with pytest.raises(InputError, match="a share of the rows"):
        advise(blobs, "linear", keep=["5 tokens"], noise=False)
    with pytest.raises(InputError, match="different shares"):
        advise(blobs, "linear", keep=[0.5, "50%"], noise=False)
    with pytest.raises(InputError, match="2 or more classes"):
        advise(Examples.load({"features": np.ones((3, 2), np.float32), "id": np.arange(3)}), "linear")
    with pytest.raises(InputError, match="checked must be one of"):
        advise(blobs, "linear", checked="persn", **FAST)
    with pytest.raises(InputError, match=r"must end in \.yaml"):
        advise(DataRequest("digits"), "linear", noise=False, study_out=tmp_path / "s.txt")


@pytest.mark.parametrize("form", ["numbers", "texts", "positions"])
def test_people_give_classes_as_labels_are_given(form):
    """Whole numbers with gaps are read as 2.0; they are the class 2, or the third one where classes have names."""
    labels = np.arange(40) % 3
    seen = [float(each) if row < 30 else None for row, each in enumerate(labels)]
    seen[0] = 2.0  # a wrong label
    data = {"features": np.eye(40, 3, dtype=np.float32), "label": labels, "id": np.arange(40), "person": seen}
    if form == "texts":
        data |= {
            "label": labels.astype(str),
            "person": ["" if each is None else f"{each:.0f}" for each in seen],
        }
    names = ["red", "green", "blue"] if form == "positions" else None
    examples = Examples.load(data, label_names=names)
    found = checked_labels(examples, "person")
    assert sorted(found) == list(range(30))
    assert [row for row, name in found.items() if examples.label_names[examples.labels[row]] != name] == [0]
    data["person"] = ["yes" if each else None for each in seen]
    with pytest.raises(InputError, match=r"must hold classes such as .*, got 'yes'"):
        checked_labels(Examples.load(data, label_names=names), "person")


@pytest.mark.slow
def test_digits_clean_and_with_flips():
    """Clean: hard-first is allowed at 50 and 30 %, random safer at 10 %. With 10 % flips: not hard-first anywhere."""
    clean = advise(DataRequest("digits"), "mlp", **FAST)
    assert [each.choice for each in clean.recommendations] == ["keep hard", "keep hard", "random is safer"]
    noisy = flip_labels(Examples.load("digits"), 0.1, 0).examples
    found = advise(noisy, "mlp", **FAST)
    choices = [each.choice for each in found.recommendations]
    assert choices == ["drop the hardest"] * 3
    assert found.noise.estimate.value == pytest.approx(0.1, abs=0.03) and 0.1 in found.noise.share
