"""train(): one readable loop. Everything that is random is a hash of (seed, step) or (seed, epoch, id)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import cross_entropy

from scoring.checkpoints import RunDirectory
from scoring.errors import InputError, bad_value
from scoring.examples import Examples
from scoring.hashing import derive_seed, digest, hash64, hash_ids
from scoring.inference import autocast, pick_device, to_device
from scoring.models import Model, build_model
from scoring.progress import Advance, progress
from training.environment import describe_environment, measure_flops
from training.evaluate import evaluate as evaluate_model
from training.job import Job, make_job
from training.optim import default_lr, make_optimizer, schedule_factor, warmup_steps
from training.recorder import Recorder
from training.resume import drop_resume, load_resume, save_resume
from training.settings import Settings

if TYPE_CHECKING:
    from selection.subset import Subset

IntArray = npt.NDArray[np.int64]

RESUME_SECONDS = 60.0


class TrainingDiverged(InputError):
    """The loss became NaN or infinite."""


def train(
    examples: Examples,
    model: Any,
    *,
    out: str | Path,
    evaluate: Examples | str | float | None = None,
    subset: Subset | str | Path | None = None,
    seeds: Iterable[int] = (0,),
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
            never trained on, never scored). Default: the split ``test`` or ``validation`` of the source, if it has one.
        subset: Train on these ids only, with their weights (normalised to mean 1). Ids that are held out are left out.
        model_options: Options of the model, such as ``{"hidden": (512, 512)}``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        resume_seconds: How often the state from which an interrupted run continues is written.
        settings: ``epochs`` (default 10) or ``steps``; ``batch_size`` 64 examples per update, in ``accumulate``
            micro-batches; ``optimizer`` "adamw", ``lr``, ``weight_decay``, ``optimizer_options``; ``schedule``
            "cosine", "linear" or "constant", with ``warmup``; ``clip``, the largest gradient norm; ``precision`` of
            the forward pass; ``record`` per-example signals (True, "logits", "summary") with clean passes every
            ``clean_every``; ``checkpoint_every``, ``evaluate_every``: "1 epoch", "100 steps", None for the end only,
            or "auto": every epoch, thinned out to at most 20; ``save_optimizer`` in checkpoints.

    Raises:
        InputError: A setting, subset or data that do not fit. TrainingDiverged: the loss is not finite.
    """
    try:
        checked = Settings(**settings)
    except TypeError as error:
        raise InputError(f"train: {str(error).removeprefix('Settings.__init__() ')}.") from None
    seeds = list(seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise bad_value("seeds", "train", seeds, "one or more different whole numbers")
    job = make_job(examples, evaluate, subset, allow_changed_data)
    return [
        train_one(
            job, model, checked, Path(out) / f"seed-{seed}", seed, model_options=model_options, device=device,
            resume_seconds=resume_seconds, trust_remote_code=trust_remote_code, show_progress=progress,
        )
        for seed in seeds
    ]  # fmt: skip


def train_one(
    job: Job,
    model: Any,
    settings: Settings,
    out: Path,
    seed: int,
    *,
    model_options: Mapping[str, Any] | None = None,
    device: str = "auto",
    resume_seconds: float = RESUME_SECONDS,
    trust_remote_code: bool = False,
    show_progress: bool = False,
    fold: dict[str, int] | None = None,
) -> RunDirectory:
    """One run of one seed; see ``train``."""
    where = pick_device(device)
    if settings.precision == "float16" and where.type != "cuda":
        raise bad_value("precision", "train", "float16", f"float32 or bfloat16 on {where.type}")
    net = build_model(
        model,
        job.examples.take(job.rows),
        seed=seed,
        options=model_options,
        trust_remote_code=trust_remote_code,
    )
    request = _request(job, net, settings, seed, fold)
    run = _open(out, request)
    if run is not None and run.status == "finished":
        return run
    started = time.monotonic()
    with _isolated(where):
        prepared = net.inputs.prepare(job.examples, job.rows)
        loop = _Loop(job, net, prepared, settings, seed, where)
        if run is None:
            about = describe_environment(job, net, settings, seed, where, fold)
            about["flops_per_unit"], about["flops_unit"] = measure_flops(net, prepared, settings, where)
            run = RunDirectory.create(out, {**about, "request": request})
            net.save_assets(out)
            if fold is not None:
                outside = np.setdiff1d(np.arange(len(job.examples)), job.rows)
                run.write_held_out(job.examples.ids[outside], "fold")
            elif len(job.held_out):
                run.write_held_out(job.examples.ids[job.held_out], "evaluation")
        recorder = None
        if settings.record:
            recorder = Recorder(out, job.examples, keep=settings.keep, auto_epochs=False)  # type: ignore[arg-type]
        loop.start(run, recorder)
        seconds = loop.seconds
        what = f"training {out.name}"
        with progress(what, loop.total * settings.batch_size, "examples", show_progress) as advance:
            advance(loop.step * settings.batch_size)
            loop.run(advance, lambda: seconds + time.monotonic() - started, resume_seconds)
    run.finish(
        wall_time_s=seconds + time.monotonic() - started,
        flops=None if run.config["flops_per_unit"] is None else run.config["flops_per_unit"] * loop.units,
        steps=loop.total,
        epochs=loop.total / loop.steps_per_epoch,
    )
    drop_resume(out)
    return run


class _Loop:
    """State of one training; ``run`` reads from top to bottom."""

    def __init__(
        self, job: Job, net: Model, prepared: Any, settings: Settings, seed: int, device: torch.device
    ) -> None:
        self.job, self.net, self.prepared, self.settings = job, net, prepared, settings
        self.seed, self.device = seed, device
        net.module.to(device)
        assert job.examples.labels is not None
        self.hashes_N = hash_ids(job.examples.ids[job.rows]).view(np.int64)
        self.labels_N = torch.from_numpy(job.examples.labels[job.rows])
        self.weights_N = torch.from_numpy(job.weights).float()
        self.steps_per_epoch = settings.steps_per_epoch(len(job.rows))
        self.total = settings.total_steps(len(job.rows))
        self.warmup = warmup_steps(settings.warmup, self.total)
        self.lr = settings.lr or default_lr(settings.optimizer, net.spec["name"], net.spec["kind"])
        options = dict(settings.optimizer_options)
        if settings.weight_decay is not None:
            options["weight_decay"] = settings.weight_decay
        self.optimizer = make_optimizer(settings.optimizer, net.module.parameters(), self.lr, options)
        self.scaler = torch.amp.GradScaler(enabled=settings.precision == "float16")
        self.step, self.units, self.seconds = 0, 0, 0.0
        self.loss_sum, self.loss_count = 0.0, 0
        self.metrics: list[dict[str, Any]] = []
        self._evaluation: Any = None

    def start(self, run: RunDirectory, recorder: Recorder | None) -> None:
        """Take up the state that an interrupted run left behind, if there is one."""
        self.directory, self.recorder = run, recorder
        state = load_resume(run.path)
        if state is None:
            return
        self.net.module.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.step, self.units, self.seconds = state["step"], state["units"], state["seconds"]
        self.loss_sum, self.loss_count, self.metrics = (
            state["loss_sum"],
            state["loss_count"],
            state["metrics"],
        )
        if recorder is not None:
            recorder.restore(state["recorder"])

    def save(self, seconds: float) -> None:
        """Write that state."""
        state = {
            "model": self.net.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "step": self.step,
            "units": self.units,
            "seconds": seconds,
            "loss_sum": self.loss_sum,
            "loss_count": self.loss_count,
            "metrics": self.metrics,
            "recorder": {} if self.recorder is None else self.recorder.state(),
        }
        save_resume(self.directory.path, self.step, state)

    def run(self, advance: Advance, clock: Any, resume_seconds: float) -> None:
        """Every update from ``step`` to ``total``."""
        settings, module = self.settings, self.net.module
        checkpoint, clean, evaluation = (
            settings.cadence(name, len(self.job.rows))
            for name in ("checkpoint_every", "clean_every", "evaluate_every")
        )
        order_epoch, order = -1, np.empty(0, dtype=np.int64)
        saved = time.monotonic()
        module.train()
        try:
            while self.step < self.total:
                epoch, within = divmod(self.step, self.steps_per_epoch)
                if epoch != order_epoch:
                    order_epoch, order = epoch, self._order(epoch)
                batch = order[within * settings.batch_size : (within + 1) * settings.batch_size]
                _seed(derive_seed("step", self.seed, self.step), self.device)
                lr = self.lr * schedule_factor(settings.schedule, self.step, self.total, self.warmup)
                for group in self.optimizer.param_groups:
                    group["lr"] = lr

                loss = self._update(batch)
                self.step += 1
                advance(len(batch))
                self.loss_sum, self.loss_count = (
                    self.loss_sum + loss * len(batch),
                    self.loss_count + len(batch),
                )

                at = self.step / self.steps_per_epoch
                full, last = self.step % self.steps_per_epoch == 0, self.step == self.total
                if self.recorder is not None and (full or last):
                    self.recorder.end_epoch()
                epochs_done = self.step // self.steps_per_epoch

                def due(
                    cadence: Any, full: bool = full, last: bool = last, epochs: int = epochs_done
                ) -> bool:
                    return last or cadence.due("step", self.step) or (full and cadence.due("epoch", epochs))

                if due(evaluation):
                    self._measure(at)
                if self.recorder is not None and settings.clean_every is not None and due(clean):
                    self.recorder.clean(
                        self.net, self.step, at, rows=self.job.rows, precision=settings.precision
                    )
                if due(checkpoint):
                    moments = self.optimizer.state_dict() if settings.save_optimizer else None
                    self.directory.save_checkpoint(self.net, self.step, at, lr, moments)
                if not last and time.monotonic() - saved >= resume_seconds:
                    self.save(clock())
                    saved = time.monotonic()
        except KeyboardInterrupt:
            self.save(clock())
            raise
        if self.recorder is not None:
            self.recorder.close()

    def _order(self, epoch: int) -> IntArray:
        """The order of an epoch, which the order of the data has no part in."""
        return np.argsort(hash64(derive_seed("order", self.seed, epoch), self.hashes_N), kind="stable")

    def _update(self, batch: IntArray) -> float:
        """One optimizer step; gives the weighted mean loss before it."""
        settings, module = self.settings, self.net.module
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for part in np.array_split(batch, min(settings.accumulate, len(batch))):
            inputs = to_device(self.prepared.batch(part), self.device)
            index = torch.from_numpy(part)
            with autocast(self.device, settings.precision):
                logits_BC = self.net.logits(inputs)
            losses_B = cross_entropy(
                logits_BC.float(), self.labels_N[index].to(self.device), reduction="none"
            )
            loss = (losses_B * self.weights_N[index].to(self.device)).sum() / len(batch)
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
            self.units += inputs["input_ids"].numel() if "input_ids" in inputs else len(part)
            if self.recorder is not None:
                rows = self.job.rows[part]
                self.recorder.record(rows, logits_BC, self.step, self.step / self.steps_per_epoch, by="row")
        value = float(total)
        if not np.isfinite(value):
            self._diverged(value)
        if settings.clip is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(module.parameters(), settings.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return value

    def _diverged(self, value: float) -> None:
        self.directory.finish(status="diverged", steps=self.step)
        before = self.loss_sum / self.loss_count if self.loss_count else None
        raise TrainingDiverged(
            f"train: the loss became {value} at step {self.step + 1:,} of {self.total:,} with lr {self.lr:g} "
            f"(mean loss before: {'none' if before is None else f'{before:.4g}'}); try a lower lr, warmup or clip."
        )

    def _measure(self, at: float) -> None:
        """Train loss since the last time, and the evaluation; metrics.parquet is rewritten."""
        values = {("train", "loss"): self.loss_sum / self.loss_count}
        self.loss_sum, self.loss_count = 0.0, 0
        if self.job.evaluation is not None:
            if self._evaluation is None:
                self._evaluation = self.net.inputs.prepare(self.job.evaluation)
            assert self.job.evaluation.labels is not None and self.job.evaluation_name is not None
            found = evaluate_model(
                self.net, self._evaluation, self.job.evaluation.labels, self.device, self.settings.precision
            )
            values |= {(self.job.evaluation_name, name): value for name, value in found.items()}
        self.metrics += [
            {"step": self.step, "epoch": at, "split": split, "name": name, "value": value}
            for (split, name), value in values.items()
        ]
        self.directory.write_metrics(self.metrics)


def _request(
    job: Job, net: Model, settings: Settings, seed: int, fold: dict[str, int] | None
) -> dict[str, Any]:
    """What a run is, for telling the same call from another one."""
    evaluation = None if job.evaluation is None else job.evaluation.fingerprint
    content = {
        "settings": settings.to_json(),
        "seed": seed,
        "model": net.spec,
        "initial_weights": net.hash(),
        "data": job.examples.fingerprint,
        "evaluation": evaluation,
        "subset": None if job.subset is None else job.subset["hash"],
        "held_out": digest(*(str(i).encode() for i in sorted(job.examples.ids[job.held_out].tolist()))).hex(),
        "fold": fold,
    }
    return {key: digest(json.dumps(value, sort_keys=True).encode()).hex() for key, value in content.items()}


def _open(out: Path, request: dict[str, Any]) -> RunDirectory | None:
    """The run that is there already, if it is the same call; None if there is none."""
    if not (out / "run.json").exists():
        if out.exists() and any(p for p in out.iterdir() if not p.name.startswith(".")):
            raise InputError(f"train: out {str(out)!r} holds other files; choose an empty or new folder.")
        return None
    run = RunDirectory.open(out)
    before = run.config.get("request") or {}
    changed = sorted(key for key in request if before.get(key) != request[key])
    if changed:
        raise InputError(
            f"train: out {str(out)!r} holds a run of a different call (changed: {', '.join(changed)}); "
            "choose another out, or delete it."
        )
    return run


def _seed(seed: int, device: torch.device) -> None:
    """Seed what dropout draws from; ``torch.manual_seed`` formats a stack trace per absent accelerator."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


@contextmanager
def _isolated(device: torch.device) -> Iterator[None]:
    """Global random state and determinism settings are the caller's: given back as they were."""
    devices = [device] if device.type == "cuda" else []
    before = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=devices):
        torch.use_deterministic_algorithms(device.type == "cpu")
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)
