"""Dear signals of finished chunks on disk, so that a second look at the corpus and a resumed job do not pay again."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scoring.corpus.documents import Documents
from scoring.corpus.providers import Provider
from scoring.files import write_atomic
from scoring.hashing import digest, hash_ids
from scoring.parts import CHUNKS


class ChunkCache:
    """Files ``chunks/<provider>/<documents>.npz``; both names are digests of all that decides the values."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / CHUNKS

    def values(self, provider: Provider, documents: Documents) -> tuple[tuple[Tensor, ...], bool]:
        """The signal of some documents, and whether it had to be computed; it is then kept if the provider keeps."""
        if not provider.keeps:
            return provider.values(documents), True
        path = self._path(provider, documents)
        if path.exists():
            try:
                with np.load(path, allow_pickle=False) as file:
                    return tuple(torch.from_numpy(file[name]) for name in file.files), False
            except (ValueError, EOFError, zipfile.BadZipFile):
                path.unlink()  # damaged: computed again
        values = provider.values(documents)

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(
                    file, allow_pickle=False, **{f"{k:03}": value.numpy() for k, value in enumerate(values)}
                )

        write_atomic(path, write)
        return values, True

    def _path(self, provider: Provider, documents: Documents) -> Path:
        about = digest(json.dumps(provider.describe(), sort_keys=True).encode(), size=16).hex()
        content = documents.examples.content_fingerprint(documents.rows_B)
        order = digest(hash_ids(documents.ids_B).tobytes(), content.encode(), size=16).hex()
        return self.folder / about / f"{order}.npz"
