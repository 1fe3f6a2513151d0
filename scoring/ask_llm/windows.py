"""Which parts of a long document a model is shown, and how its answers about them become one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from scoring.ask_llm.backend import Answer

IntArray = npt.NDArray[np.int64]
Windows = Literal["head", "head_tail", "head_middle_tail"]
Pool = Literal["mean", "min", "max"]


@dataclass(frozen=True)
class Shown:
    """Windows of a document, in its order, and the share of its tokens that none of them shows."""

    windows: tuple[str, ...]
    unseen: float


def cut(document: str, starts_T: IntArray, room: int, kind: Windows) -> Shown:
    """A document as windows of at most ``room`` tokens.

    What fits is one window. Of a longer one there is its head; with ``head_tail`` also its end; with
    ``head_middle_tail`` also its middle, unless head and end already show all of it. Every window is full, so windows
    of a document that is a little too long overlap.

    Args:
        starts_T: Where in the document each of its T tokens begins, in characters.
    """
    tokens = len(starts_T)
    if tokens <= room:
        return Shown((document,), 0.0)
    firsts = [0]
    if kind == "head_middle_tail" and tokens > 2 * room:
        firsts.append((tokens - room) // 2)
    if kind != "head":
        firsts.append(tokens - room)
    edges = [*starts_T.tolist(), len(document)]
    edges[0] = 0
    seen = np.zeros(tokens, dtype=bool)
    for first in firsts:
        seen[first : first + room] = True
    windows = tuple(document[edges[first] : edges[first + room]] for first in firsts)
    return Shown(windows, float(1 - seen.mean()))


def pool(answers: Sequence[Answer], how: Pool) -> tuple[float, float]:
    """ln of yes and of no of a document from those of its windows.

    ``mean``: of the probabilities, computed from their logarithms. ``min``, ``max``: both of the window whose yes is
    the least or most likely, the first of equal ones. NaN if one of the windows has no answer.
    """
    yes, no = ([getattr(answer, name) for answer in answers] for name in ("log_yes", "log_no"))
    if any(math.isnan(value) for value in (*yes, *no)):
        return math.nan, math.nan
    if how == "mean":
        return _log_mean(yes), _log_mean(no)
    chosen = int(np.argmin(yes) if how == "min" else np.argmax(yes))
    return yes[chosen], no[chosen]


def _log_mean(logs: Sequence[float]) -> float:
    top = max(logs)
    if top == -math.inf or len(logs) == 1:
        return top
    return top + math.log(math.fsum(math.exp(value - top) for value in logs) / len(logs))
