"""Contact sheet: images side by side, each with a caption."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scoring.errors import bad_value
from scoring.plots.style import new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 6
LINE = 24
"""Characters of a line of a caption."""
MOST_LINES = 5


def contact_sheet(
    images: Sequence[npt.NDArray[np.uint8]], captions: Sequence[str], *, title: str = "Examples"
) -> Figure:
    """Images in rows of six, with captions below.

    Args:
        images: uint8, (H, W), (H, W, 1) or (H, W, 3), of any sizes.
        captions: one per image; a line break stays, long lines are wrapped, long captions cut.
        title: of the figure.
    """
    if not images or len(images) != len(captions):
        raise bad_value(
            "images",
            "contact_sheet",
            (len(images), len(captions)),
            "at least one image, with one caption each",
        )
    texts = [_caption(caption) for caption in captions]
    columns = min(COLUMNS, max(3, len(images)))
    rows = -(-len(images) // columns)
    lines = max(text.count("\n") + 1 for text in texts)
    with style():
        figure = new_figure(1.62 * columns, (1.45 + 0.16 * lines) * rows + 0.45)
        every = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in every:
            axes.set_axis_off()
        for axes, image, text in zip(every, images, texts):
            pixels = np.asarray(image)
            grey = pixels.ndim == 2 or pixels.shape[2] == 1
            axes.imshow(
                pixels.reshape(pixels.shape[:2]) if grey else pixels[..., :3],
                cmap="gray" if grey else None, interpolation="nearest",
                vmin=0 if grey else None, vmax=int(pixels.max(initial=1)) if grey else None,
            )  # fmt: skip
            axes.text(0.5, -0.04, text, transform=axes.transAxes, ha="center", va="top", fontsize=7.5)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure


def _caption(text: str) -> str:
    lines = [line for part in text.split("\n") for line in textwrap.wrap(part, LINE) or [""]]
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], lines[MOST_LINES - 1][: LINE - 3] + "..."]
    return "\n".join(lines).replace("$", r"\$")
