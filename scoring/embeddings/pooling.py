"""From states of tokens to one vector: the ways that published sentence encoders use."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

POOLINGS = ("mean", "cls", "last", "max", "mean_sqrt_len", "weighted_mean")


def pool(states_BTD: Tensor, mask_BT: Tensor, poolings: Sequence[str]) -> Tensor:
    """Vectors of the tokens of the mask, (B, D) float32, of several poolings side by side.

    ``mean``; ``cls`` and ``last``: of the first and the last token; ``max`` per coordinate; ``mean_sqrt_len``: the sum
    over the root of the number of tokens; ``weighted_mean``: token t of T counts t times (Muennighoff 2022, SGPT).
    A row without tokens is zero.
    """
    states_BTD = states_BTD.float()
    real_BT = mask_BT != 0
    real_BT1 = real_BT[..., None]
    count_B1 = real_BT.sum(dim=1, keepdim=True).clamp_min(1)
    kept_BTD = torch.where(real_BT1, states_BTD, 0.0)
    rows_B = torch.arange(len(states_BTD), device=states_BTD.device)
    found = []
    for pooling in poolings:
        if pooling == "mean":
            vector_BD = kept_BTD.sum(dim=1) / count_B1
        elif pooling == "mean_sqrt_len":
            vector_BD = kept_BTD.sum(dim=1) / count_B1.sqrt()
        elif pooling == "cls":
            vector_BD = kept_BTD[rows_B, real_BT.long().argmax(dim=1)]
        elif pooling == "last":
            vector_BD = kept_BTD[rows_B, real_BT.shape[1] - 1 - real_BT.flip(1).long().argmax(dim=1)]
        elif pooling == "max":
            highest_BD = torch.where(real_BT1, states_BTD, float("-inf")).amax(dim=1)
            vector_BD = torch.where(real_BT.any(dim=1, keepdim=True), highest_BD, 0.0)
        else:
            weights_BT = real_BT * torch.arange(1, real_BT.shape[1] + 1, device=real_BT.device)
            weighted_BD = (kept_BTD * weights_BT[..., None]).sum(dim=1)
            vector_BD = weighted_BD / weights_BT.sum(dim=1, keepdim=True).clamp_min(1)
        found.append(vector_BD)
    return torch.cat(found, dim=1)
