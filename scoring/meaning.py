"""What a high score means, and which end of a score is the hard one."""

from collections.abc import Mapping
from typing import Literal, get_args

Meaning = Literal[
    "hard", "easy", "noisy", "clean", "uncertain", "certain",
    "typical", "redundant", "quality", "like_target", "long", "arbitrary", "label",
]  # fmt: skip
"""What a high value means. ``long``, ``arbitrary`` (random numbers) and ``label`` (a class) have no better end."""

MEANINGS: tuple[Meaning, ...] = get_args(Meaning)

HARD_WHEN_HIGH: Mapping[Meaning, bool] = {
    "hard": True, "noisy": True, "uncertain": True,
    "easy": False, "clean": False, "certain": False, "typical": False,
}  # fmt: skip
"""Which end is the hard one; a meaning that is absent has none, and ``hardest``/``easiest`` are refused for it."""

GOOD_FOR: Mapping[Meaning, str] = {
    "hard": "keep or drop the hard end; label errors are high",
    "easy": "keep or drop the easy end; label errors are low",
    "noisy": "find label errors: they are high",
    "clean": "find label errors: they are low",
    "uncertain": "keep what the model is unsure of",
    "certain": "drop what the model is sure of",
    "typical": "keep the typical; exceptions and label errors are low",
    "redundant": "drop what others stand for",
    "quality": "keep the highest",
    "like_target": "keep what helps on the target",
    "long": "a baseline for scores of quality, which go along with length",
    "arbitrary": "a baseline for other scores",
    "label": "relabel: the class that models agree on",
}
"""What a score of that meaning serves."""
