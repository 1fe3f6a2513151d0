"""How many rows to keep: a fraction or a number, exact either way."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral, Rational

from scoring.errors import InputError, bad_value

ALLOWED = (
    "a percentage ('30%'), a fraction above 0 and up to 1 (0.3 or '0.3'; 1.0 keeps all) "
    "or a whole number of rows (500, '500' or '500 rows'; 1 keeps one row)"
)

_NUMBER = r"(\d+(?:\.\d+)?|\.\d+)"


@dataclass(frozen=True)
class Budget:
    """Either a fraction of the rows or a number of rows; the other is None."""

    fraction: Fraction | None = None
    count: int | None = None

    def rows(self, n: int) -> int:
        """Rows to keep of n: the nearest whole number, halves up.

        It may exceed n if a number of rows was asked for. A fraction that comes to less than half a row is an error:
        nobody asks for nothing that way.
        """
        if self.fraction is None:
            assert self.count is not None
            return self.count
        rows = nearest(self.fraction, n)
        if rows == 0 and n > 0:
            raise bad_value("keep", "budget", str(self), f"at least one row of {n:,}")
        return rows

    def __str__(self) -> str:
        if self.fraction is None:
            return f"{self.count} rows"
        percent = self.fraction * 100
        written = f"{float(percent):.15g}"
        return f"{written if Fraction(written) == percent else percent}%"


def nearest(fraction: Fraction, n: int) -> int:
    """``fraction * n`` as the nearest whole number, halves up."""
    return math.floor(fraction * n + Fraction(1, 2))


def exact_fraction(value: float | str | Rational) -> Fraction:
    """The fraction that is written, not its binary neighbour: 0.3 is 3/10."""
    return Fraction(value) if isinstance(value, Rational) else Fraction(str(value))


def parse_budget(keep: Budget | str | float | int | Rational) -> Budget:
    """Read ``keep``.

    ``"30%"``, ``0.3`` and ``"0.3"`` are fractions in (0, 1]; ``500``, ``"500"`` and ``"500 rows"`` are rows. A number
    written with a point is a fraction and one without is rows, so ``1.0`` keeps all and ``1`` keeps one row; ``1.5``
    and ``500.0`` could mean either and are errors.
    """
    if isinstance(keep, Budget):
        return keep
    text = keep.strip().lower() if isinstance(keep, str) else ""
    if isinstance(keep, bool):
        raise bad_value("keep", "budget", keep, ALLOWED)
    if isinstance(keep, Integral):
        if int(keep) < 0:
            raise bad_value("keep", "budget", keep, ALLOWED)
        return Budget(count=int(keep))
    if rows := re.fullmatch(r"(\d+)(?: *rows?)?", text):
        return Budget(count=int(rows[1]))
    if percent := re.fullmatch(_NUMBER + r" *%", text):
        return _fraction(Fraction(percent[1]) / 100, keep)
    if re.fullmatch(_NUMBER, text):
        return _fraction(Fraction(text), keep)
    if isinstance(keep, (float, Rational)) and math.isfinite(keep):
        return _fraction(exact_fraction(keep), keep)
    # numpy's float32 is no Python float; its shortest text is what the user wrote
    if hasattr(keep, "dtype") and re.fullmatch(_NUMBER, str(keep)):
        return _fraction(Fraction(str(keep)), keep)
    raise bad_value("keep", "budget", keep, ALLOWED)


def _fraction(fraction: Fraction, given: object) -> Budget:
    if fraction > 1 and "%" not in str(given):
        raise InputError(
            f"budget: keep must be {ALLOWED}, got {given!r}, which could be meant as a percentage or as rows; "
            "write it as one of these."
        )
    if not 0 < fraction <= 1:
        raise bad_value("keep", "budget", given, ALLOWED)
    return Budget(fraction=fraction)
