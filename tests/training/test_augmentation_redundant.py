"""Selected augmentation from a redundant pool: better than random behind a gate; without it the gain is gone."""

import pyarrow as pa
import pytest

from benchmarks.augmentation_redundant import ADDED, draw
from training.studies.outcomes import outcomes
from training.studies.running import run_study

GATE, OPEN, OWN = "20 % wrong, gate", "20 % wrong, no gate", "own labels, no gate"


@pytest.mark.slow
def test_uncertain_rows_beat_random_ones_behind_a_gate_and_not_without_it(tmp_path):
    """Sabbineni et al. 2023. Entropy sees no labels, so only wrong labels where a model is uncertain undo its gain."""
    tables = []
    for seed in range(6):
        study = draw(seed, (GATE, OPEN, OWN))
        tables.append(run_study(study, tmp_path / str(seed)))
        assert study.realised[OPEN]["wrong_behind_gate"] == 0.2
        assert study.realised[GATE]["wrong_behind_gate"] < 0.03
    table = pa.concat_tables(tables)
    found = {(each.variant, each.way): each for each in outcomes(table)}
    added = {each.rows - 136 for each in found.values() if each.way not in ("all", "whole pool")}
    assert added == {ADDED}
    for score in ("entropy", "el2n"):
        assert found[GATE, f"highest by {score}"].verdict == "better"
        assert found[OWN, f"highest by {score}"].verdict != "better"
    assert found[OPEN, "highest by el2n"].verdict == "worse"
