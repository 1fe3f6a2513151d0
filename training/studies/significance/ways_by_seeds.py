"""One comparison of a run table as an array: ways of choosing by seeds, and by evaluations where there are several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scoring.errors import InputError, unknown_name
from training.studies.outcomes import LOWER_IS_BETTER
from training.studies.table import CELL

Floats = npt.NDArray[np.float64]
OWNER = "significance"
WORLD = ("variant", "model", "regime", "budget")


@dataclass(frozen=True)
class WaysBySeeds:
    """Values of W ways over the S seeds that all of them have.

    Attributes:
        world: Variant, model, regime and budget of all of them.
        last_WS: From the last evaluation.
        curves_WSK: From the K evaluations (``steps_K``, updates) that all runs have; the last column is the last one.
    """

    world: Mapping[str, Any]
    ways: tuple[str, ...]
    seeds: tuple[int, ...]
    steps_K: tuple[int, ...]
    curves_WSK: Floats

    @property
    def last_WS(self) -> Floats:
        """Values at the end."""
        last: Floats = self.curves_WSK[:, :, -1]
        return last

    @property
    def told(self) -> str:
        """The world in words."""
        return ", ".join(str(value) for value in self.world.values() if value is not None)


def ways_by_seeds(
    table: pa.Table, metric: str = "accuracy", *, split: str | None = None, group: str = "", **where: Any
) -> list[WaysBySeeds]:
    """Every world of the table (one variant, model, regime and budget) with two ways or more.

    ``where`` names columns of ``table.CELL`` and the value they must have. Runs with all examples have no
    budget, and so are no way of any world. A way or a seed that is not finished everywhere is left out: seeds
    that fewer than all ways have do not count. ``split`` is by default the only one beside ``train``.

    Raises:
        InputError: A metric, split or column that the table does not have.
    """
    for name in where:
        if name not in CELL.names:
            raise unknown_name("a column", OWNER, name, CELL.names)
    splits = [each for each in dict.fromkeys(table["split"].to_pylist()) if each != "train"]
    if split is None:
        if len(splits) != 1:
            raise InputError(f"{OWNER}: name one split of {', '.join(splits)}.")
        split = splits[0]
    metrics = dict.fromkeys(table["metric"].to_pylist())
    if metric not in metrics:
        raise unknown_name("metric", OWNER, metric, metrics)
    worlds: dict[tuple[Any, ...], dict[str, dict[int, dict[int, float]]]] = {}
    for row in table.to_pylist():
        fits = (row["split"], row["metric"], row["group"]) == (split, metric, group) and row[
            "budget"
        ] is not None
        if fits and all(row[name] == value for name, value in where.items()):
            world = worlds.setdefault(tuple(row[name] for name in WORLD), {})
            world.setdefault(row["way"], {}).setdefault(row["seed"], {})[row["step"]] = row["value"]
    found = [_array(dict(zip(WORLD, key)), ways) for key, ways in worlds.items()]
    return [each for each in found if each is not None]


def _array(
    world: Mapping[str, Any], ways: Mapping[str, Mapping[int, Mapping[int, float]]]
) -> WaysBySeeds | None:
    seeds = sorted(set.intersection(*(set(each) for each in ways.values())))
    if len(ways) < 2 or not seeds:
        return None
    runs = [ways[way][seed] for way in ways for seed in seeds]
    shared = set.intersection(*(set(run) for run in runs))
    # with epochs held fixed runs end at different updates, and then only their ends are compared
    ends = {max(run) for run in runs}
    steps = tuple(sorted(shared)) if len(ends) == 1 else (max(ends),)
    values = [[run[step] for step in steps] if len(ends) == 1 else [run[max(run)]] for run in runs]
    curves = np.array(values, dtype=np.float64).reshape(len(ways), len(seeds), len(steps))
    return WaysBySeeds(world, tuple(ways), tuple(seeds), steps, curves)


def direction(metric: str) -> float:
    """1 where more is better, -1 for losses and errors."""
    return -1.0 if metric.rpartition("/")[2].startswith(LOWER_IS_BETTER) else 1.0
