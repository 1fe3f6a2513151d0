"""What selections do to the model, on real data: the claim of ``benchmarks.selection_effects`` on one set."""

import pyarrow as pa
import pytest

from benchmarks.selection_effects import clinc150, study_of
from training.studies.outcomes import outcomes
from training.studies.ways import Way


@pytest.mark.slow
def test_stratified_and_group_balanced_beat_the_plain_hardest_at_ten_percent(data_dir, tmp_path):
    examples, test = clinc150()
    drop = {"drop_hardest": 0.3}
    ways = [Way("hardest"), Way("hardest", balance="equal"), Way("stratified", drop)]
    studies = [
        study_of(examples, test, seed, "10%", 300, 10, tmp_path / str(seed), ways, ["el2n@mean"])
        for seed in range(3)
    ]
    found = {(o.take, o.balance): o for o in outcomes(pa.concat_tables(studies))}
    plain = found["hardest", "none"]
    for way, least in ((("hardest", "equal"), 0.1), (("stratified", "none"), 0.25)):
        difference = found[way].minus(plain)
        assert difference is not None and difference.verdict() == "better" and difference.mean > least
    assert plain.verdict == "worse", "than a random share"
