"""What a high score means, and which end of a score is the hard one."""

from collections.abc import Mapping
from typing import Literal, get_args

Meaning = Literal[
    "hard", "easy", "noisy", "clean", "uncertain", "certain",
    "typical", "redundant", "quality", "like_target", "arbitrary", "label",
]  # fmt: skip
"""What a high value means. ``arbitrary`` (random numbers) and ``label`` (a class index) have no better end."""

MEANINGS: tuple[Meaning, ...] = get_args(Meaning)

HARD_WHEN_HIGH: Mapping[Meaning, bool] = {
    "hard": True, "noisy": True, "uncertain": True,
    "easy": False, "clean": False, "certain": False, "typical": False,
}  # fmt: skip
"""Which end is the hard one; a meaning that is absent has none, and ``hardest``/``easiest`` are refused for it."""
