"""Run directories: the one place that knows their files, as reader and writer; and the checkpoints of others.

run.json               configuration, seed, model, data fingerprint, versions, FLOPs, wall time, status
assets/                tokenizer or image processor, the same for all checkpoints
checkpoints/step-00000100/   weights, and state.json: step, epoch, learning rate
metrics.parquet        step, epoch, split, name, value
held_out.parquet       ids that the run did not train on, and why: role evaluation or fold
dynamics/              per-example signals recorded while training, see ``scoring.dynamics``
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.errors import InputError
from scoring.files import atomic_file, atomic_folder, read_json, write_json
from scoring.ids import id_column
from scoring.manifest import library_version, plain

if TYPE_CHECKING:
    from torch import Tensor

    from scoring.examples import Examples
    from scoring.models import Model

Role = Literal["evaluation", "fold"]
HeldOut = tuple[npt.NDArray[Any], Role]

RUN = "run.json"
CHECKPOINTS = "checkpoints"
METRICS = pa.schema(
    {
        "step": pa.int64(),
        "epoch": pa.float64(),
        "split": pa.string(),
        "name": pa.string(),
        "value": pa.float64(),
    }
)


@dataclass(frozen=True)
class Checkpoint:
    """Weights at one moment of training."""

    step: int
    epoch: float
    learning_rate: float | None
    path: Path


class Checkpoints(Protocol):
    """A run, whoever trained it."""

    @property
    def path(self) -> Path: ...

    @property
    def name(self) -> str: ...

    @property
    def fold(self) -> dict[str, int] | None:
        """``index``, ``of``, ``seed`` of a cross-fitting fold."""
        ...

    def checkpoints(self) -> list[Checkpoint]:
        """In the order of training."""
        ...

    def held_out(self) -> HeldOut | None:
        """Ids that were not trained on."""
        ...

    def load(
        self,
        checkpoint: Checkpoint,
        examples: Examples,
        *,
        model: Any = None,
        trust_remote_code: bool = False,
    ) -> Model:
        """The model at a checkpoint, in evaluation mode."""
        ...


class RunDirectory:
    """One training of ours (or of a recorder) on disk."""

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self.path, self.config = path, config

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.path)!r}, {self.status})"

    @classmethod
    def create(cls, path: str | Path, config: Mapping[str, Any]) -> RunDirectory:
        """Write run.json of a new run with status ``running``."""
        run = cls(Path(path), {"tamis_version": library_version(), "status": "running", **plain(config)})
        write_json(run.path / RUN, run.config)
        return run

    @classmethod
    def open(cls, path: str | Path) -> RunDirectory:
        """The run at ``path``.

        Raises:
            FileNotFoundError: There is no run.json.
            InputError: It is not JSON.
        """
        path = Path(path)
        if not (path / RUN).is_file():
            raise FileNotFoundError(f"run: {str(path)!r} is not a run directory; it has no {RUN}.")
        try:
            return cls(path, read_json(path / RUN))
        except json.JSONDecodeError:
            raise InputError(f"run: {str(path / RUN)!r} must be JSON, and is not.") from None

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name

    @property
    def status(self) -> str:
        """``running`` (or killed while it ran), ``finished``, ``diverged``."""
        return str(self.config["status"])

    @property
    def fold(self) -> dict[str, int] | None:
        """``index``, ``of``, ``seed`` of a cross-fitting fold."""
        return self.config.get("fold")

    def update(self, **fields: Any) -> None:
        """Change fields of run.json."""
        self.config |= plain(fields)
        write_json(self.path / RUN, self.config)

    def finish(self, status: str = "finished", **final: Any) -> None:
        """Write the last fields and the status."""
        self.update(**final, status=status)

    def save_checkpoint(
        self,
        model: Model,
        step: int,
        epoch: float,
        learning_rate: float | None,
        optimizer_state: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write ``checkpoints/step-...`` with weights, state.json and, if given, optimizer moments."""
        folder = self.path / CHECKPOINTS / f"step-{step:08}"
        with atomic_folder(folder) as temporary:
            model.save(temporary)
            state = {"step": step, "epoch": epoch, "learning_rate": learning_rate}
            write_json(temporary / "state.json", state)
            if optimizer_state is not None:
                save_tensors(temporary / "optimizer", optimizer_state)
        return folder

    def checkpoints(self) -> list[Checkpoint]:
        """In the order of training."""
        found = []
        for folder in sorted((self.path / CHECKPOINTS).glob("step-*")):
            state = read_json(folder / "state.json")
            found.append(Checkpoint(state["step"], state["epoch"], state["learning_rate"], folder))
        return found

    def write_metrics(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write metrics.parquet: one row per (step, epoch, split, name, value)."""
        table = pa.Table.from_pylist([dict(row) for row in rows], schema=METRICS)
        with atomic_file(self.path / "metrics.parquet") as temporary:
            pq.write_table(table, temporary)

    def metrics(self) -> pa.Table:
        """All metrics; empty if there are none yet."""
        path = self.path / "metrics.parquet"
        return pq.ParquetFile(path).read() if path.exists() else METRICS.empty_table()

    def write_held_out(self, ids: npt.NDArray[Any] | Sequence[Any], role: Role) -> None:
        """Write the ids that the run does not train on."""
        table = pa.table({"id": id_column(ids, "run")}).replace_schema_metadata({"role": role})
        with atomic_file(self.path / "held_out.parquet") as temporary:
            pq.write_table(table, temporary)

    def held_out(self) -> HeldOut | None:
        """Ids that the run did not train on, and their role; None if it trained on all."""
        path = self.path / "held_out.parquet"
        if not path.exists():
            return None
        table = pq.ParquetFile(path).read()
        role: Any = table.schema.metadata[b"role"].decode()
        return table["id"].to_numpy(), role

    def load(
        self,
        checkpoint: Checkpoint,
        examples: Examples,
        *,
        model: Any = None,
        trust_remote_code: bool = False,
    ) -> Model:
        """The model at a checkpoint; a run that only recorded dynamics has none."""
        from scoring.models import load_model

        spec = self.config.get("model")
        if spec is None or "family" not in spec:
            raise InputError(
                f"score: {str(self.path)!r} does not say how to rebuild its model; score what it recorded."
            )
        return load_model(
            self.path, checkpoint.path, spec, model, examples=examples, trust_remote_code=trust_remote_code
        )

    def summary(self) -> dict[str, Any]:
        """Steps, time and the last value of every metric, as JSON."""
        last = {f"{row['split']}/{row['name']}": row["value"] for row in self.metrics().to_pylist()}
        keys = ("status", "seed", "steps", "wall_time_s", "flops", "num_parameters")
        return {**{key: self.config.get(key) for key in keys}, "metrics": last}


@dataclass(frozen=True)
class HuggingFaceFolder:
    """A model folder, or the checkpoint-* folders of a transformers Trainer."""

    path: Path

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name

    @property
    def fold(self) -> None:
        """Never a fold."""
        return None

    def held_out(self) -> None:
        """Not known."""
        return None

    def checkpoints(self) -> list[Checkpoint]:
        """The Trainer's checkpoints by step, with its epochs and learning rates; or the one model."""
        folders = [f for f in self.path.glob("checkpoint-*") if f.name.split("-")[-1].isdigit()]
        if not folders:
            return [Checkpoint(0, 0.0, None, self.path)]
        return [
            _trainer_checkpoint(folder)
            for folder in sorted(folders, key=lambda f: int(f.name.split("-")[-1]))
        ]

    def load(
        self,
        checkpoint: Checkpoint,
        examples: Examples,
        *,
        model: Any = None,
        trust_remote_code: bool = False,
    ) -> Model:
        """The classifier of a folder, its outputs in the class order of the examples."""
        from scoring.models import load_hf_folder

        return load_hf_folder(checkpoint.path, examples, trust_remote_code=trust_remote_code)


def _trainer_checkpoint(folder: Path) -> Checkpoint:
    step = int(folder.name.split("-")[-1])
    state_file = folder / "trainer_state.json"
    state = read_json(state_file) if state_file.exists() else {}
    rates = [entry["learning_rate"] for entry in state.get("log_history", []) if "learning_rate" in entry]
    return Checkpoint(step, float(state.get("epoch") or step), rates[-1] if rates else None, folder)


def find_runs(path: str | Path) -> list[Checkpoints]:
    """Runs at a path: a run directory, a folder of runs or of folds, a model folder, or a Trainer output.

    Raises:
        FileNotFoundError: The path does not exist.
        InputError: There is no run, or an unfinished one.
    """
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"score: run folder {str(path)!r} does not exist.")
    found = [file.parent for pattern in (RUN, f"*/{RUN}", f"*/*/{RUN}") for file in path.glob(pattern)]
    runs = [RunDirectory.open(folder) for folder in sorted(found, key=_natural)]
    unfinished = [run for run in runs if run.status != "finished"]
    if unfinished:
        raise InputError(
            f"score: run {str(unfinished[0].path)!r} is {unfinished[0].status}, not finished; "
            "repeat the command that trains it, and it continues."
        )
    if runs:
        return list(runs)
    if (path / "config.json").is_file() or any(path.glob("checkpoint-*/config.json")):
        return [HuggingFaceFolder(path)]
    raise InputError(
        f"score: {str(path)!r} must hold a run (run.json), runs, a Hugging Face model (config.json) or the "
        "checkpoint-* folders of a Trainer, and holds none."
    )


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key in which seed-10 comes after seed-9."""
    parts = [piece for part in path.parts for piece in part.split("-")]
    return [(int(piece) if piece.isdigit() else -1, piece) for piece in parts]


def save_tensors(stem: Path, state: Mapping[str, Any]) -> None:
    """A nested state of tensors and plain values as ``<stem>.safetensors`` and ``<stem>.json``; no pickle."""
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    structure = _flatten(state, "", tensors)
    save_file(tensors, str(stem.with_suffix(".safetensors")))
    stem.with_suffix(".json").write_text(json.dumps(structure))


def load_tensors(stem: Path) -> Any:
    """What ``save_tensors`` wrote, on the CPU."""
    from safetensors.torch import load_file

    tensors = load_file(str(stem.with_suffix(".safetensors")))
    return _unflatten(json.loads(stem.with_suffix(".json").read_text()), tensors)


def _flatten(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        tensors[place] = value.detach().cpu().clone().contiguous()
        return {"tensor": place}
    if isinstance(value, np.ndarray):
        return {"array": _flatten(torch.from_numpy(value), place, tensors)["tensor"]}
    if isinstance(value, Mapping):
        items = [[key, _flatten(item, f"{place}/{key}", tensors)] for key, item in value.items()]
        return {"map": items}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_flatten(item, f"{place}/{i}", tensors) for i, item in enumerate(value)]}
    assert value is None or isinstance(value, bool | int | float | str), f"{place}: {type(value)}"
    return {"value": value}


def _unflatten(node: Any, tensors: Mapping[str, Tensor]) -> Any:
    [(kind, content)] = node.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "array":
        return tensors[content].numpy()
    if kind == "map":
        return {key: _unflatten(item, tensors) for key, item in content}
    if kind in ("list", "tuple"):
        items = [_unflatten(item, tensors) for item in content]
        return items if kind == "list" else tuple(items)
    return content
