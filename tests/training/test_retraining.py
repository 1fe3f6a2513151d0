"""The retraining scores from data to table: planted label errors on digits, warnings, resuming, mistakes."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from references.scored_arrays import columns_equal
from references.small_runs import DIGITS, contents
from sklearn.metrics import roc_auc_score

from scoring.checkpoints import RunDirectory
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.run import score
from scoring.table import ScoreTable
from training.interventions.noisy_labels import flip_labels
from training.loop import Loop
from training.studies.retraining import STUDIES, cscore, memorization, pvi, reducible_loss, ssft

NOISY = flip_labels(Examples.load("digits").take(np.arange(400)), 0.1, seed=0)
RECIPE: dict[str, Any] = {"model_options": {"hidden": (64,)}, "batch_size": 32, "lr": 0.005}

STUDIED: dict[str, tuple[dict[str, Any], int, float]] = {
    "memorization": ({"runs": 12, "epochs": 40}, 1, 0.75),
    "cscore": ({"runs": 4, "ratios": (0.25, 0.5, 0.75), "epochs": 25}, -1, 0.95),
    "ssft": ({"seeds": (0, 1), "epochs": 8}, -1, 0.93),
    "pvi": ({"folds": 3, "epochs": 8}, -1, 0.97),
    "reducible_loss": ({"epochs": 8}, -1, 0.6),
}
"""Options, which end flipped labels are at, and the least AUROC that finds them."""

QUICK: dict[str, dict[str, Any]] = {
    "memorization": {"runs": 4},
    "cscore": {"runs": 4, "ratios": (0.5,)},
    "ssft": {},
    "pvi": {"folds": 2},
    "reducible_loss": {},
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def auroc(table: ScoreTable, name: str, sign: int) -> float:
    flipped = NOISY.flipped[NOISY.examples.rows_of(table.ids)]
    return float(roc_auc_score(flipped, sign * table.column(name)))


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_flipped_labels_are_found_and_the_same_call_reads_the_table(name: str, tmp_path: Path) -> None:
    options, sign, least = STUDIED[name]
    out = tmp_path / "scores.parquet"
    table = STUDIES[name](NOISY.examples, "mlp", out=out, **RECIPE, **options)
    assert len(table) == 400 and np.isfinite(table.column(name)).all()
    assert auroc(table, name, sign) > least
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    again = STUDIES[name](NOISY.examples, "mlp", out=out, **RECIPE, **options)
    assert columns_equal(again, table)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before


def test_row_order_changes_no_value(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(len(DIGITS))
    for name, options in QUICK.items():
        values = []
        for folder, examples in (("one", DIGITS), ("two", DIGITS.take(order))):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # one epoch teaches these models little
                table = STUDIES[name](examples, "linear", out=tmp_path / folder / name, epochs=1, **options)
            values.append(dict(zip(table.ids.tolist(), table.column(name).tolist())))
        assert values[0].keys() == values[1].keys()
        np.testing.assert_allclose(
            [values[0][i] for i in values[0]], [values[1][i] for i in values[0]], atol=1e-4
        )


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_interrupted_studies_go_on_to_the_same_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {**RECIPE, **QUICK[name], "epochs": 2, "resume_seconds": 0.0}
    update, left = Loop.update, [10**9]

    def broken(self: Loop, batch: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("power cut")
        return update(self, batch)

    monkeypatch.setattr(Loop, "update", broken)
    cuts = 0
    for folder in ("whole", "cut"):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)  # paths in run.json are as they were given
        for _ in range(60):
            left[0] = 10**9 if folder == "whole" else 9
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    STUDIES[name](DIGITS, "mlp", out="scores.parquet", **given)
                break
            except RuntimeError:
                cuts += 1
    assert cuts >= 2
    assert contents(tmp_path / "whole") == contents(tmp_path / "cut")


# PVI


def test_pvi_of_training_examples_is_inflated_and_cross_fitting_shows_it(tmp_path: Path) -> None:
    """A model that has memorised its flipped labels finds them easy; one that left them out does not."""
    recipe = {**RECIPE, "epochs": 60}
    inside = pvi(NOISY.examples, "mlp", out=tmp_path / "inside.parquet", folds=None, **recipe)
    outside = pvi(NOISY.examples, "mlp", out=tmp_path / "outside.parquet", folds=2, **recipe)
    flipped = NOISY.flipped[NOISY.examples.rows_of(inside.ids)]
    assert inside.column("pvi")[flipped].mean() > 2 and inside.column("pvi").mean() > 3
    assert outside.column("pvi")[flipped].mean() < -1
    assert set(outside.names) >= {"pvi", "loss", "consensus_label"}


def sentences(caught: list[warnings.WarningMessage]) -> list[str]:
    return [str(each.message) for each in caught]


def test_a_model_that_learned_nothing_is_told(tmp_path: Path) -> None:
    """Steps of next to nothing: neither the model nor the null model is better than chance, in either fold."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = pvi(DIGITS, "linear", out=tmp_path / "pvi.parquet", folds=2, epochs=1, lr=1e-12)
    told = sentences(caught)
    assert len(told) == 3 and np.isfinite(table.column("pvi")).all()
    for fold in (0, 1):
        assert (
            f"the model of seed-0/fold-{fold} tells no more about the labels than their frequencies"
            in told[fold]
        )
    assert "the null model has not learned the frequencies of the labels: its loss is" in told[2]


