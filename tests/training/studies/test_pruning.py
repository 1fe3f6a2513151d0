"""The pruning study: a tidy table with both baselines, resumable, the same on every engine."""

import json
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from scoring.checkpoints import RunDirectory
from scoring.engines.local import Local
from scoring.engines.processes import Processes
from scoring.engines.slices import Slice
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.table import ScoreTable
from selection.run import select
from training.cell_data import DataRequest
from training.cells import CellsFailed
from training.studies import classification
from training.studies.pruning import Pruning, pruning_study
from training.studies.running import run_study
from training.studies.table import SCHEMA, read_table
from training.studies.ways import Way

RECIPE = {"batch_size": 16, "optimizer": "sgd", "lr": 0.1}


@pytest.fixture(scope="module")
def blobs():
    """Three classes in the plane, and a score that is the distance from the own centre."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120)
    centres = np.array([[0, 3], [3, -2], [-3, -2]])
    features = (centres[labels] + rng.normal(size=(120, 2))).astype(np.float32)
    train = Examples.load({"features": features[:80], "label": labels[:80], "id": np.arange(80)})
    test = Examples.load({"features": features[80:], "label": labels[80:], "id": np.arange(80, 120)})
    distance = np.linalg.norm(features - centres[labels], axis=1)[:80]
    table = ScoreTable.from_columns(
        train.ids, {"distance": distance}, "hard", {"fingerprint": train.fingerprint}
    )
    return train, test, table


def study(blobs, out, **changes):
    train, test, table = blobs
    options = {"by": "distance", "keeps": (0.5, 10), "steps": 6, "seeds": (0, 1), "evaluate": test}
    return pruning_study(train, "linear", table, out=out, **{**options, **RECIPE, **changes})


def grid(blobs, **changes):
    train, test, table = blobs
    options = {
        "models": "linear",
        "scores": table,
        "select": ["hardest by distance"],
        "keep": ["50%"],
        "epochs": 2,
        "train_settings": RECIPE,
    }
    return Pruning(data=train, test=test, seeds=[0, 1], **{**options, **changes})


@pytest.fixture(scope="module")
def finished(blobs, tmp_path_factory):
    out = tmp_path_factory.mktemp("study")
    return study(blobs, out), out


def cells_of(table, *names):
    names = names or ("way", "budget", "seed")
    return list(dict.fromkeys(tuple(row[name] for name in names) for row in table.to_pylist()))


def without_time(table):
    return table.drop_columns(["wall_time_s"]).to_pylist()


def test_every_cell_stands_beside_both_baselines_and_all(finished):
    table, out = finished
    assert table.schema.equals(SCHEMA)
    ways = [("all", None)]
    named = ("random", "stratified random", "hardest by distance", "easiest by distance")
    ways += [(way, budget) for way in named for budget in ("50%", "10 rows")]
    assert cells_of(table) == [(*way, seed) for seed in (0, 1) for way in ways]
    assert set(table["keep"].to_pylist()) == {1.0, 0.5, 0.125}
    assert set(table["rows"].to_pylist()) == {80, 40, 10}
    assert set(table["steps"].to_pylist()) == {6} and set(table["regime"].to_pylist()) == {"6 steps"}
    test = [row for row in table.to_pylist() if row["split"] == "evaluation" and not row["group"]]
    metrics = {row["metric"]: row["value"] for row in test}
    assert {"accuracy", "loss", "macro_f1"} <= metrics.keys()
    assert all(0 <= row["value"] <= 1 for row in test if row["metric"] in ("accuracy", "macro_f1"))
    assert all((out / row["run"] / "run.json").exists() for row in test)
    assert pq.ParquetFile(out / "study.parquet").read().equals(table) and read_table(out).equals(table)


def test_what_runs_say_is_what_they_did(finished, blobs):
    """Accuracy per class and class shares by hand from what was kept."""
    table, out = finished
    train = blobs[0]
    for row in table.to_pylist():
        if (row["way"], row["metric"]) != ("hardest by distance", "representation"):
            continue
        kept = RunDirectory.open(out / row["run"]).trained_on(train.ids)
        label = train.label_names.index(row["group"].removeprefix("class:"))
        share = (train.labels[kept] == label).mean() / (train.labels == label).mean() - 1
        assert row["value"] == pytest.approx(share) and row["split"] == "train"
    rows = [row for row in table.to_pylist() if row["split"] == "evaluation" and row["metric"] == "accuracy"]
    test = blobs[1]
    counts = {f"class:{name}": int((test.labels == k).sum()) for k, name in enumerate(test.label_names)}
    for run in {row["run"] for row in rows}:
        mine = {row["group"]: row["value"] for row in rows if row["run"] == run}
        right = sum(mine[name] * count for name, count in counts.items())
        assert right / len(test) == pytest.approx(mine[""])


def test_random_shares_differ_between_seeds_and_hardest_do_not(finished):
    table, out = finished
    kept = {}
    for row in table.to_pylist():
        config = RunDirectory.open(out / row["run"]).config
        kept.setdefault((row["way"], row["rows"]), set()).add(config["subset"] and config["subset"]["hash"])
    assert len(kept[("random", 40)]) == len(kept[("stratified random", 40)]) == 2
    assert len(kept[("hardest by distance", 40)]) == 1
    assert kept[("all", 80)] == {None}


def test_the_stratified_baseline_keeps_every_class_its_share(finished):
    for row in finished[0].to_pylist():
        if row["way"] == "stratified random" and row["metric"] == "representation" and row["rows"] == 40:
            assert abs(row["value"]) < 0.06, "40 rows of 3 classes, to the nearest row"


def test_final_weights_go_unless_they_are_wanted(finished, blobs, tmp_path):
    assert not list(finished[1].rglob("*.safetensors"))
    run_study(grid(blobs, weights=True, regimes=["steps"]), tmp_path)
    assert len(list(tmp_path.rglob("checkpoints/*/*.safetensors"))) == len(
        list((tmp_path / "runs").iterdir())
    )


def test_a_finished_study_is_read_and_an_interrupted_one_continues(blobs, finished, tmp_path, monkeypatch):
    done, train_one = [], classification.train_one

    def interrupted(*args, **kwargs):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(train_one(*args, **kwargs))
        return done[-1]

    monkeypatch.setattr(classification, "train_one", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study(blobs, tmp_path)
    monkeypatch.undo()
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("evaluations.parquet")}
    assert len(before) == 5
    assert without_time(study(blobs, tmp_path)) == without_time(finished[0])
    monkeypatch.setattr(classification, "train_one", None)
    assert without_time(study(blobs, tmp_path)) == without_time(finished[0]), "nothing is trained again"
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


def test_a_study_grows_and_mixes_nothing_up(blobs, tmp_path):
    small = run_study(grid(blobs), tmp_path)
    runs = {path.name for path in (tmp_path / "runs").iterdir()}
    grown = run_study(grid(blobs, select=["hardest by distance", "easiest by distance"]), tmp_path)
    assert runs < {path.name for path in (tmp_path / "runs").iterdir()}
    assert [row for row in without_time(grown) if row["take"] != "easiest"] == without_time(small)
    other = run_study(grid(blobs, train_settings={**RECIPE, "lr": 0.2}), tmp_path)
    assert not set(other["run"].to_pylist()) & set(grown["run"].to_pylist())
    assert cells_of(other) == cells_of(small)


def test_regimes_are_equal_updates_and_equal_epochs_and_one_run_at_all(blobs, tmp_path):
    table = run_study(grid(blobs), tmp_path)
    rows = {(row["way"], row["regime"], row["seed"]): row for row in table.to_pylist()}
    assert {regime for _, regime, _ in rows} == {"10 steps", "2 epochs"}
    assert {row["steps"] for (_, regime, _), row in rows.items() if regime == "10 steps"} == {10}
    assert {row["epochs"] for (_, regime, _), row in rows.items() if regime == "2 epochs"} == {2.0}
    assert rows["all", "10 steps", 0]["run"] == rows["all", "2 epochs", 0]["run"]
    assert rows["random", "10 steps", 0]["run"] != rows["random", "2 epochs", 0]["run"]


def test_all_engines_and_slices_give_one_table(blobs, tmp_path):
    local = run_study(grid(blobs), tmp_path / "local")
    many = run_study(grid(blobs), tmp_path / "processes", engine=Processes(2))
    assert without_time(many) == without_time(local)
    for i in range(3):
        last = run_study(grid(blobs), tmp_path / "slices", engine=Slice(i, 3, tmp_path / "parts", Local()))
    assert without_time(last) == without_time(local)


def test_row_order_plays_no_part(blobs, tmp_path):
    train, test, table = blobs
    order = np.random.default_rng(1).permutation(len(train))
    shuffled = (train.take(order), test, table)
    here, there = (run_study(grid(each), tmp_path / name) for each, name in ((blobs, "a"), (shuffled, "b")))
    same = [name for name in here.column_names if name != "wall_time_s"]
    assert here.select(same).equals(there.select(same))


def test_variants_are_scored_and_judged_by_themselves(blobs, tmp_path):
    scores = {"scorers": "el2n@mean", "model": "linear", "seeds": [9], "train": {"epochs": 3, **RECIPE}}
    variants = {"clean": [], "noisy": [{"uniform_noise": 0.2}]}
    asked = grid(blobs, scores=scores, select=["hardest by el2n@mean"], variants=variants, regimes=["steps"])
    table = run_study(asked, tmp_path)
    planted = {
        (row["variant"], row["way"]): row["value"] for row in table.to_pylist() if row["metric"] == "planted"
    }
    assert planted["clean", "all"] == 0 and planted["noisy", "all"] == pytest.approx(0.2)
    assert planted["noisy", "hardest by el2n@mean"] > 0.35, "wrong labels are hard"
    assert len(list((tmp_path / "scores").glob("*.parquet"))) == 2
    about = json.loads((tmp_path / "study.json").read_text())
    assert about["study"]["variants"]["noisy"]["realised"][0]["rate"] == pytest.approx(0.2)
    assert about["cells"] == 2 * 2 * 4
    costs = [json.loads(path.read_text()) for path in (tmp_path / "scores").glob("*.json")]
    assert all(each["flops"] > 0 and each["runs"] == 1 for each in costs)


def test_ways_have_options_and_balance_of_their_own(blobs, tmp_path):
    train, _, table = blobs
    ways = [Way("band", {"low": 0.2, "high": 0.7}), Way("hardest", balance="equal"), "hardest"]
    found = study(blobs, tmp_path, takes=[*ways, Way("random", balance="equal")], keeps=(10,), steps=2)
    cells = cells_of(found, "way", "by", "take", "options", "balance")
    assert cells == [
        ("all", None, "all", None, None),
        ("random", None, "random", None, "none"),
        ("stratified random", None, "random", None, "proportional"),
        ("band by distance, low=0.2, high=0.7", "distance", "band", "low=0.2, high=0.7", "none"),
        ("hardest by distance, balance equal", "distance", "hardest", None, "equal"),
        ("hardest by distance", "distance", "hardest", None, "none"),
        ("random, balance equal", None, "random", None, "equal"),
    ]
    runs = {row["way"]: row["run"] for row in found.to_pylist() if row["seed"] == 1}
    for way, options in (
        ("band by distance, low=0.2, high=0.7", {"take": "band", "low": 0.2, "high": 0.7}),
        ("hardest by distance, balance equal", {"take": "hardest", "balance": "equal"}),
        ("random, balance equal", {"take": "random", "balance": "equal"}),
    ):
        chosen = select(table, by="distance", keep=10, seed=1, groups=train, **options)
        run = RunDirectory.open(tmp_path / runs[way])
        assert set(train.ids[run.trained_on(train.ids)].tolist()) == set(chosen.ids.tolist())


def test_test_examples_among_the_data_are_refused_or_dropped(blobs, tmp_path):
    train, _, table = blobs
    leaking = (train, train.take(np.arange(7)), table)
    with pytest.raises(
        InputError,
        match=r"7 of 80 examples have an input that is in the test data too: .* and 4 more; leaked: drop",
    ):
        run_study(grid(leaking), tmp_path / "no")
    scores = {"scorers": "el2n@mean", "model": "linear", "seeds": [9], "train": {"epochs": 1, **RECIPE}}
    asked = grid(leaking, leaked="drop", scores=scores, select="hardest by el2n@mean", regimes=["steps"])
    table = run_study(asked, tmp_path / "dropped")
    assert {row["rows"] for row in table.to_pylist() if row["way"] == "all"} == {73}
    kept = ScoreTable.read(next((tmp_path / "dropped" / "scores").glob("*.parquet")))
    assert set(kept.ids.tolist()) == set(train.ids[7:].tolist()), "and not scored"


def three_outputs(examples, **options):
    from torch import nn

    return nn.Linear(examples.input_shape[0], examples.num_classes)


def test_models_that_are_code_of_the_users_own(blobs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "own_models", sys.modules[__name__])
    asked = grid(
        blobs, models={"text": "own_models:three_outputs", "function": three_outputs}, regimes=["steps"]
    )
    table = run_study(asked, tmp_path)
    assert {row["model"] for row in table.to_pylist() if row["metric"] == "accuracy"} == {"text", "function"}


def test_a_test_file_may_lack_a_rare_class(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        {"x": float(x), "y": float(y), "label": "abc"[k % 3]}
        for k, (x, y) in enumerate(rng.normal(size=(60, 2)))
    ]
    for name, part in (("train", rows[:45]), ("test", [row for row in rows[45:] if row["label"] != "c"])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    options = {"features": ["x", "y"], "label": "label"}
    data, test = (DataRequest(str(tmp_path / f"{name}.jsonl"), options) for name in ("train", "test"))
    asked = Pruning(
        data=data, test=test, select="random", keep=["50%"], seeds=[0], epochs=1, regimes=["steps"]
    )
    groups = set(run_study(asked, tmp_path / "out")["group"].to_pylist())
    assert asked.material().test.num_classes == 3 and "class:c" in groups


def test_a_fraction_of_every_class_may_be_held_out(blobs, tmp_path):
    train, _, _ = blobs
    asked = Pruning(
        data=train, test=0.25, select="random", keep=["50%"], seeds=[0], epochs=1, regimes=["steps"]
    )
    table = run_study(asked, tmp_path)
    sizes = {row["way"]: row["rows"] for row in table.to_pylist()}
    test = asked.material().test
    assert sizes["all"] + len(test) == len(train) and set(table["split"].to_pylist()) == {"held_out", "train"}
    assert not set(asked.material().variants["as is"].examples.ids.tolist()) & set(test.ids.tolist())


def test_a_run_that_fails_does_not_stop_the_others(blobs, tmp_path):
    asked = grid(
        blobs, models={"good": "linear", "bad": "mlp(hidden=[4])"}, train_settings={**RECIPE, "lr": 1e30}
    )
    with pytest.raises(CellsFailed, match="cells failed") as error:
        run_study(asked, tmp_path)
    assert "seed 0" in str(error.value)
    assert (tmp_path / "study.parquet").is_file()


def test_results_of_groups(blobs, tmp_path):
    train, test, table = blobs
    columns = {"features": test.features(np.arange(40)), "label": test.labels, "id": test.ids}
    side = np.where(columns["features"][:, 0] > 0, "right", "left")
    test = Examples.load(
        {**columns, "side": side}, label_names=train.label_names, features="features", label="label", id="id"
    )
    found = run_study(grid((train, test, table), groups=["side"], regimes=["steps"]), tmp_path)
    rows = [row for row in found.to_pylist() if row["metric"] == "accuracy" and row["split"] == "evaluation"]
    for run in {row["run"] for row in rows}:
        mine = {row["group"]: row["value"] for row in rows if row["run"] == run}
        both = (
            mine["side:left"] * (side == "left").sum() + mine["side:right"] * (side == "right").sum()
        ) / 40
        assert both == pytest.approx(mine[""])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 2}, "give steps or epochs, and not both"),
        ({"steps": None}, "give steps or epochs, and not both"),
        ({"seeds": []}, "one or more different whole numbers"),
        ({"keeps": (0.5, "50%")}, "one or more different budgets"),
        ({"keeps": ()}, "at least one each"),
        ({"takes": ["hardest", "hardest"]}, "must not repeat, got 'hardest by distance' twice"),
        ({"evaluate": None}, "no test split"),
        ({"evaluate": "tst"}, "tst"),
        ({"by": "distanc"}, "distance"),
        ({"takes": ["hardst"]}, "hardest"),
        ({"lrr": 1}, "lr"),
    ],
)
def test_errors_come_before_any_training_and_are_one_sentence(blobs, tmp_path, changes, words):
    with pytest.raises(InputError, match=words) as error:
        study(blobs, tmp_path / "runs", **changes)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "runs" / "runs").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"regimes": ["step"]}, "steps, epochs, or both"),
        ({"models": "linaer"}, "linear"),
        ({"train_settings": {"optimizer": "adamm"}}, "adam"),
        ({"select": [{"take": "hardest", "by": 3}]}, "by must be the name of a score"),
        ({"leaked": "keeps"}, "one of error, drop, keep"),
        ({"train_settings": {"steps": 3}}, "train must not give steps"),
        ({"scores": ()}, "needs scores, and the study names none"),
        ({"groups": ["place"]}, "groups must be one of"),
        ({"variants": {"x": [{"unifrom_noise": 0.1}]}}, "uniform_noise"),
        ({"epochs": 2, "steps": 3}, "epochs or steps, not both"),
    ],
)
def test_mistakes_of_a_grid(blobs, tmp_path, changes, words):
    with pytest.raises(InputError, match=words) as error:
        run_study(grid(blobs, **changes), tmp_path)
    assert "\n" not in str(error.value)


def test_scores_of_other_data_are_refused(blobs, tmp_path):
    train, test, table = blobs
    noisy = train.with_labels((train.labels + 1) % 3)
    with pytest.raises(InputError, match="what the scores were computed on"):
        study((noisy, test, table), tmp_path)
