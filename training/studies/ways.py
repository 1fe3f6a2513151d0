"""Ways of choosing, as a study lists them: a strategy, a score where it reads one, options, class quotas."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scoring.errors import InputError, bad_value, unknown_name
from selection.budget import Budget, parse_budget
from selection.catalog import make_strategy

RANDOM, ALL = "random", "all"
STRATIFIED = "proportional"
"""The quotas of the class-stratified random baseline: every class keeps its share."""

OWNER = "study"
_WORDS = re.compile(r"(?P<take>[^\s()]+)(?:\s+by\s+(?P<by>\S+))?")


@dataclass(frozen=True)
class Way:
    """A way of choosing: a strategy by name, with options of its own or class quotas of its own."""

    take: str
    options: Mapping[str, Any] = field(default_factory=dict)
    balance: str | None = None
    """None: the balance of the study."""
    by: str | None = None
    """The score column; None for strategies that read none."""

    @property
    def told(self) -> str | None:
        """The options in one line, or None."""
        return ", ".join(f"{name}={value}" for name, value in self.options.items()) or None

    @property
    def name(self) -> str:
        """``hardest by el2n, drop_hardest=0.1, balance equal``; the stratified baseline is ``stratified random``."""
        if self == STRATIFIED_RANDOM:
            return "stratified random"
        balance = None if self.balance in (None, "none") else f"balance {self.balance}"
        more = "".join(f", {words}" for words in (self.told, balance) if words)
        return f"{self.take}{f' by {self.by}' if self.by else ''}{more}"

    @property
    def reads_score(self) -> bool:
        """Whether the strategy reads a score."""
        return make_strategy(self.take, self.options)[1].scores != "unused"


PLAIN_RANDOM = Way(RANDOM, balance="none")
STRATIFIED_RANDOM = Way(RANDOM, balance=STRATIFIED)
BASELINES = (PLAIN_RANDOM, STRATIFIED_RANDOM)
"""What every study trains on at every budget, whether it was asked for or not."""


def read_ways(given: object, owner: str = OWNER) -> list[Way]:
    """Ways from what a study file lists.

    Each is ``Way``, text (``hardest by el2n``, ``random``), or a mapping with ``take`` and, where they are wanted,
    ``by`` (a column or several, each a way of its own), ``balance``, and options of the strategy beside them.
    """
    if isinstance(given, str | Mapping | Way):
        given = [given]
    if not isinstance(given, Iterable):
        raise bad_value("select", owner, given, "a list of ways of choosing, such as 'hardest by el2n'")
    return [way for each in given for way in _read(each, owner)]


def _read(given: object, owner: str) -> list[Way]:
    if isinstance(given, Way):
        return [given]
    if isinstance(given, str):
        found = _WORDS.fullmatch(given.strip())
        if found is None:
            raise bad_value(
                "select", owner, given, "a strategy, or 'STRATEGY by SCORE', such as 'hardest by el2n'"
            )
        return [Way(found["take"], by=found["by"])]
    if not isinstance(given, Mapping):
        raise bad_value("select", owner, given, "text such as 'hardest by el2n', or a mapping with take")
    options = {str(name): value for name, value in given.items()}
    take = options.pop("take", None)
    if not isinstance(take, str):
        near = [name for name in options if name.startswith("t")]
        raise (
            unknown_name("a key of select", owner, near[0], ("take", "by", "balance"))
            if near
            else bad_value("take", owner, take, "the name of a strategy")
        )
    by, balance = options.pop("by", None), options.pop("balance", None)
    several = (
        isinstance(by, Sequence)
        and not isinstance(by, str)
        and by
        and all(isinstance(each, str) for each in by)
    )
    if not (by is None or isinstance(by, str) or several):
        raise bad_value("by", owner, by, "the name of a score, or several")
    columns: Sequence[Any] = [by] if by is None or isinstance(by, str) else list(by)
    return [Way(take, options, balance, column) for column in columns]


def read_budgets(given: object, owner: str = OWNER) -> list[Budget]:
    """Different budgets from one or a list of them (``selection.budget.parse_budget``); all is trained on anyway.

    Raises:
        InputError: No budget, one of nothing, or one twice.
    """
    several: Any = given if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    budgets = [parse_budget(each) for each in several]
    empty = any(each.count == 0 for each in budgets)
    if not budgets or empty or len({str(each) for each in budgets}) < len(budgets):
        raise bad_value("keep", owner, [str(each) for each in budgets], "one or more different budgets")
    return [each for each in budgets if each.fraction != 1]


def settle_ways(ways: Sequence[Way], balance: str, owner: str = OWNER) -> list[Way]:
    """The baselines first, then the ways asked for, each with its balance; none twice.

    Raises:
        InputError: A way that occurs twice, a strategy that needs a score and names none, or the other way round.
    """
    settled: list[Way] = list(BASELINES)
    for way in ways:
        found = replace(way, balance=way.balance or balance)
        if found.take == ALL:
            continue  # trained on anyway
        reads = found.reads_score
        if not reads and found.by is not None:
            found = replace(found, by=None)
        if found in BASELINES:
            continue
        if found in settled:
            raise InputError(f"{owner}: select must not repeat, got {found.name!r} twice.")
        settled.append(found)
    return settled


def all_columns() -> dict[str, Any]:
    """The columns of the cell that trains on all examples."""
    return {"way": ALL, "take": ALL}


def way_columns(way: Way, budget: Budget) -> dict[str, Any]:
    """The columns of a way of choosing at a budget."""
    return {
        "way": way.name, "by": way.by, "take": way.take, "options": way.told, "balance": way.balance,
        "budget": str(budget),
    }  # fmt: skip
