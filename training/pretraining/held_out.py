"""Held-out text and the loss on it, in nats per token and per byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from scoring.inference import autocast, evaluation_mode
from training.job import SPLIT_SEED
from training.pretraining.corpus import Corpus
from training.pretraining.decoder import Decoder
from training.pretraining.tokens import TokenStream

IntArray = npt.NDArray[np.int64]

NOTHING = -100
"""Target of a place behind the last token."""
AT_ONCE = 2**13
"""Tokens of a forward pass."""


@dataclass(frozen=True)
class HeldOut:
    """Whole documents as one stretch of tokens: the first is the separator before them."""

    name: str
    tokens: IntArray
    bytes: int
    fingerprint: str

    @classmethod
    def of(cls, corpus: Corpus, most_tokens: int) -> HeldOut:
        """The documents of lowest hash that fit into ``most_tokens``, at least one: the same for every run."""
        chosen = corpus.whole_documents(most_tokens)
        tokens = TokenStream(chosen, SPLIT_SEED).window(0, len(chosen.tokens) + 1)
        return cls(corpus.name, tokens, int(chosen.bytes_M.sum()), chosen.fingerprint)


def sequences(tokens: IntArray, length: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets, (B, T) each, of n + 1 tokens: each of the n predictions once, and NOTHING after them."""
    count = len(tokens) - 1
    rows = -(-count // length)
    inputs = np.zeros(rows * length, dtype=np.int64)
    targets = np.full(rows * length, NOTHING, dtype=np.int64)
    inputs[:count], targets[:count] = tokens[:-1], tokens[1:]
    return torch.from_numpy(inputs.reshape(rows, length)), torch.from_numpy(targets.reshape(rows, length))


def total_loss(logits_BTV: Tensor, targets_BT: Tensor) -> Tensor:
    """Sum of -ln p over all targets, float32."""
    flat = logits_BTV.float().flatten(0, 1)
    return cross_entropy(flat, targets_BT.flatten(), ignore_index=NOTHING, reduction="sum")


def held_out_losses(
    model: Decoder, held_out: HeldOut, length: int, device: torch.device, precision: str = "float32"
) -> dict[str, float]:
    """``loss``, nats per token, and ``loss_per_byte``, nats over the bytes of the texts.

    Separators are predicted like other tokens, and count in both sums of nats. Contexts begin anew every ``length``
    tokens, as they do in training.
    """
    total = 0.0
    with evaluation_mode(model.module):
        for inputs, targets in _batches(held_out.tokens, length):
            with torch.inference_mode(), autocast(device, precision):
                total += float(total_loss(model.logits(inputs.to(device)), targets.to(device)).double())
    return {"loss": total / (len(held_out.tokens) - 1), "loss_per_byte": total / max(1, held_out.bytes)}


def _batches(tokens: IntArray, length: int) -> Iterator[tuple[Tensor, Tensor]]:
    inputs, targets = sequences(tokens, length)
    rows = max(1, AT_ONCE // length)
    for start in range(0, len(inputs), rows):
        yield inputs[start : start + rows], targets[start : start + rows]
