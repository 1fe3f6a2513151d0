"""Run directories: the one place that knows their files, as reader and writer; and the checkpoints of others.

run.json               configuration, seed, model, data fingerprint, versions, FLOPs, wall time, status
assets/                tokenizer or image processor, the same for all checkpoints
checkpoints/step-00000100/   weights, and state.json: step, epoch, learning rate
metrics.parquet        step, epoch, split, name, value
held_out.parquet       ids that the run did not train on, and why: role evaluation or fold
left_out.parquet       ids that its subset left out; unlike those kept for evaluation they are scored
dynamics/              per-example signals recorded while training, see ``scoring.dynamics``
"""

from __future__ import annotations

import json
import math
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
from scoring.hashing import Ids
from scoring.ids import id_column
from scoring.manifest import plain
from scoring.tensor_files import save_tensors
from scoring.versions import library_version

if TYPE_CHECKING:
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
        """Ids that were kept for evaluation, or the fold that was left out."""
        ...

    def trained_on(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Which of these examples the run trained on, (len(ids),)."""
        ...

    @property
    def trained_share(self) -> float:
        """The share of its examples that the run trained on, NaN where it is not known."""
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


class Saved(Protocol):
    """Weights that know how to write themselves into a folder."""

    def save(self, folder: Path, /) -> None: ...


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
        model: Saved,
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
        """In the order of training; those of a transformers Trainer if it wrote into the same folder."""
        found = []
        for folder in sorted((self.path / CHECKPOINTS).glob("step-*")):
            state = read_json(folder / "state.json")
            found.append(Checkpoint(state["step"], state["epoch"], state["learning_rate"], folder))
        return found or trainer_checkpoints(self.path)

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
        """Ids that were kept for evaluation or are the fold that was left out, and which; None if there are none."""
        path = self.path / "held_out.parquet"
        if not path.exists():
            return None
        table = pq.ParquetFile(path).read()
        role: Any = table.schema.metadata[b"role"].decode()
        return table["id"].to_numpy(), role

    def write_left_out(self, ids: npt.NDArray[Any] | Sequence[Any]) -> None:
        """Write the ids that are not in the subset that the run trains on; possibly none."""
        with atomic_file(self.path / "left_out.parquet") as temporary:
            pq.write_table(pa.table({"id": id_column(ids, "run")}), temporary)

    def left_out(self) -> npt.NDArray[Any] | None:
        """Ids that the subset left out; None if the run had no subset.

        Raises:
            InputError: It had one, and did not write down what it left out (runs of earlier versions).
        """
        path = self.path / "left_out.parquet"
        if path.exists():
            ids: npt.NDArray[Any] = pq.ParquetFile(path).read()["id"].to_numpy()
            return ids
        if self.config.get("subset") is not None:
            raise InputError(
                f"score: run {str(self.path)!r} must say which examples its subset left out, and has no "
                "left_out.parquet; train it again."
            )
        return None

    def trained_on(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Which of these examples the run trained on, (len(ids),).

        False for what was kept for evaluation, the fold that was left out, and what a subset left out.
        """
        held_out, left_out = self.held_out(), self.left_out()
        absent = {
            *([] if held_out is None else held_out[0].tolist()),
            *([] if left_out is None else left_out.tolist()),
        }
        return np.array([each not in absent for each in np.asarray(ids).tolist()], dtype=bool)

    @property
    def trained_share(self) -> float:
        """The share of its examples that the run trained on, NaN where it is not known."""
        data = self.config.get("data") or {}
        return float(data["trained_on"] / data["rows"]) if "trained_on" in data else math.nan

    def load(
        self,
        checkpoint: Checkpoint,
        examples: Examples,
        *,
        model: Any = None,
        trust_remote_code: bool = False,
    ) -> Model:
        """The model at a checkpoint; a run that only recorded dynamics has none."""
        from scoring.models import load_hf_folder, load_model

        if checkpoint.path.parent == self.path:
            names = (self.config.get("data") or {}).get("label_names")
            return load_hf_folder(
                checkpoint.path, examples, label_names=names, trust_remote_code=trust_remote_code
            )
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

    def trained_on(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """All, for all that is known."""
        return np.ones(len(ids), dtype=bool)

    @property
    def trained_share(self) -> float:
        """Not known."""
        return math.nan

    def checkpoints(self) -> list[Checkpoint]:
        """The Trainer's checkpoints by step, with its epochs and learning rates; or the one model."""
        return trainer_checkpoints(self.path) or [_trainer_checkpoint(self.path)]

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


def trainer_checkpoints(path: Path) -> list[Checkpoint]:
    """The checkpoint-* folders of a transformers Trainer, by step."""
    folders = [folder for folder in path.glob("checkpoint-*") if (folder / "config.json").is_file()]
    return sorted(map(_trainer_checkpoint, folders), key=lambda checkpoint: checkpoint.step)


def _trainer_checkpoint(folder: Path) -> Checkpoint:
    """Step, epoch and the last logged learning rate from trainer_state.json; 0, 0 and None where it is absent."""
    file = folder / "trainer_state.json"
    state = read_json(file) if file.is_file() else {}
    number = folder.name.removeprefix("checkpoint-")
    step = int(state.get("global_step", number if number.isdigit() else 0))
    rates = [entry["learning_rate"] for entry in state.get("log_history", []) if "learning_rate" in entry]
    return Checkpoint(step, float(state.get("epoch") or step), rates[-1] if rates else None, folder)
