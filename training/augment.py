"""Random changes of training images; clean passes and evaluation never see them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from scoring.networks.inputs import Batch

AUGMENTATIONS = ("none", "flip-crop")


def augmented(batch: Batch, name: str) -> Batch:
    """The batch with every image (B, K, H, W) changed on its own, from torch's seeded CPU generator."""
    if name == "none":
        return batch
    return {key: flip_crop(value) if value.dim() == 4 else value for key, value in batch.items()}


def flip_crop(images: Tensor) -> Tensor:
    """Mirror half of the images, and shift each by up to an eighth of its size; what comes in is 0.

    He et al. 2016, section 4.2 (shifts of up to 4 pixels at 32x32).
    """
    count, _, height, width = images.shape
    down, right = max(1, height // 8), max(1, width // 8)
    padded = pad(images, (right, right, down, down))
    rows = torch.randint(2 * down + 1, (count, 1)) + torch.arange(height)
    columns = torch.randint(2 * right + 1, (count, 1)) + torch.arange(width)
    columns = torch.where(torch.rand(count, 1) < 0.5, columns.flip(1), columns)
    example = torch.arange(count)[:, None, None]
    # Indices on both sides of a slice: the channels come last.
    moved = padded[example, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    return moved.contiguous() if images.is_contiguous() else moved
