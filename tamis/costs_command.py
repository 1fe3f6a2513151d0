"""``tamis costs``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scoring.errors import InputError
from tamis.app import command
from tamis.options import Json, emit


@command
def costs(
    table: Annotated[Path, typer.Argument(help="Score table of documents.")],
    parameters: Annotated[
        float | None,
        typer.Option(help="Parameters of the model that will be trained: 6 FLOPs each per token."),
    ] = None,
    tokens: Annotated[float | None, typer.Option(help="Tokens of one training without a selection.")] = None,
    tokens_saved: Annotated[
        float | None, typer.Option(help="Tokens that one training on the selection saves.")
    ] = None,
    runs: Annotated[int, typer.Option(help="Trainings that use the same selection.")] = 1,
    as_json: Json = False,
) -> None:
    """Tell what scoring documents has cost, and when that pays.

    With --parameters and --tokens-saved: how many trainings on the selection it takes until scoring is paid for.
    """
    from scoring.corpus.break_even import break_even
    from scoring.corpus.costs import costs_of

    if (parameters is None) != (tokens_saved is None) or (tokens is not None and parameters is None):
        raise InputError(
            "tamis costs: give --parameters and --tokens-saved together (--tokens, all of one training, may follow)."
        )
    found = costs_of(table)
    document = {"scorers": found.rows(), "flops": found.flops}
    said = found.text()
    if parameters is not None and tokens_saved is not None:
        if not found.flops:
            raise InputError(
                f"tamis costs: no operations are known of the scores in {str(table)!r}, so there is nothing to set "
                "against --tokens-saved; without --parameters it tells the time that scoring took."
            )
        paid = break_even(found.flops, 6 * parameters, tokens_saved, runs, tokens=tokens)
        document["break_even"] = paid.to_dict()
        said = f"{said}\n{paid.text()}"
        if uncounted := [each.scorer for each in found.scorers if not each.cost.flops]:
            said += f" Not counted, since their operations are unknown: {', '.join(uncounted)}."
    emit(document, as_json, lambda: typer.echo(said))
