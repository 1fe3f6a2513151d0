"""Predictions of runs: read, kept and resumed; how they agree, and what they agree on."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import cohen_kappa_score

from scoring.compare.intervals import over_runs
from scoring.compare.intervals.over_runs import Estimate, mean_between, mean_of_pairs, mean_over_runs
from scoring.compare.predictions.agreement import prediction_agreement
from scoring.compare.predictions.consensus import consensus, dichotomous, suspected_errors
from scoring.compare.predictions.predicting import predictions_of_runs
from scoring.compare.predictions.probabilities import Predictions
from scoring.compare.predictions.votes import vote_records
from scoring.compare.request import Request
from scoring.compare.sections.predictions import section
from scoring.compare.wording import percent
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.models import load_model
from scoring.scorers.over_runs import ConsensusLabel
from scoring.sources.runs import RunSource
from tests.references import predictions_slow as slow
from tests.references.small_runs import DIGITS, train_small
from training.crossfit import train_folds


def some(runs=None, rows=40, classes=3, seed=0, labels=True, spread=1.5):
    """Predictions with exact ties among the largest probabilities."""
    rng = np.random.default_rng(seed)
    runs = {"mlp": 3, "cnn": 2} if runs is None else runs
    found = {}
    for name, count in runs.items():
        logits = np.round(
            rng.normal(size=(1, rows, classes)) + spread * rng.normal(size=(count, rows, classes))
        )
        weights = np.exp(logits)
        found[name] = weights / weights.sum(axis=2, keepdims=True)
    return Predictions(
        np.array([f"id{i}" for i in range(rows)], dtype=object),
        rng.integers(0, classes, rows) if labels else None,
        [f"class {k}" for k in range(classes)],
        {name: [str(i) for i in range(count)] for name, count in runs.items()},
        found,
    )


@pytest.mark.parametrize("seed", range(4))
def test_pairs_of_runs_equal_the_slow_twin(seed, monkeypatch):
    monkeypatch.setattr("scoring.compare.predictions.probabilities.BLOCK_NUMBERS", 100)  # several blocks
    given = some(seed=seed)
    found = prediction_agreement(given)
    runs = np.concatenate(list(given.probabilities.values())).tolist()
    labels = given.labels_N.tolist()
    for i in range(5):
        assert found.accuracy_M[i] == pytest.approx(
            np.mean([slow.argmax(p) == y for p, y in zip(runs[i], labels)])
        )
        for j in range(5):
            assert found.disagreement_MM[i, j] == pytest.approx(
                slow.disagreement(runs[i], runs[j]), abs=1e-15
            )
            assert found.variation_MM[i, j] == pytest.approx(slow.variation(runs[i], runs[j]), abs=1e-12)
            assert found.kappa_MM[i, j] == pytest.approx(slow.kappa_of_classes(runs[i], runs[j], 3))
            assert found.error_consistency_MM[i, j] == pytest.approx(
                slow.error_consistency(runs[i], runs[j], labels)
            )
    a, b = (np.argmax(runs[i], axis=1) for i in (0, 3))
    assert found.kappa_MM[0, 3] == pytest.approx(cohen_kappa_score(a, b))
    assert found.error_consistency_MM[0, 3] == pytest.approx(cohen_kappa_score(a == labels, b == labels))


@pytest.mark.parametrize("seed", range(4))
def test_what_runs_agree_on_equals_the_slow_twin(seed, monkeypatch):
    monkeypatch.setattr("scoring.compare.predictions.probabilities.BLOCK_NUMBERS", 100)
    given = some({"mlp": 4, "cnn": 2}, seed=seed)
    found = consensus(given)
    runs = np.concatenate(list(given.probabilities.values())).tolist()
    ties = 0
    for row, label in enumerate(given.labels_N.tolist()):
        votes = [slow.argmax(run[row]) for run in runs]
        counts = sorted((votes.count(k) for k in set(votes)), reverse=True)
        ties += len(counts) > 1 and counts[0] == counts[1]
        mean = slow.mean_distribution([run[row] for run in runs])
        right = [vote == label for vote in votes]
        assert found.label_N[row] == slow.consensus(votes)
        assert found.votes_N[row] == pytest.approx(votes.count(slow.consensus(votes)) / 6)
        assert found.majority_AN[:, row].tolist() == [slow.consensus(votes[:4]), slow.consensus(votes[4:])]
        assert found.entropy_N[row] == pytest.approx(slow.entropy(mean))
        assert mean[found.ensemble_N[row]] == pytest.approx(max(mean))
        assert found.right_AN[:, row].tolist() == pytest.approx([np.mean(right[:4]), np.mean(right[4:])])
        assert dichotomous(found.right_N)[row] == slow.ddd(right)
        assert found.label_probability_N[row] == pytest.approx(mean[label])
    assert ties > 0
    predicted = torch.tensor([[slow.argmax(p) for p in run] for run in runs], dtype=torch.float64)
    scorer = ConsensusLabel().over_runs(predicted, torch.ones_like(predicted, dtype=torch.bool))
    assert found.label_N.tolist() == scorer.tolist()


def test_records_count_every_example_once():
    given = some({"mlp": 3, "cnn": 2}, rows=50, seed=3)
    records = vote_records(given, consensus(given), prediction_agreement(given).accuracy_M)
    assert [record.name for record in records] == ["mlp", "cnn", None]
    assert all(r.all_right + r.some_right + r.none_right == 50 for r in records)
    accuracy = prediction_agreement(given).accuracy_M
    assert records[0].all_by_chance == pytest.approx(50 * np.prod(accuracy[:3]))
    assert records[2].none_by_chance == pytest.approx(50 * np.prod(1 - accuracy))
    assert not records[2].single.firm
    alone = some({"mlp": 3}, seed=3)
    assert len(vote_records(alone, consensus(alone), prediction_agreement(alone).accuracy_M)) == 1


def test_independent_errors_have_no_consistency_and_equal_runs_have_all():
    rng = np.random.default_rng(0)
    labels = np.zeros(20_000, dtype=np.int64)
    right = rng.random((2, 20_000)) < np.array([[0.9], [0.7]])
    rows = np.where(right[..., None], [0.8, 0.2], [0.2, 0.8])
    apart = Predictions(np.arange(20_000), labels, ["a", "b"], {"m": ["0", "1", "2"]}, {"m": rows[[0, 1, 0]]})
    found = prediction_agreement(apart).error_consistency_MM
    assert abs(found[0, 1]) < 0.02
    assert found[0, 2] == 1


def test_runs_that_are_always_right_have_an_undefined_consistency():
    rows = np.tile([0.9, 0.1], (2, 5, 1))
    given = Predictions(np.arange(5), np.zeros(5, dtype=np.int64), ["a", "b"], {"m": ["0", "1"]}, {"m": rows})
    found = prediction_agreement(given)
    assert np.isnan(found.error_consistency_MM).all() and np.isnan(found.kappa_MM).all()
    assert found.disagreement_MM.tolist() == [[0, 0], [0, 0]]
    said = section(None, Request(predictions=given))
    assert "undefined" in said.sentences[2] and "none is suspect" in said.sentences[-1]


def test_suspects_come_in_the_same_order_whatever_the_order_of_rows():
    given = some({"mlp": 3, "cnn": 2}, rows=60, seed=5)
    first = suspected_errors(consensus(given), given)
    votes = consensus(given).votes_N[first]
    assert len(first) > 5 and (np.diff(votes) <= 0).all()
    order = np.random.default_rng(0).permutation(60)
    turned = Predictions(
        given.ids[order], given.labels_N[order], given.label_names, given.runs,
        {name: array[:, order] for name, array in given.probabilities.items()},
    )  # fmt: skip
    assert turned.ids[suspected_errors(consensus(turned), turned)].tolist() == given.ids[first].tolist()
    a, b = prediction_agreement(given), prediction_agreement(turned)
    np.testing.assert_allclose(a.variation_MM, b.variation_MM, rtol=1e-12)


# Intervals over runs


def test_means_of_pairs_equal_the_slow_jackknife():
    rng = np.random.default_rng(0)
    full = rng.random((6, 6))
    full = full + full.T

    def within(runs):
        return np.mean([full[i, j] for i in runs for j in runs if i != j])

    value, error = slow.jackknife([list(range(6))], within)
    found = mean_of_pairs(full)
    assert (found.value, found.standard_error) == pytest.approx((value, error))
    value, error = slow.jackknife([[0, 1, 2], [3, 4]], lambda a, b: full[np.ix_(a, b)].mean())
    found = mean_between(full[:3, 3:5])
    assert (found.value, found.standard_error) == pytest.approx((value, error))
    assert not mean_of_pairs(full[:2, :2]).firm and not mean_between(full[:1]).firm
    assert math.isnan(mean_of_pairs(full[:1, :1]).value)
    assert not mean_over_runs([0.3]).firm


def test_undefined_pairs_are_left_out():
    matrix = np.array([[np.nan, 0.2, np.nan], [0.2, np.nan, 0.4], [np.nan, 0.4, np.nan]])
    assert mean_of_pairs(matrix).value == pytest.approx(0.3)
    assert not mean_of_pairs(matrix).firm  # without the middle run nothing is left
    assert mean_between(matrix[:2]).value == pytest.approx(0.8 / 3)
    assert math.isnan(mean_of_pairs(np.full((4, 4), np.nan)).value)


def test_equal_runs_have_an_interval_of_no_width():
    assert mean_of_pairs(np.full((4, 4), 0.25)) == Estimate(0.25, 0.0, (0.25, 0.25))


def test_the_mean_over_runs_has_students_interval():
    from scipy import stats

    values = np.array([0.2, 0.5, 0.3, 0.6])
    low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert mean_over_runs(values).interval == pytest.approx((low, high))


def test_intervals_of_pairs_cover_at_the_nominal_rate():
    """200 draws: runs differ in how far they stray, so pairs share runs and naive errors would be too small."""
    rng = np.random.default_rng(1)
    inside = inside_between = 0
    for _ in range(200):
        own, other = rng.normal(size=8), rng.normal(size=5)
        noise = 0.3 * rng.normal(size=(8, 8))
        inside += covers(mean_of_pairs(1 + own[:, None] + own[None, :] + (noise + noise.T) / 2), 1)
        inside_between += covers(
            mean_between(own[:, None] + other[None, :] + 0.3 * rng.normal(size=(8, 5))), 0
        )
    assert 182 <= inside <= 199
    assert 182 <= inside_between <= 199


def covers(found, truth):
    return found.interval[0] <= truth <= found.interval[1]


def test_intervals_are_cut_moved_and_widened():
    found = Estimate(0.5, 0.1, (-0.1, 1.1))
    assert found.within(0, 1).interval == (0, 1)
    assert found.at(1.5).interval == pytest.approx((0.9, 2.1))
    assert found.widened(0.1).interval == pytest.approx((-0.2, 1.2))
    assert Estimate(math.nan).document() == {"value": None, "standard_error": None, "interval": None}
    assert over_runs.difference(Estimate(1.0), found, 0, 3).firm is False


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 %"), (1, "100 %"), (0.00004, "<0.01 %"), (0.99999, ">99.99 %"), (0.0123, "1.2 %"), (0.834, "83 %"),
     (0.976, "97.6 %"), (0.9996, "99.96 %"), (math.nan, "undefined")],
)  # fmt: skip
def test_percentages_are_whole_only_where_they_are(value, text):
    assert percent(value) == text


# The section


def test_the_section_answers_in_words_tables_and_figures():
    given = some({"mlp": 3, "cnn": 2, "one": 1}, rows=60)
    found = section(None, Request(predictions=given, shown=5))
    assert "two runs of mlp" in found.sentences[0] and "of 60 examples" in found.sentences[0]
    assert "Error consistency" in found.sentences[2]
    assert any("contradicts the label of" in sentence for sentence in found.sentences)
    assert [len(listing.rows) for listing in found.listings] == [5, 4, 5]
    assert all(len(row) == len(each.header) for each in found.listings for row in each.rows)
    rows = found.tables["predictions_examples"]
    assert rows.num_rows == 60
    assert {"id", "consensus", "right", "ddd", "ensemble_entropy", "right.cnn"} <= set(rows.column_names)
    assert rows["consensus"].to_pylist()[:5] == [f"class {k}" for k in consensus(given).label_N[:5]]
    assert found.document["suspected_label_errors"] == (consensus(given).label_N != given.labels_N).sum()
    json.dumps(found.document, allow_nan=False)
    assert set(found.figures) == {"predictions_pairs", "predictions_votes"}


def test_figures_are_drawn_for_few_and_many(tmp_path: Path):
    pytest.importorskip("matplotlib")
    from scoring.plots.style import save

    for runs in ({"mlp": 2}, {f"architecture number {i}": 8 for i in range(6)}):
        figures = section(None, Request(predictions=some(runs, rows=30))).figures
        for name, draw in figures.items():
            first, second = (save(draw(), tmp_path / f"{name}-{i}.png").read_bytes() for i in range(2))
            assert first == second and len(first) > 5_000


def test_what_cannot_be_asked_is_said():
    assert "no predictions" in section(None, Request()).sentences[0]
    alone = section(None, Request(predictions=some({"mlp": 1})))
    assert "one run only" in alone.sentences[0] and "predictions_pairs" not in alone.figures
    unlabelled = section(None, Request(predictions=some(labels=False)))
    assert (
        "no labels" in unlabelled.sentences[-1]
        and "ddd" not in unlabelled.tables["predictions_examples"].column_names
    )
    assert "Error" not in " ".join(unlabelled.sentences)


def test_what_is_no_distribution_is_refused():
    given = some()
    broken = {name: array.copy() for name, array in given.probabilities.items()}
    broken["cnn"][1, 7] *= 1.1
    with pytest.raises(InputError, match="'id7' do not"):
        prediction_agreement(Predictions(given.ids, None, given.label_names, given.runs, broken))
    broken["cnn"][1, 7] = np.nan
    with pytest.raises(InputError, match="'id7' do not"):
        consensus(Predictions(given.ids, None, given.label_names, given.runs, broken))
    with pytest.raises(InputError, match="probabilities of mlp must be"):
        Predictions(given.ids, None, ["a", "b"], given.runs, given.probabilities)
    with pytest.raises(InputError, match="labels must be"):
        Predictions(given.ids, np.full(40, 3), given.label_names, given.runs, given.probabilities)
    with pytest.raises(InputError, match="runs must be"):
        Predictions(given.ids, None, given.label_names, {}, {})


# Reading


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("runs")
    train_small(root / "narrow", seeds=[0, 1])
    train_small(root / "wide", seeds=[0, 1, 2], model_options={"hidden": (32,)})
    return {"narrow": root / "narrow", "wide": root / "wide"}


def test_predictions_are_those_of_the_last_checkpoints(folders, tmp_path: Path):
    found = predictions_of_runs(folders, DIGITS, out=tmp_path / "kept", device="cpu", batch_size=64)
    assert {name: len(runs) for name, runs in found.runs.items()} == {"narrow": 2, "wide": 3}
    assert all(isinstance(array, np.memmap) for array in found.probabilities.values())
    run = RunSource(folders["wide"], DIGITS, device="cpu")
    assert found.runs["wide"] == tuple(run.runs)
    last = sorted((folders["wide"] / "seed-2" / "checkpoints").glob("step-*"))[-1]
    spec = json.loads((folders["wide"] / "seed-2" / "run.json").read_text())["model"]
    model = load_model(folders["wide"] / "seed-2", last, spec, None, examples=DIGITS)
    rows = np.arange(len(DIGITS))
    with torch.no_grad():
        logits = model.logits(model.inputs.prepare(DIGITS, rows).batch(rows)).double()
    np.testing.assert_allclose(found.probabilities["wide"][2], logits.softmax(1).numpy(), atol=1e-6)
    in_memory = predictions_of_runs(folders, DIGITS, device="cpu", batch_size=64)
    assert (in_memory.probabilities["wide"] == found.probabilities["wide"]).all()
    assert (found.labels_N == DIGITS.labels).all()


def test_the_section_says_what_was_predicted(tmp_path: Path):
    rows = np.arange(120)
    parts = {f"{key}_{split}": value[half] for split, half in (("train", rows[:80]), ("test", rows[80:]))
             for key, value in (("x", np.stack(DIGITS.images(rows))), ("y", DIGITS.labels[rows]))}  # fmt: skip
    np.savez(tmp_path / "some.npz", **parts)
    train, test = (Examples.load(str(tmp_path / "some.npz"), split=split) for split in ("train", "test"))
    train_small(tmp_path / "runs", train, seeds=[0, 1])
    for examples, words in (
        (
            train,
            "Right on the examples of some, split train, which the runs may have trained on: single runs",
        ),
        (test, "Right on the examples of some, split test: single runs"),
    ):
        given = predictions_of_runs({"mlp": tmp_path / "runs"}, examples, device="cpu").only(["mlp"])
        found = section(None, Request(predictions=given))
        assert found.sentences[0].startswith(f"Share of {len(examples)} examples ({given.data}) for which")
        assert any(sentence.startswith(words) for sentence in found.sentences), found.sentences
        assert found.document["data"] == given.data
    unknown = section(None, Request(predictions=some()))
    assert any("these examples, which the runs may have trained on" in each for each in unknown.sentences)


def test_a_killed_call_resumes_at_the_unfinished_run(folders, tmp_path: Path, monkeypatch):
    whole = predictions_of_runs(folders, DIGITS, device="cpu")
    read, runs = RunSource.read, []

    def failing(self, sweep, needs, rows):
        runs.append(sweep.where)
        for number, batch in enumerate(read(self, sweep, needs, rows)):
            if len(runs) == 4 and number == 1:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(RunSource, "read", failing)
    with pytest.raises(KeyboardInterrupt):
        predictions_of_runs(folders, DIGITS, out=tmp_path / "kept", device="cpu", batch_size=64)
    again = predictions_of_runs(folders, DIGITS, out=tmp_path / "kept", device="cpu", batch_size=64)
    assert len(runs) == 6 and runs[3] == runs[4]
    for name, array in whole.probabilities.items():
        np.testing.assert_allclose(again.probabilities[name], array, atol=1e-6)
    predictions_of_runs(folders, DIGITS, out=tmp_path / "kept", device="cpu", batch_size=64)
    assert len(runs) == 6  # nothing is read again


def test_predictions_of_something_else_are_refused(folders, tmp_path: Path):
    kept = tmp_path / "kept"
    predictions_of_runs(folders, DIGITS, out=kept, device="cpu")
    with pytest.raises(InputError, match="differ in fingerprint, rows"):
        predictions_of_runs(folders, DIGITS.take(np.arange(100)), out=kept, device="cpu")
    with pytest.raises(InputError, match="differ in architectures"):
        predictions_of_runs({"wide": folders["wide"]}, DIGITS, out=kept, device="cpu")
    with pytest.raises(InputError, match="differ in rows"):
        predictions_of_runs(folders, DIGITS.take(np.arange(200)[::-1]), out=kept, device="cpu")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="a new or empty folder"):
        predictions_of_runs(folders, DIGITS, out=tmp_path / "other", device="cpu")
    with pytest.raises(InputError, match="at least one architecture"):
        predictions_of_runs({}, DIGITS)


def test_what_a_run_held_out_for_evaluation_is_predicted_too(tmp_path: Path):
    train_small(tmp_path / "runs", evaluate=0.2, seeds=[0, 1])
    assert not RunSource(tmp_path / "runs", DIGITS, device="cpu").covers(0).all()
    found = predictions_of_runs({"mlp": tmp_path / "runs"}, DIGITS, out=tmp_path / "kept", device="cpu")
    np.testing.assert_allclose(found.probabilities["mlp"].sum(axis=2), 1, atol=1e-5)


def test_folds_predict_what_they_held_out_and_nothing_else(tmp_path: Path):
    data = DIGITS.take(np.arange(60))
    options = {"epochs": 1, "batch_size": 32, "model_options": {"hidden": (4,)}}
    train_folds(data, "mlp", folds=2, out=tmp_path / "folds", **options)
    found = predictions_of_runs({"mlp": tmp_path / "folds"}, data, device="cpu")
    assert found.probabilities["mlp"].shape == (1, 60, 10) and not found.trained_on
    with pytest.raises(InputError, match="predict what one of them held out"):
        predictions_of_runs({"mlp": tmp_path / "folds"}, DIGITS, device="cpu")


def test_classes_are_matched_by_name(tmp_path: Path):
    """Models that knew the classes in another order give the same columns."""
    features = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    labels = np.array(["cat", "dog", "owl"])[(features[:, 0] > 0).astype(int) + (features[:, 1] > 0)]
    one = Examples.from_arrays(features, labels.tolist(), label_names=["cat", "dog", "owl"])
    other = Examples.from_arrays(features, labels.tolist(), label_names=["owl", "cat", "dog"])
    train_small(tmp_path / "runs", other, seeds=[0], epochs=20, batch_size=8)
    found = predictions_of_runs({"mlp": tmp_path / "runs"}, one, device="cpu").probabilities["mlp"][0]
    own = predictions_of_runs({"mlp": tmp_path / "runs"}, other, device="cpu").probabilities["mlp"][0]
    np.testing.assert_allclose(found, own[:, [1, 2, 0]], atol=1e-6)
    assert (found.argmax(axis=1) == one.labels).mean() > 0.7
    fewer = one.take(np.flatnonzero(one.labels < 2))
    assert fewer.num_classes == 3
    renamed = Examples.from_arrays(features[:9], ["cat", "dog", "cat"] * 3)
    with pytest.raises(InputError, match="an output for each of the 2 classes"):
        predictions_of_runs({"mlp": tmp_path / "runs"}, renamed, device="cpu")
    unlabelled = Examples.from_arrays(features)
    free = predictions_of_runs({"mlp": tmp_path / "runs"}, unlabelled, device="cpu")
    assert free.labels_N is None and tuple(free.label_names) == ("owl", "cat", "dog")
    np.testing.assert_allclose(free.probabilities["mlp"][0], own, atol=1e-6)
