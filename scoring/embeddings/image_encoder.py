"""Vectors of images by a transformer or convolutional network with its image processor."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import normalize

from scoring.corpus.documents import Documents
from scoring.embeddings.encoder import Encoded, Running, check_one_of
from scoring.embeddings.forward_flops import count_flops
from scoring.embeddings.model_folder import folder_digest
from scoring.errors import InputError, bad_value, name_some
from scoring.inference import autocast, check_precision, pick_device
from scoring.models import seeded
from scoring.networks.huggingface import load_base_network, load_processor, processor_inputs
from scoring.networks.inputs import ProcessorInputs

if TYPE_CHECKING:
    from transformers import PreTrainedModel

POOLINGS = ("auto", "pooled", "mean", "cls")
BATCH = 64
"""Images of a forward pass."""


@dataclass(frozen=True)
class ImageOptions:
    """How the states of patches become a vector.

    Attributes:
        pooling: ``pooled``: what the network itself makes of them (of models of images and texts, the projected image
            features); ``mean``: of patches, without tokens that are none, or of the positions of a map; ``cls``: the
            first token. ``auto`` takes ``pooled`` where it was trained, else ``mean``: a folder of a classifier has
            no pooler, and one drawn at random says nothing.
        normalize: Whether vectors are divided by their norm.
    """

    pooling: str = "auto"
    normalize: bool = False


class _Loaded(NamedTuple):
    network: PreTrainedModel
    inputs: ProcessorInputs
    pooling: str


class ImageEncoder:
    """Pooled output or mean of patches, float32 weights."""

    def __init__(self, folder: Path, options: ImageOptions, running: Running, owner: str) -> None:
        check_one_of("pooling", owner, options.pooling, POOLINGS)
        if not isinstance(options.normalize, bool):
            raise bad_value("normalize", owner, options.normalize, "true or false")
        self.folder, self.options, self.running, self.owner = folder, options, running, owner
        self.device = pick_device(running.device)
        check_precision(running.precision, self.device, owner)

    @cached_property
    def _digest(self) -> str:
        return folder_digest(self.folder)

    def describe(self) -> dict[str, object]:
        """Digest of the folder's files, options, precision."""
        about = {"encoder": "image", "weights": self._digest, "precision": self.running.precision}
        return {**about, **asdict(self.options)}

    def encode(self, documents: Documents) -> Encoded:
        """Image by image through the processor, in batches."""
        if documents.examples.kind != "image":
            raise bad_value("examples", self.owner, documents.examples.kind, "image examples")
        found = [
            self._vectors(documents.examples.images(documents.rows_B[start : start + BATCH]))
            for start in range(0, len(documents), BATCH)
        ]
        vectors_BD = torch.cat(found)
        nothing_B = np.zeros(len(documents), dtype=np.int64)
        flops = None if self._flops is None else self._flops * len(documents)
        return Encoded(vectors_BD, nothing_B, nothing_B.astype(bool), flops)

    def _vectors(self, images: list[Any]) -> Tensor:
        network, inputs, pooling = self._loaded
        pixels = inputs.batch_of(images)["pixel_values"].to(self.device)
        with torch.inference_mode(), autocast(self.device, self.running.precision):
            vectors_BD = (
                self._pooled(network, pixels) if pooling == "pooled" else _of_states(network, pixels, pooling)
            )
        vectors_BD = vectors_BD.float()
        return (normalize(vectors_BD, dim=1) if self.options.normalize else vectors_BD).cpu().clone()

    def _pooled(self, network: PreTrainedModel, pixels: Tensor) -> Tensor:
        if hasattr(network, "get_image_features"):
            output = network.get_image_features(pixel_values=pixels)  # type: ignore[operator]
        else:
            output = network(pixel_values=pixels)
        found = output if isinstance(output, Tensor) else output.pooler_output
        return found.flatten(1)

    @cached_property
    def _flops(self) -> float | None:
        """Of one image."""
        return count_flops(lambda: self._vectors([self._black()]))

    def _black(self) -> npt.NDArray[np.uint8]:
        network, inputs, _ = self._loaded
        config = getattr(network.config, "vision_config", network.config)
        size = getattr(config, "image_size", None) or 224
        height, width = size if isinstance(size, list | tuple) else (size, size)
        return np.zeros((height, width, inputs.channels), dtype=np.uint8)

    @cached_property
    def _loaded(self) -> _Loaded:
        trust = self.running.trust_remote_code
        with seeded(0):
            network, missing = load_base_network(self.folder, trust_remote_code=trust)
        absent = sorted(name for name in missing if not name.startswith("pooler."))
        if absent:
            raise InputError(
                f"{self.owner}: the folder must hold all weights, and lacks {len(absent):,}: {name_some(absent)}."
            )
        inputs = processor_inputs(load_processor(self.folder, trust), network)
        network.to(self.device)  # type: ignore[arg-type]
        return _Loaded(network, inputs, self._pooling(network, bool(missing)))

    def _pooling(self, network: PreTrainedModel, untrained: bool) -> str:
        wanted = self.options.pooling
        has = hasattr(network, "get_image_features") or getattr(network, "pooler", None) is not None
        if wanted == "pooled" and (untrained or not has):
            raise InputError(
                f"{self.owner}: pooling='pooled' needs a pooler with weights, and the folder has none."
            )
        if wanted == "auto":
            return "pooled" if has and not untrained else "mean"
        return wanted


def _of_states(network: PreTrainedModel, pixels: Tensor, pooling: str) -> Tensor:
    """Mean over patches or positions, or the first token, of the last hidden state."""
    vision: Any = getattr(network, "vision_model", network)
    states: Tensor = vision(pixel_values=pixels).last_hidden_state
    if states.ndim == 4:
        return states.float().mean(dim=(2, 3))
    if pooling == "cls":
        return states[:, 0]
    size = getattr(vision.config, "patch_size", None)
    height, width = size if isinstance(size, list | tuple) else (size or 1, size or 1)
    patches = (pixels.shape[2] // height) * (pixels.shape[3] // width)
    return (
        states[:, max(0, states.shape[1] - patches) :].float().mean(dim=1)
    )  # class and register tokens come first
