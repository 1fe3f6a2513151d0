"""What all commands share: how one is registered, how its mistakes read, ``--version`` and ``--traceback``."""

from __future__ import annotations

import functools
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import typer
from typer.core import TyperGroup

ORDER = (
    "train",
    "embed",
    "score",
    "costs",
    "retrain",
    "select",
    "report",
    "apply",
    "compare",
    "fingerprint",
    "fit",
    "predict",
    "advise",
    "study",
    "theory",
    "show",
    "list",
    "demo",
)


class OneSentence(TyperGroup):
    """Commands whose unknown, missing and malformed options are told in one sentence too."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of the work."""
        return sorted(super().list_commands(ctx), key=ORDER.index)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **settings: Any) -> Any:
        """Run one command line."""
        given = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(given, *rest, **settings | {"standalone_mode": False})
        except Exception as error:
            alone = not given or type(error).__name__ == "NoArgsIsHelpError"
            if alone or not hasattr(error, "format_message"):
                if hasattr(error, "show"):
                    error.show()  # tamis alone, or a group of commands: the help
                    sys.exit(2)
                raise
            typer.echo(_usage(error, given), err=True)
            sys.exit(2)
        sys.exit(code if isinstance(code, int) else 0)


def _usage(error: Any, given: Sequence[str]) -> str:
    """What is wrong with a command line, with the option, what it takes and what it got."""
    path = getattr(getattr(error, "ctx", None), "command_path", "tamis")
    wrong = re.search(r"'(--[\w-]+)'.*valid (integer|number|float)", error.format_message(), re.DOTALL)
    if wrong:
        option, kind = wrong[1], "a whole number" if wrong[2] == "integer" else "a number"
        values = [value for name, value in pairwise(given) if name == option]
        values += [each.removeprefix(f"{option}=") for each in given if each.startswith(f"{option}=")]
        if values:
            return f"{path}: {option} must be {kind}, got {values[-1]!r}."
    sentence = " ".join(error.format_message().split()).rstrip(".")
    return f"{path}: {sentence[:1].lower()}{sentence[1:]}{'' if sentence.endswith('?') else '.'}"


app = typer.Typer(
    cls=OneSentence,
    name="tamis",
    help="Score every training example, decide which to keep, measure what that does to the model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

AT_ONCE = ("costs", "fit", "predict", "report", "show", "list_")
"""Commands that keep nothing between calls; the others resume."""
OUT_OF_MEMORY = (
    "tamis: not enough memory; give a smaller --batch-size, a smaller model, or smaller options of the scorers, "
    "such as dim."
)

P = ParamSpec("P")
T = TypeVar("T")

_show_traceback = False


def command(function: Callable[P, T]) -> Callable[P, T]:
    """Register a command whose mistakes end in one sentence and exit code 2, and Ctrl-C in 130."""
    return command_of(app, function)


def group(name: str, help: str) -> typer.Typer:
    """A command of several words, ``tamis NAME DOES``; ``command_of`` adds what it does."""
    made = typer.Typer(help=help, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
    app.add_typer(made, name=name)
    return made


def command_of(parent: typer.Typer, function: Callable[P, T]) -> Callable[P, T]:
    """``command`` below another name than ``tamis`` alone."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except KeyboardInterrupt:
            does = "starts anew" if function.__name__ in AT_ONCE else "continues where it stopped"
            typer.echo(f"\ntamis: interrupted; the same command {does}.", err=True)
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # Whoever reads us, such as head, has seen enough; what is still buffered must not complain at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except (ValueError, TypeError, OSError, ImportError) as error:
            if _show_traceback:
                traceback.print_exc()
            typer.echo(_sentence(error), err=True)
            raise typer.Exit(2) from None
        except (MemoryError, RuntimeError) as error:
            # torch tells of its memory by a plain RuntimeError; any other one is our own fault and shows itself.
            if not isinstance(error, MemoryError) and not re.search(
                r"allocate memory|out of memory", str(error)
            ):
                raise
            if _show_traceback:
                traceback.print_exc()
            typer.echo(OUT_OF_MEMORY, err=True)
            raise typer.Exit(2) from None

    parent.command(function.__name__.rstrip("_"))(run)
    return function


def main() -> None:
    """Entry point of the ``tamis`` command."""
    # The terminal belongs to our own progress; a worker pool of the tokenizers must not outlive a fork.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # A module:Class of the user's lies where the command is given; last, so that it hides no installed package.
    sys.path.append(str(Path.cwd()))
    warnings.showwarning = _print_warning
    global _show_traceback
    _show_traceback = "--traceback" in sys.argv
    app([argument for argument in sys.argv[1:] if argument != "--traceback"], prog_name="tamis")


def _print_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    """A warning as one sentence, without the place in our code."""
    typer.echo(f"tamis: warning: {message}", err=True)


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


AS_OPTIONS = (
    (r" \(or label=False for none\)", ""),
    (
        r"\b(allow_short|allow_changed_data|checkpoint_start|save_optimizer|trust_remote_code)=True\b",
        r"--\1",
    ),
    (r"\bchoose another (?:out|name)(,?) or overwrite(?: it)?(?=\.)", r"give another --out\1 or --overwrite"),
    (r"\braise max_failures\b", "raise --max-failures"),
    (
        r"\btexts must be given for this strategy: the examples, or one text per row of the table",
        "--data must name the data that was scored, whose texts this strategy reads",
    ),
    (r"\b(batch_tokens|requests_per_minute|llm_name|concurrency)(?= must be\b)", r"--\1"),
    (r"\b(encoder|lm|llm|reference) must be given\b", r"--\1 must be given"),
    (r"\bas (target|reference|null)(?=[.;]|$)", r"as --\1"),
    (
        r"\bgive runs or arrays as source\b",
        "give one of --from RUNS, --folds K with --model, or --logits/--probs FILE",
    ),
    (r"^laws: form must be", "--law must be"),
    (r"^laws: the formula ", "--law: the formula "),
    (r"^form (?=\w)", "--law "),
    (r"\bmap a column to it\b", "map a column to it by --column"),
    (r"\bsay what becomes of several(?=\.)", "give --several mean or --several lowest"),
    (r"\bsignals='checkpoints'", "--signals checkpoints"),
    (r"\bnan='drop'", "--nan drop"),
    (r"\b(id|image|label|features|split|text|text_pair)=(?=[ ;.,)]|$)", r"--\1"),
)
"""How Python's sentences name a keyword -> how the command line names it."""


def _sentence(error: BaseException) -> str:
    """The error as one line that speaks of options, not of keywords, and of the file rather than a number."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        where = f"{str(error.filename)!r} cannot be read or written: " if error.filename else ""
        text = f"{where}{error.strerror}".rstrip(".") + "."
    for keyword, option in AS_OPTIONS:
        text = re.sub(keyword, lambda found, option=option: found.expand(option).replace("_", "-"), text)  # type: ignore[misc]
    return text if text.startswith("tamis") else f"tamis: {text}"