class Constant(torch.nn.Module):
    """Says class 3, whatever it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bias.expand(len(x), 10) + 2 * torch.nn.functional.one_hot(torch.tensor(3), 10)


def test_a_model_that_predicts_one_class_is_told_with_its_seed(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pvi(DIGITS, Constant(), out=tmp_path / "pvi.parquet", folds=None, seeds=[4, 7], epochs=1, lr=1e-12)
    told = sentences(caught)
    assert told[0] == "pvi: the model of seed-4 collapsed: it predicts '3' for every example."
    assert told[1] == "pvi: the model of seed-7 collapsed: it predicts '3' for every example."
    assert len(told) == 3 and "null model" in told[2]


def test_a_model_that_learned_something_is_not_told(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pvi(NOISY.examples, "mlp", out=tmp_path / "pvi.parquet", folds=2, seeds=[0, 1], epochs=12, **RECIPE)


def test_pvi_of_other_examples(tmp_path: Path) -> None:
    """Test rows are scored with the runs that the study left behind."""
    pvi(NOISY.examples, "mlp", out=tmp_path / "pvi.parquet", folds=None, epochs=8, **RECIPE)
    test = Examples.load("digits", split="test")
    runs = tmp_path / "pvi.parquet.runs"
    table = score(test, "pvi", runs / "model", null=runs / "null")
    assert len(table) == len(test) and 2 < table.column("pvi").mean() < np.log2(10)


# Reducible loss


def test_the_reference_judges_what_it_left_out(tmp_path: Path) -> None:
    out = tmp_path / "rho.parquet"
    table = reducible_loss(NOISY.examples, "mlp", out=out, reference_model="linear", epochs=6, **RECIPE)
    runs = tmp_path / "rho.parquet.runs"
    reference = score(NOISY.examples, "loss", runs / "reference")
    mean = score(NOISY.examples, "loss@mean", runs / "model")
    np.testing.assert_allclose(
        table.column("reducible_loss"), mean.column("loss@mean") - reference.column("loss"), atol=1e-9
    )
    flipped = NOISY.flipped[NOISY.examples.rows_of(table.ids)]
    assert reference.column("loss")[flipped].mean() > 2 > 1.5 > reference.column("loss")[~flipped].mean()


# Options and mistakes


def test_options_reach_the_trainings(tmp_path: Path) -> None:
    probability = cscore(
        DIGITS, "linear", out=tmp_path / "c.parquet", runs=2, ratios=[0.5], form="probability", epochs=1
    )
    assert probability.scores == ["cscore(form=probability)"]
    ssft(DIGITS, "linear", out=tmp_path / "s.parquet", epochs=1, second={"epochs": 3})
    second = tmp_path / "s.parquet.runs" / "second" / "seed-0" / "fold-0"
    assert RunDirectory.open(second).config["epochs"] == 3
    memorization(DIGITS, "linear", out=tmp_path / "m.parquet", ratio=0.5, runs=2, seed=3, epochs=1)
    assert (tmp_path / "m.parquet.runs" / "share-0.5" / "seed-4" / "run.json").exists()


def test_a_changed_call_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "m.parquet"
    memorization(DIGITS, "linear", out=out, runs=4, epochs=1)
    with pytest.raises(InputError, match=r"holds a run of a different call \(epochs 1 there, 2 here\)"):
        memorization(DIGITS, "linear", out=out, runs=4, epochs=2)
    with pytest.raises(InputError, match="holds another score table; choose another name or overwrite"):
        memorization(DIGITS, "linear", out=out, runs=5, epochs=1)
    table = memorization(DIGITS, "linear", out=out, runs=5, epochs=1, overwrite=True)
    assert (table.column("memorization.runs") == 5).all()


def test_mistakes_show_before_anything_is_trained(tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    with pytest.raises(InputError, match="memorization: runs must be at least 4 with these ratios"):
        memorization(DIGITS, "linear", out=out, runs=3)
    with pytest.raises(InputError, match="cscore: runs must be at least 10 with these ratios"):
        cscore(DIGITS, "linear", out=out, runs=9)
    with pytest.raises(InputError, match="form must be one of accuracy, probability, got 'logit'"):
        cscore(DIGITS, "linear", out=out, form="logit")
    with pytest.raises(InputError, match="reference_model must be a model by name"):
        reducible_loss(DIGITS, "linear", out=out, reference_model=Constant())
    with pytest.raises(InputError, match="out must be the name of a score table, not of a folder"):
        ssft(DIGITS, "linear", out=tmp_path)
    for study in STUDIES.values():
        with pytest.raises(InputError, match="option must be one of"):
            study(DIGITS, "linear", out=out, epochz=2)
    assert list(tmp_path.iterdir()) == []
