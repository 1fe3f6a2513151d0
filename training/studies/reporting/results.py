"""The run table of a study as a report reads it: worlds that are compared within, ways, budgets, splits, outcomes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from scoring.errors import InputError, unknown_name
from scoring.files import read_json
from training.studies.outcomes import Outcome, outcomes
from training.studies.reporting.kinds import Words, words_of
from training.studies.running import STUDY
from training.studies.table import read_table
from training.studies.ways import ALL, PLAIN_RANDOM, STRATIFIED_RANDOM

OWNER = "study report"
KEPT = "train"
"""The split of what is said of the examples trained on."""
USUAL = ("accuracy", "loss")
BASELINES = (PLAIN_RANDOM.name, STRATIFIED_RANDOM.name)


class World(NamedTuple):
    """What cells share that are compared with each other, but for the budget."""

    variant: str | None
    model: str
    regime: str


@dataclass(frozen=True)
class Results:
    """A study's table with one metric in the middle.

    Attributes:
        table: See ``training.studies.table``.
        about: study.json; empty where there is none.
        metric: What ways are compared by.
        found: Split -> the outcome of every cell, see ``training.studies.outcomes``.
    """

    table: pa.Table
    about: Mapping[str, Any]
    metric: str
    found: Mapping[str, Sequence[Outcome]]

    @classmethod
    def open(cls, folder: str | Path, metric: str | None = None, split: str | None = None) -> Results:
        """Of a study's folder; by default accuracy, or loss, on every split that was evaluated.

        Raises:
            FileNotFoundError: No table. InputError: A metric or split that it does not have, or nothing evaluated.
        """
        place = Path(folder)
        about = read_json(place / STUDY) if (place / STUDY).is_file() else {}
        return cls.of(read_table(place), about, metric, split)

    @classmethod
    def of(
        cls, table: pa.Table, about: Mapping[str, Any], metric: str | None = None, split: str | None = None
    ) -> Results:
        """Of a table in memory."""
        judged = table.filter(pc.and_(pc.not_equal(table["split"], KEPT), pc.equal(table["group"], "")))
        splits = _different(judged, "split")
        if not splits:
            raise InputError(f"{OWNER}: no run of the study is evaluated, so there is nothing to compare.")
        if split is not None and split not in splits:
            raise unknown_name("split", OWNER, split, splits)
        metrics = _different(judged, "metric")
        if metric is not None and metric not in metrics:
            raise unknown_name("metric", OWNER, metric, metrics)
        chosen = metric or next((name for name in USUAL if name in metrics), metrics[0])
        held = judged.filter(pc.equal(judged["metric"], chosen))
        wanted = [each for each in _different(held, "split") if split in (None, each)]
        if not wanted:
            raise InputError(f"{OWNER}: the split {split!r} has no {chosen}.")
        return cls(table, about, chosen, {each: outcomes(held, chosen, split=each) for each in wanted})

    @property
    def splits(self) -> list[str]:
        """Those that the metric was measured on."""
        return list(self.found)

    @cached_property
    def kind(self) -> str:
        """Of the study."""
        return str(self.about.get("kind") or self.table["study"][0].as_py() or "")

    @property
    def words(self) -> Words:
        """What shares and ways mean in this kind of study."""
        return words_of(self.kind)

    @cached_property
    def everything(self) -> list[Outcome]:
        """The outcomes of all splits."""
        return [each for found in self.found.values() for each in found]

    @cached_property
    def worlds(self) -> list[World]:
        """In the order of the table."""
        return list(dict.fromkeys(world_of(each) for each in self.everything))

    @cached_property
    def models(self) -> list[str]:
        """In the order of the table."""
        return list(dict.fromkeys(world.model for world in self.worlds))

    @cached_property
    def ways(self) -> list[str]:
        """Those that chose, baselines first; without all examples."""
        names = dict.fromkeys(each.way for each in self.everything if not fixed(each))
        return sorted(names, key=lambda name: BASELINES.index(name) if name in BASELINES else len(BASELINES))

    @cached_property
    def budgets(self) -> list[str]:
        """From the largest share kept to the smallest."""
        keeps: dict[str, list[float]] = {}
        for each in self.everything:
            if each.budget is not None and not fixed(each):
                keeps.setdefault(each.budget, []).append(share_of(each))
        return sorted(keeps, key=lambda name: -math.fsum(keeps[name]) / len(keeps[name]))

    @cached_property
    def seeds(self) -> list[int]:
        """All that occur."""
        return sorted({seed for each in self.everything for seed in each.values})

    @cached_property
    def regimes(self) -> dict[World, str]:
        """What is held equal in every world, without the number where that is enough: ``steps``."""
        bare = {world: _without_number(world.regime) for world in self.worlds}
        clear = len({(*world[:2], bare[world]) for world in self.worlds}) == len(self.worlds)
        return bare if clear else {world: world.regime for world in self.worlds}

    def told(self, world: World) -> str:
        """A world by what sets it apart from the others: ``clean, mlp, 800 steps``; empty if there is one alone."""
        parts = [
            str(part or "-") for at, part in enumerate(world) if len({other[at] for other in self.worlds}) > 1
        ]
        return ", ".join(parts)

    def of_world(self, split: str, world: World) -> list[Outcome]:
        """The outcomes of one world."""
        return self._by_world.get((split, world), [])

    @cached_property
    def _by_world(self) -> dict[tuple[str, World], list[Outcome]]:
        parts: dict[tuple[str, World], list[Outcome]] = {}
        for split, found in self.found.items():
            for each in found:
                parts.setdefault((split, world_of(each)), []).append(each)
        return parts

    def rows(self, split: str | None = None, metric: str | None = None) -> pa.Table:
        """Rows of the table of one split and metric."""
        found = self.table
        for name, value in (("split", split), ("metric", metric)):
            if value is not None:
                found = found.filter(pc.equal(found[name], value))
        return found


def world_of(outcome: Outcome) -> World:
    """Where an outcome stands."""
    return World(outcome.variant, outcome.model, outcome.regime)


def asked_for(outcome: Outcome) -> bool:
    """Whether it is a way of choosing that somebody named, and not a baseline."""
    return outcome.way not in BASELINES and not fixed(outcome)


def fixed(outcome: Outcome) -> bool:
    """Whether nothing was chosen: all examples, or the whole of a pool; there is no random share of that size."""
    return outcome.budget is None or outcome.take == ALL


def share_of(outcome: Outcome) -> float:
    """What was kept of all; NaN where the table does not say."""
    return math.nan if outcome.keep is None else float(outcome.keep)


def compact(value: object, most: int = 160) -> str:
    """Any JSON in one short line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= most else text[: most - 3] + "..."


def _without_number(regime: str) -> str:
    """``steps`` of ``800 steps``, ``compute`` of ``compute of 800 steps``."""
    words = re.sub(r"\s*\bof [\d.,]+.*$", "", regime)
    return " ".join(re.sub(r"[\d.,]+", " ", words).split()) or regime


def _different(table: pa.Table, column: str) -> list[str]:
    return list(dict.fromkeys(table[column].to_pylist()))
