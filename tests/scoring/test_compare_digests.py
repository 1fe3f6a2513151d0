"""What makes a comparison another one: the numbers it is of, not the order of their rows."""

import numpy as np
import pytest
from references.run_tables import run_table

from scoring.compare.digests import values_digest
from scoring.compare.predictions.probabilities import Predictions
from scoring.compare.run import compare
from scoring.compare.run_scores import RunScores
from scoring.errors import InputError
from scoring.hashing import hash_ids
from scoring.table import ScoreTable

RNG = np.random.default_rng(0)
IDS = np.array([f"row-{i}" for i in range(24)], dtype=object)
VALUES = {"mlp": RNG.normal(size=(3, 24)), "cnn": RNG.normal(size=(2, 24))}
CLASSES = ["cat", "dog"]
PROBABILITIES = {name: RNG.dirichlet([1, 1], size=v.shape) for name, v in VALUES.items()}
RUNS = {name: [str(run) for run in range(len(v))] for name, v in VALUES.items()}
LABELS = RNG.integers(0, 2, 24)


def tables(values=VALUES, order=None, **options) -> RunScores:
    order = np.arange(24) if order is None else order
    made = {name: run_table({"el2n": each[:, order]}, IDS[order]) for name, each in values.items()}
    return RunScores.of_tables(made, **options)


def predictions(probabilities=PROBABILITIES, labels=LABELS, order=None) -> Predictions:
    order = np.arange(24) if order is None else order
    found = {name: each[:, order] for name, each in probabilities.items()}
    return Predictions(IDS[order], labels[order], CLASSES, RUNS, found)


def beside(values, meaning="hard") -> ScoreTable:
    return ScoreTable.from_columns(IDS, {"human": values}, meaning)


def changed(arrays, name="cnn"):
    found = {key: array.copy() for key, array in arrays.items()}
    found[name][1, 5] = found[name][1, 6]
    return found


def test_another_comparison_under_the_same_names_is_refused(tmp_path):
    human = RNG.normal(size=24)
    how = {"sections": ["beside"], "out": tmp_path / "out"}
    compare(tables(), predictions=predictions(), beside=beside(human), **how)
    before = (tmp_path / "out" / "summary.json").read_bytes()
    for scores, predicted, other in (
        (tables(changed(VALUES)), predictions(), beside(human)),
        (tables(), predictions(changed(PROBABILITIES)), beside(human)),
        (tables(), predictions(labels=1 - LABELS), beside(human)),
        (tables(), predictions(), beside(human[::-1])),
        (tables(), predictions(), beside(human, "easy")),
        (tables(), None, beside(human)),
    ):
        with pytest.raises(InputError, match="holds another comparison"):
            compare(scores, predictions=predicted, beside=other, **how)
    assert (tmp_path / "out" / "summary.json").read_bytes() == before
    compare(tables(), predictions=predictions(), beside=beside(human.copy()), **how)


def test_rows_in_another_order_are_the_same_comparison():
    order = RNG.permutation(24)
    assert tables(order=order).digest == tables().digest
    mixed = RunScores.of_tables(
        {
            "mlp": run_table({"el2n": VALUES["mlp"]}, IDS),
            "cnn": run_table({"el2n": VALUES["cnn"][:, order]}, IDS[order]),
        }
    )
    assert mixed.digest == tables().digest
    assert predictions(order=order).digest == predictions().digest


def test_tables_and_arrays_of_the_same_numbers_agree_and_the_tables_are_not_read_again(monkeypatch):
    scores = tables()
    monkeypatch.setattr(scores, "_read", None)
    assert scores.digest == RunScores.of_arrays({"el2n": VALUES}, ids=IDS).digest
    assert scores.only(architectures=["cnn"]).digest != scores.digest


def test_labels_count():
    given = [
        RunScores.of_arrays({"a": VALUES}, ids=IDS, labels_N=y).digest for y in (None, LABELS, 1 - LABELS)
    ]
    assert len(set(given)) == 3


def test_runs_and_classes_and_examples_that_change_places_are_told_apart(monkeypatch):
    """Small whole numbers are the hardest case: they differ in few bits."""
    ids_N = hash_ids(np.arange(40))
    values = RNG.integers(0, 3, (3, 40, 4)).astype(np.float64)
    found = {values_digest(values, ids_N)}
    for other in (values[[1, 0, 2]], values[:, :, ::-1], values[:, ::-1], -values, values + 1, 2 * values):
        found.add(values_digest(other, ids_N))
    for place in np.ndindex(values.shape):
        other = values.copy()
        other[place] += 1
        found.add(values_digest(other, ids_N))
    assert len(found) == 7 + values.size
    whole = values_digest(values, ids_N)
    monkeypatch.setattr("scoring.compare.digests.BLOCK_NUMBERS", 12)
    assert values_digest(values, ids_N) == whole
