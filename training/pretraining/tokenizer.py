"""Texts to token numbers: bytes, or the tokenizer of a Hugging Face folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError
from scoring.hashing import digest

TokenArray = npt.NDArray[np.uint32]

BYTES = 256
TOKENIZER = "tokenizer.json"


class Tokenizer(Protocol):
    """``separator`` ends every document; numbers lie in [0, ``vocabulary``)."""

    @property
    def name(self) -> str:
        """What run.json says of it; equal names give equal tokens."""
        ...

    @property
    def vocabulary(self) -> int: ...

    @property
    def separator(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> list[TokenArray]:
        """The tokens of every text, without separators."""
        ...


@dataclass(frozen=True)
class ByteTokenizer:
    """The 256 bytes of UTF-8, and number 256 for the end of a document: nothing to learn, every text has tokens."""

    name: str = "bytes"
    vocabulary: int = BYTES + 1
    separator: int = BYTES

    def encode(self, texts: Sequence[str]) -> list[TokenArray]:
        return [np.frombuffer(text.encode(), dtype=np.uint8).astype(np.uint32) for text in texts]


class FolderTokenizer:
    """The fast tokenizer in a folder (``tokenizer.json``); its end-of-text token separates documents.

    Special tokens that it would add around a text are left out: documents are joined by the separator alone.
    """

    def __init__(self, folder: str | Path) -> None:
        from tokenizers import Tokenizer as Fast

        path = Path(folder) / TOKENIZER
        if not path.is_file():
            raise FileNotFoundError(f"pretrain: tokenizer {str(folder)!r} has no {TOKENIZER}.")
        content = path.read_bytes()
        self._fast: Any = Fast.from_str(content.decode())
        self.vocabulary = int(self._fast.get_vocab_size(with_added_tokens=True))
        known = self._fast.get_vocab(with_added_tokens=True)
        ends = [known[token] for token in ENDS if token in known]
        if not ends:
            raise InputError(
                f"pretrain: tokenizer {str(folder)!r} must have one of the tokens {', '.join(ENDS)} to end documents."
            )
        self.separator = int(ends[0])
        self.name = f"{Path(folder).name} {digest(content).hex()}"

    def encode(self, texts: Sequence[str]) -> list[TokenArray]:
        found = self._fast.encode_batch(list(texts), add_special_tokens=False)
        return [np.array(each.ids, dtype=np.uint32) for each in found]


ENDS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "[SEP]")
"""Tokens that end a text, by what usual tokenizers call them; the first that is known is taken."""


def make_tokenizer(name: str | Path) -> Tokenizer:
    """``bytes``, or a folder with a ``tokenizer.json``."""
    return ByteTokenizer() if str(name) == "bytes" else FolderTokenizer(name)
