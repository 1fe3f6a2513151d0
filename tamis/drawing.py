"""Small pictures in characters, so that a terminal shows what an image is of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scoring.examples import Examples

SHADES = np.array(list(" .:-=+*#%@"))
MOST_COLUMNS = 40
SMALL = 16
"""Images up to so many pixels wide are drawn pixel by pixel, two characters each since characters are tall."""


def draw(image: npt.NDArray[np.uint8]) -> str:
    """An image (H, W, C) as lines of characters, dark to bright as blank to dense, contrast stretched."""
    from PIL import Image

    grey = image[..., :3].astype(np.float64).mean(axis=2)
    low, high = float(grey.min()), float(grey.max())
    grey = (grey - low) / (high - low) if high > low else np.zeros_like(grey)
    height, width = grey.shape
    if width <= SMALL and height <= SMALL:
        pixels = np.repeat(grey, 2, axis=1)
    else:
        columns = min(width, MOST_COLUMNS)
        rows = max(1, min(MOST_COLUMNS, round(columns * height / width / 2)))
        small: Any = Image.fromarray(grey.astype(np.float32)).resize((columns, rows), Image.Resampling.BOX)
        pixels = np.asarray(small)
    shades = SHADES[np.minimum((pixels * len(SHADES)).astype(int), len(SHADES) - 1)]
    return "\n".join("".join(line).rstrip() for line in shades)


def picture_of(examples: Examples, row: int) -> str:
    """What a terminal shows of one example: a drawing of an image, else one line."""
    return draw(examples.images([row])[0]) if examples.kind == "image" else examples.describe_row(row)
