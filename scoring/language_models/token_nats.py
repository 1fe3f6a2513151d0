"""Negative log-likelihood of tokens: batches of windows through a causal model, logits never all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import pad

from scoring.batching import plan_batches
from scoring.language_models.causal_model import CausalModel, Head
from scoring.language_models.windows import Window

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LOGITS = 1 << 24
"""Logits that are there at the same time."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A text as tokens, and the windows that predict some of them."""

    ids_T: IntArray
    windows: Sequence[Window]

    def __len__(self) -> int:
        return len(self.ids_T)


def read_tokens(model: CausalModel, readings: Sequence[Reading]) -> list[int]:
    """How many tokens each window feeds to the model; the last of a window is predicted, never read."""
    begin = model.encoder.begin is not None
    return [begin + window.end - 1 - window.start for each in readings for window in each.windows]


def token_nats(model: CausalModel, readings: Sequence[Reading], batch_tokens: int) -> list[FloatArray]:
    """-ln p of every token given those before it in its window, (T,) per reading; NaN where none predicts it.

    Windows of similar length go together, padded on the right behind the last token, where causal attention does not
    look; so neither batch nor padding changes a value beyond rounding. The logarithm is taken in float64.
    """
    nats = [np.full(len(reading), np.nan) for reading in readings]
    flat = [(row, window) for row, each in enumerate(readings) for window in each.windows]
    if not flat:
        return nats
    parts = model.parts
    if parts is None:  # whole logits of a batch
        batch_tokens = min(batch_tokens, max(1, LOGITS // model.vocabulary))
    for batch in plan_batches(np.array(read_tokens(model, readings)), len(flat), batch_tokens):
        windows = [flat[place] for place in batch.tolist()]
        found = _batch(model, parts, [(readings[row].ids_T, window) for row, window in windows])
        for (row, window), values in zip(windows, found, strict=True):
            nats[row][window.first : window.end] = values
    return nats


def _batch(
    model: CausalModel, parts: tuple[torch.nn.Module, Head] | None, windows: list[tuple[IntArray, Window]]
) -> list[FloatArray]:
    begin = [] if model.encoder.begin is None else [model.encoder.begin]
    inputs, rows, places, targets = [], [], [], []
    for row, (ids_T, window) in enumerate(windows):
        read = np.concatenate([np.array(begin, dtype=np.int64), ids_T[window.start : window.end - 1]])
        inputs.append(torch.from_numpy(read))
        # the position before a token predicts it
        before = np.arange(window.first, window.end) - window.start + len(begin) - 1
        rows.append(np.full(len(before), row))
        places.append(before)
        targets.append(ids_T[window.first : window.end])
    longest = max(len(each) for each in inputs)
    ids_BT = torch.stack([pad(each, (0, longest - len(each))) for each in inputs]).to(model.device)
    arguments: dict[str, Tensor] = {"input_ids": ids_BT}
    if any(len(each) < longest for each in inputs):
        mask_BT = torch.stack([pad(torch.ones_like(each), (0, longest - len(each))) for each in inputs])
        arguments["attention_mask"] = mask_BT.to(model.device)
    at = [torch.from_numpy(np.concatenate(each)).to(model.device) for each in (rows, places, targets)]
    with torch.inference_mode():
        nats_P = _nats(model, parts, arguments, *at).cpu().double()
    return [each.numpy() for each in torch.split(nats_P, [len(each) for each in targets])]


def _nats(
    model: CausalModel,
    parts: tuple[torch.nn.Module, Head] | None,
    arguments: dict[str, Tensor],
    rows_P: Tensor,
    places_P: Tensor,
    targets_P: Tensor,
) -> Tensor:
    """-ln p of P targets, predicted at (row, place); logits are made for a part of them at a time."""
    if parts is None:
        logits_PV = model.network(**arguments, use_cache=False).logits[rows_P, places_P]
        return _cross_entropy(logits_PV, targets_P)
    body, head = parts
    hidden_PD = body(**arguments, use_cache=False).last_hidden_state[rows_P, places_P]
    size = max(1, LOGITS // model.vocabulary)
    chunks = zip(torch.split(hidden_PD, size), torch.split(targets_P, size), strict=True)
    return torch.cat([_cross_entropy(head(hidden_CD), targets_C) for hidden_CD, targets_C in chunks])


def _cross_entropy(logits_PV: Tensor, targets_P: Tensor) -> Tensor:
    wide_PV = logits_PV.float() if logits_PV.device.type == "mps" else logits_PV.double()
    chosen_P = wide_PV.gather(1, targets_P[:, None])[:, 0]
    return wide_PV.logsumexp(dim=1) - chosen_P
