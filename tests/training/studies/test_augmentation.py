"""The augmentation study: labels, gate and scores of a pool are out-of-sample, and every way adds equally many rows."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from scoring.engines.processes import Processes
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.table import ScoreTable
from selection.subset import Subset
from tests.references.augmentation_slow import highest_slow, passing_slow
from training.studies.augmentation import Augmentation
from training.studies.labeller import Labeller, pool_probabilities, pool_scores
from training.studies.labelling import Labelling, passing
from training.studies.outcomes import higher_is_better, outcomes
from training.studies.running import run_study
from training.studies.scores import ScoreRequest
from training.studies.study_file import read_study

CENTRES = np.array([[0, 3], [3, -2], [-3, -2]])
NAMES = ["a", "b", "c"]
RECIPE = {"batch_size": 16, "optimizer": "sgd", "lr": 0.1}


def columns(first, last, order=None):
    """Rows of three overlapping classes in the plane; every fifth weak label is wrong."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 240)
    features = (CENTRES[labels] + 1.8 * rng.normal(size=(240, 2))).astype(np.float32)
    weak = np.where(np.arange(240) % 5 == 0, (labels + 1) % 3, labels)
    rows = np.arange(first, last) if order is None else np.arange(first, last)[order]
    return {
        "x": features[rows], "id": rows, "true": [NAMES[each] for each in labels[rows]],
        "weak": [NAMES[each] for each in weak[rows]],
    }  # fmt: skip


def load(first, last, label="true", order=None):
    return Examples.load(
        columns(first, last, order), features="x", label=label, id="id", label_names=NAMES if label else None
    )


def study(**changes):
    options = {
        "data": load(0, 40), "test": load(40, 100), "pool": load(100, 240, False), "truth": "true",
        "models": "linear", "select": ["highest by entropy", "hardest by el2n"], "keep": [12], "steps": 6,
        "scores": {"scorers": ["entropy", "el2n"]}, "labeller": {"seeds": [7, 8]}, "seeds": [0, 1],
        "regimes": ["steps"], "train_settings": RECIPE,
    }  # fmt: skip
    return Augmentation(**{**options, **changes})


def prepared(asked, out):
    from scoring.engines.local import Local

    asked.prepare(out, Local(), False)
    return asked.cells(out)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("augmentation")
    asked = study(
        pools={"open": {}, "gated": {"confidence": 0.6}}, keep=[12, "50%"], regimes=["steps", "epochs"]
    )
    asked = replace(asked, seeds=[0])
    return asked, run_study(asked, out), out


