"""Texts as the tokens of a language model, and where in the text each token stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Encoded:
    """T tokens of a text; token t is of the characters ``starts_T[t]`` to ``ends_T[t]`` - 1.

    Tokens that are parts of one character (bytes of it) all have that character.
    """

    ids_T: IntArray
    starts_T: IntArray
    ends_T: IntArray

    def __len__(self) -> int:
        return len(self.ids_T)


class Encoder(Protocol):
    """Texts to tokens. ``begin`` is the token that stands before every text, None where the model has none."""

    begin: int | None

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """The tokens of every text, without ``begin``; what looks like a control token is plain text."""
        ...


class FolderEncoder:
    """A fast tokenizer of transformers; its begin token is ``bos_token``."""

    def __init__(self, tokenizer: Any, name: str) -> None:
        if not tokenizer.is_fast:
            raise InputError(
                f"model {name!r} has a tokenizer that does not tell where its tokens stand in the text; a fast one "
                "(tokenizer.json) is needed."
            )
        self._tokenizer = tokenizer
        self.begin: int | None = tokenizer.bos_token_id

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        if not texts:
            return []
        found = self._tokenizer(
            list(texts),
            add_special_tokens=False,
            split_special_tokens=True,
            return_offsets_mapping=True,
            return_attention_mask=False,
            padding=False,
            truncation=False,
            verbose=False,
        )
        encoded = []
        for ids, spans in zip(found["input_ids"], found["offset_mapping"], strict=True):
            spans_T2 = np.array(spans, dtype=np.int64).reshape(-1, 2)
            encoded.append(Encoded(np.array(ids, dtype=np.int64), spans_T2[:, 0], spans_T2[:, 1]))
        return encoded


class ByteEncoder:
    """The bytes of UTF-8, as models of ``training.pretraining`` may read them; their separator begins a text."""

    begin: int | None = 256

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        encoded = []
        for text in texts:
            widths = np.array([len(letter.encode()) for letter in text], dtype=np.int64)
            letters_T = np.repeat(np.arange(len(text)), widths)
            encoded.append(
                Encoded(
                    np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64), letters_T, letters_T + 1
                )
            )
        return encoded
