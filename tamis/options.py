"""Options that several commands share, and how their texts become values."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scoring.errors import bad_value

if TYPE_CHECKING:
    from scoring.examples import Examples
    from training.cell_data import DataRequest

Data = Annotated[
    str, typer.Argument(metavar="DATA", help="digits, files or a glob, a folder, or a hub name.")
]
Split = Annotated[str | None, typer.Option(help="Split of the data, such as train or test.")]
Text = Annotated[str | None, typer.Option(help="Column that holds the text.")]
TextPair = Annotated[str | None, typer.Option(help="Column that holds the second text of a pair.")]
Image = Annotated[str | None, typer.Option(help="Column that holds the image (array, bytes or path).")]
Features = Annotated[str | None, typer.Option(help="Numeric column, or several joined by commas.")]
Label = Annotated[str | None, typer.Option(help="Column that holds the label.")]
Id = Annotated[
    str | None, typer.Option("--id", help="Column that holds unique ids; default: a hash of the content.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Precision = Annotated[str, typer.Option(help="float32, bfloat16 or float16 autocast.")]
Trust = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run code that a Hugging Face model brings along.")
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="KEY=VALUE", help="Option of the model, such as hidden=[64]."),
]

MOST_SEEDS = 10_000


def parse_seeds(text: str) -> list[int]:
    """``0-4`` or ``0,3,7`` or a mix, in the order given."""
    seeds: list[int] = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        numbers = low.isdigit() and (not dash or high.isdigit())
        if not numbers or (dash and not 0 <= int(high) - int(low) < MOST_SEEDS):
            raise bad_value("--seeds", "tamis", text, "numbers and ranges such as 0-4 or 0,3,7")
        seeds.extend(range(int(low), int(high) + 1) if dash else [int(low)])
    return seeds


def parse_options(pairs: list[str] | None, parameter: str) -> dict[str, Any]:
    """``["hidden=[64,64]", "analyzer=char"]`` as a dictionary; a value is JSON where it can be read so."""
    options: dict[str, Any] = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise bad_value(parameter, "tamis", pair, "KEY=VALUE")
        try:
            options[name.replace("-", "_")] = json.loads(value)
        except json.JSONDecodeError:
            options[name.replace("-", "_")] = value
    return options


def parse_pairs(pairs: list[str] | None, parameter: str) -> dict[str, str]:
    """``["N=params", "D=tokens"]`` as texts by name."""
    found: dict[str, str] = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not equals or not name or not value:
            raise bad_value(parameter, "tamis", pair, "NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def parse_numbers(pairs: list[str] | None, parameter: str) -> dict[str, float]:
    """``["E=1.69"]`` as numbers by name."""
    found: dict[str, float] = {}
    for name, value in parse_pairs(pairs, parameter).items():
        try:
            found[name] = float(value)
        except ValueError:
            raise bad_value(parameter, "tamis", f"{name}={value}", "NAME=NUMBER") from None
    return found


def parse_shares(pairs: list[str] | None) -> dict[str, float] | None:
    """``["web=3", "books=0.5"]`` as numbers by group; a name may hold an equals sign."""
    shares: dict[str, float] = {}
    for pair in pairs or []:
        group, _, number = pair.rpartition("=")
        try:
            shares[group] = float(number)
        except ValueError:
            raise bad_value("--share", "tamis", pair, "GROUP=WEIGHT with a number") from None
        if not group:
            raise bad_value("--share", "tamis", pair, "GROUP=WEIGHT with a number")
    return shares or None


def load_data(source: str, **columns: Any) -> Examples:
    """Examples of a data source with the column options of the command line."""
    from scoring.examples import Examples

    return Examples.load(source, **_columns(columns))


def request_data(source: str, **columns: Any) -> DataRequest:
    """The same for whoever loads it later."""
    from training.cell_data import DataRequest

    return DataRequest(
        source, {name: value for name, value in _columns(columns).items() if value is not None}
    )


def _columns(columns: dict[str, Any]) -> dict[str, Any]:
    features = columns.get("features")
    if not features or "," not in features:
        return columns
    return {**columns, "features": features.split(",")}


def emit(document: Any, as_json: bool, show: Callable[[], None]) -> None:
    """Print ``document`` as JSON (infinities and NaN as strings), or let ``show`` print it for people."""
    if as_json:
        from scoring.manifest import plain

        json.dump(plain(document), sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
    else:
        show()
