"""What a training is about before it starts: rows, weights, evaluation, and what clean passes cover."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from references.small_runs import DIGITS, train_small, weights
from safetensors.torch import load_file

from scoring.dynamics import Dynamics
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.run import score
from selection.run import select
from selection.subset import Subset
from training.job import make_job, stratified_part


def test_all_rows_weigh_one_without_a_subset() -> None:
    job = make_job(DIGITS, False, None, False)
    assert job.rows.tolist() == list(range(200)) and (job.weights == 1).all()
    assert job.evaluation is None and job.subset is None and len(job.held_out) == 0
    assert job.scored.tolist() == list(range(200))


def test_the_evaluation_split_of_the_source_is_found() -> None:
    job = make_job(DIGITS, None, None, False)
    assert job.evaluation_name == "test" and job.evaluation is not None and len(job.evaluation) == 597
    whole = make_job(Examples.load("digits", split="all"), None, None, False)
    assert whole.evaluation_name == "test"
    test = Examples.load("digits", split="test")
    assert make_job(test, None, None, False).evaluation_name in (None, "validation")


@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.5])
def test_a_fraction_is_stratified_and_the_same_for_every_row_order(fraction: float) -> None:
    rows = stratified_part(DIGITS, fraction)
    counts = np.bincount(DIGITS.labels, minlength=10)
    assert np.bincount(DIGITS.labels[rows], minlength=10).tolist() == [round(fraction * c) for c in counts]
    order = np.random.default_rng(0).permutation(200)
    turned = DIGITS.take(order)
    assert set(turned.ids[stratified_part(turned, fraction)]) == set(DIGITS.ids[rows])
    job = make_job(DIGITS, fraction, None, False)
    assert not set(job.rows) & set(job.held_out) and len(job.rows) + len(job.held_out) == 200
    assert job.scored.tolist() == job.rows.tolist()


def test_weights_have_mean_one_to_the_same_bit_in_any_row_order() -> None:
    given = np.random.default_rng(1).lognormal(0, 3, 120)
    subset = Subset.from_ids(DIGITS.ids[:120], given)
    job = make_job(DIGITS, False, subset, False)
    assert job.rows.tolist() == list(range(120))
    np.testing.assert_allclose(job.weights, given / given.mean(), rtol=1e-12)
    order = np.random.default_rng(2).permutation(200)
    turned = make_job(DIGITS.take(order), False, subset, False)
    found = dict(zip(DIGITS.take(order).ids[turned.rows], turned.weights))
    assert found == dict(zip(DIGITS.ids[job.rows], job.weights))


def test_held_out_examples_leave_the_subset() -> None:
    held = DIGITS.ids[stratified_part(DIGITS, 0.3)]
    subset = Subset.from_ids(DIGITS.ids[:100])
    job = make_job(DIGITS, 0.3, subset, False)
    assert not set(DIGITS.ids[job.rows]) & set(held)
    assert job.subset is not None and job.subset["held_out"] == len(set(held) & set(DIGITS.ids[:100]))
    assert job.weights.mean() == pytest.approx(1.0)
    # Clean passes cover what score() may ask for: everything but the evaluation part.
    assert set(DIGITS.ids[job.scored]) == set(DIGITS.ids) - set(held)


def test_missing_ids_are_named_and_other_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got 2 that are not there: 'nobody', 'nothing'"):
        make_job(DIGITS, False, Subset.from_ids([*DIGITS.ids[:3], "nobody", "nothing"]), False)
    train_small(tmp_path / "runs", epochs=1)
    subset = select(score(DIGITS, "loss", tmp_path / "runs"), by="loss", take="hardest", keep=50)
    subset.write(tmp_path / "subset.parquet")
    relabelled = DIGITS.with_labels((DIGITS.labels + 1) % 10)
    with pytest.raises(
        InputError, match=r"must be what the scores were computed on, .*allow_changed_data=True"
    ):
        train_small(tmp_path / "other", relabelled, subset=tmp_path / "subset.parquet")
    assert not (tmp_path / "other").exists()
    (run,) = train_small(
        tmp_path / "other", relabelled, subset=tmp_path / "subset.parquet", epochs=1, allow_changed_data=True
    )
    about = run.config["subset"]
    assert about["rows"] == 50 and about["path"] == str(tmp_path / "subset.parquet")
    assert about["info"]["fingerprint"] == DIGITS.fingerprint != run.config["data"]["fingerprint"]
    json.dumps(about)


def test_a_path_and_its_subset_are_the_same_training(tmp_path: Path) -> None:
    subset = Subset.from_ids(DIGITS.ids[:90], np.linspace(1, 2, 90))
    subset.write(tmp_path / "subset.parquet")
    (one,) = train_small(tmp_path / "runs", subset=subset)
    (two,) = train_small(tmp_path / "runs", subset=str(tmp_path / "subset.parquet"))
    assert weights(one) == weights(two) and two.config["subset"]["path"] is None
    with pytest.raises(InputError, match=r"different call .*subset"):
        train_small(tmp_path / "runs", subset=Subset.from_ids(DIGITS.ids[:90]))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_weight_of_two_is_the_row_twice(tmp_path: Path, optimizer: str) -> None:
    """In one full batch: weights 2, 1, 1 ... divide by their mean, the row twice divides by one row more."""
    pixels, labels = np.stack(DIGITS.images(np.arange(40))), DIGITS.labels[:40]
    twice = np.r_[np.arange(40), np.arange(10)]
    single = Examples.from_arrays(pixels, labels, ids=np.arange(40))
    double = Examples.from_arrays(pixels[twice], labels[twice], ids=np.arange(50))
    subset = Subset.from_ids(np.arange(40), np.r_[np.full(10, 2.0), np.ones(30)])
    # The same network for both: a named one would be standardised with the statistics of 50 rows, not of 40.
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    given = {"model": net, "steps": 5, "batch_size": 50, "optimizer": optimizer, "lr": 0.01}
    (weighted,) = train_small(tmp_path / "weighted", single, subset=subset, epochs=None, **given)
    (repeated,) = train_small(tmp_path / "repeated", double, epochs=None, **given)
    (unweighted,) = train_small(tmp_path / "plain", single, epochs=None, **given)
    one, two, other = (
        load_file(run.checkpoints()[-1].path / "model.safetensors")
        for run in (weighted, repeated, unweighted)
    )
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-6)
    assert any((one[name] - other[name]).abs().max() > 1e-4 for name in one)


def test_recorded_rows(tmp_path: Path) -> None:
    kept = DIGITS.ids[:80]
    (run,) = train_small(tmp_path, subset=Subset.from_ids(kept), evaluate=0.2, record=True, epochs=2)
    held = set(DIGITS.ids[stratified_part(DIGITS, 0.2)])
    for recorded in Dynamics(run.path).presentations():
        assert set(recorded.read()[0]) == set(kept) - held
    for recorded in Dynamics(run.path).evaluations():
        assert set(recorded.read()[0]) == set(DIGITS.ids) - held
