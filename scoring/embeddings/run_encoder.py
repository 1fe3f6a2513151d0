"""Vectors of a classifier that tamis trained: what a layer of one of its checkpoints makes of each example."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scoring.batching import plan_batches
from scoring.checkpoints import Checkpoint, RunDirectory
from scoring.corpus.documents import Documents
from scoring.embeddings.encoder import Encoded, Running, check_whole
from scoring.embeddings.forward_flops import count_flops
from scoring.embeddings.model_folder import folder_digest
from scoring.embeddings.text_encoder import weights_without_embeddings
from scoring.errors import InputError, bad_value, unknown_name
from scoring.inference import autocast, check_precision, pick_device, to_device
from scoring.networks.inputs import IntArray
from scoring.representations import LayerOutputs

if TYPE_CHECKING:
    from scoring.models import Model
    from scoring.networks.inputs import Prepared

BATCH = 256


@dataclass(frozen=True)
class RunOptions:
    """Which representation.

    Attributes:
        layer: Of those that ``scoring.representations`` lists; -1 (default) is what the classification layer reads.
        step: Of the checkpoint; by default the last one.
    """

    layer: int = -1
    step: int | None = None


class RunEncoder:
    """A representation of a run's checkpoint, for texts, images and features as it was trained on."""

    def __init__(self, path: Path, options: RunOptions, running: Running) -> None:
        self.owner = f"encoder {str(path)!r}"
        if not isinstance(options.layer, int) or isinstance(options.layer, bool):
            raise bad_value("layer", self.owner, options.layer, "a whole number, -1 for the last")
        if options.step is not None:
            check_whole("step", self.owner, options.step, 0)
        self.options, self.running = options, running
        self.device = pick_device(running.device)
        check_precision(running.precision, self.device, self.owner)
        self.run = RunDirectory.open(path)
        self.checkpoint = self._checkpoint()

    def _checkpoint(self) -> Checkpoint:
        found = self.run.checkpoints()
        if not found:
            raise InputError(f"{self.owner}: the run must have a checkpoint, and has none.")
        spec = self.run.config.get("model") or {}
        if found[-1].path.parent != self.run.path and spec.get("family") not in ("native", "huggingface"):
            raise InputError(
                f"{self.owner}: the run must be of a named or Hugging Face classifier, got "
                f"{spec.get('name') or spec.get('family')!r}, which its files alone do not rebuild."
            )
        by_step = {checkpoint.step: checkpoint for checkpoint in found}
        step = found[-1].step if self.options.step is None else self.options.step
        if step not in by_step:
            raise unknown_name("step", self.owner, str(step), [str(each) for each in by_step])
        return by_step[step]

    @cached_property
    def _digest(self) -> str:
        return folder_digest(self.checkpoint.path)

    def describe(self) -> dict[str, object]:
        """Digest of the checkpoint, options, precision."""
        about = {"encoder": "run", "weights": self._digest, "precision": self.running.precision}
        return {**about, **asdict(self.options), "step": self.checkpoint.step}

    def encode(self, documents: Documents) -> Encoded:
        """Longest first, in batches of ``batch_tokens``."""
        kind = str(self._model.spec["kind"])
        if documents.examples.kind != kind:
            raise bad_value(
                "examples", self.owner, documents.examples.kind, f"{kind} examples, as in training"
            )
        prepared = self._model.inputs.prepare(documents.examples, documents.rows_B)
        batches = plan_batches(prepared.lengths, BATCH, self.running.batch_tokens)
        found = torch.cat([self._vectors(prepared, places) for places in batches])
        vectors_BD = torch.empty_like(found)
        vectors_BD[torch.from_numpy(np.concatenate(batches))] = found
        if kind != "text":
            nothing_B = np.zeros(len(documents), dtype=np.int64)
            return Encoded(vectors_BD, nothing_B, nothing_B.astype(bool), self._flops(prepared))
        tokens_B = np.asarray(prepared.lengths)
        longest = getattr(self._model.inputs, "max_length", None)
        # which texts did not fit is not told, only how many: those that fill the length may have been longer
        cut_B = (
            (tokens_B >= longest) & (prepared.truncated > 0)
            if longest
            else np.zeros(len(documents), dtype=bool)
        )
        weights = weights_without_embeddings(self._model.module)
        flops = 2.0 * weights * int(tokens_B.sum()) if longest else self._flops(prepared)
        return Encoded(vectors_BD, tokens_B, cut_B, flops)

    def _vectors(self, prepared: Prepared, places: IntArray) -> Tensor:
        """(B, D) float32 of a batch."""
        model = self._model
        batch = to_device(prepared.batch(places), self.device)
        with (
            torch.inference_mode(),
            autocast(self.device, self.running.precision),
            LayerOutputs(model, "last" if self.options.layer == -1 else "all") as outputs,
        ):
            model.logits(batch)
            layers = outputs.take(batch)
        if not -len(layers) <= self.options.layer < len(layers):
            raise bad_value(
                "layer", self.owner, self.options.layer, f"from {-len(layers)} to {len(layers) - 1}"
            )
        return layers[self.options.layer].float().cpu().clone()

    def _flops(self, prepared: Prepared) -> float | None:
        one = count_flops(lambda: self._vectors(prepared, np.zeros(1, dtype=np.int64)))
        return None if one is None else one * len(prepared)

    @cached_property
    def _model(self) -> Model:
        from scoring.models import load_hf_folder, load_model

        trust, folder = self.running.trust_remote_code, self.checkpoint.path
        if folder.parent == self.run.path:
            model = load_hf_folder(folder, trust_remote_code=trust)
        else:
            model = load_model(self.run.path, folder, self.run.config["model"], trust_remote_code=trust)
        model.module.to(self.device).eval()
        return model
