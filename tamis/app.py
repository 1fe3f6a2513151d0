"""What all commands share: how one is registered, how its mistakes read, ``--version`` and ``--traceback``."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

import typer

app = typer.Typer(
    name="tamis",
    help="Score every training example, decide which to keep, measure what that does to the model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

P = ParamSpec("P")
T = TypeVar("T")

_show_traceback = False


def command(function: Callable[P, T]) -> Callable[P, T]:
    """Register a command whose mistakes end in one sentence and exit code 2, and Ctrl-C in 130."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except KeyboardInterrupt:
            typer.echo("\ntamis: interrupted; the same command continues where it stopped.", err=True)
            raise typer.Exit(130) from None
        except (ValueError, TypeError, OSError, ImportError) as error:
            if _show_traceback:
                traceback.print_exc()
            typer.echo(f"tamis: {_sentence(error)}", err=True)
            raise typer.Exit(2) from None

    app.command(function.__name__.rstrip("_"))(run)
    return function


def main() -> None:
    """Entry point of the ``tamis`` command."""
    # The terminal belongs to our own progress; a worker pool of the tokenizers must not outlive a fork.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # A module:Class of the user's lies where the command is given; last, so that it hides no installed package.
    sys.path.append(str(Path.cwd()))
    global _show_traceback
    _show_traceback = "--traceback" in sys.argv
    app([argument for argument in sys.argv[1:] if argument != "--traceback"], prog_name="tamis")


def _print_version(wanted: bool) -> None:
    if wanted:
        from scoring.versions import library_version

        typer.echo(f"tamis {library_version()}")
        raise typer.Exit()


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
    show_traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where an error came from; allowed after a command too.")
    ] = False,
) -> None:
    global _show_traceback
    _show_traceback |= show_traceback


def _sentence(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
