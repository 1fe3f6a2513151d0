"""Output that appears whole or not at all: written beside the destination, flushed to disk, then renamed."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path``; what the block writes there takes the place of ``path`` if it succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(path: str | Path, content: bytes | Callable[[Path], object]) -> None:
    """Put ``content`` (bytes, or a function that writes the file it is given) at ``path`` by one rename."""
    with atomic_file(path) as temporary:
        if isinstance(content, bytes):
            temporary.write_bytes(content)
        else:
            content(temporary)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder that takes the place of ``path`` if the block succeeds.

    A folder that is already there is moved aside first, since a rename cannot replace a folder that holds files, and
    is removed last; a crash between the two renames leaves it complete under ``.NAME.PID.old``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, aside = (path.with_name(f".{path.name}.{os.getpid()}.{end}") for end in ("tmp", "old"))
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        for entry in sorted(temporary.rglob("*")):
            _flush(entry)
        _flush(temporary)
        if path.exists():
            path.rename(aside)
        try:
            temporary.rename(path)
        except OSError:
            if aside.exists():
                aside.rename(path)
            raise
        _flush(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(aside, ignore_errors=True)


def _flush(path: Path) -> None:
    """Force a file, or a folder's list of names, to disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open a folder, and needs no flush of its names
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
