"""Does the estimate see wrong labels in these data? Some are planted on purpose, and it must rise by as many.

Only wrong labels like the planted ones, spread evenly and without a rule, are tested in this way. Labels that
are wrong by a rule which the model can learn stay invisible, however well this check goes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from scoring.examples import Examples
from scoring.hashing import derive_seed
from training.advice.confident_joint import Floats, confident_joint
from training.interventions.noisy_labels import flip_labels

CrossFit = Callable[[Examples, str], Floats]
"""Examples and a name for their runs -> out-of-sample probabilities (S, N, C)."""


@dataclass(frozen=True)
class PlantedCheck:
    """What became of labels that were flipped on purpose.

    Attributes:
        rate: Flipped, of all examples.
        estimate: The share of wrong labels that was then estimated.
        rise: By how much more than before.
        expected: What the rise should be: a flip of a label that was wrong already adds little, see ``expected_rise``.
        recall: Share of the flipped rows among the suspected; ``elsewhere`` that of the others.
    """

    rate: float
    estimate: float
    rise: float
    expected: float
    recall: float
    elsewhere: float

    @property
    def recovered(self) -> float:
        """Rise over what it should be: 1 where the estimate moves as the truth does."""
        return self.rise / self.expected


def expected_rise(rate: float, before: float, classes: int) -> float:
    """Rise of the share of wrong labels when ``rate`` of them are flipped to another class, uniformly.

    rate (1 - e - e / (C - 1)) with e wrong before: a right label becomes wrong, and one in C - 1 of the wrong
    ones right.
    """
    return rate * (1 - before - before / (classes - 1))


def planted_checks(
    examples: Examples, cross_fit: CrossFit, before: float, rates: Sequence[float], seed: int = 0
) -> tuple[PlantedCheck, ...]:
    """Flip ``rates`` of the labels, cross-fit again, and estimate again; ``before`` is the estimate without.

    Examples of one class, and rates that flip no label, have no check.
    """
    found: list[PlantedCheck] = []
    if examples.num_classes < 2:
        return ()
    for rate in rates:
        planted = flip_labels(examples, rate, derive_seed("planted flips", seed))
        expected = expected_rise(planted.rate, before, examples.num_classes)
        if planted.rate == 0 or expected <= 0:
            continue
        labels = planted.examples.labels
        assert labels is not None
        joints = [confident_joint(labels, p_NC) for p_NC in cross_fit(planted.examples, f"planted-{rate:g}")]
        suspected_N = np.mean([joint.suspected_N for joint in joints], axis=0)
        share = float(np.mean([joint.share for joint in joints]))
        found.append(
            PlantedCheck(
                planted.rate, share, share - before, expected, float(suspected_N[planted.flipped].mean()),
                float(suspected_N[~planted.flipped].mean()) if (~planted.flipped).any() else float("nan"),
            )
        )  # fmt: skip
    return tuple(found)
