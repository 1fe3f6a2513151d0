"""How often something happens while training: ``"1 epoch"``, ``"100 steps"``, a number of steps, or ``"never"``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from scoring.errors import bad_value

_TEXT = re.compile(r"(\d+)\s*(epochs?|steps?)")


@dataclass(frozen=True)
class Cadence:
    """Every ``number`` steps or epochs; 0 is never."""

    number: int
    unit: Literal["step", "epoch"]

    @staticmethod
    def parse(value: str | int | None, parameter: str, owner: str) -> Cadence:
        """Read what a user gave for ``parameter`` of ``owner``."""
        if value is None or value == "never":
            return Cadence(0, "step")
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return Cadence(value, "step")
        found = _TEXT.fullmatch(value.strip()) if isinstance(value, str) else None
        if not found or int(found[1]) == 0:
            raise bad_value(
                parameter, owner, value, "like '1 epoch', '100 steps', a number of steps, or 'never'"
            )
        return Cadence(int(found[1]), "epoch" if found[2].startswith("epoch") else "step")

    def due(self, unit: Literal["step", "epoch"], count: int) -> bool:
        """Whether it is time after ``count`` steps or epochs."""
        return self.unit == unit and self.number > 0 and count > 0 and count % self.number == 0
