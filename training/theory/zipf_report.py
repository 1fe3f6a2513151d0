"""``zipf_report``: what lost tails cost in a Zipf world, as a folder of report, figure and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from scoring.errors import bad_value
from scoring.reports.folder import Report, check_folder
from scoring.reports.section import Cell, Listing, Section
from training.theory.generations import drawn_generations, expected_generations
from training.theory.perceptron_report import KIND
from training.theory.plots import zipf_plot
from training.theory.real_data import real_data_needed
from training.theory.zipf import Zipf, log_slope, unseen_mass


def zipf_report(
    out: str | Path,
    *,
    tokens: int = 200_000,
    beta: float = 1.5,
    cut: int = 300,
    real: Sequence[float] = (0.02, 0.1),
    draws: int = 10**6,
    generations: int = 8,
    generation_draws: int = 3500,
    target: float | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> list[Path]:
    """Write what lost tails cost in a Zipf world: the plateau, generations of self-training, the real data needed.

    Args:
        tokens, beta: The world; see ``Zipf``.
        cut: Rank beyond which generated data have nothing.
        real: Shares of real data to try beside none.
        draws: The most draws of the curves, and the generated draws to which real ones are added.
        generations, generation_draws: Of self-training.
        target: Unseen mass that is wanted; default: half of the mass beyond the cut.
        seed: Of the drawn generations.

    Raises:
        InputError: A value outside its range, or ``out`` holds something else.
    """
    world = Zipf(tokens, beta)
    if len(real) > 3 or draws < 100:
        raise bad_value(
            "real and draws", KIND, [len(real), draws], "up to three shares, and at least 100 draws"
        )
    about = {
        "world": "zipf", "tokens": tokens, "beta": beta, "cut": cut, "real": list(real), "draws": draws,
        "generations": generations, "generation_draws": generation_draws, "target": target, "seed": seed,
    }  # fmt: skip
    check_folder(Path(out), KIND, KIND, about, overwrite)
    preamble = [
        f"{tokens:,} tokens with frequencies of rank to the power -{beta:g}, and a learner that knows what it has seen "
        "(Dohmatob et al. 2024). Masses are exact expectations unless they are called drawn.",
    ]
    sections = [
        _tails(world, cut, real, draws),
        _generations(world, real, generations, generation_draws, seed),
        _needed(world, cut, draws, world.tail_mass(cut) / 2 if target is None else target),
    ]
    unseen, lines = sections[0].document["curves"], sections[1].document["generations"]
    figure = partial(
        zipf_plot,
        {name: (each["draws"], each["unseen"]) for name, each in unseen.items()},
        {name: (each["expected"], each["drawn"]) for name, each in lines.items()},
        world.tail_mass(cut),
    )
    shown = Section("figure", "Both at a glance", [], figures={"zipf": figure})
    return Report(KIND, "What lost tails cost", preamble, about, [*sections, shown]).write(Path(out))


def _tails(world: Zipf, cut: int, real: Sequence[float], draws: int) -> Section:
    at = np.geomspace(100, draws, 33)
    data = {"all real": None, f"cut at rank {cut:,}": world.cut(cut)}
    data |= {f"cut, {share * 100:g} % real": world.mixed(cut, share) for share in real}
    curves = {name: [unseen_mass(world.p_V, float(each), q_V) for each in at] for name, q_V in data.items()}
    slope = log_slope(at.tolist(), curves["all real"])
    theory = f" (endless tokens: {-world.exponent:.3f})" if world.beta > 1 else ""
    told = (draws / 100, draws / 10, draws)
    rows: list[list[Cell]] = [
        [name, *(unseen_mass(world.p_V, each, q_V) for each in told)] for name, q_V in data.items()
    ]
    return Section(
        name="tails",
        title="Data that have lost their tail",
        sentences=[
            f"With all data real the unseen mass falls with the draws to the power {slope:.3f}{theory}; of data cut at "
            f"rank {cut:,} it ends at {world.tail_mass(cut):.4f}, the mass beyond the cut, whatever their number.",
        ],
        listings=[
            Listing(
                ["data", *(f"{each:,.0f} draws" for each in told)],
                rows,
                "Mass that was not seen",
            )
        ],
        document={
            "slope": slope, "plateau": world.tail_mass(cut),
            "curves": {name: {"draws": at.tolist(), "unseen": mass} for name, mass in curves.items()},
        },
    )  # fmt: skip


def _generations(world: Zipf, real: Sequence[float], generations: int, draws: int, seed: int) -> Section:
    lines = {
        "no real data" if not share else f"{share * 100:g} % real": {
            "expected": expected_generations(world.p_V, draws, generations, share),
            "drawn": drawn_generations(world.p_V, draws, generations, seed, share),
        }
        for share in (0.0, *real)
    }
    none = lines["no real data"]["expected"]
    rows: list[list[Cell]] = [
        [name, each["expected"][0], each["expected"][-1], each["drawn"][-1]] for name, each in lines.items()
    ]
    return Section(
        name="generations",
        title="Generations of self-training",
        sentences=[
            f"When every generation learns from {draws:,} draws of the one before, the unseen mass goes from "
            f"{none[0]:.3f} to {none[-1]:.3f} in {generations} generations."
        ],
        listings=[
            Listing(
                ["data", "generation 0", f"generation {generations}", "drawn"], rows, "Mass that was not seen"
            )
        ],
        document={"generations": lines},
    )


def _needed(world: Zipf, cut: int, draws: int, target: float) -> Section:
    found = real_data_needed(world, cut, draws, target)
    if found.draws == 0:
        said = (
            f"The unseen mass of {draws:,} draws cut at rank {cut:,} is {found.before:.4f}, no more than {target:.4g}: "
            "no real draws are needed."
        )
    else:
        said = (
            f"To bring the unseen mass of {draws:,} draws cut at rank {cut:,} from {found.before:.4f} to {target:.4g}, "
            f"{found.draws:,} real draws must be added ({found.share * 100:.2g} % of all); without the cut data it "
            f"would take {found.alone:,}. Ranks up to {found.last_rank:,} are then seen with probability one half or "
            "more."
        )
    return Section(
        name="real-data", title="How much real data brings the tail back", sentences=[said],
        document={
            "target": target, "before": found.before, "draws": found.draws, "share": found.share, "alone": found.alone,
            "last_rank": found.last_rank,
        },
    )  # fmt: skip
