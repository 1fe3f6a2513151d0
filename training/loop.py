"""The training loop. Everything that is random is a hash of (seed, step) or (seed, epoch, id)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from scoring.checkpoints import RunDirectory
from scoring.errors import InputError
from scoring.hashing import derive_seed, hash64, hash_ids
from scoring.inference import autocast, to_device
from scoring.models import Model
from scoring.progress import Advance
from training.augment import augmented
from training.evaluate import evaluate as evaluate_model
from training.interrupt import deferred_signals
from training.isolation import seed_step
from training.job import Job
from training.online.chooser import Chooser
from training.optim import make_optimizer, schedule_factor, starting_lr, warmup_steps
from training.recorder import Recorder
from training.resume import SaveClock, load_resume, save_resume
from training.settings import Settings

if TYPE_CHECKING:
    from scoring.networks.inputs import Prepared

IntArray = npt.NDArray[np.int64]

LOOK_EVERY = 50
"""Updates between two looks at the loss on an accelerator, which has to wait for each; the CPU looks every time."""

COUNTERS = ("step", "units", "loss_sum", "loss_count", "last_loss", "metrics")
"""Plain state of the loop."""


class TrainingDiverged(InputError):
    """The loss or the weights became NaN or infinite."""


class Loop:
    """State of one training; ``run`` reads from top to bottom."""

    def __init__(
        self,
        job: Job,
        net: Model,
        prepared: Prepared,
        settings: Settings,
        seed: int,
        device: torch.device,
        chooser: Chooser | None = None,
    ) -> None:
        self.job, self.net, self.prepared, self.settings = job, net, prepared, settings
        self.seed, self.device = seed, device
        net.module.to(device)
        assert job.examples.labels is not None
        self.hashes_N = hash_ids(job.examples.ids[job.rows]).view(np.int64)
        self.labels_N = torch.from_numpy(job.examples.labels[job.rows]).to(device)
        self.weights_N = torch.from_numpy(job.weights).float().to(device)
        self.chooser = chooser
        self.drawn = settings.batch_size if chooser is None else chooser.candidates
        self.steps_per_epoch = settings.steps_per_epoch(len(job.rows), self.drawn)
        self.total = settings.total_steps(len(job.rows), self.drawn)
        self.warmup = warmup_steps(settings.warmup, self.total)
        lr = settings.lr or starting_lr(settings.optimizer, net.default_learning_rate)
        self.optimizer = make_optimizer(
            settings.optimizer, net.module.parameters(), lr, settings.weight_decay, settings.optimizer_options
        )
        self.peaks = [float(group["lr"]) for group in self.optimizer.param_groups]
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "float16")
        self.step, self.units, self.seconds = 0, 0, 0.0
        self.loss_sum, self.loss_count = 0.0, 0
        self.last_loss: float | None = None
        self.pending: list[tuple[Tensor, int]] = []
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
        for name in COUNTERS:
            setattr(self, name, state[name])
        self.seconds = state["seconds"]
        if recorder is not None:
            recorder.restore(state["recorder"])
        if self.chooser is not None:
            self.chooser.restore(state["chooser"])

    def save(self, seconds: float) -> None:
        """Write that state."""
        self.look()
        state = {
            "model": self.net.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "recorder": {} if self.recorder is None else self.recorder.state(),
            "chooser": {} if self.chooser is None else self.chooser.state(),
            "seconds": seconds,
            **{name: getattr(self, name) for name in COUNTERS},
        }
        save_resume(self.directory.path, self.step, state)

    def presented(self, steps: int) -> int:
        """How many examples the first ``steps`` updates drew: the last draw of an epoch may be smaller."""
        epochs, within = divmod(steps, self.steps_per_epoch)
        return epochs * len(self.job.rows) + within * self.drawn

    def run(self, advance: Advance, clock: Callable[[], float], resume_seconds: float) -> None:
        """Every update from ``step`` to ``total``."""
        settings, net, recorder = self.settings, self.net, self.recorder
        rows = len(self.job.rows)
        checkpoint, clean, evaluation = (
            settings.cadence(name, rows, self.drawn)
            for name in ("checkpoint_every", "clean_every", "evaluate_every")
        )
        look_every = 1 if self.device.type == "cpu" else LOOK_EVERY
        order_epoch, order_N = -1, np.empty(0, dtype=np.int64)
        states = SaveClock(resume_seconds, clock)
        if settings.checkpoint_start and self.step == 0:
            factor = schedule_factor(settings.schedule, 0, self.total, self.warmup)
            self.directory.save_checkpoint(net, 0, 0.0, self.peaks[0] * factor, self.moments)
        net.module.train()
        with deferred_signals() as stop:
            while self.step < self.total:
                epoch, within = divmod(self.step, self.steps_per_epoch)
                if epoch != order_epoch:
                    order_epoch, order_N = epoch, self.order(epoch)
                drawn = order_N[within * self.drawn : (within + 1) * self.drawn]
                batch = drawn if self.chooser is None else self.chooser.choose(self.step, drawn)
                factor = schedule_factor(settings.schedule, self.step, self.total, self.warmup)
                for group, peak in zip(self.optimizer.param_groups, self.peaks):
                    group["lr"] = peak * factor
                lr = self.peaks[0] * factor

                seed_step(derive_seed("step", self.seed, self.step), self.device)
                self.pending.append((self.update(batch), len(batch)))
                self.step += 1
                advance(len(drawn))
                if len(self.pending) >= look_every:
                    self.look()

                at, last = self.step / self.steps_per_epoch, self.step == self.total
                done = self.step // self.steps_per_epoch if self.step % self.steps_per_epoch == 0 else 0
                if recorder is not None and (done or last):
                    recorder.end_epoch()
                if last:
                    self.check_weights()
                if last or evaluation.due("step", self.step) or evaluation.due("epoch", done):
                    self.measure(at)
                cleans = recorder is not None and settings.clean_every not in (None, "never")
                if cleans and (last or clean.due("step", self.step) or clean.due("epoch", done)):
                    assert recorder is not None
                    recorder.clean(net, self.step, at, rows=self.job.scored, precision=settings.precision)
                if last or checkpoint.due("step", self.step) or checkpoint.due("epoch", done):
                    self.look()
                    self.directory.save_checkpoint(net, self.step, at, lr, self.moments)

                if stop.received or (not last and states.due):
                    states.save(self.save)
                if stop.received:
                    stop.leave()
        if recorder is not None:
            recorder.close()

    @property
    def moments(self) -> dict[str, Any] | None:
        """What a checkpoint keeps of the optimizer; before the first update it is empty."""
        return self.optimizer.state_dict() if self.settings.save_optimizer else None

    def order(self, epoch: int) -> IntArray:
        """The order of an epoch, which the order of the data has no part in."""
        return np.argsort(hash64(derive_seed("order", self.seed, epoch), self.hashes_N), kind="stable")

    def update(self, batch: IntArray) -> Tensor:
        """One optimizer step; gives the weighted mean loss before it."""
        settings = self.settings
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for part in np.array_split(batch, min(settings.accumulate, len(batch))):
            inputs = to_device(augmented(self.prepared.batch(part), settings.augment), self.device)
            index = torch.from_numpy(part).to(self.device)
            with autocast(self.device, settings.precision):
                logits_BC = self.net.logits(inputs)
            losses_B = cross_entropy(logits_BC.float(), self.labels_N[index], reduction="none")
            loss = (losses_B * self.weights_N[index]).sum() / len(batch)
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
            self.units += inputs["input_ids"].numel() if "input_ids" in inputs else len(part)
            if self.recorder is not None:
                rows = self.job.rows[part]
                self.recorder.record(rows, logits_BC, self.step, self.step / self.steps_per_epoch, by="row")
        if settings.clip is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.net.module.parameters(), settings.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return total

    def look(self) -> None:
        """Add up the losses since the last look, and stop at one that is not finite."""
        if not self.pending:
            return
        losses = torch.stack([loss for loss, _ in self.pending]).tolist()
        first = self.step - len(losses)
        for step, (value, (_, count)) in enumerate(zip(losses, self.pending), first):
            if not math.isfinite(value):
                self.diverge(f"the loss became {value}", step)
            self.last_loss = value
            self.loss_sum += value * count
            self.loss_count += count
        self.pending.clear()

    def check_weights(self) -> None:
        """Stop if the last update of all, whose loss nobody will see, has spoilt the weights."""
        self.look()
        if not all(bool(weights.isfinite().all()) for weights in self.net.module.parameters()):
            self.diverge("the weights became NaN or infinite", self.step - 1)

    def diverge(self, what: str, step: int) -> NoReturn:
        """Mark the run and raise the error."""
        self.directory.finish(status="diverged", steps=step)
        lr = self.peaks[0] * schedule_factor(self.settings.schedule, step, self.total, self.warmup)
        raise TrainingDiverged(
            f"train: {what} at step {step + 1:,} of {self.total:,}, learning rate {lr:.3g} "
            f"(last finite loss: {'none' if self.last_loss is None else f'{self.last_loss:.4g}'}); "
            "try a lower lr, warmup or clip, and look for infinities in the data."
        )

    def measure(self, at: float) -> None:
        """Train loss since the last time, and the evaluation; metrics.parquet is rewritten."""
        self.look()
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
