"""The loop of a pretraining. What an update reads follows from its number: a resumed run reads on where it stopped."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import torch
from torch import Tensor

from scoring.checkpoints import RunDirectory
from scoring.inference import autocast
from scoring.progress import Advance
from training.interrupt import deferred_signals
from training.loop import LOOK_EVERY, TrainingDiverged
from training.optim import make_optimizer, schedule_factor, warmup_steps
from training.pretraining.decoder import Decoder
from training.pretraining.held_out import NOTHING, HeldOut, held_out_losses, sequences, total_loss
from training.pretraining.settings import OWNER, PretrainSettings
from training.pretraining.tokens import TokenStream
from training.resume import SaveClock, load_resume, save_resume

COUNTERS = ("step", "loss_sum", "loss_tokens", "last_loss", "metrics")
"""Plain state of the loop."""


class PretrainLoop:
    """State of one pretraining; ``run`` reads from top to bottom."""

    def __init__(
        self,
        stream: TokenStream,
        held_out: Mapping[str, HeldOut],
        model: Decoder,
        settings: PretrainSettings,
        lr: float,
        device: torch.device,
        directory: RunDirectory,
    ) -> None:
        self.stream, self.held_out, self.model, self.settings = stream, held_out, model, settings
        self.lr, self.device, self.directory = lr, device, directory
        model.module.to(device)
        self.optimizer = make_optimizer(
            settings.optimizer,
            model.module.parameters(),
            lr,
            settings.weight_decay,
            settings.optimizer_options,
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "float16")
        self.warmup = warmup_steps(settings.warmup, settings.steps)
        self.step, self.seconds = 0, 0.0
        self.loss_sum, self.loss_tokens = 0.0, 0
        self.last_loss: float | None = None
        self.pending: list[tuple[Tensor, int]] = []
        self.metrics: list[dict[str, Any]] = []
        state = load_resume(directory.path)
        if state is not None:
            model.module.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            for name in COUNTERS:
                setattr(self, name, state[name])
            self.seconds = state["seconds"]

    def save(self, seconds: float) -> None:
        """Write the state from which ``__init__`` goes on."""
        self.look()
        state = {
            "model": self.model.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "seconds": seconds,
            **{name: getattr(self, name) for name in COUNTERS},
        }
        save_resume(self.directory.path, self.step, state)

    def tokens(self, step: int) -> int:
        """Tokens trained on after ``step`` updates."""
        return min(self.settings.tokens, step * self.settings.batch_tokens)

    def factor(self, step: int) -> float:
        settings = self.settings
        return schedule_factor(settings.schedule, step, settings.steps, self.warmup, settings.final_lr)

    def run(self, advance: Advance, clock: Callable[[], float], resume_seconds: float) -> None:
        """Every update from ``step`` to the last."""
        settings, total = self.settings, self.settings.steps
        look_every = 1 if self.device.type == "cpu" else LOOK_EVERY
        states = SaveClock(resume_seconds, clock)
        self.model.module.train()
        with deferred_signals() as stop:
            while self.step < total:
                for group in self.optimizer.param_groups:
                    group["lr"] = self.lr * self.factor(self.step)
                start, end = self.tokens(self.step), self.tokens(self.step + 1)
                self.pending.append((self.update(start, end), end - start))
                self.step += 1
                advance(end - start)
                if len(self.pending) >= look_every:
                    self.look()

                last = self.step == total
                if last:
                    self.check_weights()
                if last or self.step % settings.curve_every == 0:
                    self.look()
                    self.note("train", "loss", self.loss_sum / self.loss_tokens)
                    self.loss_sum, self.loss_tokens = 0.0, 0
                if self.step in settings.evaluation_steps:
                    self.measure()
                if stop.received or (not last and states.due):
                    states.save(self.save)
                if stop.received:
                    stop.leave()
        self.directory.save_checkpoint(
            self.model, total, self.stream.epochs(settings.tokens), self.lr * self.factor(total - 1)
        )

    def update(self, start: int, end: int) -> Tensor:
        """One optimizer step on tokens ``start`` + 1 to ``end`` of the stream; gives their mean loss before it."""
        settings = self.settings
        self.optimizer.zero_grad(set_to_none=True)
        inputs, targets = sequences(self.stream.window(start, end + 1), settings.length)
        inputs, targets = inputs.to(self.device), targets.to(self.device)
        with autocast(self.device, settings.precision):
            logits_BTV, routers = self.model.training_logits(inputs, targets != NOTHING)
        loss = total_loss(logits_BTV, targets) / (end - start)
        trained = loss if routers is None else loss + routers
        self.scaler.scale(trained).backward()  # type: ignore[no-untyped-call]
        if settings.clip is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.model.module.parameters(), settings.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()

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
            self.loss_tokens += count
        self.pending.clear()

    def check_weights(self) -> None:
        """Stop if the last update of all has spoilt the weights."""
        self.look()
        if not all(bool(weights.isfinite().all()) for weights in self.model.module.parameters()):
            self.diverge("the weights became NaN or infinite", self.step - 1)

    def diverge(self, what: str, step: int) -> NoReturn:
        """Mark the run and raise the error."""
        self.directory.finish(status="diverged", steps=step)
        last = "none" if self.last_loss is None else f"{self.last_loss:.4g}"
        raise TrainingDiverged(
            f"{OWNER}: {what} at step {step + 1:,} of {self.settings.steps:,}, learning rate "
            f"{self.lr * self.factor(step):.3g} (last finite loss: {last}); try a lower lr, warmup or clip."
        )

    def note(self, split: str, name: str, value: float) -> None:
        at = self.stream.epochs(self.tokens(self.step))
        self.metrics.append({"step": self.step, "epoch": at, "split": split, "name": name, "value": value})

    def measure(self) -> None:
        """The loss on every held-out text; metrics.parquet is rewritten."""
        self.look()
        for name, text in self.held_out.items():
            found = held_out_losses(
                self.model, text, self.settings.length, self.device, self.settings.precision
            )
            for metric, value in found.items():
                self.note(name, metric, value)
        self.directory.write_metrics(self.metrics)
