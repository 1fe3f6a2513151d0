"""Quality against quantity (Goyal et al. 2024): pools of data whose utility halves as they are repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from scoring.errors import InputError, bad_value
from training.laws.form import Array, Form, Parameter, Values
from training.laws.forms.repetition import passes_of

Repeats = Literal["utility", "data"]
Offset = Literal["after", "inside"]

MOST_EPOCHS = 10_000
LN_2 = float(np.log(2))


def quality_quantity(pools: int = 1, repeats: Repeats = "utility", offset: Offset = "after") -> Form:
    """y = (a n_1)^b prod_{k >= 2} (n_k / n_{k-1})^(b_k) + d with b_k = b (1/2)^((k - 1) / tau), n_k the end of pass k.

    ``D`` samples are seen in ``epochs`` = D / U passes over U unique ones, so n_k = k U and the last pass, which may be
    a part of one, ends at D; up to one pass y = (a D)^b + d. The exponent b < 0 is the pool's quality, tau the number
    of repeats that halves it; y is an error rate, since (a D)^b is 1 at D = 1 / a (the authors' a is ours times 1e5).

    With several ``pools`` the input ``pool`` names that of every run, 1 to P; ``a`` and ``d`` are shared, as in the
    paper, b1 ... and tau1 ... are not. Errors of all pools must then be of one kind and unscaled. The authors fix d
    (``.frozen(d=0.1)``). Points along one training run share its noise: a bootstrap over them is too sure, and runs of
    several seeds, resampled by seed, are not.

    ``repeats="data"`` is the rival in which samples, not the exponent, lose value: y = (a n_eff)^b + d with n_eff the
    sum of every pass's samples times (1/2)^((k - 1) / tau); curves of ten passes hardly tell the two apart.
    ``offset="inside"`` is what the authors' code computes, (d + (a n_1)^b) times the product; the equation of the paper
    has d after it, which is the default.
    """
    if pools < 1:
        raise bad_value("pools", "quality_quantity", pools, "at least 1")
    for name, value, allowed in (
        ("repeats", repeats, ("utility", "data")),
        ("offset", offset, ("after", "inside")),
    ):
        if value not in allowed:
            raise bad_value(name, "quality_quantity", value, " or ".join(allowed))
    if repeats == "data" and offset == "inside":
        raise InputError("quality_quantity: with repeats='data' there is no product for d to be inside of.")
    ends = [""] if pools == 1 else [str(i + 1) for i in range(pools)]
    parameters = [
        Parameter("a", low=1e-12, high=1e12, starts=(0.5, 10.0), units={"D": -1}),
        Parameter("d", scale="linear", low=0.0, high=1.0, starts=(0.02, 0.15)),
    ]
    for end in ends:
        parameters += [
            Parameter(f"b{end}", scale="linear", low=-10.0, high=0.0, starts=(-0.1, -0.3)),
            Parameter(f"tau{end}", low=1e-2, high=1e4, starts=(2.0, 8.0)),
        ]

    def formula(p: Values, x: Values) -> torch.Tensor:
        if pools > 1 and not bool(((x.pool >= 1) & (x.pool <= pools) & (x.pool == x.pool.floor())).all()):
            raise bad_value(
                "pool",
                "quality_quantity",
                np.unique(x.pool.numpy()).tolist()[:5],
                f"a whole number from 1 to {pools}",
            )
        b, growth = p[f"b{ends[0]}"], _ln_growth(x.epochs, p[f"tau{ends[0]}"], repeats)
        for i, end in enumerate(ends[1:], 2):
            here = x.pool == i
            b = torch.where(here, p[f"b{end}"], b)
            growth = torch.where(here, _ln_growth(x.epochs, p[f"tau{end}"], repeats), growth)
        first = p.ln_a + x.ln_D - torch.log(passes_of(x.epochs))
        if offset == "inside":
            return torch.log(p.d + torch.exp(b * first)) + b * growth
        return torch.log(p.d + torch.exp(b * (first + growth)))

    def samples(p: Values, x: Values, y: torch.Tensor) -> torch.Tensor:
        """D at given epochs, so with unique samples in proportion."""
        growth = _ln_growth(x.epochs, p.tau, repeats)
        if offset == "inside":
            first = torch.log(y * torch.exp(-p.b * growth) - p.d) / p.b
        else:
            first = torch.log(y - p.d) / p.b - growth
        return torch.exp(first - p.ln_a) * passes_of(x.epochs)

    inputs = ("D", "epochs") if pools == 1 else ("D", "epochs", "pool")
    return Form(
        "quality_quantity",
        inputs,
        tuple(parameters),
        formula,
        {"D": samples} if pools == 1 else {},
        recipe={
            "name": "quality_quantity",
            "options": {"pools": pools, "repeats": repeats, "offset": offset},
        },
    )


def merged_error(
    parameters: Mapping[str, npt.ArrayLike],
    sizes: Sequence[float],
    D: npt.ArrayLike,
    offset: Offset = "after",
) -> Array:
    """The error (..., K) after D (K,) samples of the first pools merged, ``sizes`` (P,) unique samples of each.

    Of p equal pools the k-th pass has the exponent mean_i b_i (1/2)^((k - 1) / (p tau_i)): between two visits to a
    sample p times as many others are seen. Pools of unequal size (the paper has none) count by their share w_i, with
    half-life tau_i / w_i. ``parameters`` are those of ``quality_quantity(pools)``, numbers or (...) samples of them.
    """
    size = np.asarray(sizes, dtype=np.float64)
    if size.ndim != 1 or not len(size) or not (size > 0).all():
        raise bad_value("sizes", "merged_error", size.tolist(), "one number above 0 per pool")
    share, seen = size / size.sum(), np.asarray(D, dtype=np.float64)
    if not (seen > 0).all():
        raise bad_value("D", "merged_error", float(seen.min()), "above 0")
    p = {
        name: torch.from_numpy(np.asarray(value, dtype=np.float64)[..., None])
        for name, value in parameters.items()
    }
    epochs = torch.from_numpy(seen / size.sum())
    ends = [""] if "tau" in p else [str(i + 1) for i in range(len(size))]
    if (
        len(ends) != len(size) or f"tau{ends[-1]}" not in p
    ):  # the first of the pools may be fewer than were fitted
        raise bad_value("sizes", "merged_error", size.tolist(), "no more than the fitted pools")
    first = torch.log(p["a"]) + torch.from_numpy(np.log(seen)) - torch.log(passes_of(epochs))
    ln_first = ln_repeated = torch.zeros(1, dtype=torch.float64)
    for end, w in zip(ends, share):
        b = w * p[f"b{end}"]
        ln_first = ln_first + b * first
        ln_repeated = ln_repeated + b * _ln_growth(epochs, p[f"tau{end}"] / w, "utility")
    if offset == "inside":
        found = (p["d"] + torch.exp(ln_first)) * torch.exp(ln_repeated)
    else:
        found = p["d"] + torch.exp(ln_first + ln_repeated)
    return np.asarray(found.numpy())


def _ln_growth(epochs: torch.Tensor, tau: torch.Tensor, repeats: Repeats) -> torch.Tensor:
    """By how much the logarithm of the effective samples grew after the first pass; 0 up to one pass.

    For utility the sum over passes k >= 2 of (1/2)^((k - 1) / tau) ln(n_k / n_{k-1}), gathered from its running sums.
    """
    passes = passes_of(epochs)
    whole = torch.floor(passes)
    most = int(whole.max()) if whole.numel() else 1
    if most > MOST_EPOCHS:
        raise InputError(f"quality_quantity: at most {MOST_EPOCHS:,} epochs, got {float(passes.max()):.6g}.")
    left = torch.exp(-LN_2 * whole / tau)  # of the utility, in the pass that is not whole
    if repeats == "data":
        full = torch.expm1(-LN_2 * whole / tau) / torch.expm1(-LN_2 / tau)
        return torch.log(full + (passes - whole) * left)
    k = torch.arange(1, max(most, 2), dtype=torch.float64)
    gains = torch.exp(-LN_2 * k / tau[..., None]) * torch.log1p(
        1 / k
    )  # from the end of pass k to that of k + 1
    sums = torch.nn.functional.pad(gains.cumsum(-1), (1, 0))
    at = whole.to(torch.int64) - 1
    if tau.ndim == 0:
        upto = sums[at]
    elif tau.shape[-1] == 1 and at.ndim == 1:
        upto = sums[..., 0, :][..., at]
    else:
        shape = np.broadcast_shapes(tau.shape, at.shape)
        upto = sums.expand(*shape, -1).gather(-1, at.expand(shape)[..., None])[..., 0]
    return upto + left * torch.log(passes / whole)
