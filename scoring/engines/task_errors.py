"""Errors of tasks, carried from the process where they happened to the one that asked.

A user's mistake and a failing disk stay what they are, so that they read like those of a plain call; everything else
becomes a ``TaskError`` that names the task. Exceptions of other libraries are sent as text: many cannot be rebuilt.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from scoring.engines.engine import task_name
from scoring.errors import InputError, MissingExtraError

AS_THEY_ARE = (InputError, OSError, ImportError)


class TaskError(RuntimeError):
    """A task of an engine failed; the message says which one and why."""


class WorkerDied(TaskError):
    """A task took its process down every time; ``index`` and ``times`` say which and how often."""

    def __init__(self, message: str, index: int, times: int) -> None:
        super().__init__(message)
        self.index, self.times = index, times


@dataclass(frozen=True)
class Failure:
    """What went wrong in a task, in a form that any process can read.

    Attributes:
        error: The error itself where it is raised as it is.
        text: Type and message of any other error.
        where: Its traceback.
    """

    error: Exception | None
    text: str
    where: str


def attempt(function: Callable[[Any], Any], task: Any) -> Any:
    """The result of a task, or its ``Failure``."""
    try:
        return function(task)
    except Exception as error:
        return Failure(_portable(error), f"{type(error).__name__}: {error}", traceback.format_exc())


def raise_failure(failure: Failure, what: str, index: int, task: Any) -> NoReturn:
    """Raise what a task met."""
    if failure.error is not None:
        failure.error.add_note(f"In {what}, {task_name(index, task)}:\n{failure.where}")
        raise failure.error
    error = TaskError(f"{what}: {task_name(index, task)}, failed with {failure.text}")
    error.add_note(failure.where)
    raise error


def died(what: str, index: int, task: Any, times: int) -> WorkerDied:
    """The error for a task that took its process down every time."""
    return WorkerDied(
        f"{what}: the process of {task_name(index, task)}, died {'once' if times == 1 else f'{times} times'}; "
        "if it ran out of memory, use fewer workers or smaller shards.",
        index,
        times,
    )


def _portable(error: Exception) -> Exception | None:
    """The error as another process can rebuild it; None if it is not one that is raised as it is."""
    if not isinstance(error, AS_THEY_ARE):
        return None
    if isinstance(error, InputError):
        return InputError(str(error))
    if isinstance(error, OSError):
        # Without the filename the message would be a bare "No such file or directory".
        if error.errno is None:
            builtin = type(error) if type(error).__module__ == "builtins" else OSError
            return builtin(str(error))
        return OSError(error.errno, error.strerror, error.filename)
    return MissingExtraError(str(error)) if isinstance(error, MissingExtraError) else ImportError(str(error))
