"""Recorder: per-example signals of a training run, three lines in any PyTorch loop.

recorder = Recorder("runs/mine", examples)
...  recorder.record(ids, logits, step)        # in the loop, before the update
recorder.close()
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scoring.dynamics import Dynamics, evaluation_path, presentation_path, write_recorded
from scoring.errors import InputError, bad_value, unknown_name
from scoring.hashing import hash_ids
from scoring.needs import SUMMARIES
from scoring.signals import Signals
from training.epoch_buffer import EpochBuffer, Presentations
from training.own_run import OwnRun

if TYPE_CHECKING:
    from scoring.examples import Examples
    from scoring.models import Model

IntArray = npt.NDArray[np.int64]
Keep = Literal["auto", "logits", "summary"]
Forward = Callable[[IntArray], Tensor]

MOST_CLASSES = 128
"""With more classes than this, ``keep="auto"`` stores summaries: four numbers instead of C."""


class Recorder:
    """Records what the model says about each example, at the example's own presentations and in clean passes.

    ``path`` is the run directory; without a run.json there, one is written, and ``close`` marks it finished.
    ``examples`` are all the examples that may be presented; their labels are the gold labels.
    ``keep``: ``logits`` float32, ``summary`` (losses, predictions, logit margins, entropies), or ``auto``: logits up
    to 128 classes. ``model_spec`` and ``config`` go into the run.json.

    Presentations of an epoch are held in memory (4 bytes per example and class, or 32 per example) and become one
    file when the epoch ends: at ``end_epoch()``, or by itself when an id of an earlier batch of the epoch comes
    again. Where the sampler draws with replacement set ``auto_epochs=False`` and call ``end_epoch()``: further
    presentations of an example within an epoch then go to further files.

    A run that was interrupted goes on with the same ``path``: what was recorded at or after the step of the first
    call is dropped, and ``restore`` brings back the unfinished epoch; ``resume=True`` goes on with a finished run.
    Random state is never touched.
    """

    def __init__(
        self,
        path: str | Path,
        examples: Examples,
        *,
        keep: Keep = "auto",
        model_spec: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        auto_epochs: bool = True,
        resume: bool = False,
    ) -> None:
        if keep not in get_args(Keep):
            raise unknown_name("keep", "Recorder", str(keep), get_args(Keep))
        if keep == "summary" and examples.labels is None:
            raise InputError("Recorder: keep must be 'logits' for examples without labels, got 'summary'.")
        self.examples = examples
        self.keep: Keep = keep
        self.auto_epochs = auto_epochs
        self.own = OwnRun.open(path, examples, model_spec, config, resume)
        self.path = self.own.path
        self._epoch = EpochBuffer(len(examples))
        self._files = 0
        self._epochs = 0
        self._updates = 0
        self._begun = False
        self._prepared: tuple[Any, Any] | None = None
        self._started = time.monotonic()
        self._closed = False

    def record(
        self,
        ids: Sequence[str] | Sequence[int] | npt.NDArray[np.generic] | Tensor,
        logits_BC: Tensor,
        step: int,
        epoch: float | None = None,
        *,
        by: Literal["id", "row"] = "id",
    ) -> None:
        """Record one training batch; call it before the update, with the logits of the training forward pass.

        ``step`` counts the updates made so far (0 for the first batch); ``epoch`` the epochs so far, by default
        those that ended. With ``by="row"`` the ids are positions in ``examples``.
        """
        rows = self._rows(ids, by)
        fields = self._fields(rows, self._check(logits_BC, len(rows)), step)
        self._begin(step)
        if self.auto_epochs and self._epoch.has_any(rows):
            self.end_epoch()
        times = np.full(len(rows), self._epochs if epoch is None else epoch, dtype=np.float64)
        self._epoch.add(Presentations(rows, np.full(len(rows), step, dtype=np.int64), times, fields))
        self._updates = int(step) + 1

    def end_epoch(self) -> None:
        """Write the presentations since the last end of an epoch; nothing happens if there were none."""
        if not len(self._epoch):
            return
        for part in self._epoch.all().rounds():
            ids, path = self.examples.ids[part.rows_P], presentation_path(self.path, self._files)
            content = self.examples.content_fingerprint(part.rows_P)
            write_recorded(path, ids, part.steps_P, part.epochs_P, _arrays(part.fields), content)
            self._files += 1
        self._epoch.clear()
        self._epochs += 1

    def clean(
        self,
        model: Model | Forward,
        step: int,
        epoch: float | None = None,
        *,
        rows: IntArray | None = None,
        batch_size: int = 256,
        precision: str = "float32",
    ) -> None:
        """Record a clean evaluation pass over all examples (or ``rows``): evaluation mode, fixed weights.

        ``model`` is a ``scoring.models.Model``, or a function from positions (B,) to logits (B, C) that takes care
        of evaluation mode itself.
        """
        self._begin(step)
        wanted = np.arange(len(self.examples)) if rows is None else np.sort(np.asarray(rows, dtype=np.int64))
        parts = []
        for batch, logits_BC in self._forward(model, wanted, batch_size, precision):
            fields = self._fields(batch, self._check(logits_BC, len(batch)), step)
            parts.append((batch, fields))
        seen = np.concatenate([batch for batch, _ in parts])
        order = torch.from_numpy(np.argsort(seen))
        fields = {name: torch.cat([part[name] for _, part in parts])[order] for name in parts[0][1]}
        when = float(self._epochs if epoch is None else epoch)
        content = self.examples.content_fingerprint(wanted)
        write_recorded(
            evaluation_path(self.path, step), self.examples.ids[wanted], step, when, _arrays(fields), content
        )

    def state(self) -> dict[str, Tensor]:
        """The unfinished epoch as tensors that safetensors can hold; for ``restore``."""
        state = {"counts": torch.tensor([self._files, self._epochs, self._updates], dtype=torch.int64)}
        if len(self._epoch):
            part = self._epoch.all()
            # Hashed ids and not rows: the data may come in another order next time.
            state["ids"] = torch.from_numpy(hash_ids(self.examples.ids[part.rows_P]).view(np.int64).copy())
            state["steps"], state["epochs"] = torch.from_numpy(part.steps_P), torch.from_numpy(part.epochs_P)
            state.update({f"fields.{name}": values for name, values in part.fields.items()})
        return state

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on exactly where ``state()`` was taken; what was recorded after that is dropped."""
        self._files, self._epochs, self._updates = (int(count) for count in state["counts"])
        self._begun = True
        self._epoch.clear()
        self._drop_files(self._files, self._updates)
        if "ids" not in state:
            return
        hashes = hash_ids(self.examples.ids).view(np.int64)
        order = np.argsort(hashes)
        wanted = state["ids"].numpy()
        rows = order[np.searchsorted(hashes[order], wanted).clip(max=len(order) - 1)]
        if (hashes[rows] != wanted).any():
            missing = int((hashes[rows] != wanted).sum())
            raise InputError(
                f"Recorder: state must be of these examples, but {missing:,} ids are not among them."
            )
        fields = {name.removeprefix("fields."): values for name, values in state.items() if "." in name}
        self._epoch.add(Presentations(rows, state["steps"].numpy(), state["epochs"].numpy(), fields))

    def close(self, **final: Any) -> None:
        """Write the last epoch and mark the run.json finished, if the recorder wrote it; ``final`` goes there too."""
        if self._closed:
            return
        self.end_epoch()
        self.own.finish(
            steps=self._updates,
            epochs=self._epochs,
            wall_time_s=time.monotonic() - self._started,
            **final,
        )
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # After an error the run is not finished, and a part of an epoch must not look like a whole one.
        if kind is None:
            self.close()

    def _begin(self, step: int) -> None:
        if self._closed:
            raise InputError("Recorder: record and clean must come before close, got a call after it.")
        if self._begun:
            return
        self._begun, self._updates = True, int(step)
        kept = [found for found in Dynamics(self.path).presentations() if found.step < step]
        self._files = self._epochs = len(kept)
        torn = kept[-1].read_times()[0] if kept else np.empty(0, dtype=np.int64)
        if (torn >= step).any():
            # An earlier attempt went past this step: its epoch is open again, up to here.
            ids, fields = kept[-1].read()
            steps, epochs = kept[-1].read_times()
            tensors = {name: torch.from_numpy(values.copy()) for name, values in fields.items()}
            self._epoch.add(Presentations(self._rows(ids, "id"), steps, epochs, tensors).take(steps < step))
            self._files = self._epochs = len(kept) - 1
        self._drop_files(self._files, step)

    def _drop_files(self, files: int, step: int) -> None:
        """Remove presentations from number ``files`` on, and evaluations after ``step``."""
        dynamics = Dynamics(self.path)
        late = [found for found in dynamics.presentations() if int(found.path.stem.split("-")[1]) >= files]
        late += [found for found in dynamics.evaluations() if found.step > step]
        for found in late:
            found.path.unlink()

    def _rows(self, ids: Any, by: str) -> IntArray:
        ids = ids.cpu() if isinstance(ids, Tensor) else ids
        if by == "id":
            try:
                return self.examples.rows_of(ids)
            except InputError as error:
                hint = "positions are recorded with by='row'."
                raise InputError(f"{str(error).rstrip('.')}; {hint}") from None
        if by != "row":
            raise unknown_name("by", "Recorder", by, ["id", "row"])
        rows = np.asarray(ids)
        last = len(self.examples) - 1
        if (
            rows.dtype.kind not in "iu"
            or rows.ndim != 1
            or (len(rows) and not 0 <= rows.min() <= rows.max() <= last)
        ):
            raise bad_value("ids", "Recorder", ids, f"rows from 0 to {last:,}")
        return rows.astype(np.int64)

    def _check(self, logits_BC: Tensor, rows: int) -> Tensor:
        shape = tuple(logits_BC.shape)
        if len(shape) != 2 or shape[0] != rows or shape[1] < self.examples.num_classes:
            wanted = f"of shape (B, C) with B = {rows} ids and C = {self.examples.num_classes} classes"
            raise bad_value("logits", "Recorder", shape, wanted)
        # A copy always: the caller may go on to change its tensor in place.
        return logits_BC.detach().to("cpu", torch.float32, copy=True)

    def _fields(self, rows: IntArray, logits_BC: Tensor, step: int) -> dict[str, Tensor]:
        if self.keep == "logits" or (self.keep == "auto" and logits_BC.shape[1] <= MOST_CLASSES):
            return {"logits": logits_BC}
        labels = self.examples.labels
        signals = Signals(
            ids_B=self.examples.ids[rows],
            step=step,
            epoch=0.0,
            label_tensor=None if labels is None else torch.from_numpy(labels[rows]),
            logits=logits_BC,
        )
        names = SUMMARIES if labels is not None else ("predictions", "entropies")
        return {name: getattr(signals, f"{name}_B") for name in names}

    def _forward(
        self, model: Any, rows: IntArray, batch_size: int, precision: str
    ) -> Iterable[tuple[IntArray, Tensor]]:
        if hasattr(model, "inputs") and hasattr(model, "module"):
            from scoring.batching import plan_batches
            from scoring.inference import forward_logits

            if self._prepared is None or self._prepared[0] is not model.inputs:
                self._prepared = (model.inputs, model.inputs.prepare(self.examples))
            prepared = self._prepared[1]
            batches = [rows[part] for part in plan_batches(prepared.lengths[rows], batch_size)]
            device = next(model.module.parameters()).device
            yield from forward_logits(model, prepared, batches, device, precision)
        elif callable(model) and not isinstance(model, torch.nn.Module):
            with torch.no_grad():
                for start in range(0, len(rows), batch_size):
                    yield rows[start : start + batch_size], model(rows[start : start + batch_size])
        else:
            given = type(model).__name__
            raise bad_value(
                "model", "Recorder.clean", given, "a tamis Model or a function from rows to logits"
            )


def _arrays(fields: Mapping[str, Tensor]) -> dict[str, npt.NDArray[Any]]:
    return {name: values.numpy() for name, values in fields.items()}
