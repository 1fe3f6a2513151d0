"""The scaling sweep: widths x token budgets x corpora x seeds, and the table of runs that laws are fitted to."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from scoring.checkpoints import RUN, RunDirectory
from scoring.engines.engine import Engine
from scoring.engines.local import Local
from scoring.engines.slices import Slice
from scoring.errors import InputError, bad_value
from scoring.files import atomic_file
from scoring.hashing import digest
from scoring.inference import pick_device
from scoring.progress import progress as show
from training.cells import CellsFailed, map_all, reason_for
from training.pretraining.corpus import Corpus, CorpusRequest
from training.pretraining.decoder import shape_of_width
from training.pretraining.held_out import HeldOut
from training.pretraining.run import describe, pretrain
from training.pretraining.settings import PretrainSettings
from training.settings import read_seeds

OWNER = "scaling_sweep"
TABLE = "runs.parquet"
HELD_OUT_TOKENS = 2**15

SCHEMA = pa.schema(
    {
        "run": pa.string(),
        "corpus": pa.string(),
        "N": pa.float64(),
        "D": pa.float64(),
        "C": pa.float64(),
        "step": pa.float64(),
        "split": pa.string(),
        "metric": pa.string(),
        "value": pa.float64(),
        "U": pa.float64(),
        "epochs": pa.float64(),
        "seed": pa.int64(),
        "width": pa.int64(),
        "non_embedding": pa.float64(),
        "flops": pa.float64(),
        "budget": pa.int64(),
    }
)
"""A run table (``training.laws.run_table``), one row per run, step and metric; ``corpus`` was trained on.

``N``: all parameters, tied embeddings once; ``non_embedding``: without. ``D``: tokens trained on when the value was
measured, ``budget`` those of the whole run; ``C`` = 6 N D; ``flops`` counts attention too, up to that step. ``U``:
unique tokens and ``epochs`` of the whole run. ``metric``: ``<corpus>/loss``, nats per token of that corpus' held-out
text, ``<corpus>/loss_per_byte``, and ``train/loss``, the mean over the last hundredth of the updates.
"""


@dataclass(frozen=True)
class Sweep:
    """What all runs of a call share."""

    corpora: tuple[CorpusRequest, ...]
    out: str
    held_out_tokens: int
    settings: Mapping[str, Any]
    device: str
    threads: int
    resume_seconds: float
    progress: bool
    folder: str
    """Where relative paths start."""


@dataclass(frozen=True)
class Material:
    """The corpora as a process has read them: what is trained on, and the held-out texts of all."""

    train: Mapping[str, Corpus]
    held_out: Mapping[str, HeldOut]


_read: dict[tuple[Any, ...], Material] = {}
"""What this process has read; one sweep's at a time."""


def material(corpora: Sequence[CorpusRequest], held_out_tokens: int) -> Material:
    """Read all corpora, once per process."""
    key = (repr(corpora), held_out_tokens)
    if key not in _read:
        parts = {request.name: request.load() for request in corpora}
        _read.clear()
        _read[key] = Material(
            {name: train for name, (train, _) in parts.items()},
            {name: HeldOut.of(held_out, held_out_tokens) for name, (_, held_out) in parts.items()},
        )
    return _read[key]


