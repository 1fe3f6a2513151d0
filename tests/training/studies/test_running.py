"""Folders of studies that are used again: what an earlier request left there is never taken for this one's."""

import numpy as np
import pytest
import torch

from scoring.engines.local import Local
from scoring.engines.slices import Slice
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.table import ScoreTable
from selection.budget import parse_budget
from selection.subset import Subset
from training.studies import running
from training.studies.choosing import choose
from training.studies.pruning import Pruning
from training.studies.running import run_study
from training.studies.ways import Way

RECIPE = {"batch_size": 16, "optimizer": "sgd", "lr": 0.1}
SCORES = {"scorers": "el2n@mean", "model": "linear", "seeds": [9], "train": {"epochs": 1, **RECIPE}}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    features = (rng.normal(size=(60, 2)) + labels[:, None]).astype(np.float32)
    train = Examples.load({"features": features[:40], "label": labels[:40], "id": np.arange(40)}, id="id")
    return train, Examples.load(
        {"features": features[40:], "label": labels[40:], "id": np.arange(40, 60)}, id="id"
    )


def asked(data, **changes):
    options = {
        "scores": SCORES, "select": "hardest by el2n@mean", "keep": "50%", "epochs": 1, "seeds": [0],
        "regimes": ["steps"],
    }  # fmt: skip
    return Pruning(data=data[0], test=data[1], train_settings=RECIPE, **{**options, **changes})


def test_a_slice_waits_for_the_scores_of_its_own_request(data, tmp_path, monkeypatch):
    """Not for those that an earlier request left in the folder: it would train the scoring runs beside slice 0."""
    monkeypatch.setattr(running, "PATIENCE", 0.0)
    slices = [Slice(i, 2, tmp_path / "parts", Local()) for i in range(2)]
    run_study(asked(data), tmp_path / "out", engine=slices[0])
    run_study(asked(data), tmp_path / "out", engine=slices[1])
    changed = asked(data, scores={**SCORES, "train": {"epochs": 2, **RECIPE}})
    with pytest.raises(TimeoutError, match="slice 0 has not prepared"):
        run_study(changed, tmp_path / "out", engine=slices[1])
    assert len(list((tmp_path / "out" / "scores").glob("*.parquet"))) == 1


def test_a_choice_is_made_again_where_anything_it_reads_changed(data, tmp_path):
    train = data[0]
    values = np.arange(40.0)

    def chosen(ids, meaning="hard", values=values):
        table = ScoreTable.from_columns(ids, {"s": values}, meaning, {"fingerprint": train.fingerprint})
        path = choose(tmp_path, train, table, Way("hardest", by="s"), parse_budget("25%"), 0)
        return path, sorted(Subset.read(tmp_path / path).ids.tolist())

    first, kept = chosen(train.ids)
    assert kept == list(range(30, 40))
    other, kept = chosen(train.ids[::-1])
    assert kept == list(range(10)), "the same values of other rows"
    turned, kept = chosen(train.ids, "easy")
    assert kept == list(range(10)) and len({first, other, turned}) == 3
    assert chosen(train.ids[::-1], values=values[::-1])[0] == first, "the order of a table plays no part"


def test_embeddings_in_a_file_are_told_by_what_they_hold(data, tmp_path):
    train = data[0]

    def chosen(vectors):
        np.save(tmp_path / "vectors.npy", vectors)
        way = Way("k_center")
        return choose(tmp_path, train, None, way, parse_budget(5), 0, embeddings=tmp_path / "vectors.npy")

    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(2, 40, 3)).astype(np.float32)
    assert chosen(one) != chosen(two)
    assert chosen(one) == chosen(one)


def test_modules_that_print_alike_are_different_models(data, tmp_path):
    modules = {
        "one": torch.nn.Sequential(torch.nn.Linear(2, 3)),
        "two": torch.nn.Sequential(torch.nn.Linear(2, 3)),
    }
    cells = asked(data, models=modules, select="random").cells(tmp_path)
    assert len({cell.run for cell in cells if cell.columns["way"] == "all"}) == 2
    functions = {name: (lambda examples: torch.nn.Linear(2, 3)) for name in ("one", "two")}
    cells = asked(data, models=functions, select="random").cells(tmp_path)
    assert len({cell.run for cell in cells if cell.columns["way"] == "all"}) == 2, "two functions of one name"


def test_other_groups_of_the_same_test_examples_are_judged_again(data, tmp_path):
    train, test = data
    features, labels = test.features(np.arange(20)), test.labels

    def table(groups):
        told = Examples.load(
            {"features": features, "label": labels, "id": np.arange(40, 60), "group": groups}, id="id"
        )
        found = run_study(asked((train, told), select="random", groups=["group"]), tmp_path)
        return {
            row["group"]: row["value"]
            for row in found.to_pylist()
            if (row["way"], row["metric"]) == ("all", "accuracy") and row["group"].startswith("group:")
        }

    assert table(["a", "b"] * 10).keys() == {"group:a", "group:b"}
    assert table(["c"] * 20).keys() == {"group:c"}


def test_epochs_of_all_examples_are_epochs_where_steps_are_no_whole_epochs(data, tmp_path):
    """40 rows are 3 updates of 16: four updates are 1 epoch, and 3 of them would be all that the others get."""
    study = asked(data, epochs=None, steps=4, select="random", regimes=["steps", "epochs"])
    table = run_study(study, tmp_path).to_pylist()
    lengths = {(row["way"], row["regime"]): (row["steps"], row["epochs"]) for row in table}
    assert lengths["all", "1 epochs"] == (3, 1.0) and lengths["random", "1 epochs"][1] == 1.0
    assert lengths["all", "4 steps"][0] == lengths["random", "4 steps"][0] == 4


def test_scoring_seeds_are_not_judged(data):
    with pytest.raises(InputError, match="seeds of scores must not be seeds of the study, and both have 9"):
        asked(data, seeds=[8, 9])


def test_rows_from_elsewhere_must_not_be_test_examples(data, tmp_path):
    variants = {"mixed": [{"off_domain": {"data": data[1], "count": 5}}]}
    for leaked in ("error", "drop"):
        with pytest.raises(InputError, match="variant mixed adds 5 rows whose input is in the test data too"):
            asked(data, variants=variants, select="random", leaked=leaked).cells(tmp_path)
    assert asked(data, variants=variants, select="random", leaked="keep").cells(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1"),
        ({"epochs": None, "steps": 0}, "steps must be a whole number of at least 1"),
        ({"groups": "column"}, "groups must be a list"),
        ({"variants": ["clean"]}, "variants must be lists of interventions, each with a name"),
        ({"models": 3}, "models must be"),
        ({"keep": None}, "keep must be"),
    ],
)  # fmt: skip
def test_wrong_keys_are_one_sentence(data, wrong, said):
    with pytest.raises(InputError, match=said):
        asked(data, **wrong)
