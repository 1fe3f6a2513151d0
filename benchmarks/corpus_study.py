"""Claim: language models on chosen documents of a dirty pool, at equal tokens, against random shares and the raw pool.

A pool of film reviews, Java methods and chunks of two novels, with exact copies of a few reviews and reviews whose
characters were shuffled planted in it. Documents are chosen by density (inverse propensity), a middle band of
perplexity under an n-gram model, and a quality classifier, both of which learn from one half of the Brown corpus; half
and a quarter of the tokens are kept. Llama-style models of three widths and a mixture of four experts read equally many
bytes of each selection. Losses are of held-out reviews, code and novels, and of Wikipedia, the other half of Brown, and
Shakespeare. Over-scaling and effective model sizes are of the dense models.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.record import data_file, write_record
from scoring.engines.engine import make_engine
from scoring.examples import Examples
from scoring.hashing import hash64, hash_ids
from training.studies.corpus import CorpusStudy
from training.studies.outcomes import Outcome, outcomes
from training.studies.running import run_study
from training.studies.sizes import study_effective_sizes, study_over_scaling

CLAIM = (__doc__ or "").split("\n")[0].removeprefix("Claim: ")
PARTS = {"reviews": 0.3, "code": 0.2, "novels": 0.2, "copies": 0.15, "noise": 0.15}
"""Shares of the bytes of the pool."""
COPIES = 6
PIECE = 1_500
"""Characters of the pieces that long articles are cut into, as the novels already are."""
NGRAM = "ngram_perplexity"
SELECT = ["inverse_propensity by density", f"band by {NGRAM}", "highest by quality_classifier"]
KEEP = ("50% tokens", "25% tokens")
FILES = {
    "reviews": ("imdb_unsup_8k", "text"),
    "code": ("code_java_csharp", "java"),
    "novels": ("gutenberg_novels", "text"),
    "wiki": ("wikitext2_valid_test", "text"),
    "brown": ("brown", "text"),
    "shakespeare": ("tinyshakespeare", "text"),
}


def documents(name: str) -> list[str]:
    """All different texts of a corpus, by hash: any first part of them is a random sample."""
    import pandas as pd

    file, column = FILES[name]
    texts = pd.read_parquet(data_file(f"corpora/{file}.parquet"))[column].astype(str)
    unique = sorted(set(texts[texts.str.strip() != ""]))
    order = np.argsort(hash64(0, hash_ids(unique).view(np.int64)), kind="stable")
    return [unique[row] for row in order]


def pieces(texts: list[str]) -> list[str]:
    """Long documents in pieces, in an order by hash."""
    found = sorted({each[at : at + PIECE] for each in texts for at in range(0, len(each), PIECE)})
    order = np.argsort(hash64(0, hash_ids(found).view(np.int64)), kind="stable")
    return [found[row] for row in order]


def first(texts: list[str], most: float) -> int:
    """How many of the first texts have at most so many bytes."""
    return int(np.searchsorted(np.cumsum([len(each.encode()) for each in texts]), most, side="right"))


def shuffled(text: str, seed: int) -> str:
    """The same characters in another order."""
    return "".join(np.random.default_rng(seed).permutation(list(text)))


def examples(name: str, texts: list[str]) -> Examples:
    """Texts with ids of their own."""
    ids = [f"{name}-{row}" for row in range(len(texts))]
    return Examples.load({"text": texts, "id": ids}, text="text", id="id", label=False, name=name)


def make_studies(given: argparse.Namespace) -> dict[str, CorpusStudy]:
    """Dense models on everything, and the mixture on a part of it.

    Texts of every corpus are used once: held out, in the pool, copied, shuffled, or as the target.
    """
    texts = {name: documents(name) for name in FILES}
    held_out, pool = {}, {}
    for name in ("reviews", "code", "novels"):
        out = first(texts[name], given.held_out)
        held_out[name], rest = examples(name, texts[name][:out]), texts[name][out:]
        kept = first(rest, PARTS[name] * given.pool)
        pool[name], texts[name] = rest[:kept], rest[kept:]
    some = texts["reviews"]
    few = first(some, PARTS["copies"] * given.pool / COPIES)
    pool["copies"] = [text for text in some[:few] for _ in range(COPIES)]
    rest = some[few:]
    pool["noise"] = [
        shuffled(text, row) for row, text in enumerate(rest[: first(rest, PARTS["noise"] * given.pool)])
    ]
    half = len(texts["brown"]) // 2
    for name, found in (
        ("wiki", pieces(texts["wiki"])),
        ("brown", pieces(texts["brown"][:half])),
        ("shakespeare", texts["shakespeare"]),
    ):
        held_out[name] = examples(name, found)
    target = examples("brown-target", pieces(texts["brown"][half:]))
    dense = CorpusStudy(
        data={name: examples(name, found) for name, found in pool.items()}, held_out=held_out, tokens=given.tokens,
        models=list(given.widths), select=SELECT, keep=KEEP, seeds=list(range(given.seeds)), device=given.device,
        scores=[
            {"scorers": "density", "options": {"encoder": "hashed"}},
            {"scorers": [NGRAM, "quality_classifier"], "options": {"target": target}},
        ],
        held_out_tokens=given.held_out, train_settings={"length": 64, "batch_tokens": 512},
    )  # fmt: skip
    mixture = {"width": given.experts_width, "experts": 4, "active": 1, "router_loss": 0.01}
    return {"dense": dense, "experts": replace(dense, models=[mixture], select=SELECT[-1:], keep=KEEP[-1:])}


def finite(value: Any) -> Any:
    """As JSON has it: no number for what is NaN, a word for what is infinite."""
    if isinstance(value, dict):
        return {str(key): finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else "infinite" if value > 0 else "-infinite"
    return value


def differences(outcome: Outcome) -> dict[str, Any]:
    """The loss of one split beside random, stratified and all, with intervals and words."""
    found: dict[str, Any] = {"mean": outcome.mean, "sd": outcome.sd}
    for name, each in (
        ("minus_random", outcome.against_random),
        ("minus_stratified", outcome.against_stratified),
        ("minus_all", outcome.against_all),
    ):
        if each is not None:
            found[name] = {
                "mean": each.mean,
                "interval_95": [each.low, each.high],
                "verdict": outcome.called(each),
            }
    return found


def told(table: pa.Table) -> dict[str, Any]:
    """Held-out losses at the end, counts of verdicts, and that the steps are one number."""
    splits = [each for each in dict.fromkeys(table["split"].to_pylist()) if each != "train"]
    by_split = {split: outcomes(table, "loss", split=split) for split in splits}
    rows = []
    for same in zip(*by_split.values()):
        one = same[0]
        rows.append(
            {
                "way": one.way, "kept": one.budget, "model": one.model, "documents": one.rows, "share": one.keep,
                "loss": {each.split: differences(each) for each in same},
            }
        )  # fmt: skip
    words: dict[str, Counter[str]] = {}
    for found in by_split.values():
        for each in found:
            if each.against_random is not None:
                words.setdefault(f"{each.way}, {each.budget}", Counter())[str(each.verdict)] += 1
    seen = table.to_pylist()
    return {
        "runs": len({row["run"] for row in seen}),
        "steps": sorted({row["steps"] for row in seen}),
        "epochs": sorted(
            {(row["budget"] or "all", round(row["epochs"], 3)) for row in seen if row["seed"] == 0}
        ),
        "minutes_of_single_runs": sum({row["run"]: row["wall_time_s"] for row in seen}.values()) / 60,
        "verdicts_against_random": {name: dict(each) for name, each in words.items()},
        "outcomes": rows,
    }


def sizes(table: pa.Table) -> dict[str, Any]:
    """Over-scaling in percent and effective sizes."""
    over, effective = [], []
    for step in study_over_scaling(table):
        row: dict[str, Any] = {
            "way": step.way,
            "kept": step.budget,
            "model": step.model,
            "larger": step.larger,
        }
        if step.found is None or step.over_seeds is None:
            over.append({**row, "why": step.why})
            continue
        across = step.found.percent
        over.append(
            {
                **row, "percent": across.value, "interval_95_over_seeds": [step.over_seeds.low, step.over_seeds.high],
                "interval_95_over_texts": [across.low, across.high], "by_text": dict(step.found.by_metric),
                "left_out": [str(each) for each in step.found.cautions],
            }
        )  # fmt: skip
    for size in study_effective_sizes(table):
        found = {
            name: {"size": each.size, "interval_95": [each.low, each.high], "place": each.place}
            for name, each in size.by_split.items()
        }
        effective.append(
            {"way": size.way, "kept": size.budget, "model": size.model, "N": size.N, "by_text": found}
        )
    return {"over_scaling": over, "effective_size": effective}


def main() -> None:
    """The grid, what came of it, and the record."""
    parser = argparse.ArgumentParser(description=CLAIM)
    parser.add_argument("--folder", type=Path, default=Path("runs/corpus_study"), help="folder of the runs")
    parser.add_argument("--pool", type=int, default=150_000, help="bytes of the pool")
    parser.add_argument("--tokens", type=int, default=75_000, help="tokens that every run is trained on")
    parser.add_argument("--held-out", type=int, default=4_000, help="tokens of every held-out text")
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 24, 40])
    parser.add_argument("--experts-width", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    engine = make_engine("processes", given.workers) if given.workers > 1 else None
    results: dict[str, Any] = {}
    for name, study in make_studies(given).items():
        table = run_study(study, given.folder / name, engine=engine, device=given.device, progress=True)
        results[name] = {"study": study.describe(), **told(table)}
        if len(study.shapes) > 1:
            results[name] |= sizes(table)
    write_record("corpus_study", CLAIM, finite(results), list(range(given.seeds)))


if __name__ == "__main__":
    main()
