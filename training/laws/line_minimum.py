"""The lowest point of functions of one variable, many at once: a grid that zooms in, and a parabola at the end."""

from __future__ import annotations

from collections.abc import Callable

import torch

POINTS = 65
FINEST = 1e-3
"""Spacing at which the parabola takes over: coarser it would be biased, finer it would see rounding alone."""


def line_minimum(
    function: Callable[[torch.Tensor], torch.Tensor], low: torch.Tensor, high: torch.Tensor
) -> torch.Tensor:
    """Where ``function``, (G, ...) -> (G, ...), is least between ``low`` and ``high`` (...); NaN where at an end.

    The lowest of ``POINTS`` points is kept with its neighbours, so of several minima that are further apart than a
    64th of the range the lowest is found. Comparing values finds a minimum to about 1e-8 of the scale on which the
    function bends; the parabola through three points is a thousand times closer, as derivatives of the place need.
    """
    steps = torch.linspace(0, 1, POINTS, dtype=torch.float64).reshape(-1, *[1] * low.ndim)
    left, right = low, high
    while True:
        points = left + (right - left) * steps
        values = function(points)
        values = torch.where(torch.isfinite(values), values, torch.inf)
        best = values.argmin(0, keepdim=True)
        spacing = (right - left) / (POINTS - 1)
        centre = points.gather(0, best)[0]
        if float(spacing.max()) <= FINEST:
            break
        left, right = torch.maximum(centre - spacing, low), torch.minimum(centre + spacing, high)
    before, at, after = function(torch.stack([centre - spacing, centre, centre + spacing]))
    bend = before - 2 * at + after
    move = torch.where(bend > 0, spacing * (before - after) / (2 * bend), 0.0).clamp(-spacing, spacing)
    inside = (centre > low + spacing) & (centre < high - spacing) & torch.isfinite(at)
    return torch.where(inside, centre + move, torch.nan)
