"""A pruning study as a table of runs: what its columns become, and the learning curves of a real one on digits."""

import numpy as np
import pyarrow as pa
import pytest

from scoring.errors import InputError
from scoring.examples import Examples
from scoring.run import score
from training.laws.selections.comparison import compare_selections
from training.laws.selections.from_studies import run_table_of_study
from training.laws.selections.learning_curves import learning_curves
from training.run import train
from training.studies.pruning import pruning_study
from training.studies.table import SCHEMA

SIZES = (50, 100, 200, 400, 700)
NOISE = 0.3


def row(way, rows, seed=0, **changes):
    about = {
        "way": way, "take": way.split()[0], "variant": "as is", "model": "linear", "regime": "60 steps", "group": "",
        "budget": f"{rows} rows", "keep": rows / 800, "seed": seed, "rows": rows, "D": 4800.0, "step": 60, "steps": 60,
        "epochs": 4800 / rows, "C": 1e9, "wall_time_s": 1.0, "run": f"{way}-{rows}-{seed}", "split": "test",
    }  # fmt: skip
    return {**about, **changes}


def table_of(*rows):
    values = {"accuracy": 0.9, "loss": 0.4, "macro_f1": 0.8}
    long = [{**each, "metric": name, "value": value} for each in rows for name, value in values.items()]
    long += [{**each, "step": 30, "metric": "loss", "value": 9.0} for each in rows]
    long += [{**each, "split": "train", "metric": "loss", "value": 9.0} for each in rows]
    long += [{**each, "group": "class:a", "metric": "accuracy", "value": 0.0} for each in rows]
    return pa.Table.from_pylist(long, schema=SCHEMA)


def test_columns():
    study = table_of(
        row("all", 800, budget=None),
        row("random", 80),
        row("hardest by el2n", 80, seed=1, C=None),
        row("hardest by el2n, strata=20, balance equal", 80),
    )
    found = run_table_of_study(study)
    loss = found.where(metric="loss")
    assert loss["corpus"].tolist() == [
        "random", "random", "hardest by el2n", "hardest by el2n, strata=20, balance equal",
    ]  # fmt: skip
    assert loss["D"].tolist() == loss["rows"].tolist() == [800, 80, 80, 80]
    assert loss["seen"] == pytest.approx([4800] * 4)
    assert (run_table_of_study(study, "seen").where(metric="loss")["D"] == 4800).all()
    assert np.isnan(loss["N"]).all(), "sizes do not follow from FLOPs of models that are not counted as 6 N D"
    assert loss["C"][0] == 1e9 and np.isnan(loss["C"][2])
    assert loss["seed"].tolist() == [0, 0, 1, 0]
    assert found.where(metric="error")["value"] == pytest.approx(np.full(4, 0.1))
    assert found.where(metric="macro_f1_error")["value"] == pytest.approx(np.full(4, 0.2))
    assert (run_table_of_study(study, parameters=650)["N"] == 650).all()
    sized = table_of(row("random", 80, N=7.0, variant="a"), row("random", 80, N=9.0, variant="b"))
    assert run_table_of_study(sized)["N"].tolist() == [7, 7, 7, 9, 9, 9]
    assert run_table_of_study(sized).names("corpus") == ["random, a", "random, b"], (
        "no law holds across variants"
    )
    several = table_of(row("random", 80), row("random", 80, split="other"))
    assert "other/error" in run_table_of_study(several).names("metric")


def test_mistakes(tmp_path):
    study = table_of(row("random", 80))
    with pytest.raises(InputError, match="rows, seen"):
        run_table_of_study(study, "tokens")
    with pytest.raises(InputError, match="not the table of a study, 'by'"):
        run_table_of_study(study.drop_columns(["by"]))
    with pytest.raises(InputError, match="no runs"):
        run_table_of_study(study.slice(0, 0))
    with pytest.raises(FileNotFoundError, match=r"study\.parquet"):
        run_table_of_study(tmp_path)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A study of hardest, easiest and random shares of 800 digits, of which three tenths have a wrong label."""
    rng = np.random.default_rng(0)
    clean = Examples.load("digits")
    order = rng.permutation(len(clean))
    examples, test = clean.take(order[:800]), clean.take(order[800:])
    wrong = np.asarray(examples.labels)
    shift = np.where(rng.random(800) < NOISE, rng.integers(1, 10, 800), 0)
    examples = examples.with_labels((wrong + shift) % 10)
    out = tmp_path_factory.mktemp("digits")
    recipe = {"batch_size": 32, "optimizer": "sgd", "lr": 0.05}
    train(examples, "linear", out=out / "scored", seeds=[7], epochs=3, record=True, **recipe)
    scores = score(examples, "el2n", out / "scored")
    pruning_study(
        examples, "linear", scores, by="el2n", takes=("hardest", "easiest"), keeps=SIZES, epochs=10, seeds=(0, 1, 2),
        evaluate=test, out=out / "study", **recipe,
    )  # fmt: skip
    return run_table_of_study(out / "study")


def test_a_study_fits_directly(digits):
    assert digits.names("corpus") == ["easiest by el2n", "hardest by el2n", "random", "stratified random"]
    assert {"error", "loss", "macro_f1_error"} <= set(digits.names("metric"))
    assert (digits["N"] == 650).all(), "64 x 10 weights and 10 biases, as run.json says"
    curves = learning_curves(digits, metric="error", resamples=100)
    assert curves["random"].scales_N.tolist() == [float(n) for n in (*SIZES, 800) for _ in range(3)]
    assert curves["hardest by el2n"].range == (50, 700)
    _, low, high = curves["random"].band({"D": [100.0, 400.0]})
    assert (low < high).all() and low[1] < low[0]


def test_a_cliff_is_no_power_law_and_is_not_taken_for_one(digits):
    """Of the hardest nearly all are mislabelled: the error stays at 1 up to 200 rows, and at 700 is that of random."""
    found = compare_selections(digits, metric="error", resamples=200)
    hardest = found["hardest by el2n"]
    assert hardest.gap.at == {"D": 700} and hardest.gap.measured and hardest.gap.noise.source == "seeds"
    assert hardest.curve.misfit.chance < 1e-3 and hardest.cautions[0].code == "misfit"
    assert found.base.misfit is None
    assert hardest.gap.difference.value > 0.05, "the law says worse, but"
    assert hardest.gap.verdict == "cannot tell"
    assert hardest.runs["D"].median.value < 0.2, "run for run they are worth little"
    assert "compare runs of one scale directly" in str(found)
