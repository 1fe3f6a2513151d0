"""What figures of studies share: a colour, marker and line per way, random in grey; frames around what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scoring.lines import cut_to, one_line, width
from scoring.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION, legend_columns
from training.laws.plots.axes import label
from training.studies.ways import PLAIN_RANDOM, STRATIFIED_RANDOM

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1)))
DARK_GREY = "#555555"
FIXED_LINES: tuple[Any, ...] = ((0, (6, 2, 1, 2)), (0, (1, 2)))
"""Of what has no budget, such as all examples."""
MOST_WAYS = 10
"""In one figure, beside the baselines; more ways are more figures."""


class Look(NamedTuple):
    """How a way is drawn: its colour, its marker and its line each return at another place."""

    colour: str
    marker: str
    line: Any


def looks(ways: Iterable[str]) -> dict[str, Look]:
    """By way; the baselines are grey."""
    found = {
        PLAIN_RANDOM.name: Look(GREY, "D", "-"),
        STRATIFIED_RANDOM.name: Look(DARK_GREY, "d", (0, (2, 2))),
    }
    asked = [way for way in dict.fromkeys(ways) if way not in found]
    for place, way in enumerate(asked):
        found[way] = Look(
            COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)], LINES[place // len(COLOURS) % len(LINES)]
        )  # fmt: skip
    return found


def drawable(text: object, columns: int = 42) -> str:
    """A user's text as a label; characters that the font does not have are boxes, without a warning for each."""
    return "".join(each if ord(each) in _drawable() else "\u25a1" for each in label(text, columns))


def named(ways: Sequence[str], columns: int) -> dict[str, str]:
    """Labels of at most so many columns; long ones lose their middle, since ways differ at the end as often."""
    found: dict[str, str] = {}
    for way in ways:
        text = one_line(way)
        if width(text) > columns:
            tail = text[-(columns // 3) :]
            text = cut_to(text, columns - width(tail)) + tail
        text = drawable(text, columns + 8)
        while text in found.values():
            text += "\u2032"
        found[way] = text
    return found


@cache
def _drawable() -> frozenset[int]:
    """The characters of DejaVu Sans in both weights."""
    from matplotlib.font_manager import FontProperties, findfont
    from matplotlib.ft2font import FT2Font

    faces = [
        FT2Font(findfont(FontProperties(family="DejaVu Sans", weight=weight)))
        for weight in ("normal", "bold")
    ]
    return frozenset(set.intersection(*(set(face.get_charmap()) for face in faces)))


def handles_of(looks: Mapping[str, Look]) -> list[Any]:
    """Of all ways, for the legend."""
    names = named(list(looks), 52)
    return [_handle(names[way], look) for way, look in looks.items()]


def _handle(name: str, look: Look) -> Any:
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], color=look.colour, marker=look.marker, linestyle=look.line, linewidth=1.6, markersize=5, label=name
    )  # fmt: skip


def fixed_handle(name: str, number: int = 0) -> Any:
    """Of something without a budget, such as training on all examples."""
    from matplotlib.lines import Line2D

    line = FIXED_LINES[number % len(FIXED_LINES)]
    return Line2D([], [], color=BLACK, linestyle=line, linewidth=1.2, label=drawable(name, 52))


def legend_below(figure: Figure, handles: Sequence[Any], note: str = "") -> None:
    """Outside all axes, so that it covers nothing."""
    labels = [str(each.get_label()) for each in handles]
    figure.legend(
        handles=list(handles), loc="outside lower center", ncols=legend_columns(labels, figure), title=note or None,
        title_fontsize=8.5,
    )  # fmt: skip


def frame(means: Iterable[float], ends: Iterable[float], room: float = 0.8) -> tuple[float, float]:
    """From below to above all means, with the ends of intervals up to a share of that height beyond them.

    Three seeds make some intervals so wide that nothing else could be seen; these are cut at the edge.
    """
    middle = np.array([each for each in means if np.isfinite(each)])
    if len(middle) == 0:
        return 0.0, 1.0
    low, high = float(middle.min()), float(middle.max())
    height = max(high - low, 1e-3 * max(abs(low), abs(high)), 1e-6)
    outer = np.array([each for each in ends if np.isfinite(each)] + [low, high])
    low, high = max(float(outer.min()), low - room * height), min(float(outer.max()), high + room * height)
    margin = 0.06 * max(high - low, height)
    return low - margin, high + margin


def hide_rest(axes: Iterable[Axes], used: int) -> None:
    """Panels of a grid that nothing is drawn in."""
    for each in list(axes)[used:]:
        each.set_visible(False)
