"""Means and standard deviations of training inputs, independent of the order of rows to the last bit."""

import numpy as np
import numpy.typing as npt
import torch

from scoring.examples import Examples
from scoring.hashing import hash_ids
from scoring.networks.architectures import Standardize
from scoring.networks.inputs import IntArray, PixelInputs

Statistics = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
SAMPLED_IMAGES = 10_000


def rows_by_hash(examples: Examples, most: int | None = None) -> IntArray:
    """Rows ordered by the hash of their id: an order, and a sample, that belongs to the set of examples."""
    return np.argsort(hash_ids(examples.ids), kind="stable")[:most].astype(np.int64)


def pixel_statistics(examples: Examples, inputs: PixelInputs) -> Statistics:
    """Mean and standard deviation per channel of pixels / 255, (K,) each, over at most 10,000 images.

    Sums of integers are exact, so nothing is lost in whatever order they are added.
    """
    rows = rows_by_hash(examples, SAMPLED_IMAGES)
    sums = np.zeros((2, inputs.shape[2]), dtype=np.int64)
    for start in range(0, len(rows), 1024):
        pixels = inputs.pixels(examples, rows[start : start + 1024]).astype(np.int64)
        sums += [pixels.sum(axis=(0, 1, 2)), (pixels * pixels).sum(axis=(0, 1, 2))]
    count = len(rows) * inputs.shape[0] * inputs.shape[1]
    # variance * count^2 in Python integers: exact where float64 would cancel
    spread = [count * int(square) - int(total) ** 2 for total, square in sums.T]
    std = np.sqrt(np.array(spread, dtype=np.float64)) / count / 255.0
    return sums[0] / count / 255.0, np.where(std > 0, std, 1.0)


def feature_statistics(examples: Examples) -> Statistics:
    """Mean and standard deviation per feature, (D,) float64 each; 1 where a feature hardly varies."""
    rows = rows_by_hash(examples)
    blocks = [rows[start : start + 8192] for start in range(0, len(rows), 8192)]
    mean = np.sum([examples.features(b).astype(np.float64).sum(axis=0) for b in blocks], axis=0) / len(rows)
    squares = [np.square(examples.features(b).astype(np.float64) - mean).sum(axis=0) for b in blocks]
    variance = np.sum(squares, axis=0) / len(rows)
    # a spread below float32 resolution of the mean is rounding, not information
    constant = variance <= 1e-12 * np.square(mean)
    return mean, np.where(constant, 1.0, np.sqrt(np.where(constant, 1.0, variance)))


def fit_standardize(layer: Standardize, statistics: Statistics) -> None:
    """Write the statistics into the layer's buffers."""
    mean, std = (torch.from_numpy(values.astype(np.float32)) for values in statistics)
    layer.mean.copy_(mean.reshape(layer.mean.shape))
    layer.std.copy_(std.reshape(layer.std.shape))
