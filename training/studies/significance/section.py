"""Is the difference real: the answer in words, for the report of a study."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa

from scoring.reports.section import Listing, Section
from training.studies.significance.power import seeds_needed
from training.studies.significance.study_signal import StudySignal, study_signals


def significance_section(
    table: pa.Table, metric: str = "accuracy", *, last: int = 5, split: str | None = None, **where: Any
) -> Section:
    """Signal and noise of every world, the smallest difference these seeds can call, the seeds another would take."""
    found = study_signals(table, metric, last=last, split=split, **where)
    title = f"Is the difference in {metric} real?"
    if not found:
        return Section(
            "significance",
            title,
            ["No two ways of choosing have a seed in common, so nothing can be compared."],
        )
    header = (
        "where", "ways", "seeds", "signal", "noise", "ratio", "sd of a difference", "smallest called",
        "seeds for half the range",
    )  # fmt: skip
    rows, document = [], []
    for each in found:
        means = each.found.last_WS.mean(axis=1)
        half = float(np.ptp(means)) / 2
        needed = seeds_needed(half, each.paired_sd)
        over = each.over_seeds
        noise = None if over is None else (over.noise.value, over.noise.low, over.noise.high)
        ratio = None if over is None else over.ratio.value
        smallest = each.detectable if math.isfinite(each.detectable) else None
        rows.append(
            (
                each.found.told, len(each.found.ways), len(each.found.seeds), None if over is None else
                over.signal, noise, ratio, each.paired_sd, smallest, needed,
            )
        )  # fmt: skip
        document.append(
            {
                "world": dict(each.found.world), "ways": len(means), "seeds": len(each.found.seeds), "ratio": ratio,
                "paired_sd": each.paired_sd, "detectable": smallest, "seeds_for_half_the_range": needed,
            }
        )  # fmt: skip
    return Section(
        "significance",
        title,
        [_told(each, metric) for each in found],
        [Listing(header, rows)],
        document={"worlds": document},
    )


def _told(each: StudySignal, metric: str) -> str:
    seeds, spread = len(each.found.seeds), float(np.ptp(each.found.last_WS.mean(axis=1)))
    if each.over_seeds is None or not math.isfinite(each.detectable):
        return f"{each.found.told}: {seeds} seed{'s' * (seeds > 1)} cannot tell signal from noise."
    said = (
        f"{each.found.told}: the ways differ by {spread:.4f} in {metric}, "
        f"{each.over_seeds.ratio.value:.1f} times the noise of "
        f"one run; {seeds} seeds call a difference of two ways of {each.detectable:.4f} or more (in 80 % "
        "of such studies)"
    )
    if each.averaging is not None:
        mean = each.averaging
        said += (
            f"; the mean of the last {mean.last} evaluations has noise {mean.within_averaged:.4f} within "
            "a run instead of "
            f"{mean.within:.4f}, and {mean.between_averaged:.4f} over seeds instead of {mean.between:.4f}"
        )
    return f"{said}."
