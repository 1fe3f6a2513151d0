"""A world of known difficulty: scores with planted variances, one common factor, and planted sensitive examples.

    score s of example i in run r of architecture a  =  loading_s * f_i + sqrt(1 - loading_s^2) * u_si
                                                        + interaction * g_sia + noise_a * e_siar
                                                        + group_noise * h_sar(group of i) + run_shift * m_sar
                                                        + architecture_shift_a + shift of sensitive i

All letters on the right are independent standard normals. With loading l the variance between examples is 1, that of
example x architecture ``interaction`` squared, that of single runs ``noise`` squared; two scores correlate l_s * l_t
over examples in the limit of many runs and architectures. The second line is nothing unless asked for; ``group_noise``
is what a run does to whole groups of examples at once, so that its deviations are no longer independent.
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
    noise: float | dict = 0.5
    """One standard deviation, or architecture -> its own."""
    sensitive: int = 0
    """The first so many examples are shifted, in the first architecture alone."""
    shift: float = 3.0
    group_noise: float = 0.0
    groups: int = 20
    """Example i is in group i modulo ``groups``."""
    run_shift: float = 0.0
    architecture_shift: dict = field(default_factory=dict)

    def noise_of(self, architecture: str) -> float:
        return self.noise[architecture] if isinstance(self.noise, dict) else self.noise

    def noise_variance(self, architecture: str) -> float:
        """Variance over examples of what a single run adds to the truth of its architecture, in expectation.

        The mean over its groups is the run's main effect, and so ``group_noise`` counts 1 - 1 / groups times.
        """
        return self.noise_of(architecture) ** 2 + self.group_noise**2 * (1 - 1 / self.groups)

    def run_variance(self) -> float:
        """Variance between runs of the mean over all examples."""
        return self.run_shift**2 + self.group_noise**2 / self.groups

    def draw(self, seed: int = 0) -> RunScores:
        rng = np.random.default_rng(seed)
        further = np.random.default_rng([seed, 1])  # so that the plain world stays as it is
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
                values[score][name] = own + self.noise_of(name) * rng.normal(size=(runs, n))
                shared = self.group_noise * further.normal(size=(runs, self.groups))
                moves = self.run_shift * further.normal(size=(runs, 1)) + self.architecture_shift.get(
                    name, 0.0
                )
                values[score][name] += shared[:, np.arange(n) % self.groups] + moves
        return RunScores.of_arrays(values)
