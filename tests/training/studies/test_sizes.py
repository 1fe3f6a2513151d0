"""Over-scaling and effective sizes from the table of a study."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from scoring.errors import InputError
from training.studies.sizes import MEAN, study_effective_sizes, study_over_scaling
from training.studies.table import SCHEMA

SIZES = {"small": 1e4, "middle": 1e5, "large": 1e6}
SPLITS = ("a", "b", "c", "d", "e")


def table(
    gain: float = 0.1, seeds: int = 3, noise: float = 0.0, drop: tuple[str, str] | None = None
) -> pa.Table:
    """Losses 3 - 0.2 log10 N by seed; the way ``best`` is better by ``gain`` at every size, random worse."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for seed in range(seeds):
        for model, size in SIZES.items():
            for way, budget, better in (("all", None, 0.0), ("random", "50%", -0.05), ("best", "50%", gain)):
                for place, split in enumerate(SPLITS):
                    if (model, way) == drop:
                        continue
                    value = 3 + place - 0.2 * np.log10(size) - better + noise * rng.normal() + 0.3 * seed
                    rows += [
                        {
                            "study": "corpus", "model": model, "regime": "9 tokens", "way": way, "take": way,
                            "budget": budget, "seed": seed, "run": f"{model}{way}{seed}", "N": size, "keep": 0.5,
                            "rows": 5, "step": step, "split": split, "group": "", "metric": "loss",
                            "value": value + (1 if step == 1 else 0),
                        }
                        for step in (1, 2)
                    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def test_over_scaling_of_all_neighbours_by_hand() -> None:
    found = {(each.way, each.model): each for each in study_over_scaling(table())}
    assert list(found) == [("random", "small"), ("random", "middle"), ("best", "small"), ("best", "middle")]
    for (way, model), each in found.items():
        assert each.larger == {"small": "middle", "middle": "large"}[model]
        assert each.found is not None and each.over_seeds is not None
        percent = {"best": 50.0, "random": -25.0}[way]
        assert each.found.percent.value == pytest.approx(percent)
        assert each.found.by_metric == pytest.approx(dict.fromkeys(SPLITS, percent))
        assert (each.over_seeds.low, each.over_seeds.high) == pytest.approx((percent, percent))


def test_the_interval_over_seeds_holds_noise_of_the_larger_step_too() -> None:
    each = next(each for each in study_over_scaling(table(noise=0.01, seeds=5)) if each.way == "best")
    assert each.found is not None and each.over_seeds is not None
    assert each.over_seeds.value == pytest.approx(each.found.percent.value)
    assert each.over_seeds.low < 50 < each.over_seeds.high and each.over_seeds.high - each.over_seeds.low < 20
    alone = study_over_scaling(table(seeds=1))[0].over_seeds
    assert alone is not None and np.isnan(alone.low)


def test_effective_sizes_by_closed_form() -> None:
    found = {(each.way, each.model): each for each in study_effective_sizes(table())}
    best = found["best", "small"]
    assert list(best.by_split) == [*SPLITS, MEAN] and best.N == 1e4
    for size in best.by_split.values():
        assert size.size == pytest.approx(1e4 * 10**0.5) and size.place == "inside"
    assert found["best", "large"].by_split["a"].place == "above the largest"
    assert found["random", "small"].by_split[MEAN].place == "below the smallest"
    assert study_effective_sizes(table(), splits=["b"])[0].by_split.keys() == {"b"}


def test_models_that_are_no_better_are_told() -> None:
    plain = table()
    same = plain.set_column(
        plain.schema.get_field_index("value"), "value", pa.array(np.full(plain.num_rows, 2.0))
    )
    found = study_over_scaling(same)
    assert all(each.found is None and "on no metric is the next size better" in each.why for each in found)
    assert {each.by_split["a"].place for each in study_effective_sizes(same)} == {"not ordered"}


def test_what_is_missing_is_told() -> None:
    with pytest.raises(InputError, match="large best 50% is missing"):
        study_over_scaling(table(drop=("large", "best")))
    with pytest.raises(InputError, match="two or more models"):
        study_effective_sizes(table(), models=["small"])
    with pytest.raises(InputError, match="models must be one of"):
        study_effective_sizes(table(), models=["smal", "large"])
    with pytest.raises(InputError, match="splits must be one of"):
        study_over_scaling(table(), splits=["z"])
