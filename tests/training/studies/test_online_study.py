"""The online study: rules beside both baselines and ordinary training, at equal updates and equal compute."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scoring.errors import InputError
from scoring.examples import Examples
from training.cell_data import DataRequest
from training.online.chosen import chosen_rows
from training.studies.online import RECENT, Online
from training.studies.outcomes import outcomes
from training.studies.running import run_study
from training.studies.study_file import make_study

STUDY: dict[str, Any] = {
    "data": DataRequest("digits"), "models": "linear", "select": ["highest_loss", "reducible_loss by loss"],
    "keep": ["25%"], "steps": 60, "seeds": [0, 1], "device": "cpu", "variants": {"noisy": [{"uniform_noise": 0.2}]},
    "scores": {"scorers": "loss", "model": "linear", "folds": 2, "seeds": [1000], "train": {"epochs": 3}},
}  # fmt: skip


def test_a_study(tmp_path: Path) -> None:
    study = Online(**STUDY)
    table = run_study(study, tmp_path)
    found = {(each.regime, each.way): each for each in outcomes(table)}
    ways = ["all", "random", "stratified random", "highest_loss", "reducible_loss by loss"]
    assert set(found) == {(regime, way) for regime in ("60 steps", "compute of 60 steps") for way in ways}
    rows = table.to_pylist()
    runs = {(row["regime"], row["way"], row["seed"]): row for row in rows if row["step"] == row["steps"]}
    steps = {
        regime: runs[regime, "highest_loss", 0]["steps"] for regime in ("60 steps", "compute of 60 steps")
    }
    # One layer: forward is half of forward and backward; 4 candidates for one that is trained on. In an epoch 1,200
    # candidates and 300 of them, of which the last draw has 44; ordinary training sees 3,792 rows in 60 updates.
    assert steps == {"60 steps": 60, "compute of 60 steps": 21}
    assert runs["compute of 60 steps", "all", 1]["run"] == runs["60 steps", "all", 1]["run"]
    for way in ways[1:3]:
        assert runs["60 steps", way, 1]["steps"] == 60 and runs["compute of 60 steps", way, 1]["steps"] == 63
    for way in ways:
        cost = runs["compute of 60 steps", way, 1]["C"]
        assert cost == pytest.approx(runs["60 steps", "all", 1]["C"], rel=0.01)
    paid, free = (runs["60 steps", way, 1]["C"] for way in ("highest_loss", "random"))
    assert paid == pytest.approx(3 * free, rel=0.01)
    assert len({row["run"] for row in rows}) == 2 * (1 + 4 * 2)

    planted = {
        each.way: each for each in outcomes(table, "planted", split="train") if each.regime == "60 steps"
    }
    assert planted["all"].mean == 0.2 and planted["random"].mean == pytest.approx(0.2, abs=0.02)
    assert (
        planted["highest_loss"].against_random is not None
        and planted["highest_loss"].against_random.low > 0.1
    )
    one = runs["60 steps", "highest_loss", 1]
    material = study.material().variants["noisy"]
    chosen, _ = chosen_rows(tmp_path / one["run"], material.examples)
    assert planted["highest_loss"].values[1] == material.planted_N[chosen].mean()
    assert one["D"] == len(chosen) and one["U"] == len(set(chosen)) and one["keep"] == 0.25
    recent = [row for row in rows if row["metric"] == RECENT and row["run"] == one["run"]]
    assert [row["step"] for row in recent[:4]] == [
        5 * k for k in range(1, 5)
    ]  # ceil(1,200 / 256) updates each
    assert np.mean([row["value"] for row in recent]) == pytest.approx(
        planted["highest_loss"].values[1], abs=0.01
    )

    again = run_study(study, tmp_path)
    assert again == table


@pytest.mark.parametrize("count", [50, 100, 641])
def test_compute_is_equal_where_draws_are_not_whole(count: int, tmp_path: Path) -> None:
    data = Examples.load("digits")
    study = Online(
        data=data.take(np.arange(count)), test=data.other_split("test"), models="linear", select=["entropy"],
        keep=["10%"], steps=60, seeds=[0], regimes=["compute"], device="cpu",
    )  # fmt: skip
    rows = run_study(study, tmp_path).to_pylist()
    costs = {row["way"]: row["C"] for row in rows if row["step"] == row["steps"]}
    assert len(costs) == 4
    for cost in costs.values():
        assert cost == pytest.approx(costs["all"], rel=0.05)


def test_from_a_file() -> None:
    study = make_study(
        {"kind": "online", "data": "digits", "select": [{"take": "selective_backprop", "beta": 2}]}
    )
    assert isinstance(study, Online)
    assert [way.name for way in study.ways] == ["random", "stratified random", "selective_backprop, beta=2"]
    baselines = make_study({"kind": "online", "data": "digits", "select": ["random", "stratified", "all"]})
    assert isinstance(baselines, Online) and len(baselines.ways) == 2


def test_mistakes(tmp_path: Path) -> None:
    def made(**changed: Any) -> Online:
        return Online(**{**STUDY, **changed})

    with pytest.raises(InputError, match="rule must be one of"):
        made(select=["hardest"])
    with pytest.raises(InputError, match="'reducible_loss' with a score, such as 'reducible_loss by loss'"):
        made(select=["reducible_loss"])
    with pytest.raises(InputError, match="'entropy' without a score"):
        made(select=["entropy by loss"])
    with pytest.raises(InputError, match="select must not repeat"):
        made(select=["entropy", "entropy"])
    with pytest.raises(InputError, match="no class quotas"):
        made(select=[{"take": "entropy", "balance": "equal"}])
    with pytest.raises(InputError, match="shares of the draw"):
        made(keep=[100])
    with pytest.raises(InputError, match="regimes must be steps, compute, or both"):
        made(regimes=["epochs"])
    with pytest.raises(InputError, match="needs scores, and the study names none"):
        run_study(made(scores=()), tmp_path)
    texts = {"text": ["a b", "c d"] * 10, "label": ["x", "y"] * 10}
    data = Examples.load(texts, text="text", label="label")
    with pytest.raises(InputError, match="regimes must be steps alone for model 'linear'"):
        run_study(
            made(data=data, test=data, leaked="keep", select=["entropy"], scores=(), variants=None), tmp_path
        )
