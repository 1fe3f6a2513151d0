"""Kernels that are collision probabilities: how likely a random hash puts two rows into one bucket.

So a sketch of hashes (``scoring.density.sketch``) estimates their sums, and what is computed without hashes is the same
number. P hashes concatenated collide with the P-th power, which is what narrows the kernel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from scoring.errors import bad_value, unknown_name

Kind = Literal["angular", "l2"]
ROUNDING = 1e-14
"""Rows whose cosine is as near to 1 as that are the same: the rest is rounding."""
NARROWEST = 1e-9
"""The least width: far below it numbers of pieces are no longer whole numbers of 64 bits, and all fall together."""
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Kernel:
    """k(x, y) = c(x, y)^P, 1 for equal rows, with the collision probability c of one hash.

    * ``angular``: c = 1 - theta / pi, theta the angle between x and y; a hash is the sign of a random projection
      (Charikar 2002). Rows must have length 1.
    * ``l2``: c = 2 Phi(u) - 1 - sqrt(2 / pi) (1 - exp(-u^2 / 2)) / u with u = ``width`` / |x - y|; a hash is a random
      Gaussian projection, shifted and cut into pieces of ``width`` (Datar et al. 2004, section 3.2).
    """

    kind: Kind = "angular"
    concatenations: int = 1
    width: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("kernel", "density", str(self.kind), KINDS)
        if not isinstance(self.concatenations, int) or self.concatenations < 1:
            raise bad_value("concatenations", "density", self.concatenations, "a whole number from 1")
        if not (isinstance(self.width, int | float) and NARROWEST <= self.width < math.inf):
            raise bad_value("width", "density", self.width, f"a finite number from {NARROWEST:g}")

    def with_concatenations(self, concatenations: int) -> Kernel:
        """The same hashes, more or fewer of them together."""
        return replace(self, concatenations=concatenations)

    def one_hash(self, rows_BD: Tensor, others_MD: Tensor) -> Tensor:
        """c for every pair, (B, M) float64."""
        if self.kind == "angular":
            cosines_BM = (rows_BD @ others_MD.T).clamp_(-1.0, 1.0)
            cosines_BM.masked_fill_(cosines_BM > 1 - ROUNDING, 1.0)
            return cosines_BM.acos_().div_(-math.pi).add_(1.0)
        squares_BM = torch.addmm(others_MD.square().sum(1), rows_BD, others_MD.T, alpha=-2)
        lengths_B1 = rows_BD.square().sum(1, keepdim=True)
        squares_BM += lengths_B1
        squares_BM.masked_fill_(squares_BM <= 2 * ROUNDING * lengths_B1, 0.0)
        wide_BM = squares_BM.sqrt_().reciprocal_().mul_(self.width)  # inf for equal rows, which have c = 1
        tail_BM = torch.expm1(-0.5 * wide_BM.square()).mul_(math.sqrt(2 / math.pi)).div_(wide_BM)
        return torch.erf(wide_BM.mul_(math.sqrt(0.5))).add_(tail_BM)

    def between(self, rows_BD: Tensor, others_MD: Tensor) -> Tensor:
        """k for every pair, (B, M) float64."""
        return power(self.one_hash(rows_BD, others_MD), self.concatenations)


def power(base: Tensor, exponent: int) -> Tensor:
    """``base ** exponent`` by squaring: several times faster than a general power."""
    result: Tensor | None = None
    while True:
        if exponent & 1:
            result = base.clone() if result is None else result.mul_(base)
        exponent >>= 1
        if not exponent:
            assert result is not None
            return result
        base = base * base
