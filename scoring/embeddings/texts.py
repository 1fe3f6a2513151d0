"""``embed_texts``: vectors of texts in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from scoring.corpus.documents import Documents
from scoring.embeddings.encoder import Running
from scoring.embeddings.opening import open_encoder
from scoring.errors import bad_value
from scoring.examples import Examples
from scoring.progress import progress

OWNER = "embed_texts"
CHUNK_ROWS = 1024


def embed_texts(
    texts: Sequence[str],
    encoder: str = "hashed",
    *,
    device: str = "auto",
    precision: str = "float32",
    batch_tokens: int = 8192,
    trust_remote_code: bool = False,
    show_progress: bool = False,
) -> npt.NDArray[np.float32]:
    """The vectors of N texts, (N, D) float32, in their order.

    Args:
        texts: At least one.
        encoder: ``minilm``, ``hashed`` (no download), a folder or hub name; see ``open_encoder`` for options.
        device, precision, batch_tokens, trust_remote_code: Of the forward passes.
        show_progress: A bar on standard error.

    Raises:
        InputError: No texts, or an encoder that cannot be opened or reads no texts.
    """
    values = [] if isinstance(texts, str) else list(texts)
    if not values or not all(isinstance(text, str) for text in values):
        raise bad_value(
            "texts", OWNER, type(texts).__name__, "a sequence of at least one text, and nothing else"
        )
    opened = open_encoder(encoder, Running(device, precision, batch_tokens, trust_remote_code))
    examples = Examples.load({"text": values, "id": list(range(len(values)))}, text="text", id="id")
    found = []
    with progress("embedding", len(values), "texts", show_progress) as advance:
        for start in range(0, len(values), CHUNK_ROWS):
            rows = np.arange(start, min(start + CHUNK_ROWS, len(values)))
            found.append(opened.encode(Documents(examples, rows)).vectors_BD.numpy())
            advance(len(rows))
    return np.concatenate(found)
