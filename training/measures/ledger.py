"""The cost ledger of a study: what scoring cost, what training on less saves, and after how many trainings it pays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from scoring.corpus.break_even import BreakEven
from scoring.errors import bad_value
from scoring.files import read_json
from scoring.table import ScoreTable
from training.studies.outcomes import CELL_KEY, FEWEST, Outcome, outcomes
from training.studies.running import STUDY
from training.studies.scores import SCORES, scoring_cost
from training.studies.table import read_table
from training.studies.ways import ALL

OWNER = "cost_ledger"
NOT_COUNTED = (
    "Scoring is the training of the scoring runs. FLOPs leave out their recording passes and the passes of the scorers "
    "(look-ups and bags of words count as nothing); seconds leave out the passes of the scorers, and are those of the "
    "machines that happened to be used."
)
"""What no entry holds."""
DOES_NOT_PAY = "It does not pay."


@dataclass(frozen=True)
class Spent:
    """FLOPs and seconds; None where they are not known."""

    flops: float | None
    seconds: float | None


@dataclass(frozen=True)
class Entry:
    """One way of choosing at one budget, in one regime.

    Attributes:
        outcome: Its cell, with verdicts against all examples and random shares.
        scoring: Spent on the score table that the way reads, whatever else reads it; 0 for ways that read none.
        training: One training on the selection, mean over seeds.
        full: One training on all examples, mean over seeds.
        runs: Trainings that use the selection, k.
    """

    outcome: Outcome
    scoring: Spent
    training: Spent
    full: Spent
    runs: int

    @property
    def equal_steps(self) -> bool:
        """Whether all runs have the same number of updates, so that training on less saves nothing."""
        return self.outcome.regime.endswith(" steps")

    @property
    def flops(self) -> BreakEven | None:
        """In FLOPs; None where some are not known, or training counts as nothing."""
        return self._paid(self.scoring.flops, self.training.flops, self.full.flops)

    @property
    def seconds(self) -> BreakEven | None:
        """In seconds."""
        return self._paid(self.scoring.seconds, self.training.seconds, self.full.seconds)

    @property
    def paid(self) -> BreakEven | None:
        """In FLOPs where they are known, else in seconds."""
        return self.flops or self.seconds

    @property
    def doubts(self) -> list[str]:
        """Why it is not recommended, in sentences; empty if it is."""
        outcome, paid, found = self.outcome, self.paid, []
        worse, random = outcome.called(outcome.against_all), outcome.called(outcome.against_random)
        if self.equal_steps:
            found.append("All runs have equally many updates, so training on less saves nothing.")
        elif paid is None:
            found.append("What it costs is not known.")
        elif not paid.pays:
            found.append(DOES_NOT_PAY)
        if outcome.against_all is None or outcome.against_all.seeds < FEWEST:
            found.append(f"With fewer than {FEWEST} seeds nothing is known of what it does to the model.")
        elif worse == "worse":
            found.append(f"Its {outcome.metric} is worse than with all examples.")
        if outcome.by is not None and random != "better":
            found.append("It is not better than a random share of the same size, which costs no scoring.")
        return found

    @property
    def recommended(self) -> bool:
        """It pays, is not called worse than all examples, and, if it was scored for, better than a random share."""
        return not self.doubts

    def text(self) -> str:
        """For people: the costs, then the recommendation or what speaks against it."""
        words, doubts = [f"{self.outcome.way}, {self.outcome.budget}, {self.outcome.regime}:"], self.doubts
        if self.paid is not None and not self.equal_steps:
            words.append(self.paid.text("FLOPs" if self.flops else "seconds"))
            doubts = [each for each in doubts if each != DOES_NOT_PAY]  # which was just said
        words += doubts
        if self.recommended:
            words.append(
                f"Recommended: its {self.outcome.metric} is not called worse than with all examples."
            )
        return " ".join(words)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        cell = {name: getattr(self.outcome, name) for name in (*CELL_KEY, "keep")}
        each = {"scoring": self.scoring, "training": self.training, "full": self.full}
        paid = {name: getattr(self, name) and getattr(self, name).to_dict() for name in ("flops", "seconds")}
        return {
            **cell,
            **{name: vars(spent) for name, spent in each.items()},
            **paid,
            "recommended": self.recommended,
            "doubts": self.doubts,
        }

    def _paid(self, scoring: float | None, training: float | None, full: float | None) -> BreakEven | None:
        if scoring is None or training is None or not full:
            return None
        return BreakEven(scoring, 0.0 if self.equal_steps else full - training, self.runs, full)


def cost_ledger(
    folder: str | Path, *, runs: int = 1, metric: str = "accuracy", split: str | None = None
) -> list[Entry]:
    """Every way at every budget of a study's folder, from its run table and the costs beside its score tables.

    Sachdeva et al. 2024 count so in their revision: a selection pays when scoring and ``runs`` trainings on it cost
    less than ``runs`` trainings on all examples (``BreakEven``). A score table is charged whole to every way that reads
    one of its columns. Columns of tables that the study did not make cost an unknown amount. ``NOT_COUNTED`` says what
    is in no entry.

    Args:
        folder: Of ``run_study``.
        runs: Trainings over which scoring is amortised.
        metric, split: What decides whether the model got worse; see ``outcomes``.

    Raises:
        FileNotFoundError: There is no study. InputError: ``runs`` below 1, or what ``outcomes`` refuses.
    """
    if not isinstance(runs, int) or isinstance(runs, bool) or runs < 1:
        raise bad_value("runs", OWNER, runs, "a whole number from 1")
    place = Path(folder)
    table = read_table(place)
    spent = _training(table)
    scoring = _scoring(place)
    entries = []
    for each in outcomes(table, metric, split=split):
        full = spent.get((each.variant, each.model, each.regime, ALL, None))
        if each.way == ALL or full is None:
            continue
        cost = Spent(0.0, 0.0)
        if each.by is not None:
            cost = scoring.get((each.variant, each.by), Spent(None, None))
        entries.append(Entry(each, cost, spent[tuple(getattr(each, name) for name in CELL_KEY)], full, runs))
    return entries


def cheapest(entries: list[Entry]) -> Entry | None:
    """The recommended entry that costs least with scoring over all its runs, or None: then train on all examples.

    Shares that were not scored for are among them: a random share is recommended where it is not called worse.
    """

    def total(entry: Entry) -> float:
        return entry.paid.total if entry.paid and entry.paid.total is not None else float("inf")

    return min((each for each in entries if each.recommended), key=total, default=None)


def _training(table: pa.Table) -> dict[tuple[Any, ...], Spent]:
    """Mean over seeds of what a training of every cell cost, at its end."""
    ends: dict[tuple[Any, ...], dict[int, Mapping[str, Any]]] = {}
    columns = [*CELL_KEY, "seed", "step", "C", "wall_time_s"]
    for row in table.select(columns).to_pylist():
        seeds = ends.setdefault(tuple(row[name] for name in CELL_KEY), {})
        if row["seed"] not in seeds or row["step"] >= seeds[row["seed"]]["step"]:
            seeds[row["seed"]] = row
    return {
        cell: Spent(
            _mean([row["C"] for row in rows.values()]), _mean([row["wall_time_s"] for row in rows.values()])
        )
        for cell, rows in ends.items()
    }


def _scoring(folder: Path) -> dict[tuple[str | None, str], Spent]:
    """(variant, column) -> what its table cost."""
    study = read_json(folder / STUDY)["study"]
    variants, asked = study.get("variants", {}), study.get("scores")
    found: dict[tuple[str | None, str], Spent] = {}
    for path in sorted((folder / SCORES).glob("*.parquet")):
        cost = scoring_cost(path)
        if cost is None or (asked is not None and cost.get("request") not in asked):
            continue  # what an earlier request of the same folder scored was not paid for this one
        table = ScoreTable.read(path)
        trained = cost["runs"] > 0  # scores without runs cost what providers take, which is not known here
        spent = Spent(cost["flops"], cost["wall_time_s"]) if trained else Spent(None, None)
        for name, about in variants.items():
            if about["fingerprint"] == table.fingerprint:
                found |= {(name, column): spent for column in table.columns}
    return found


def _mean(values: list[float | None]) -> float | None:
    known = [each for each in values if each is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
