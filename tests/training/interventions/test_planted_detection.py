"""The detection report: every end by meaning, families of copies, real scores on real data, a study end to end."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scoring.compare.detection import detection
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.run import score
from scoring.table import ScoreTable
from training.interventions.catalog import read_interventions
from training.interventions.detection import SCHEMA, planted_detections, suspect_end
from training.interventions.intervention import Intervened, intervene
from training.studies.classification import ClassifierStudy
from training.studies.detection import DETECTION, study_detections
from training.studies.running import run_study
from training.studies.study_file import make_study

RNG = np.random.default_rng(1)


def rows(n: int = 400) -> Examples:
    return Examples.from_arrays(RNG.normal(size=(n, 2)), np.arange(n) % 4, ids=[f"r{i}" for i in range(n)])


def do(given: Any, examples: Examples, seed: int = 0) -> Intervened:
    return intervene(examples, read_interventions(given), seed)


def table(done: Intervened, values: dict[str, Any], meaning: dict[str, str]) -> ScoreTable:
    return ScoreTable.from_columns(done.examples.ids, values, meaning)


def test_ends_by_meaning() -> None:
    assert [suspect_end("hard", kind) for kind in ("labels", "foreign", "copies")] == ["high", "high", "low"]
    assert [suspect_end("typical", kind) for kind in ("labels", "foreign", "copies")] == [
        "low",
        "low",
        "high",
    ]
    assert [suspect_end("redundant", kind) for kind in ("labels", "foreign", "copies")] == [
        None,
        "low",
        "high",
    ]
    assert suspect_end("arbitrary", "labels") == "high" and suspect_end("long", "labels") is None


def test_rows_say_what_detection_says() -> None:
    done = do([{"uniform_noise": 0.2}], rows())
    values = done.planted_N + 1.5 * RNG.normal(size=400)
    scores = table(
        done, {"e": -values, "h": values, "t": values, "n": values},
        {"e": "easy", "h": "hard", "t": "redundant", "n": "long"},
    )  # fmt: skip
    found = planted_detections(done, scores, variant="v")
    assert [(row["score"], row["suspect"]) for row in found] == [("e", "low"), ("h", "high")]
    alone = detection(values, done.planted_N, name="h")
    row = found[1]
    assert row["auroc"] == found[0]["auroc"] == alone.auroc
    assert (row["auroc_low"], row["auroc_high"]) == alone.interval and row["verdict"] == alone.verdict
    assert row["average_precision"] == alone.average_precision and row["k"] == row["planted"] == 80
    top = np.argsort(-values)[:80]
    both = int(done.planted_N[top].sum())
    assert row["precision_at_k"] == pytest.approx(both / 80) and row["recall_at_k"] == pytest.approx(
        both / 80
    )
    assert row["jaccard_at_k"] == pytest.approx(both / (160 - both)) and row["chance"] == 0.2
    short = planted_detections(done, scores, ["h"], k=20)[0]
    both = int(done.planted_N[np.argsort(-values)[:20]].sum())
    assert short["recall_at_k"] == pytest.approx(both / 80) and short["precision_at_k"] == pytest.approx(
        both / 20
    )
    assert short["jaccard_at_k"] == pytest.approx(both / (100 - both))
    assert set(row) == set(SCHEMA.names) and pa.Table.from_pylist(found, schema=SCHEMA).num_rows == 2


def test_order_of_the_table_and_rows_without_scores() -> None:
    done = do([{"uniform_noise": 0.2}], rows())
    values = done.planted_N + RNG.normal(size=400)
    order = RNG.permutation(400)[:300]
    part = ScoreTable.from_columns(done.examples.ids[order], {"h": values[order]}, "hard")
    row = planted_detections(done, part)[0]
    assert row["rows"] == 300 and row["auroc"] == detection(values[order], done.planted_N[order]).auroc
    with pytest.raises(InputError, match="none of the ids"):
        planted_detections(done, ScoreTable.from_columns(["q1", "q2"], {"h": [1.0, 2.0]}, "hard"))
    with pytest.raises(InputError, match="scores must be one of"):
        planted_detections(done, part, ["x"])


def test_nothing_or_everything_planted_is_said() -> None:
    done = do([{"uniform_noise": 1.0}, {"imbalance": 2}], rows(40))
    row = planted_detections(done, table(done, {"h": np.arange(len(done.examples))}, {"h": "hard"}))[0]
    assert row["auroc"] is None and "cannot be judged" in row["verdict"]
    nothing = do([{"imbalance": 2}], rows(40))
    assert (
        planted_detections(nothing, table(nothing, {"h": np.arange(len(nothing.examples))}, {"h": "hard"}))
        == []
    )


def test_families_of_copies_are_found_by_either_and_not_by_chance() -> None:
    done = do([{"duplicates": {"share": 0.3, "copies": 2}}], rows(2000))
    n = len(done.examples)
    by_chance = RNG.random(n)
    assert done.origin_N is not None
    equal_in_family = by_chance[done.origin_N]
    one_of_each = np.where(done.planted_N, 1.0, 0.5 * RNG.random(n))
    scores = ScoreTable(
        pa.table({"id": pa.array(done.examples.ids), "r": by_chance, "r.kept": by_chance, "e": equal_in_family,
                  "d": one_of_each, "d.kept": by_chance}),
        {"r": {"meaning": "redundant"}, "r.kept": {"role": "side", "parent": "r"}, "e": {"meaning": "redundant"},
         "d": {"meaning": "redundant"}, "d.kept": {"role": "side", "parent": "d"}},
    )  # fmt: skip
    found = {row["score"]: row for row in planted_detections(done, scores)}
    assert found["d"]["auroc"] == 1 and found["d"]["precision_at_k"] == 1 and found["d"]["planted"] == 600
    assert (
        found["d"]["rows"] == 2000
        and "these copies" in found["d"]["verdict"]
        and "copied" in found["d"]["verdict"]
    )
    for name in ("r", "e"):
        assert found[name]["auroc_low"] < 0.5 < found[name]["auroc_high"]


def test_copies_and_rows_from_elsewhere_on_real_texts(data_dir: Path) -> None:
    """hwu64: minhashes find copies; hashed embeddings find questions of TREC where few others are near."""
    hwu64 = Examples.load(data_dir / "hwu64" / "hwu64.parquet", text="text", label="domain")
    hwu64 = hwu64.take(np.arange(0, 8000, 8))
    trec = {"source": str(data_dir / "trec" / "trec.parquet"), "text": "text"}
    done = do([{"duplicates": 0.05}, {"off_domain": {"data": trec, "share": 0.05}}], hwu64)
    scores = score(
        done.examples, ["minhash_duplicates(shingle=char,n=4)", "density", "random"], encoder="hashed",
        out=None, show_progress=False,
    )  # fmt: skip
    found = {(row["intervention"], row["score"]): row for row in planted_detections(done, scores)}
    copies = found["duplicates", next(name for name in scores.scores if name.startswith("minhash"))]
    assert copies["planted"] == 50 and copies["auroc"] > 0.95 and copies["precision_at_k"] > 0.9
    foreign = found["off_domain", "density"]
    assert foreign["suspect"] == "low" and foreign["auroc_low"] > 0.5
    chance = found["off_domain", "random"]
    assert chance["auroc_low"] < 0.5 < chance["auroc_high"] and "does not find" in chance["verdict"]


def test_a_study_of_planted_rows_end_to_end(tmp_path: Path) -> None:
    """A small grid on digits from what a YAML file holds: scores of every variant, runs, and the report."""
    given: dict[str, Any] = {
        "kind": "pruning", "data": "digits", "models": "linear", "select": ["easiest by el2n"], "keep": [0.5],
        "seeds": [0], "epochs": 2, "regimes": ["epochs"],
        "scores": {"scorers": ["el2n"], "model": "linear", "train": {"epochs": 8}, "seeds": [5]},
        "variants": {
            "clean": [],
            "noisy tail": [{"imbalance": {"factor": 5}}, {"uniform_noise": 0.1}],
            "doubled": [{"duplicates": {"share": 0.1}}],
        },
    }  # fmt: skip
    study = make_study(given)
    assert isinstance(study, ClassifierStudy)
    runs = run_study(study, tmp_path, progress=False)
    assert set(runs["variant"].to_pylist()) == {"clean", "noisy tail", "doubled"}
    found = study_detections(study, tmp_path).to_pylist()
    assert found == pq.read_table(tmp_path / DETECTION).to_pylist()
    assert [(row["variant"], row["intervention"], row["score"]) for row in found] == [
        ("noisy tail", "uniform_noise", "el2n"), ("doubled", "duplicates", "el2n"),
    ]  # fmt: skip
    noisy, doubled = found
    assert noisy["auroc_low"] > 0.8 and noisy["verdict"].startswith("el2n finds")
    assert doubled["suspect"] == "low" and doubled["planted"] == 120
