"""``tamis theory``: simulated worlds in which the answer is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from scoring.errors import bad_value, unknown_name
from tamis.app import command
from tamis.options import Json, emit

OWNER = "tamis theory"
WORLDS = ("perceptron", "zipf")


@command
def theory(
    world: Annotated[str, typer.Argument(metavar="WORLD", help="perceptron or zipf.")],
    out: Annotated[Path, typer.Option(help="Folder for report.md, summary.json, figure and tables.")],
    alphas: Annotated[
        str | None, typer.Option(help="perceptron: examples per dimension, before pruning: 0.5,1,2,4,8,16.")
    ] = None,
    keeps: Annotated[str | None, typer.Option(help="perceptron: shares kept: 0.5,0.1.")] = None,
    angles: Annotated[
        str | None,
        typer.Option(help="perceptron: degrees between the probe that scores and the teacher: 0,20."),
    ] = None,
    beta: Annotated[float | None, typer.Option(help="zipf: exponent of the frequencies, above 1.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing report.")] = False,
    as_json: Json = False,
) -> None:
    """Simulate when to keep hard or easy examples (perceptron), and what losing the tail costs (zipf).

    The student-teacher perceptron of Sorscher et al. 2022 and the Zipf world of Dohmatob et al. 2024; about a minute.
    """
    from scoring.files import read_json
    from training.theory.perceptron_report import perceptron_report
    from training.theory.zipf_report import zipf_report

    if world not in WORLDS:
        raise unknown_name("WORLD", OWNER, world, WORLDS)
    given = {"alphas": _numbers(alphas, "--alphas"), "keeps": _numbers(keeps, "--keeps"),
             "angles": _numbers(angles, "--angles"), "beta": beta}  # fmt: skip
    mine = {"perceptron": ("alphas", "keeps", "angles"), "zipf": ("beta",)}[world]
    asked: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name in asked:
        if name not in mine:
            raise unknown_name("option", f"{OWNER} {world}", f"--{name}", [f"--{each}" for each in mine])
    files = (
        perceptron_report(out, overwrite=overwrite, **asked)
        if world == "perceptron"
        else zipf_report(out, overwrite=overwrite, **asked)
    )
    summary = read_json(out / "summary.json")
    said = [each for section in summary["sections"].values() for each in section["sentences"]]
    names = ", ".join(path.name for path in files)
    emit(summary, as_json, lambda: typer.echo("\n".join([*said, f"Written to {out}: {names}."])))


def _numbers(text: str | None, option: str) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(each) for each in text.split(",")]
    except ValueError:
        raise bad_value(option, OWNER, text, "numbers such as 1,2,4") from None
