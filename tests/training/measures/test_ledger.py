"""The cost ledger: arithmetic by hand, when it recommends, and a study that was really run."""

import numpy as np
import pyarrow as pa
import pytest

from scoring.errors import InputError
from scoring.files import write_json
from scoring.table import ScoreTable
from training.cell_data import DataRequest
from training.measures.ledger import cheapest, cost_ledger
from training.studies.pruning import Pruning
from training.studies.running import run_study
from training.studies.table import SCHEMA, TABLE, write_table


def row(way, budget, keep, seed, value, flops, by=None, regime="5 epochs"):
    return {
        "study": "pruning", "way": way, "take": way.split()[0], "by": by, "budget": budget, "keep": keep, "rows": 1,
        "seed": seed, "value": value, "metric": "accuracy", "variant": "as is", "model": "m", "regime": regime,
        "split": "test", "group": "", "step": 9, "run": "r", "C": flops,
        "wall_time_s": None if flops is None else flops / 10,
    }  # fmt: skip


def folder_of(tmp_path, cells, scoring=10.0, runs=3, seeds=3, regime="5 epochs"):
    """A study's folder as ``run_study`` leaves it, with one score table."""
    rng = np.random.default_rng(0)
    rows = [
        row(way, budget, keep, seed, accuracy + 0.001 * rng.normal(), flops, by, regime)
        for way, budget, keep, accuracy, flops, by in cells
        for seed in range(seeds)
    ]
    tmp_path.mkdir(exist_ok=True)
    write_table(tmp_path / TABLE, rows)
    write_json(tmp_path / "study.json", {"study": {"variants": {"as is": {"fingerprint": "f"}}}})
    meta = {"meaning": "hard", "scorer": {"name": "el2n"}}
    table = ScoreTable(pa.table({"id": ["a"], "el2n": [1.0]}), {"el2n": meta}, {"fingerprint": "f"})
    (tmp_path / "scores").mkdir(exist_ok=True)
    table.write(tmp_path / "scores" / "x.parquet")
    write_json(tmp_path / "scores" / "x.json", {"runs": runs, "flops": scoring, "wall_time_s": 1.0})
    return tmp_path


CELLS = [
    ("all", None, 1.0, 0.90, 24.0, None),
    ("random", "50%", 0.5, 0.85, 12.0, None),
    ("hardest by el2n", "56%", 0.56, 0.90, 0.56 * 24.0, "el2n"),
    ("random", "56%", 0.56, 0.86, 0.56 * 24.0, None),
    ("easiest by el2n", "50%", 0.5, 0.70, 12.0, "el2n"),
]


def entries_of(folder, **more):
    return {(each.outcome.way, each.outcome.budget): each for each in cost_ledger(folder, **more)}


def test_break_even_example_of_sachdeva_2024(tmp_path):
    """.56 * 24 + 10 = 23.4 < 24 accelerator-hours: it pays from the first run on."""
    found = entries_of(folder_of(tmp_path, CELLS))
    hard = found["hardest by el2n", "56%"]
    assert hard.flops is not None and hard.flops.pays and hard.flops.total == pytest.approx(23.44)
    assert hard.flops.runs_to_pay == 1 and hard.flops.keep == pytest.approx(0.56)
    assert hard.recommended and "Recommended" in hard.text() and "pays" in hard.text()
    assert hard.seconds is not None and hard.seconds.scoring == 1.0
    assert (
        hard.to_dict()["flops"]["net"] == pytest.approx(24 - 23.44) and hard.to_dict()["recommended"] is True
    )


def test_it_is_not_recommended_where_the_model_gets_worse_or_random_does(tmp_path):
    found = entries_of(folder_of(tmp_path, CELLS))
    easy, random = found["easiest by el2n", "50%"], found["random", "50%"]
    assert easy.flops is not None and easy.flops.pays and not easy.recommended
    assert any("accuracy is worse than with all" in doubt for doubt in easy.doubts)
    assert any("random share of the same size" in doubt for doubt in easy.doubts)
    assert random.scoring.flops == 0 and random.flops is not None and random.flops.net == 12
    assert not random.recommended
    assert cheapest(list(found.values())) is found["hardest by el2n", "56%"]
    assert cheapest([easy, random]) is None


def test_scoring_is_amortised_over_runs(tmp_path):
    folder = folder_of(tmp_path, CELLS, scoring=25.0)
    once, often = (entries_of(folder, runs=k)["hardest by el2n", "56%"] for k in (1, 3))
    assert once.flops is not None and often.flops is not None
    assert not once.flops.pays and once.flops.runs_to_pay == 3 and "It does not pay." in once.doubts
    assert "it does not pay. It does from 3 runs on." in once.text() and "Recommended" not in once.text()
    assert often.flops.pays and often.flops.net == pytest.approx(3 * 0.44 * 24 - 25) and often.recommended


def test_equal_steps_save_nothing_and_say_so(tmp_path):
    for each in entries_of(folder_of(tmp_path, CELLS, regime="800 steps")).values():
        assert each.flops is not None and each.flops.saved_per_run == 0 and not each.recommended
        assert "equally many updates, so training on less saves nothing" in each.text()


def test_fewer_than_three_seeds_recommend_nothing(tmp_path):
    for each in entries_of(folder_of(tmp_path, CELLS, seeds=2)).values():
        assert not each.recommended and any("fewer than 3 seeds" in doubt for doubt in each.doubts)


def test_costs_that_are_not_known(tmp_path):
    """No FLOPs: seconds decide; scores without runs or from elsewhere: nothing does; look-ups count as nothing."""
    hard = entries_of(folder_of(tmp_path / "a", CELLS, scoring=None))["hardest by el2n", "56%"]
    assert hard.flops is None and hard.paid == hard.seconds and "seconds" in hard.text()
    hard = entries_of(folder_of(tmp_path / "b", CELLS, runs=0))["hardest by el2n", "56%"]
    assert hard.paid is None and hard.doubts == ["What it costs is not known."]
    free = [(*cell[:4], 0.0, cell[5]) for cell in CELLS]
    assert entries_of(folder_of(tmp_path / "c", free))["random", "50%"].flops is None
    with pytest.raises(InputError, match="runs must be a whole number from 1"):
        cost_ledger(tmp_path / "a", runs=0)
    with pytest.raises(FileNotFoundError):
        cost_ledger(tmp_path / "nothing")


def test_a_study_that_was_run(tmp_path):
    """Scores, training on all and on a half: FLOPs are in proportion to examples read, in both regimes."""
    study = Pruning(
        data=DataRequest("digits"), models="mlp(hidden=[8])", select=["hardest by el2n@mean"], keep=["50%"], epochs=2,
        scores={"scorers": "el2n@mean", "model": "mlp(hidden=[8])", "seeds": [1000, 1001], "train": {"epochs": 1}},
        seeds=[0], device="cpu",
    )  # fmt: skip
    run_study(study, tmp_path)
    found = cost_ledger(tmp_path, runs=2)
    hard = {each.equal_steps: each for each in found if each.outcome.by == "el2n@mean"}
    assert len(found) == 6 and hard.keys() == {True, False}
    full = hard[False].full.flops
    assert full is not None and hard[False].scoring.flops == pytest.approx(full), (
        "two runs of half as many epochs"
    )
    assert hard[False].training.flops == pytest.approx(full / 2)
    assert hard[True].training.flops == pytest.approx(full, rel=0.05)
    paid = hard[False].flops
    assert paid is not None and paid.net == pytest.approx(0) and not paid.pays and paid.runs_to_pay == 3
    assert SCHEMA.names and not any(each.recommended for each in found), "one seed"
