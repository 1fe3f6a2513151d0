"""pretrain(): one run directory of a language model trained from nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scoring.checkpoints import RunDirectory
from scoring.errors import InputError, bad_value
from scoring.inference import check_precision, pick_device
from scoring.progress import progress as show
from training.environment import describe_versions, git_commit
from training.identity import Request, digests, open_run
from training.isolation import isolated, using_threads
from training.pretraining.corpus import Corpus
from training.pretraining.decoder import Blueprint, Decoder, learning_rate, shape_of_width
from training.pretraining.held_out import HeldOut
from training.pretraining.loop import PretrainLoop
from training.pretraining.settings import OWNER, PretrainSettings
from training.pretraining.tokens import TokenStream
from training.resume import drop_resume
from training.run import RESUME_SECONDS

FLOPS_METHOD = (
    "matrix products of the forward pass and twice those of the backward pass, attention over all pairs of a sequence, "
    "per training token; evaluation is not counted"
)


def pretrain(
    corpus: Corpus,
    held_out: Mapping[str, HeldOut],
    *,
    out: str | Path,
    width: int | None = None,
    shape: Blueprint | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int = 1,
    resume_seconds: float = RESUME_SECONDS,
    progress: bool = False,
    label: str | None = None,
    **settings: Any,
) -> RunDirectory:
    """Train a decoder on exactly ``tokens`` tokens of ``corpus`` and give its run directory.

    A run that is finished is not repeated, and one that was interrupted continues with identical results; a different
    call with the same ``out`` is refused. With equal ``tokens`` runs on different selections have equal compute; a
    corpus that is shorter is gone through again, in another order each time.

    ``run.json`` has ``num_parameters`` (N, see ``decoder.Shape.parameters``) and those without embeddings, ``tokens``
    (D), ``unique_tokens`` (U), ``epochs``, ``flops`` (exact) and the learning rate; ``metrics.parquet`` the training
    loss about 100 times, and ``loss`` and ``loss_per_byte`` of every held-out text.

    Args:
        corpus: What to train on: the first part of ``Corpus.split``, or a selection of it.
        held_out: Texts by name, measured at the end and at ``evaluate_at``: of this corpus and of others.
        width: The width of a model by the rules of ``decoder.shape_of_width``; or give its ``shape``, also
            of another family (``configured.Configured``).
        seed: Decides initial weights and the order of documents.
        threads: On the CPU; how a sum is split over threads decides its last bit.
        settings: Of ``PretrainSettings``; ``tokens`` is needed.

    Raises:
        InputError: A setting that does not fit; texts of another tokenizer. TrainingDiverged: the loss is not finite.
    """
    checked = PretrainSettings.read(OWNER, settings)
    if (width is None) == (shape is None):
        raise InputError(f"{OWNER}: give either width or shape.")
    vocabulary = corpus.tokenizer.vocabulary
    chosen: Blueprint | None = shape
    if width is not None:
        chosen = shape_of_width(width, vocabulary)
    assert chosen is not None
    if chosen.vocabulary < vocabulary:
        raise bad_value(
            "shape", OWNER, chosen.vocabulary, f"of a vocabulary of {vocabulary:,} as {corpus.name} has"
        )
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise bad_value("threads", OWNER, threads, "a whole number of at least 1")
    for name, text in held_out.items():
        if not text.fingerprint.endswith(f" {corpus.tokenizer.name}"):
            raise InputError(f"{OWNER}: held-out text {name} and {corpus.name} must have one tokenizer.")
    where = pick_device(device)
    check_precision(checked.precision, where, OWNER)
    folder = Path(out)
    request = describe(corpus, held_out, chosen, checked, seed)
    run = open_run(folder, request, checked.to_json(), OWNER)
    if run is not None and run.status == "finished":
        drop_resume(folder)
        return run

    started = time.monotonic()
    stream = TokenStream(corpus, seed)
    lr = checked.lr if checked.lr is not None else learning_rate(chosen.width)
    with isolated(where), using_threads(threads if where.type == "cpu" else 1):
        model = Decoder(chosen, checked.length, seed)
        if run is None:
            run = RunDirectory.create(
                folder, {**about(stream, held_out, chosen, checked, lr), "seed": seed, "device": str(where)}
                | {"request": request, "threads": threads},
            )  # fmt: skip
        elif run.status != "running":
            run.update(status="running")
        loop = PretrainLoop(stream, held_out, model, checked, lr, where, run)
        before = loop.seconds
        with show(
            f"pretraining {label or folder.name}", checked.tokens, "tokens", progress, loop.tokens(loop.step)
        ) as advance:
            loop.run(advance, lambda: before + time.monotonic() - started, resume_seconds)
    run.finish(wall_time_s=before + time.monotonic() - started, steps=checked.steps)
    drop_resume(folder)
    return run


def describe(
    corpus: Corpus, held_out: Mapping[str, HeldOut], shape: Blueprint, settings: PretrainSettings, seed: int
) -> Request:
    """The identity of a run: equal requests give equal runs, on machines of one kind."""
    return digests(
        {
            "settings": settings.to_json(),
            "seed": seed,
            "model": shape.to_json(),
            "data": corpus.fingerprint,
            "held_out": {name: text.fingerprint for name, text in sorted(held_out.items())},
        }
    )


def about(
    stream: TokenStream,
    held_out: Mapping[str, HeldOut],
    shape: Blueprint,
    settings: PretrainSettings,
    lr: float,
) -> dict[str, Any]:
    """What run.json says of the run before it begins."""
    corpus, tokens = stream.corpus, settings.tokens
    return {
        "config": settings.to_json(),
        "model": {"family": shape.family, "width": shape.width, **shape.to_json()},
        "num_parameters": shape.parameters,
        "active_parameters": shape.active,
        "non_embedding_parameters": shape.non_embedding,
        "tokens": tokens,
        "unique_tokens": stream.unique(tokens),
        "epochs": stream.epochs(tokens),
        "data": {
            "name": corpus.name,
            "fingerprint": corpus.fingerprint,
            "documents": len(corpus),
            "tokens": len(corpus.tokens),
            "bytes": int(corpus.bytes_M.sum()),
            "tokenizer": corpus.tokenizer.name,
        },
        "held_out": {
            name: {"tokens": len(text.tokens) - 1, "bytes": text.bytes, "fingerprint": text.fingerprint}
            for name, text in held_out.items()
        },
        "learning_rate": lr,
        "flops": tokens * shape.flops_per_token(settings.length),
        "flops_method": FLOPS_METHOD,
        "wall_time_s": None,
        "versions": describe_versions(),
        "git_commit": git_commit(),
    }