def test_every_way_adds_exactly_as_many_rows_and_updates_are_equal(finished):
    asked, table, _ = finished
    behind = {name: told["behind_gate"] for name, told in asked.realised.items()}
    assert behind["open"] == 140 and 24 < behind["gated"] < 140
    for row in table.to_pylist():
        pool = behind[row["variant"]]
        half = int(np.floor(pool / 2 + 0.5))
        added = {None: 0, "12 rows": 12, "50%": half, "100%": pool}[row["budget"]]
        assert row["rows"] == 40 + added and row["keep"] == added / pool
        if row["regime"] == "6 steps":
            assert row["steps"] == 6
        else:
            assert row["regime"] == "2 epochs" and row["steps"] == 2 * -(-row["rows"] // 16)
    ways = ["all", "whole pool", "random", "stratified random", "highest by entropy", "hardest by el2n"]
    assert [each.way for each in outcomes(table) if each.variant == "open" and each.budget != "50%"][
        ::2
    ] == ways
    # The labelled data alone are one run, whatever the pool and the regime.
    assert len({row["run"] for row in table.to_pylist() if row["way"] == "all"}) == 1


def test_equal_additions_behind_two_gates_are_measured_against_their_own(tmp_path):
    asked = study(
        pools={"open": {}, "gated": {"confidence": 0.6}, "unknown": {"confidence": 0.6}},
        select=["lowest by entropy"], keep=[5], scores={"scorers": "entropy"}, seeds=[0], labeller={"seeds": [7]},
    )  # fmt: skip
    cells = [each for each in prepared(asked, tmp_path) if each.columns["way"] == "lowest by entropy"]
    opened, gated, same = cells
    added = [Subset.read(tmp_path / each.task["added"]).ids.tolist() for each in cells]
    assert sorted(added[0]) == sorted(added[1])
    assert gated.run == same.run != opened.run
    measured = []
    for each in (opened, gated):
        job, planted_N = asked.job_of(tmp_path, each.task)
        measured.append(asked.train_measures(tmp_path, each.task, job, planted_N))
    assert measured[0] != measured[1]


def test_labellers_of_other_weights_are_told_apart():
    from torch import nn

    first, second = nn.Linear(2, 3), nn.Linear(2, 3)
    assert Labeller(model=first).told == Labeller(model=first).told != Labeller(model=second).told


def test_gates_are_told_apart_to_the_last_digit(tmp_path):
    asked = study(
        pools={"one": {"confidence": 1.0}, "nearly": {"confidence": 1 - 1e-9}}, labeller={"seeds": [7]}
    )
    for name in asked.labellings:
        asked.labelled_pool("as is", name, tmp_path)
    assert len(list((tmp_path / "pools").iterdir())) == 2


def test_scores_against_another_target_of_the_same_name_are_made_again(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr("training.studies.labeller.score", lambda *_, out, **__: made.append(out))
    for target in (load(0, 20), load(20, 40)):
        pool_scores(
            ScoreRequest(scorers="density", options={"target": target}), study().labelled_by, load(0, 40),
            load(100, 240), tmp_path, None, "cpu", False, False,
        )  # fmt: skip
    assert len(set(made)) == 2


def test_the_table_tells_wrong_labels_and_classes_of_what_was_added(finished):
    asked, table, out = finished
    told = json.loads((out / "study.json").read_text())["study"]["labelled"]
    assert told == asked.realised and told["open"]["wrong"] > told["gated"]["wrong_behind_gate"]
    found = asked.labelled_pool("as is", "open", out)
    true_P = np.array([NAMES.index(each) for each in columns(100, 240)["true"]])
    assert told["open"]["wrong"] == np.mean(found.labels_P != true_P)
    wrong = {(each.variant, each.way, each.budget): each for each in outcomes(table, "wrong", split="train")}
    assert ("open", "all", None) not in wrong
    assert wrong["open", "whole pool", "100%"].mean == told["open"]["wrong"]
    assert wrong["gated", "whole pool", "100%"].mean == told["gated"]["wrong_behind_gate"]
    assert not higher_is_better("wrong")
    share = outcomes(table, "representation", split="train", group="class:a")
    whole = next(each for each in share if (each.variant, each.way) == ("open", "whole pool"))
    assert whole.mean == 0


def test_labels_gate_and_choice_are_those_of_the_slow_twin(finished):
    asked, _, out = finished
    material = asked.material()
    pool = material.pool
    runs = next(each for each in (out / "labellers").iterdir()) / "labeller"
    with_labels = load(100, 240)
    probabilities = pool_probabilities(asked.labelled_by, runs, with_labels, "cpu", False)
    labels = probabilities.argmax(axis=1)
    entropy = -(probabilities * np.log(probabilities)).sum(axis=1)
    for name, confidence in (("open", None), ("gated", 0.6)):
        found = asked.labelled_pool("as is", name, out)
        rows = passing_slow(labels.tolist(), probabilities.tolist(), pool.ids, confidence)
        assert found.labels_P.tolist() == labels.tolist()
        assert set(np.flatnonzero(found.passes_P).tolist()) == rows
        assert asked.realised[name]["behind_gate"] == len(rows)
        scores = asked.scores_of_pool("as is", name, out)
        values = scores.column("entropy")[scores.rows_of(pool.ids)]
        # The score is the mean of the runs' entropies, at least nearly that of the mean.
        assert np.corrcoef(values, entropy)[0, 1] > 0.9
        cell = next(
            each for each in asked.cells(out)
            if each.columns["variant"] == name and each.columns["way"] == "highest by entropy"
            and each.columns["budget"] == "12 rows"
        )  # fmt: skip
        added = Subset.read(out / cell.task["added"])
        assert set(pool.rows_of(added.ids).tolist()) == highest_slow(values.tolist(), sorted(rows), 12)
        job, _ = asked.job_of(out, cell.task)
        assert job.examples.ids.tolist()[:40] == list(range(40))
        appended = job.examples.rows_of(added.ids)
        assert job.examples.labels[appended].tolist() == labels[pool.rows_of(added.ids)].tolist()


@pytest.mark.parametrize(
    "given", [{"confidence": 0.5}, {"confidence": 0}, {"most": "30%"}, {"most": 25}, {"most": "100%"}, {}]
)
def test_the_gate_against_its_slow_twin_on_random_cases(given):
    rng = np.random.default_rng(3)
    for _ in range(5):
        # Rounded, so that there are ties.
        probabilities = np.round(rng.dirichlet(np.ones(3), 60), 1) + 1e-3
        labels, ids = rng.integers(0, 3, 60), rng.permutation(60)
        most = {"30%": 18, "100%": 60}.get(given.get("most"), given.get("most"))
        expected = passing_slow(labels.tolist(), probabilities.tolist(), ids, given.get("confidence"), most)
        found = passing(Labelling(labels="given", **given), labels, probabilities, ids)
        assert set(np.flatnonzero(found).tolist()) == expected


def test_given_labels_are_matched_by_name_and_agreement_finds_the_wrong_ones(tmp_path):
    # The pool's own order of classes differs from the data's.
    pool = Examples.load(columns(100, 240), features="x", label="weak", id="id", label_names=["c", "b", "a"])
    asked = study(
        pool=pool, pools={"open": {"labels": "given"}, "agreeing": {"labels": "given", "confidence": 0}}
    )
    cells = prepared(asked, tmp_path)
    found = asked.labelled_pool("as is", "open", tmp_path)
    assert [NAMES[each] for each in found.labels_P] == columns(100, 240)["weak"]
    assert asked.realised["open"] == {
        "rows": 140, "behind_gate": 140, "wrong": 0.2, "wrong_behind_gate": 0.2,
    }  # fmt: skip
    assert asked.realised["agreeing"]["wrong_behind_gate"] < 0.1
    assert {each.columns["variant"] for each in cells} == {"open", "agreeing"}


def test_without_gate_and_model_scores_no_labeller_is_trained(tmp_path):
    values = np.arange(140.0)
    table = ScoreTable.from_columns(np.arange(100, 240), {"rank": values}, "hard")
    asked = study(pool=load(100, 240, "weak"), labels="given", scores=table, select=["hardest by rank"])
    cells = prepared(asked, tmp_path)
    assert not (tmp_path / "labellers").exists()
    cell = next(each for each in cells if each.columns["way"] == "hardest by rank")
    assert sorted(Subset.read(tmp_path / cell.task["added"]).ids.tolist()) == list(range(228, 240))


def test_row_order_never_matters(tmp_path):
    def runs(out, data, pool):
        asked = study(
            data=data, pool=pool, confidence=0.5, select=["highest by entropy", "stratified by el2n"]
        )
        return {(each.name, each.run) for each in prepared(asked, out)}

    turned = np.random.default_rng(1).permutation(140)
    one = runs(tmp_path / "one", load(0, 40), load(100, 240, False))
    other = runs(tmp_path / "two", load(0, 40, order=np.arange(40)[::-1]), load(100, 240, False, turned))
    assert one == other


def test_rows_of_the_test_or_the_data_are_never_added(tmp_path):
    with pytest.raises(
        InputError, match=r"20 of 160 rows of the pool have an input that is in the test data"
    ):
        study(pool=load(80, 240, False)).material()
    asked = study(pool=load(80, 240, False), leaked="drop")
    assert asked.material().left_out == {"in_test": 20, "in_data": 0}
    assert min(asked.material().pool.ids) == 100
    both = study(pool=load(0, 240, False), leaked="drop")
    assert both.material().left_out == {"in_test": 60, "in_data": 40}
    with pytest.raises(InputError, match="neither in the data nor in the test, got none"):
        study(pool=load(0, 100, False), leaked="drop").material()


def test_an_interrupted_study_continues_and_workers_come_to_the_same(tmp_path, monkeypatch):
    asked = study(seeds=[0], select=["hardest by el2n"])
    train = Augmentation.train
    done = []

    def stop(self, out, run, task, progress):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(run)
        train(self, out, run, task, progress)

    monkeypatch.setattr(Augmentation, "train", stop)
    with pytest.raises(KeyboardInterrupt):
        run_study(asked, tmp_path / "here")
    monkeypatch.setattr(Augmentation, "train", train)
    before = {each: (tmp_path / "here" / each / "run.json").stat().st_mtime_ns for each in done}
    table = run_study(study(seeds=[0], select=["hardest by el2n"]), tmp_path / "here")
    assert {each: (tmp_path / "here" / each / "run.json").stat().st_mtime_ns for each in done} == before
    other = run_study(asked, tmp_path / "there", engine=Processes(1))
    assert table.drop_columns("wall_time_s").equals(other.drop_columns("wall_time_s"))


def test_a_study_file_from_end_to_end(tmp_path):
    import pandas as pd

    for name, (first, last) in {"data": (0, 40), "test": (40, 100), "pool": (100, 240)}.items():
        frame = pd.DataFrame({key: list(value) for key, value in columns(first, last).items() if key != "x"})
        frame[["x0", "x1"]] = columns(first, last)["x"]
        frame.to_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "study.yaml").write_text(
        """
        kind: augmentation
        data: {source: data.parquet, features: [x0, x1], label: true, id: id}
        test: {source: test.parquet, features: [x0, x1], label: true, id: id}
        pool: {source: pool.parquet, features: [x0, x1], label: false, id: id}
        truth: "true"
        labels: pseudo
        confidence: 0.5
        models: linear
        labeller: {seeds: [7]}
        scores: {scorers: entropy}
        select: [lowest by entropy]
        keep: [10]
        steps: 3
        regimes: [steps]
        seeds: [0]
        """.replace("label: true", 'label: "true"')
    )
    asked = read_study(tmp_path / "study.yaml")
    table = run_study(asked, tmp_path / "out")
    assert {row["way"] for row in table.to_pylist()} == {
        "all", "whole pool", "random", "stratified random", "lowest by entropy"
    }  # fmt: skip
    assert pq.ParquetFile(tmp_path / "out" / "study.parquet").read().equals(table)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": "given"}, "needs a pool with labels, and arrays has none"),
        ({"labels": "guessed"}, "guessed"),
        ({"confidence": 90}, "a probability from 0 to 1"),
        ({"confidence": 0.9, "most": "50%"}, "give confidence or most, not both"),
        (
            {"confidence": 1, "keep": [50]},
            "keep asks for 50 rows of the pool, and 0 of 140 rows may be added",
        ),
        ({"keep": [141]}, "keep asks for 141 rows of the pool, and 140 of 140 rows may be added"),
        ({"keep": ["10 tokens"]}, "in rows"),
        ({"truth": "gold"}, "gold"),
        ({"labeller": {"seed": [1]}}, "seed"),
        ({"labeller": {"seeds": [1, 7]}}, r"other than those of the study, got \[1\]"),
        ({"pools": {"gated": {"confidences": 0.9}}}, "confidence"),
        ({"scores": {"scorers": "el2n", "model": "linear", "folds": 3}}, "need no folds"),
        ({"select": ["hardest by el2m"]}, "el2n"),
        ({"embeddings": np.zeros((140, 2))}, "a file or folder with the ids"),
        ({"pool": Examples.from_arrays(["a text", "another"])}, "features examples as the data"),
    ],
)
def test_errors_come_before_any_run_and_are_one_sentence(tmp_path, changes, words):
    with pytest.raises(InputError, match=words) as error:
        run_study(study(**changes), tmp_path)
    assert "\n" not in str(error.value) and not (tmp_path / "runs").exists()


def test_a_pool_of_other_classes_is_refused():
    pool = {**columns(100, 240), "weak": ["a", "d"] * 70}
    asked = study(pool=Examples.load(pool, features="x", label="weak", id="id"), labels="given")
    with pytest.raises(InputError, match=r"no classes but those of the data \(.*\), got '?d'?\."):
        run_study(asked, "unused")


def test_a_study_needs_a_pool(tmp_path):
    (tmp_path / "study.yaml").write_text("{kind: augmentation, data: digits}")
    with pytest.raises(InputError, match="pool"):
        read_study(tmp_path / "study.yaml")


def test_a_labeller_reads_what_is_not_said_from_the_study():
    default = Labeller(model="linear", train={"epochs": 3})
    assert Labeller.read(None, default) == default
    assert Labeller.read("mlp", default) == replace(default, model="mlp")
    assert Labeller.read({"seeds": [1]}, default).seeds == [1]
    assert study(steps=None, epochs=4).labelled_by.train == {**RECIPE, "epochs": 4}
