"""Digests of files, read once per process: those of weights take a while, and many ask for them."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

SIZE = 16
_known: dict[tuple[str, int, int, int], str] = {}


def file_digest(path: Path) -> str:
    """Hex BLAKE2b of a file's bytes; read again if its inode, size or time of change differ."""
    about = path.stat()
    key = (str(path.resolve()), about.st_ino, about.st_size, about.st_mtime_ns)
    if key not in _known:
        with path.open("rb") as content:
            _known[key] = hashlib.file_digest(content, partial(hashlib.blake2b, digest_size=SIZE)).hexdigest()
    return _known[key]
