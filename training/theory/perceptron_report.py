"""``perceptron_report``: the student-teacher perceptron on a grid, as a folder of report, figures and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa

from scoring.errors import bad_value
from scoring.reports.folder import Report, check_folder
from scoring.reports.section import Cell, Listing, Section
from training.theory.crossing import Crossing, crossing, limit_crossing
from training.theory.perceptron import DIMENSION, EASY, HARD, RANDOM, SEEDS, TAKES, Errors, perceptron_grid
from training.theory.perceptron_limit import perceptron_limit
from training.theory.plots import perceptron_plot

KIND = "theory"
FEWEST = 3
"""Seeds that a verdict needs."""


def perceptron_report(
    out: str | Path,
    *,
    alphas: Sequence[float] = (0.5, 1, 2, 4, 8, 16),
    keeps: Sequence[float] = (0.5,),
    angles: Sequence[float] = (0.0, 20.0),
    dimension: int = DIMENSION,
    seeds: Iterable[int] = SEEDS,
    overwrite: bool = False,
) -> list[Path]:
    """Simulate the perceptron on a grid and write what it says: errors, which end wins where, crossings.

    Raises:
        InputError: A setting outside its range, or ``out`` holds something else.
    """
    seeds = tuple(seeds)
    if not alphas or not keeps or not angles:
        raise bad_value(
            "alphas, keeps and angles", KIND, [len(alphas), len(keeps), len(angles)], "one or more each"
        )
    about = {
        "world": "perceptron", "alphas": list(alphas), "keeps": list(keeps), "angles": list(angles),
        "dimension": dimension, "seeds": list(seeds),
    }  # fmt: skip
    check_folder(Path(out), KIND, KIND, about, overwrite)
    errors = perceptron_grid(alphas, keeps, angles, dimension=dimension, seeds=seeds)
    sections = [_kept(keep, [each for each in errors if each.keep == keep]) for keep in keeps]
    preamble = [
        f"The student-teacher perceptron of Sorscher et al. 2022: {len(seeds)} seeds in {dimension} dimensions, "
        "Gaussian inputs, clean labels, a student of maximal margin, scores by a probe at an angle to the teacher.",
        "Verdicts are of the paired 95 % interval over seeds; every comparison is made by itself.",
        "It is a world of its own: its numbers say what to look for in real data, not what they will show.",
    ]
    report = Report(KIND, "When to keep hard or easy examples", preamble, about, sections)
    return report.write(Path(out))


def _kept(keep: float, errors: list[Errors]) -> Section:
    """The errors at one share kept."""
    angles = list(dict.fromkeys(each.angle for each in errors))
    by_angle = {angle: [each for each in errors if each.angle == angle] for angle in angles}
    several = len({each.alpha for each in errors}) > 1
    found = {angle: crossing(here) if several else None for angle, here in by_angle.items()}
    table = pa.Table.from_pylist(
        [
            {
                "alpha": each.alpha, "keep": keep, "angle": each.angle, "take": each.take, "rows": each.rows,
                "seed": seed, "error": error,
            }
            for each in errors
            for seed, error in zip(each.seeds, each.error_S)
        ]
    )  # fmt: skip
    stem = f"perceptron-keep-{keep:g}"
    crossings = [each for each in found.values() if each is not None]
    return Section(
        name=stem,
        title=f"{keep * 100:g} % kept",
        sentences=[_crossing_sentence(keep, angle, each) for angle, each in found.items()],
        listings=[_listing(keep, angle, here) for angle, here in by_angle.items()],
        figures={stem: partial(perceptron_plot, errors, crossings)},
        document={
            "crossings": [
                {"angle": each.angle, "alpha": each.alpha, "low": each.low, "high": each.high} for each in crossings
            ]
        },
        tables={stem: table},
    )  # fmt: skip


def _listing(keep: float, angle: float, errors: list[Errors]) -> Listing:
    by = {(each.take, each.alpha): each for each in errors}
    rows: list[list[Cell]] = [
        [
            f"{alpha:g}", *(f"{by[take, alpha].mean:.3f} ± {by[take, alpha].sd:.3f}" for take in TAKES),
            *(perceptron_limit(alpha, keep, angle, take) for take in TAKES),
            *(_called(by[take, alpha], by[RANDOM, alpha]) for take in (HARD, EASY)),
        ]
        for alpha in sorted({each.alpha for each in errors})
    ]  # fmt: skip
    header = [
        "examples per dimension", *TAKES, *(f"{take}, limit" for take in TAKES), "hard against random",
        "easy against random",
    ]  # fmt: skip
    caption = f"Error on fresh inputs, mean ± standard deviation over seeds; probe {angle:g} degrees off"
    return Listing(header, rows, caption)


def _called(way: Errors, random: Errors) -> str:
    difference = way.minus(random)
    return difference.verdict(higher_is_better=False) if difference.seeds >= FEWEST else "cannot tell"


def _crossing_sentence(keep: float, angle: float, found: Crossing | None) -> str:
    setting = f"With {keep * 100:g} % kept by a probe {angle:g} degrees off"
    limit = limit_crossing(keep, angle) if keep < 1 else None
    many = "" if limit is None else f"; for many dimensions the crossing is at {limit:.2g}"
    if found is None:
        return f"{setting}, one number of examples was simulated, and a crossing takes two{many}."
    if found.alpha is None:
        return (
            f"{setting}, the hard end does not overtake the easy one between {found.alphas[0]:g} and "
            f"{found.alphas[-1]:g} examples per dimension{many}."
        )
    low = f"{found.low:.2g}" if found.low is not None else f"below {found.alphas[0]:g}"
    high = f"{found.high:.2g}" if found.high is not None else f"above {found.alphas[-1]:g}"
    return (
        f"{setting}, the hard end overtakes the easy one at {found.alpha:.2g} examples per dimension (the seeds cannot "
        f"tell from {low} to {high}){many}."
    )
