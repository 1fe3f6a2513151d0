"""What `tamis list` prints: scorers, strategies, models and laws, and what each scorer costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scoring.errors import InputError, unknown_name
from tamis.grid import console, grid
from tamis.show import Print

SECTIONS = ("scorers", "strategies", "models", "laws")


def describe_catalog(section: str | None = None, costs: bool = False) -> tuple[dict[str, Any], Print]:
    """One section, or all, as a document, and the function that prints it."""
    from scoring.catalog import describe
    from scoring.networks.options import describe_models
    from selection.catalog import describe_strategies
    from training.laws.catalog import describe_laws

    if section is not None and section not in SECTIONS:
        raise unknown_name("section", "tamis list", section, SECTIONS)
    if costs and section not in (None, "scorers"):
        raise InputError(f"tamis list: --costs is for scorers, got {section}.")
    if costs:
        return _describe_costs()
    makers = {
        "scorers": describe,
        "strategies": describe_strategies,
        "models": describe_models,
        "laws": describe_laws,
    }
    document = {name: make() for name, make in makers.items() if section in (None, name)}
    shows = {
        "scorers": _show_scorers,
        "strategies": _show_strategies,
        "models": _show_models,
        "laws": _show_laws,
    }

    def print_it() -> None:
        for number, (name, rows) in enumerate(document.items()):
            if number:
                console().print()
            shows[name](rows)

    return document, print_it


def _show_scorers(rows: Sequence[Mapping[str, Any]]) -> None:
    known = {row["name"]: row for row in rows}
    lines = [[name, row["meaning"], row["view"], _what(row, known)] for name, row in known.items()]
    header = ["name", "high means", "view", "what it is"]
    console().print(grid("Scorers (--scorers)", header, lines, left=4, drop=["view"]))


def _show_strategies(rows: Sequence[Mapping[str, Any]]) -> None:
    lines = [[row["name"], ", ".join(row["options"]), row["doc"].replace("``", "")] for row in rows]
    console().print(
        grid("Strategies (--take)", ["name", "options (--option)", "what it keeps"], lines, left=3)
    )


def _show_models(rows: Sequence[Mapping[str, Any]]) -> None:
    lines = [[row["name"], ", ".join(row["reads"]), row["doc"]] for row in rows]
    console().print(grid("Models (--model)", ["name", "reads", "what it is"], lines, left=3))
    console().print("Any Hugging Face model name or folder and module:function are models too.")


def _show_laws(rows: Sequence[Mapping[str, Any]]) -> None:
    lines = [[row["name"], ", ".join(row["reads"]), row["doc"].replace("``", "")] for row in rows]
    console().print(grid("Laws (tamis fit --law)", ["name", "reads", "what it is"], lines, left=3))
    console().print("A formula of your own is a law too: 'E + A / N^a'.")


def _describe_costs() -> tuple[dict[str, Any], Print]:
    """The costs of every scorer as a document, and the function that prints them with what the words mean."""
    from scoring.recommend import UNITS, costs

    rows = costs()

    def print_it() -> None:
        header = ["name", "high means", "checkpoints", "passes", "bytes", "needs besides"]
        lines = [
            [
                row["name"],
                row["meaning"],
                row["checkpoints"],
                _passes(row),
                row["storage"],
                ", ".join(row["others"]),
            ]
            for row in rows
        ]
        console().print(
            grid("What scorers cost (per example and run)", header, lines, left=6, drop=header[1:3])
        )
        console().print(LEGEND + ", ".join(f"{unit} {what}" for unit, what in UNITS.items()) + ".")
        uses = {row["meaning"]: row["good_for"] for row in rows}
        console().print(
            grid("\nWhat they are good for", ["high means", "what it is"], [*uses.items()], left=2)
        )
        for row in rows:
            if row["caveat"]:
                console().print(f"\n{row['name']}: {row['caveat']}.")

    return {"scorers": rows}, print_it


LEGEND = """
checkpoints: how many of a run are read.
passes: per checkpoint, F forward, B backward, G every example's whole gradient is formed,
  R what the run recorded, if it did, instead of F. Scorers in one call share passes.
bytes: times """


def _passes(row: Mapping[str, Any]) -> str:
    """``F+2B``; ``R/F`` where recordings are enough."""
    backward = row["backward"]
    steps = [
        *(["R/F" if row["recorded"] else "F"] if row["forward"] else []),
        *([f"{backward if backward > 1 else ''}B"] if backward else []),
        *(["G"] if row["formed"] else []),
    ]
    return "+".join(steps) or "-"


def _what(row: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> str:
    """The first line of a scorer; a variant of another one is told by what differs."""
    name, _, variant = str(row["name"]).partition(":")
    base = known.get(name)
    if not variant or base is None or base["doc"] != row["doc"]:
        return str(row["doc"])
    differs = [f"{key}={value}" for key, value in row["options"].items() if base["options"].get(key) != value]
    return f"{name} with {', '.join(differs)}." if differs else f"The same as {name}."
