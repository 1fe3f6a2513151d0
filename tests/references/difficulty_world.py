"""A world of known difficulty: scores with planted variances, one common factor, and planted sensitive examples.

    score s of example i in run r of architecture a  =  loading_s * f_i + sqrt(1 - loading_s^2) * u_si
                                                        + interaction * g_sia + noise * e_siar + shift of sensitive i

All letters on the right are independent standard normals. With loading l the variance between examples is 1, that of
example x architecture ``interaction`` squared, that of single runs ``noise`` squared; two scores correlate l_s * l_t
over examples in the limit of many runs and architectures.
"""

from dataclasses import dataclass, field

import numpy as np

from scoring.compare.run_scores import RunScores


@dataclass(frozen=True)
class DifficultyWorld:
    examples: int = 500
    runs: dict = field(default_factory=lambda: {"mlp": 6, "cnn": 6})
    loadings: dict = field(default_factory=lambda: {"loss": 0.9, "entropy": 0.7})
    interaction: float = 0.0
    noise: float = 0.5
    sensitive: int = 0
    """The first so many examples are shifted, in the first architecture alone."""
    shift: float = 3.0

    def draw(self, seed: int = 0) -> RunScores:
        rng = np.random.default_rng(seed)
        n = self.examples
        factor = rng.normal(size=n)
        moved = np.zeros(n)
        moved[: self.sensitive] = self.shift
        values = {}
        for score, loading in self.loadings.items():
            base = loading * factor + np.sqrt(1 - loading**2) * rng.normal(size=n)
            values[score] = {}
            for number, (name, runs) in enumerate(self.runs.items()):
                own = base + self.interaction * rng.normal(size=n) + (moved if number == 0 else 0)
                values[score][name] = own + self.noise * rng.normal(size=(runs, n))
        return RunScores.of_arrays(values)
