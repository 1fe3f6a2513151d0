"""Claim: small runs of our own predict the largest one, and one corpus predicts another, with intervals that hold.

``sweep``: Llama-style byte-level models of five widths, four token budgets, three corpora (prose: two novels and the
Brown corpus; reviews: IMDb; code: Java and C# methods, each with its translation in one document so that no translation
of a held-out method is trained on), one seed, one thread per run. Its table of runs is kept beside the record.
``analyse``: laws, loss-to-loss maps and predictions of the largest run of every corpus, from that table alone.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks.record import data_file
from scoring.engines.engine import make_engine
from training.cell_data import DataRequest
from training.pretraining.corpus import CorpusRequest
from training.studies.scaling_sweep import scaling_sweep

WIDTHS = (24, 32, 48, 64, 88)
BUDGETS = (150_000, 300_000, 600_000, 1_200_000)
HELD_OUT_TOKENS = 2**15


def corpora() -> tuple[CorpusRequest, ...]:
    """Prose, reviews and code."""

    def part(name: str, **columns: str) -> DataRequest:
        return DataRequest(data_file(f"corpora/{name}.parquet"), {"label": False, **columns})

    return (
        CorpusRequest("prose", (part("gutenberg_novels", text="text"), part("brown", text="text"))),
        CorpusRequest("reviews", (part("imdb_unsup_8k", text="text"),)),
        CorpusRequest("code", (part("code_java_csharp", text="java", text_pair="csharp"),)),
    )


def sweep(out: Path, workers: int) -> None:
    """Train, and keep the table of runs."""
    started = time.monotonic()
    table = scaling_sweep(
        corpora(), out=out, widths=WIDTHS, budgets=BUDGETS, held_out_tokens=HELD_OUT_TOKENS, device="cpu",
        engine=make_engine("processes", workers) if workers > 1 else None, evaluate_at=(), progress=True,
    )  # fmt: skip
    print(f"{table}: {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("step", choices=("sweep",))
    parser.add_argument("--out", type=Path, default=Path("runs/scaling_sweep"))
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    sweep(given.out, given.workers)
