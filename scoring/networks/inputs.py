"""How examples become the tensors that a model reads.

``Inputs.prepare(examples, rows)`` does the work that is done once (tokenising, hashing, decoding); ``Prepared.batch``
gives the tensors of a few rows, on the CPU. Positions in a ``Prepared`` count within the prepared rows.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value

if TYPE_CHECKING:
    from torch import Tensor

    from scoring.examples import Examples

IntArray = npt.NDArray[np.int64]
Batch = dict[str, "Tensor"]

STACK_BYTES = 2**30
"""Images are decoded once and kept up to this many bytes; larger sets are decoded again for every batch."""


class Prepared(ABC):
    """Examples ready for a model."""

    lengths: IntArray
    """(N,) tokens or terms of every row, at least 1: the cost of a row in a batch. 1 for images and features."""
    truncated: int = 0
    """How many texts were longer than the model reads."""

    def __len__(self) -> int:
        return len(self.lengths)

    @abstractmethod
    def batch(self, rows: IntArray) -> Batch:
        """The model's inputs for these rows; no row changes with its company beyond padding."""


class Inputs(ABC):
    """What a model reads; it holds no examples."""

    kind: str

    @abstractmethod
    def prepare(self, examples: Examples, rows: IntArray | None = None) -> Prepared:
        """``rows`` (default all) of the examples, ready for the model."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """JSON from which ``read_inputs`` makes the same inputs, together with what ``save`` wrote."""

    def save(self, folder: Path) -> None:  # noqa: B027 (most inputs fit into JSON)
        """Write what does not fit into JSON (tokenizer, image processor) into an existing folder."""

    def rows_of(self, examples: Examples, rows: IntArray | None) -> IntArray:
        """The rows to prepare, after a check that the model reads such examples."""
        if examples.kind != self.kind:
            raise bad_value("examples", "model", examples.kind, f"{self.kind} examples")
        return np.arange(len(examples)) if rows is None else np.asarray(rows, dtype=np.int64)

    def check_pairs(self, examples: Examples, pairs: bool | None) -> None:
        """Texts are single, or pairs, as the model was built for (None: either)."""
        if pairs is not None and examples.has_pairs != pairs:
            given = "pairs of texts" if examples.has_pairs else "single texts"
            raise bad_value("examples", "model", given, "pairs of texts" if pairs else "single texts")


class ArrayPrepared(Prepared):
    """Features (N, D) float32, or images (N, H, W, K) uint8 that ``PixelInputs.tensor`` makes into floats."""

    def __init__(self, values: npt.NDArray[Any], inputs: FeatureInputs | PixelInputs) -> None:
        self.values = values
        self.lengths = np.ones(len(values), dtype=np.int64)
        self._inputs = inputs

    def batch(self, rows: IntArray) -> Batch:
        return self._inputs.tensors(self.values[rows])


class FeatureInputs(Inputs):
    """Numeric features: batch["x"] is (B, D) float32."""

    kind = "features"

    def __init__(self, width: int) -> None:
        self.width = width

    def prepare(self, examples: Examples, rows: IntArray | None = None) -> Prepared:
        values = np.asarray(examples.features(self.rows_of(examples, rows)), dtype=np.float32)
        if values.shape[1:] != (self.width,):
            raise bad_value(
                "features", "model", f"{values.shape[1:]}", f"of width {self.width} as in training"
            )
        return ArrayPrepared(values, self)

    def tensors(self, values: npt.NDArray[Any]) -> Batch:
        """The batch of features (B, D)."""
        import torch

        return {"x": torch.from_numpy(values)}

    def describe(self) -> dict[str, Any]:
        return {"type": "features", "width": self.width}


class PixelInputs(Inputs):
    """Images of one size: batch[key] is (B, K, H, W) float32.

    Pixels are divided by 255; with ``mean`` and ``std`` they are standardised too (models whose checkpoint is a
    Hugging Face folder keep these in their processor, ours inside the network). ``enlarge`` repeats every pixel.
    ``channels_last`` is the memory order in which convolutions run faster (2-4 times on CPU); the shape is the same.
    ``resize`` lets images of other sizes in, through bilinear interpolation; without it they are an error.
    """

    kind = "image"

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        key: str = "x",
        resize: bool = False,
        enlarge: int = 1,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        channels_last: bool = False,
    ) -> None:
        assert len(shape) == 3
        self.shape = tuple(int(size) for size in shape)
        self.key, self.resize, self.enlarge = key, resize, enlarge
        self.mean, self.std = mean, std
        self.channels_last = channels_last

    def prepare(self, examples: Examples, rows: IntArray | None = None) -> Prepared:
        rows = self.rows_of(examples, rows)
        if len(rows) * int(np.prod(self.shape)) > STACK_BYTES:
            return LazyImages(examples, rows, self)
        return ArrayPrepared(self.pixels(examples, rows), self)

    def pixels(self, examples: Examples, rows: IntArray) -> npt.NDArray[np.uint8]:
        """The decoded images, (B, H, W, K) uint8."""
        stacked = np.empty((len(rows), *self.shape), dtype=np.uint8)
        for start in range(0, len(rows), 1024):
            for offset, image in enumerate(examples.images(rows[start : start + 1024])):
                stacked[start + offset] = self._fit(image)
        return stacked

    def batch_of(self, images: list[npt.NDArray[np.uint8]]) -> Batch:
        """The batch of decoded images (H, W, C) each."""
        return self.tensors(np.stack([self._fit(image) for image in images]))

    def _fit(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        height, width, channels = self.shape
        image = with_channels(image, channels)
        if image.shape[:2] == (height, width):
            return image
        if not self.resize:
            raise InputError(
                f"model: images must be {height}x{width} as the model was built for, got "
                f"{image.shape[0]}x{image.shape[1]}; give the model the option image_size=({height}, {width})."
            )
        return resized(image, height, width)

    def tensors(self, values: npt.NDArray[Any]) -> Batch:
        """The batch of stacked images (B, H, W, K) uint8."""
        import torch

        pixels = torch.from_numpy(values)
        if self.enlarge > 1:
            pixels = pixels.repeat_interleave(self.enlarge, dim=1).repeat_interleave(self.enlarge, dim=2)
        x = pixels.permute(0, 3, 1, 2).float() / 255.0
        if self.mean is not None and self.std is not None:
            x = (x - torch.tensor(self.mean).view(-1, 1, 1)) / torch.tensor(self.std).view(-1, 1, 1)
        if not self.channels_last:
            x = x.contiguous()
        return {self.key: x}

    def describe(self) -> dict[str, Any]:
        return {
            "type": "pixels",
            "shape": list(self.shape),
            "key": self.key,
            "resize": self.resize,
            "enlarge": self.enlarge,
            "mean": self.mean,
            "std": self.std,
            "channels_last": self.channels_last,
        }

    def save(self, folder: Path) -> None:
        """For networks in Hugging Face folders: the same steps as an image processor, for use elsewhere."""
        if self.mean is None or self.std is None:
            return
        height, width = (size * self.enlarge for size in self.shape[:2])
        steps = {
            "image_processor_type": "ViTImageProcessor",
            "do_resize": self.resize or self.enlarge > 1,
            "size": {"height": height, "width": width},
            "resample": 0 if self.enlarge > 1 else 2,  # PIL's numbers of nearest and bilinear
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": self.mean,
            "image_std": self.std,
        }
        (folder / "preprocessor_config.json").write_text(json.dumps(steps, indent=2) + "\n")


class LazyImages(Prepared):
    """Images decoded when their batch is asked for."""

    def __init__(self, examples: Examples, rows: IntArray, inputs: PixelInputs | ProcessorInputs) -> None:
        self.lengths = np.ones(len(rows), dtype=np.int64)
        self._examples, self._rows, self._inputs = examples, rows, inputs

    def batch(self, rows: IntArray) -> Batch:
        return self._inputs.batch_of(self._examples.images(self._rows[rows]))


def with_channels(image: npt.NDArray[np.uint8], channels: int) -> npt.NDArray[np.uint8]:
    """The image with 1 or 3 channels: grey is repeated, alpha dropped; colour is never made grey."""
    if image.ndim == 2:
        image = image[:, :, None]
    if image.shape[2] == channels:
        return image
    if image.shape[2] == 1:
        return np.repeat(image, channels, axis=2)
    if image.shape[2] == 4 and channels == 3:
        return image[:, :, :3]
    raise bad_value("images", "model", f"{image.shape[2]} channels", f"images of {channels} channels")


def resized(image: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """Bilinear, with antialiasing when the image shrinks (PIL)."""
    from PIL import Image

    planes = [Image.fromarray(image[:, :, k]) for k in range(image.shape[2])]
    small = [np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR)) for plane in planes]
    return np.stack(small, axis=2)


class ProcessorInputs(Inputs):
    """Images through a Hugging Face image processor: batch["pixel_values"] is (B, K, H, W) float32, made per batch."""

    kind = "image"

    def __init__(self, processor: Any, *, channels: int) -> None:
        self.processor, self.channels = processor, channels

    def prepare(self, examples: Examples, rows: IntArray | None = None) -> Prepared:
        return LazyImages(examples, self.rows_of(examples, rows), self)

    def batch_of(self, images: list[npt.NDArray[np.uint8]]) -> Batch:
        """The batch of decoded images (H, W, C) each."""
        import torch

        images = [with_channels(image, self.channels) for image in images]
        pixels = self.processor(images=images, input_data_format="channels_last", return_tensors="pt")[
            "pixel_values"
        ]
        return {"pixel_values": torch.as_tensor(pixels, dtype=torch.float32)}

    def describe(self) -> dict[str, Any]:
        return {"type": "processor", "channels": self.channels}

    def save(self, folder: Path) -> None:
        self.processor.save_pretrained(folder)
