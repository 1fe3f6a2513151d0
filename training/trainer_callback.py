"""DynamicsCallback: recorded dynamics of a real ``transformers.Trainer`` run.

    callback = DynamicsCallback(examples, out="runs/hf", clean_every="1 epoch")
    trainer = Trainer(model=model, args=args, train_dataset=callback.track(train_dataset), callbacks=[callback])
    trainer.train()

``runs/hf`` is then a run directory that ``tamis score --from runs/hf`` reads.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from datasets import Dataset
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from scoring.errors import InputError, bad_value, name_some
from scoring.files import atomic_file
from training.cadence import Cadence
from training.recorder import Keep, Recorder
from training.tracked_inputs import ROW, CleanModel, TrackedRows, logits_of

if TYPE_CHECKING:
    from scoring.examples import Examples
    from scoring.networks.inputs import Inputs

OWNER = "DynamicsCallback"
STATE = "tamis_recorder.safetensors"

_WRAPPED: WeakKeyDictionary[Any, DynamicsCallback] = WeakKeyDictionary()
"""Which callback listens to a model: one at a time."""


class DynamicsCallback(TrainerCallback):
    """Records the logits of every training forward pass before its update, and clean passes on a cadence.

    ``examples`` name the rows and hold their gold labels; ``out`` is the run directory; ``clean_every`` is
    ``"1 epoch"``, ``"100 steps"`` or ``"never"``, and a last clean pass ends the training unless it is ``"never"``.
    ``keep`` is that of ``Recorder``. A clean pass reads the tracked dataset through the Trainer's collator, so it
    needs a dataset without random augmentation, or ``inputs``, which turn the examples into the model's inputs.

    The training itself does not change: no random number is drawn, and the weights end up the same. While training
    runs, ``model.forward`` is wrapped (it must see the column ``tamis_row``); afterwards it is the old one again.

    *Resuming.* With every checkpoint of the Trainer the unfinished epoch of the recorder is saved beside it;
    ``trainer.train(resume_from_checkpoint=...)`` goes on exactly, if the checkpoint lies in ``args.output_dir``.
    Elsewhere only the presentations of the unfinished epoch before the checkpoint are missing.

    *Limits.* One process and one device; ``model=`` and not ``model_init=``.
    """

    def __init__(
        self,
        examples: Examples,
        out: str | Path,
        *,
        clean_every: str | int | None = "1 epoch",
        keep: Keep = "auto",
        inputs: Inputs | None = None,
    ) -> None:
        self.examples = examples
        self.out = Path(out)
        self.clean_every = Cadence.parse(clean_every, "clean_every", OWNER)
        self.keep: Keep = keep
        self.inputs = inputs
        self._recorder: Recorder | None = None
        self._state: TrainerState | None = None
        self._clean_model: CleanModel | None = None
        self._clean_rows: np.ndarray[Any, Any] | None = None
        self._cleaned = -1
        self._wrapped: Any = None
        self._forward: Any = None
        self._before: Any = None

    def track(self, dataset: Dataset, id_column: str | None = None) -> Dataset:
        """The dataset with a column ``tamis_row`` that says which example a row is.

        Rows are joined by ``id_column`` (by default ``id``, where such a column holds ids of the examples), or else
        taken to be the examples in their order. With ids, some examples may be absent.
        """
        if not isinstance(dataset, Dataset):
            raise bad_value("dataset", f"{OWNER}.track", type(dataset).__name__, "a datasets.Dataset")
        if id_column is not None and id_column not in dataset.column_names:
            raise bad_value(
                "id_column", f"{OWNER}.track", id_column, f"one of {', '.join(dataset.column_names)}"
            )
        if id_column is None and "id" in dataset.column_names and self._are_ids(dataset["id"][:]):
            id_column = "id"
        if id_column is not None:
            rows = self.examples.rows_of(dataset[id_column][:])
        elif len(dataset) == len(self.examples):
            rows = np.arange(len(dataset))
        else:
            raise InputError(
                f"{OWNER}.track: dataset must have a column of ids or the {len(self.examples):,} rows of the examples "
                f"in their order, got {len(dataset):,} rows; name the column with id_column."
            )
        self._compare_labels(dataset, rows)
        return dataset.add_column(ROW, rows)

    def on_init_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # Now, since the Trainer drops the columns that the signature of forward does not name.
        self._wrap(kwargs["model"])

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if args.world_size > 1 or args.n_gpu > 1:
            raise bad_value(
                "args", OWNER, f"{args.world_size} processes, {args.n_gpu} devices", "for one device"
            )
        dataset = kwargs["train_dataloader"].dataset
        if ROW not in getattr(dataset, "column_names", [ROW]):
            raise InputError(
                f"{OWNER}: train_dataset must be callback.track(dataset) and the model given as model=, "
                f"got a dataset with columns {', '.join(dataset.column_names)}."
            )
        model = kwargs["model"]
        self._state, self._cleaned = state, -1
        self._recorder = Recorder(
            self.out,
            self.examples,
            keep=self.keep,
            config={"trainer": _json(args), "seed": args.seed},
            model_spec={"name": type(model).__name__, "num_classes": self.examples.num_classes},
            auto_epochs=False,
            resume=state.global_step > 0,
        )
        saved = _output(args) / f"checkpoint-{state.global_step}" / STATE
        if state.global_step > 0 and saved.exists():
            self._recorder.restore(load_file(saved))
        self._wrap(model)
        if self.clean_every.number:
            self._prepare_clean(model, dataset, kwargs["train_dataloader"].collate_fn)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.clean_every.due("step", state.global_step):
            self._clean(args, state, kwargs["optimizer"])

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        assert self._recorder is not None
        if self._wrapped is None:
            raise InputError(
                f"{OWNER}: callbacks must hold one {OWNER} for a model, another one took its place."
            )
        self._recorder.end_epoch()
        last = control.should_training_stop or state.global_step >= state.max_steps
        if self.clean_every.due("epoch", round(state.epoch or 0)) or (last and self.clean_every.number):
            self._clean(args, state, kwargs["optimizer"])

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        folder = _output(args) / f"checkpoint-{state.global_step}"
        if self._recorder is not None and folder.is_dir():
            with atomic_file(folder / STATE) as temporary:
                save_file(self._recorder.state(), temporary)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._unwrap()
        if self._recorder is not None:
            flops = float(state.total_flos)
            self._recorder.close(flops=flops, flops_method="transformers.Trainer", device=str(args.device))
        self._recorder = self._state = self._clean_model = None

    def _are_ids(self, values: list[Any]) -> bool:
        return not set(self.examples.ids.tolist()).isdisjoint(values)

    def _compare_labels(self, dataset: Dataset, rows: np.ndarray[Any, Any]) -> None:
        """Wrong rows or another order of classes would make every loss a wrong one, in silence."""
        name = next((name for name in ("labels", "label") if name in dataset.column_names), None)
        if name is None or self.examples.labels is None:
            return
        given = np.asarray(dataset[name][:])
        if (
            given.dtype.kind in "iu"
            and given.shape == rows.shape
            and (given != self.examples.labels[rows]).any()
        ):
            wrong = np.flatnonzero(given != self.examples.labels[rows])
            raise InputError(
                f"{OWNER}.track: dataset must have the labels of the examples, but {name!r} differs in {len(wrong):,} "
                f"of {len(rows):,} rows: {name_some(wrong.tolist())}."
            )

    def _wrap(self, model: Any) -> None:
        # The Trainer reads the signature of the model inside a PEFT model.
        model = model.get_base_model() if hasattr(model, "get_base_model") else model
        if self._wrapped is model:
            return
        if model in _WRAPPED:
            _WRAPPED[model]._unwrap()  # a training that was interrupted never came to its end
        callback, original = self, model.forward

        def forward(module: Any, *args: Any, tamis_row: Any = None, **kwargs: Any) -> Any:
            outputs = original(*args, **kwargs)
            if module.training and callback._forward is forward:
                callback._saw(tamis_row, outputs)
            return outputs

        parameters = list(inspect.signature(original).parameters.values())
        place = len(parameters) - (bool(parameters) and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD)
        if all(parameter.name != ROW for parameter in parameters):
            parameters.insert(place, inspect.Parameter(ROW, inspect.Parameter.KEYWORD_ONLY, default=None))
        parameters.insert(0, inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY))
        forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        self._wrapped, self._forward, self._before = model, forward, model.__dict__.get("forward")
        # A bound method without __wrapped__: accelerate looks for both when it adds and removes autocast.
        model.forward = MethodType(forward, model)
        _WRAPPED[model] = self

    def _unwrap(self) -> None:
        model, before = self._wrapped, self._before
        if model is None:
            return
        # Where accelerate has put autocast around it, the wrapper stays, and does nothing any more.
        if getattr(model.__dict__.get("forward"), "__func__", None) is self._forward:
            if before is None:
                del model.forward
            else:
                model.forward = before
        _WRAPPED.pop(model, None)
        self._wrapped = self._forward = self._before = None

    def _saw(self, rows: Any, outputs: Any) -> None:
        if self._recorder is None or self._state is None:
            return
        if rows is None:
            raise InputError(
                f"{OWNER}: train_dataset must be callback.track(dataset), got batches without {ROW}."
            )
        logits_BC, state = logits_of(outputs), self._state
        self._recorder.record(rows.cpu().numpy(), logits_BC, state.global_step, state.epoch, by="row")

    def _prepare_clean(self, model: Any, dataset: Any, collate: Any) -> None:
        self._clean_rows = None
        if self.inputs is not None:
            self._clean_model = CleanModel(model, self.inputs)
            return
        if not isinstance(dataset, Dataset) or dataset.format["type"] == "custom":
            raise InputError(
                f"{OWNER}: inputs must be given for clean passes when the training data has a transform, "
                f"or clean_every must be 'never'."
            )
        rows = TrackedRows(dataset, collate, len(self.examples))
        self._clean_model, self._clean_rows = CleanModel(model, rows), rows.rows

    def _clean(self, args: TrainingArguments, state: TrainerState, optimizer: Any) -> None:
        if self._cleaned == state.global_step:
            return
        assert self._recorder is not None and self._clean_model is not None
        # Schedule-free optimizers keep other weights for evaluation; the Trainer itself goes back to training mode.
        if callable(getattr(optimizer, "eval", None)):
            optimizer.eval()
        self._recorder.clean(
            self._clean_model,  # type: ignore[arg-type]
            state.global_step,
            state.epoch,
            rows=self._clean_rows,
            batch_size=args.per_device_eval_batch_size,
        )
        if callable(getattr(optimizer, "train", None)):
            optimizer.train()
        self._cleaned = state.global_step


def _output(args: TrainingArguments) -> Path:
    return Path(args.output_dir or ".")


def _json(args: TrainingArguments) -> dict[str, Any]:
    """All training arguments as JSON; transformers masks tokens of the hub by itself."""
    found: dict[str, Any] = json.loads(args.to_json_string())  # type: ignore[no-untyped-call]
    return found
