"""What scoring cost: documents, tokens, seconds and floating-point operations, per signal and per scorer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from scoring.files import write_atomic
from scoring.manifest import to_json


@dataclass
class Cost:
    """Sums over what was computed in this call; what lay finished on disk costs nothing."""

    documents: int = 0
    tokens: int = 0
    seconds: float = 0.0
    flops: float = 0.0

    def add(self, *, documents: int = 0, tokens: int = 0, seconds: float = 0.0, flops: float = 0.0) -> None:
        """More of it."""
        self.documents += documents
        self.tokens += tokens
        self.seconds += seconds
        self.flops += flops


@dataclass
class Ledger:
    """Costs by what they were spent on: the ``repr`` of a signal, or the name of a scorer's column."""

    signals: dict[str, Cost] = field(default_factory=dict)
    scorers: dict[str, Cost] = field(default_factory=dict)

    def signal(self, name: str) -> Cost:
        """The cost of a signal so far."""
        return self.signals.setdefault(name, Cost())

    @contextmanager
    def scorer(self, name: str, documents: int) -> Iterator[None]:
        """Time spent in a scorer's own arithmetic."""
        started = perf_counter()
        yield
        self.scorers.setdefault(name, Cost()).add(documents=documents, seconds=perf_counter() - started)

    def add(self, more: Mapping[str, Any]) -> None:
        """The costs of another ledger, as JSON."""
        for kind, costs in (("signals", self.signals), ("scorers", self.scorers)):
            for name, numbers in more.get(kind, {}).items():
                costs.setdefault(name, Cost()).add(**numbers)

    def write(self, table: Path, request: str, resumed: bool) -> None:
        """To ``<table>.costs.json``; where a job was resumed, what earlier calls of the same request cost is added."""
        if not self.signals and not self.scorers:
            return
        path = ledger_path(table)
        known = json.loads(path.read_bytes()) if path.exists() else {}
        total = Ledger()
        total.add(known if resumed and known.get("request") == request else {})
        total.add(self.to_dict())
        write_atomic(path, to_json({"request": request, **total.to_dict()}, indent=1))

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def ledger_path(table: Path) -> Path:
    """Where the costs of a score table stand."""
    return table.with_name(f"{table.name}.costs.json")
