"""Texts as windows of tokens: the first of each, or all of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from scoring.networks.inputs import IntArray
from scoring.networks.text_inputs import TokenInputs, TokenPrepared


@dataclass(frozen=True)
class TokenWindows:
    """W windows of B texts.

    Attributes:
        prepared: The windows, ready for the model.
        text_W: Which text each is of, ascending.
        tokens_W: Tokens of each, special ones included; 0 where a text has none at all.
        truncated_B: Whether something of the text is in no window.
    """

    prepared: TokenPrepared
    text_W: IntArray
    tokens_W: IntArray
    truncated_B: npt.NDArray[np.bool_]


def token_windows(inputs: TokenInputs, texts_B: list[str], every: bool) -> TokenWindows:
    """The first ``max_length`` tokens of every text, or with ``every`` all of it, window behind window.

    Every window has the special tokens of a whole text around it.
    """
    tokenizer = inputs.tokenizer
    encoded = tokenizer(
        texts_B,
        truncation=True,
        max_length=inputs.max_length,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=inputs.token_types,
        return_overflowing_tokens=every,
        verbose=False,
    )
    ids = encoded["input_ids"]
    tokens_W = np.array([len(window) for window in ids], dtype=np.int64)
    text_W = np.arange(len(ids))
    truncated_B = np.zeros(len(texts_B), dtype=bool)
    if every:
        text_W = np.asarray(encoded["overflow_to_sample_mapping"], dtype=np.int64)
    else:
        full = np.flatnonzero(tokens_W >= inputs.max_length)
        # a tokenizer written in Python does not tell what is left over
        truncated_B[full] = [not encoded.is_fast or bool(encoded[row].overflowing) for row in full.tolist()]
    types = None
    if inputs.token_types:
        types = np.fromiter(chain.from_iterable(encoded["token_type_ids"]), dtype=np.int8)
    pad = int(tokenizer.pad_token_id or 0)
    prepared = TokenPrepared(
        np.fromiter(chain.from_iterable(ids), dtype=np.int32),
        types,
        tokens_W,
        truncated=int(truncated_B.sum()),
        pad_token_id=pad,
        filler=pad,
    )
    return TokenWindows(prepared, text_W, tokens_W, truncated_B)
