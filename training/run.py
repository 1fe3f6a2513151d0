"""train(): run directories of one or more seeds; the loop itself is in ``training.loop``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scoring.checkpoints import RunDirectory
from scoring.errors import InputError, bad_value
from scoring.examples import Examples
from scoring.inference import check_precision, pick_device
from scoring.models import Model, build_model
from scoring.progress import progress
from training.environment import describe_run
from training.flops import FLOPS_METHOD, measure_flops
from training.identity import describe_request, open_run
from training.isolation import fitting_threads, isolated
from training.job import Job, make_job
from training.loop import Loop, TrainingDiverged
from training.online.chooser import Chooser
from training.online.chosen import write_chosen
from training.online.request import OnlineSelection
from training.recorder import Recorder
from training.resume import drop_resume
from training.settings import Settings, read_seeds
from training.start import Start, start_model

if TYPE_CHECKING:
    import torch

    from selection.subset import Subset

__all__ = ["RESUME_SECONDS", "TrainingDiverged", "train", "train_one"]

RESUME_SECONDS = 60.0


def train(
    examples: Examples,
    model: Any,
    *,
    out: str | Path,
    evaluate: Examples | str | float | bool | None = None,
    subset: Subset | str | Path | None = None,
    seeds: Iterable[int] = (0,),
    start: str | Path | None = None,
    online: OnlineSelection | None = None,
    model_options: Mapping[str, Any] | None = None,
    device: str = "auto",
    resume_seconds: float = RESUME_SECONDS,
    allow_changed_data: bool = False,
    trust_remote_code: bool = False,
    progress: bool = False,
    **settings: Any,
) -> list[RunDirectory]:
    """Train ``model`` once per seed and give the run directories ``out/seed-0``, ``out/seed-1`` ...

    A run that is finished is not repeated, and one that was interrupted continues with identical results; a different
    call with the same ``out`` is refused.

    Args:
        examples: What to train on; labels are needed.
        model: A name, ``module:function`` or ``nn.Module``; see ``scoring.models.build_model``.
        out: Folder of the runs.
        evaluate: Examples or split to evaluate on, or a fraction to hold out of every class (the same for all seeds,
            never trained on, never scored). Default: the split ``test`` or ``validation`` of the source, if it has
            one; False: nothing.
        subset: Train on these ids only, with their weights (normalised to mean 1). Ids that are held out are left out.
        start: A finished run directory, or one of its checkpoint folders, whose weights the training starts from, with
            a new optimizer and schedule. It must be of the same model and classes.
        online: Choose inside the loop, by the current model, which part of what is drawn an update is made on; its
            forward passes are counted in ``flops``, and ``chosen.parquet`` says what was chosen. Not with ``record``.
        model_options: Options of the model, such as ``{"hidden": (512, 512)}``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        resume_seconds: How often the state from which an interrupted run continues is written.
        settings: ``epochs`` (default 10) or ``steps``; ``batch_size`` 64 examples per update, in ``accumulate``
            micro-batches; ``optimizer`` "adamw", ``lr``, ``weight_decay``, ``optimizer_options``; ``schedule``
            "cosine", "linear", "wsd" or "constant", with ``warmup``; ``clip``, the largest gradient norm; ``precision``
            of the forward pass; ``augment`` images by "flip-crop"; ``record`` per-example signals (True, "logits",
            "summary") with clean passes every ``clean_every``; ``checkpoint_every``, ``evaluate_every``: "1 epoch",
            "100 steps", None for the end only (no clean pass at all), or "auto": every epoch, thinned out to at most
            20; ``checkpoint_start`` also before the first update; ``save_optimizer`` in checkpoints (not in that one).

    Raises:
        InputError: A setting, subset or data that do not fit. TrainingDiverged: the loss is not finite.
    """
    checked = Settings.read("train", settings)
    job = make_job(examples, evaluate, subset, allow_changed_data)
    return [
        train_one(
            job, model, checked, Path(out) / f"seed-{seed}", seed, start=start, online=online,
            model_options=model_options, device=device, resume_seconds=resume_seconds,
            trust_remote_code=trust_remote_code, show_progress=progress,
        )
        for seed in read_seeds(seeds, "train")
    ]  # fmt: skip


def train_one(
    job: Job,
    model: Any,
    settings: Settings,
    out: Path,
    seed: int,
    *,
    start: str | Path | None = None,
    online: OnlineSelection | None = None,
    model_options: Mapping[str, Any] | None = None,
    device: str = "auto",
    resume_seconds: float = RESUME_SECONDS,
    trust_remote_code: bool = False,
    show_progress: bool = False,
    fold: dict[str, int] | None = None,
    label: str | None = None,
) -> RunDirectory:
    """One run of one seed, which its progress calls ``label``; see ``train``."""
    where, net, begin = settle(
        job, model, settings, seed, start=start, model_options=model_options, device=device,
        trust_remote_code=trust_remote_code,
    )  # fmt: skip
    if online is not None and settings.record:
        raise InputError(
            "train: record must be False with online selection, since only chosen examples are presented; "
            "chosen.parquet says which."
        )
    selection = None if online is None else online.describe(job.examples, job.rows)
    request = describe_request(job, net, settings, seed, fold, begin, selection)
    run = open_run(out, request, settings.to_json())
    if run is not None and run.status == "finished":
        drop_resume(out)
        return run

    started = time.monotonic()
    with isolated(where):
        prepared = net.inputs.prepare(job.examples, job.rows)
        chooser = None
        if online is not None:
            chooser = Chooser(
                online, job, net, prepared, settings.batch_size, seed, where, settings.precision
            )
        loop = Loop(job, net, prepared, settings, seed, where, chooser)
        if run is None:
            lr = loop.peaks[0]
            per_unit, unit = measure_flops(net, prepared, loop.order(0)[: settings.batch_size], where)
            about = describe_run(job, net, settings, seed, where, fold)
            about |= {"flops": None, "flops_per_unit": per_unit, "flops_unit": unit, "learning_rate": lr}
            about |= {"flops_method": FLOPS_METHOD.format(unit=unit), "wall_time_s": None}
            about |= {"truncated_texts": prepared.truncated, "start": begin}
            if selection is not None:
                forward, _ = measure_flops(net, prepared, loop.order(0)[: settings.batch_size], where, False)
                about |= {"online": {**selection, "flops_per_unit": forward}}
            run = RunDirectory.create(out, {**about, "request": request})
        elif run.status != "running":
            run.update(status="running")
        # Written again after an interruption, which may have come in between.
        net.save_assets(out)
        if fold is not None or len(job.held_out):
            run.write_held_out(job.examples.ids[job.held_out], "evaluation" if fold is None else "fold")
        if job.subset is not None:
            run.write_left_out(job.examples.ids[job.left_out])
        recorder = None
        if settings.record:
            recorder = Recorder(out, job.examples, keep=settings.keep, auto_epochs=False)  # type: ignore[arg-type]
        loop.start(run, recorder)
        before = loop.seconds
        per_unit = run.config["flops_per_unit"]
        # Token counts differ from batch to batch, and no text model is small.
        per_update = per_unit and run.config["flops_unit"] == "example" and per_unit * settings.batch_size
        total = loop.presented(loop.total)
        done = loop.presented(loop.step)
        with (
            fitting_threads(per_update or None, where),
            progress(f"training {label or out.name}", total, "examples", show_progress, done) as advance,
        ):
            loop.run(advance, lambda: before + time.monotonic() - started, resume_seconds)
    flops = None if per_unit is None else per_unit * loop.units
    if chooser is not None:
        flops = _count_choosing(run, chooser, flops)
    run.finish(
        wall_time_s=before + time.monotonic() - started,
        flops=flops,
        steps=loop.total,
        epochs=loop.total / loop.steps_per_epoch,
    )
    drop_resume(out)
    return run


def _count_choosing(run: RunDirectory, chooser: Chooser, flops: float | None) -> float | None:
    """Write what was chosen and what choosing cost; gives the FLOPs of training and choosing together."""
    write_chosen(run.path, chooser)
    about = run.config["online"]
    per_unit = about["flops_per_unit"]
    choosing = None if per_unit is None else per_unit * chooser.units
    run.update(
        online={
            **about, "candidates": chooser.seen, "trained_on": int(sum(each.sum() for each in chooser.counts)),
            "units": chooser.units, "flops": choosing, "training_flops": flops,
        }
    )  # fmt: skip
    return None if flops is None or choosing is None else flops + choosing


def settle(
    job: Job,
    model: Any,
    settings: Settings,
    seed: int,
    *,
    start: str | Path | None = None,
    model_options: Mapping[str, Any] | None = None,
    device: str = "auto",
    trust_remote_code: bool = False,
) -> tuple[torch.device, Model, Start | None]:
    """Device, new model and start of a run; what is wrong with them shows here, before anything is written."""
    where = pick_device(device)
    check_precision(settings.precision, where, "train")
    if settings.augment != "none" and job.examples.kind != "image":
        raise bad_value("augment", "train", settings.augment, f"'none' for {job.examples.kind} examples")
    data = (job.built_for or job.examples).take(job.rows)
    if start is None:
        net = build_model(model, data, seed=seed, options=model_options, trust_remote_code=trust_remote_code)
        return where, net, None
    net, begin = start_model(start, model, data, options=model_options, trust_remote_code=trust_remote_code)
    return where, net, begin
