"""What scoring shards has cost: one small file per shard while the job runs, then one beside the table.

They tell seconds, so they are no part of the table: equal calls give equal tables and other costs.
"""

from __future__ import annotations

from pathlib import Path

from scoring.corpus.ledger import Ledger, ledger_path
from scoring.files import read_json, write_json
from scoring.sources.corpus import CorpusSource
from scoring.sources.source import Source


def add_costs(path: Path, source: Source) -> None:
    """Add what a source has spent on a piece to the file of its shard."""
    if not isinstance(source, CorpusSource) or not (source.ledger.signals or source.ledger.scorers):
        return
    total = Ledger()
    for costs in (read_json(path) if path.exists() else {}, source.ledger.to_dict()):
        total.add(costs)
    write_json(path, total.to_dict())


def write_costs(out: Path, folder: Path, request: str) -> None:
    """Those of all shards together, to ``<out>.costs.json``; nothing where no models of documents ran."""
    total = Ledger()
    for path in sorted(folder.glob("*.json")):
        total.add(read_json(path))
    if total.signals or total.scorers:
        write_json(ledger_path(out), {"request": request, **total.to_dict()})
