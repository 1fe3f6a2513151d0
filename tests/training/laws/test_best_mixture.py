"""What the best mixture promises where mixtures do not matter, or where few of them hold a domain."""

import numpy as np

from training.laws.mixtures.best import best_mixture
from training.laws.mixtures.fitting import fit_mixture


def test_of_noise_alone_hardly_any_mixture_is_promised_to_be_better():
    found = []  # the interval of the gain does not know that the mixture was chosen for it
    for rng in (np.random.default_rng([14, seed]) for seed in range(80)):
        law = fit_mixture(rng.dirichlet([0.5] * 8, 30), 3 + 0.05 * rng.normal(size=30), "linear")
        found.append(best_mixture(law, samples=300))
    flat = ["flat" in {c.code for c in each.cautions} for each in found]
    assert sum(each.gain.low > 0 for each in found) > 4 >= flat.count(False)


def test_a_resample_without_a_domain_does_not_make_it_free():
    r = np.random.default_rng(15).dirichlet([1, 1, 1, 1], 14)
    r[2:, 3] = 0  # a ninth of the resamples hold neither of the two mixtures with it
    r /= r.sum(1, keepdims=True)
    law = fit_mixture(r, r @ [3.0, 3.2, 3.4, 3.3], "linear")
    found = best_mixture(law, samples=300)
    assert found.optimism < 1e-6 and found.range_M2[3].max() < 1e-6
