"""The folder of unfinished work beside an output: whose it is, and how it becomes the output."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from scoring.engines.stages import remove_job
from scoring.errors import InputError
from scoring.files import write_json

HEAD = "request.json"
FINISHED = ("pieces", "table", "looks", "kept", "work")
"""Folders of what is worth keeping."""


def parts_of(out: Path) -> Path:
    """Where the work on an output is kept until it is complete."""
    return out.absolute().with_name(f"{out.name}.parts")


def claim(parts: Path, request: str, owner: str, overwrite: bool) -> None:
    """Say whose work lies in ``parts``, or refuse that of another call, if any is done; ``overwrite`` deletes it."""
    known = _request_of(parts)
    if known not in (None, request) and _done(parts) and not overwrite:
        raise InputError(
            f"{owner}: {str(parts)!r} holds the unfinished work of a different call, or of data that have changed "
            "since; repeat that call to finish it, choose another out, or overwrite."
        )
    if known not in (None, request):
        remove_job(parts)
    if known != request:
        # Nothing is removed here: without a head, the folder may be that of another slice which starts at this moment.
        write_json(parts / HEAD, {"request": request})


def is_unfinished(parts: Path, request: str) -> bool:
    """Whether the work of that call is still there.

    If its output is there too, a process died in between, or other slices still read: whoever repeats the call takes
    part to the end, which others may wait for.
    """
    return _request_of(parts) == request


def _done(parts: Path) -> bool:
    """Whether any piece or shard is finished: a mistake that showed at once leaves nothing worth keeping."""
    return any(path.is_file() for name in FINISHED for path in (parts / name).rglob("*"))


def _request_of(parts: Path) -> str | None:
    head = parts / HEAD
    return str(json.loads(head.read_bytes())["request"]) if head.exists() else None


def put_in_place(folder: Path, out: Path) -> None:
    """Rename a finished folder to ``out``; what was there goes only when the new one is in its place.

    What killed processes left half-written in the folder is removed: nobody writes there any more.
    """
    for left in folder.rglob(".*.tmp"):
        left.unlink(missing_ok=True)
    aside = out.with_name(f".{out.name}.{os.getpid()}.old")
    if out.exists():
        out.rename(aside)
    try:
        folder.rename(out)
    except OSError:
        if aside.exists():
            aside.rename(out)
        raise
    shutil.rmtree(aside, ignore_errors=True)
