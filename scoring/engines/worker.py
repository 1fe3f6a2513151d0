"""The other end of ``Processes``: a process that runs tasks it reads from standard input.

Frames are a length and a pickle, between a process and its own child only. When standard input ends, because the engine
closed it or because the process that held it is gone, a running task is interrupted as if by SIGTERM: its ``finally``
blocks run, so that it leaves no half-written file.
"""

from __future__ import annotations

import os
import pickle
import signal
import struct
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, BinaryIO, NoReturn

from scoring.engines.task_errors import Failure, attempt

FUNCTION, TASK = b"F", b"T"


def write_frame(file: BinaryIO, kind: bytes, content: bytes) -> None:
    """One message: kind, length, content."""
    file.write(kind + struct.pack("<Q", len(content)))
    file.write(content)
    file.flush()


def read_frame(file: BinaryIO) -> tuple[bytes, bytes] | None:
    """The next message; None when there will be no more."""
    head = file.read(9)
    if len(head) < 9:
        return None
    length = struct.unpack("<Q", head[1:])[0]
    content = file.read(length)
    return (head[:1], content) if len(content) == length else None


def main() -> None:
    """Run tasks until standard input ends."""
    # A Ctrl-C of the terminal is the engine's business, which then closes our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, stop_worker)
    # Whatever a task prints goes to standard error, away from the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests: SimpleQueue[tuple[bytes, bytes] | None] = SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    function: Callable[[Any], Any] = _no_function
    while (request := requests.get()) is not None:
        kind, content = request
        if kind == FUNCTION:
            function = _load_function(content)
            continue
        result = attempt(function, pickle.loads(content))
        try:
            answer = pickle.dumps(result)
        except Exception as error:
            answer = pickle.dumps(Failure(None, f"a result that cannot be sent: {error!r}", ""))
        try:
            write_frame(answers, TASK, answer)
        except BrokenPipeError:  # whoever asked is gone
            os._exit(143)


def _listen(source: BinaryIO, requests: SimpleQueue[tuple[bytes, bytes] | None]) -> None:
    while (frame := read_frame(source)) is not None:
        requests.put(frame)
    requests.put(None)
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    else:
        signal.raise_signal(signal.SIGTERM)


def stop_worker(*_: object) -> NoReturn:
    """End as SIGTERM asks, through the ``finally`` blocks of the task."""
    sys.exit(143)


def _load_function(content: bytes) -> Callable[[Any], Any]:
    """The function, or one that fails with the reason why it cannot be imported here."""
    try:
        return pickle.loads(content)  # type: ignore[no-any-return]
    except Exception as error:
        reason = f"a function that a worker cannot import ({error}); define it in a module, not in a script or notebook"

        def refuse(_: Any) -> NoReturn:
            raise ImportError(reason)

        return refuse


def _no_function(_: Any) -> NoReturn:
    raise AssertionError("a task came before its function")