def scaling_sweep(
    corpora: Iterable[CorpusRequest],
    *,
    out: str | Path,
    widths: Sequence[int],
    budgets: Sequence[int],
    seeds: Iterable[int] = (0,),
    engine: Engine | None = None,
    held_out_tokens: int = HELD_OUT_TOKENS,
    device: str = "auto",
    threads: int = 1,
    resume_seconds: float = 60.0,
    progress: bool = False,
    **settings: Any,
) -> Path:
    """Pretrain every (corpus, width, budget, seed) and give the path of the table of runs, ``out/runs.parquet``.

    Every run is measured on the held-out texts of all corpora. A run lies in ``out/<corpus>-w<width>-t<tokens>-s<seed>-
    <hash>``, the hash being of all that its result depends on: so a sweep continues where it stopped, grows when it is
    called with more, and mixes nothing up when a setting changes. Cheap runs come first. A run that fails does not stop
    the others; the table of all that are finished is written either way.

    Args:
        budgets: Tokens to train on, each met exactly.
        engine: Where runs happen; by default in this process, one after another.
        held_out_tokens: Whole documents of at most so many tokens of every corpus are measured.
        threads: Of each run on the CPU; with many runs, more processes help more.
        settings: Of ``pretrain``, for all runs.

    Raises:
        InputError: A setting that does not fit, found before the first run. CellsFailed: Some runs failed.
    """
    requests = tuple(corpora)
    names = [request.name for request in requests]
    if not names or len(set(names)) < len(names):
        raise bad_value("corpora", OWNER, names, "one or more of different names")
    if not all(re.fullmatch(r"[\w.-]+", name) for name in names):
        raise bad_value(
            "corpora", OWNER, names, "named by letters, digits, '_', '.' and '-': runs are folders"
        )
    for name, values in (("widths", widths), ("budgets", budgets)):
        if not values or len(set(values)) < len(values):
            raise bad_value(name, OWNER, list(values), "one or more different numbers")
    if "tokens" in settings:
        raise InputError(f"{OWNER}: give budgets, not tokens.")
    numbers = read_seeds(seeds, OWNER)
    folder = Path(out).absolute()
    runner: Engine = Local() if engine is None else engine
    if isinstance(runner, Slice):
        raise InputError(
            f"{OWNER}: a sweep has no slices; give every machine corpora, widths or budgets of its own."
        )
    here = isinstance(runner, Local)
    gpus = 0.0 if here else float(pick_device(device).type == "cuda")
    sweep = Sweep(
        requests, str(folder), held_out_tokens, dict(settings), device, threads, resume_seconds,
        progress and here, str(Path.cwd()),
    )  # fmt: skip
    cells = [
        {"corpus": corpus, "width": width, "tokens": tokens, "seed": seed}
        for seed in numbers
        for width, tokens in sorted(((w, t) for w in widths for t in budgets), key=lambda each: each[0] ** 3 * each[1])
        for corpus in names
    ]  # fmt: skip
    found = material(requests, held_out_tokens)
    places = {run_name(sweep, found, cell): cell for cell in cells}
    todo = [name for name in places if _status(folder / name) != "finished"]
    failed: dict[str, str] = {}
    traces: list[str] = []
    with show("pretraining", len(places), "runs", progress, len(places) - len(todo)) as advance:
        tasks = [places[name] for name in todo]
        for index, result in map_all(runner, partial(train_run, sweep), tasks, gpus, OWNER):
            if result:
                failed[todo[index]] = result["why"]
                traces.append(result["trace"])
            advance(1)
    finished = [folder / name for name in places if _status(folder / name) == "finished"]
    write_run_table(folder / TABLE, [RunDirectory.open(path) for path in finished])
    if failed:
        error = CellsFailed(failed, len(places), OWNER)
        error.add_note("\n".join(traces))
        raise error
    return folder / TABLE


def run_name(sweep: Sweep, found: Material, cell: Mapping[str, Any]) -> str:
    """The folder of a run, with a hash of all that its result depends on; what is wrong with it shows here."""
    corpus = found.train[cell["corpus"]]
    checked = PretrainSettings.read(OWNER, {**sweep.settings, "tokens": cell["tokens"]})
    shape = shape_of_width(cell["width"], corpus.tokenizer.vocabulary)
    request = describe(corpus, found.held_out, shape, checked, cell["seed"])
    content = digest(*(f"{key}={value}".encode() for key, value in sorted(request.items()))).hex()
    return f"{cell['corpus']}-w{cell['width']}-t{cell['tokens']}-s{cell['seed']}-{content[:8]}"


def train_run(sweep: Sweep, cell: Mapping[str, Any]) -> dict[str, str]:
    """One run; gives nothing, or why it failed."""
    try:
        if Path(sweep.folder).is_dir() and Path.cwd() != Path(sweep.folder):
            os.chdir(sweep.folder)
        found = material(sweep.corpora, sweep.held_out_tokens)
        name = run_name(sweep, found, cell)
        pretrain(
            found.train[cell["corpus"]], found.held_out, out=Path(sweep.out) / name, width=cell["width"],
            seed=cell["seed"], device=sweep.device, threads=sweep.threads, resume_seconds=sweep.resume_seconds,
            progress=sweep.progress, label=name, **{**sweep.settings, "tokens": cell["tokens"]},
        )  # fmt: skip
    except Exception as error:  # whatever it is, the other runs are still wanted
        return {"why": reason_for(error), "trace": traceback.format_exc()}
    return {}


def _status(folder: Path) -> str | None:
    return RunDirectory.open(folder).status if (folder / RUN).is_file() else None


def run_rows(run: RunDirectory) -> list[dict[str, Any]]:
    """The rows of one run: every held-out loss that was measured, and the last training loss."""
    config = run.config
    size, tokens = config["num_parameters"], config["tokens"]
    batch = config["config"]["batch_tokens"]
    fixed = {
        "run": run.name, "corpus": config["data"]["name"], "N": size, "U": config["unique_tokens"],
        "epochs": config["epochs"], "seed": config["seed"], "width": config["model"]["width"],
        "non_embedding": config["non_embedding_parameters"], "budget": tokens,
    }  # fmt: skip
    rows = []
    for metric in run.metrics().to_pylist():
        train = metric["split"] == "train"
        if train and metric["step"] != config["steps"]:
            continue
        seen = min(tokens, metric["step"] * batch)
        rows.append(
            {
                **fixed, "D": seen, "C": 6 * size * seen, "flops": config["flops"] * seen / tokens,
                "step": metric["step"], "split": "train" if train else "held_out",
                "metric": f"{metric['split']}/{metric['name']}", "value": metric["value"],
            }
        )  # fmt: skip
    return rows


def write_run_table(path: Path, runs: Iterable[RunDirectory]) -> None:
    """One Parquet file; equal runs give equal bytes."""
    rows = [row for run in sorted(runs, key=lambda each: each.name) for row in run_rows(run)]
    with atomic_file(path) as temporary:
        parquet.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), temporary, compression="zstd")
