"""Cadences: what users write, and when it is time."""

import pytest

from scoring.errors import InputError
from training.cadence import Cadence


@pytest.mark.parametrize(
    ("text", "unit", "times"),
    [
        ("1 epoch", "epoch", [1, 2, 3, 4, 5, 6]),
        ("2 epochs", "epoch", [2, 4, 6]),
        ("3 steps", "step", [3, 6]),
        ("1step", "step", [1, 2, 3, 4, 5, 6]),
        (4, "step", [4]),
        ("never", "step", []),
        (None, "epoch", []),
    ],
)
def test_when_it_is_time(text: str | int | None, unit: str, times: list[int]) -> None:
    cadence = Cadence.parse(text, "clean_every", "train")
    assert [count for count in range(7) if cadence.due(unit, count)] == times
    if times:
        assert not any(cadence.due("step" if unit == "epoch" else "epoch", count) for count in range(7))


@pytest.mark.parametrize("text", ["", "often", "0 steps", "-1 steps", 0, -2, True, "1.5 epochs", "2 hours"])
def test_anything_else_is_one_sentence(text: str | int) -> None:
    with pytest.raises(InputError, match=r"train: clean_every must be like '1 epoch', .*, got "):
        Cadence.parse(text, "clean_every", "train")
