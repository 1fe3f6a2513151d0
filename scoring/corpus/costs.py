"""What the columns of a score table have cost, from the ledger beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scoring.corpus.ledger import Cost, Ledger, ledger_path
from scoring.corpus.wording import count, duration, need_name
from scoring.errors import InputError
from scoring.plan import parse_columns
from scoring.sources.corpus import expanded
from scoring.table import ScoreTable


@dataclass(frozen=True)
class ScorerCost:
    """The signals that a scorer reads, and its own arithmetic.

    Attributes:
        shares: Scorers that read some of the same signals; what those cost is in the numbers of each of them.
    """

    scorer: str
    signals: tuple[str, ...]
    cost: Cost
    shares: tuple[str, ...]


@dataclass(frozen=True)
class Costs:
    """Of a score table: per scorer, per signal, and together, where each signal counts once."""

    scorers: Sequence[ScorerCost]
    signals: Mapping[str, Cost]
    total: Cost

    @property
    def flops(self) -> float:
        """All floating-point operations that are known of."""
        return self.total.flops

    def rows(self) -> list[dict[str, Any]]:
        """One row per scorer, the last one for all together: scorer, documents, tokens, seconds, flops."""
        named = [(each.scorer, each.cost) for each in self.scorers]
        return [{"scorer": name, **asdict(cost)} for name, cost in (*named, ("together", self.total))]

    def text(self) -> str:
        """For people."""
        lines = []
        for each in self.scorers:
            shared = f" (shared with {', '.join(each.shares)})" if each.shares else ""
            signals = f", for {', '.join(each.signals)}{shared}" if each.signals else ""
            lines.append(f"{each.scorer}: {_said(each.cost)}{signals}.")
        return "\n".join([*lines, f"Together: {_said(self.total)}."])


def costs_of(table: str | Path) -> Costs:
    """The costs of a score table of documents, or of a folder of its shards.

    What lay finished on disk when a call began cost nothing in it; calls that were interrupted, but not killed, and
    left something to go on with are in the sums. Operations are those that providers know of: a server that does not
    say how large its model is has none.

    Raises:
        InputError: There is no table, or none with costs: only signals of models of documents have some.
    """
    path = Path(table)
    ledger = ledger_path(path)
    if not ledger.exists():
        raise InputError(
            f"costs_of: {str(path)!r} must be a score table of documents with {ledger.name!r} beside it, which is "
            "written where models read the documents."
        )
    found = Ledger()
    known = json.loads(ledger.read_bytes())
    found.add(known)
    scores = ScoreTable.read(path)
    described = scores.columns
    if known.get("request") != scores.info.get("request"):
        raise InputError(
            f"costs_of: {ledger.name!r} must be of the table {str(path)!r}, and is of another one."
        )
    names = [name for name, about in described.items() if about.get("role", "score") == "score"]
    reads = {name: _reads(name) for name in names}
    scorers = []
    for name in names:
        keys = [key for key in reads[name] if key in found.signals]
        shares = tuple(other for other in names if other != name and any(key in reads[other] for key in keys))
        cost = _sum([*(found.signals[key] for key in keys), found.scorers.get(name, Cost())], len(scores))
        scorers.append(ScorerCost(name, tuple(reads[name][key] for key in keys), cost, shares))
    named = {key: name for each in reads.values() for key, name in each.items()}
    return Costs(
        scorers,
        {named.get(key, key): cost for key, cost in found.signals.items()},
        _sum([*found.signals.values(), *found.scorers.values()], len(scores)),
    )


def _reads(column: str) -> dict[str, str]:
    """The signals of a column by their names in the ledger; none of a scorer that is not in the catalogue."""
    try:
        (parsed,) = parse_columns(column)
    except InputError:
        return {}
    return {repr(need): need_name(need) for need in sorted(expanded(parsed.scorer.reads), key=repr)}


def _sum(costs: Sequence[Cost], rows: int) -> Cost:
    """Of costs of the same documents, ``rows`` of them: a signal that is read at several looks is of no more."""
    total = Cost()
    for cost in costs:
        total.add(tokens=cost.tokens, seconds=cost.seconds, flops=cost.flops)
    total.documents = min(rows, max((cost.documents for cost in costs), default=0))
    return total


def _said(cost: Cost) -> str:
    parts = [f"{cost.documents:,} documents", duration(cost.seconds)]
    if cost.tokens:
        parts.insert(1, f"{count(cost.tokens)} tokens")
    if cost.tokens or cost.flops:
        parts.append(f"{cost.flops:.2e} FLOPs" if cost.flops else "operations unknown")
    return ", ".join(parts)
