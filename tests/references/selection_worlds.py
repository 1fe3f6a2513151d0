"""Small worlds of selections: a law each, runs at some scales and seeds, noise of which a part is common to a seed."""

import numpy as np

from training.laws.run_table import make_run_table

BASE = {"beta": 30.0, "c": -0.3, "e": 2.0}
FEW, MANY = 1e4, 3e6


def base_law(D, times=1.0):
    """The base's loss at ``times`` the data."""
    return BASE["e"] + BASE["beta"] * (times * np.asarray(D)) ** BASE["c"]


def crossing_law(D):
    """Ahead of the base below D = 66.7^(1 / 0.3) = 1.2 million, behind above."""
    return 2.12 + 22.0 * np.asarray(D) ** -0.3


CROSSING = (8 / 0.12) ** (1 / 0.3)


def world(laws, *, scales=5, seeds=3, noise=0.005, common=0.7, draw=0, top=MANY):
    """A run table of one corpus per law: ln loss has normal noise, ``common`` of its deviation shared by a seed."""
    rng = np.random.default_rng([draw, 11])
    D = np.repeat(np.geomspace(FEW, top, scales), seeds)
    shared = common * rng.normal(size=len(D))
    own = [np.sqrt(1 - common**2) * rng.normal(size=len(D)) for _ in laws]
    return make_run_table(
        {
            "corpus": np.repeat(np.array(list(laws), dtype=object), len(D)),
            "D": np.tile(D, len(laws)),
            "seed": np.tile(np.arange(len(D)) % seeds, len(laws)),
            "value": np.concatenate(
                [law(D) * np.exp(noise * (shared + each)) for law, each in zip(laws.values(), own)]
            ),
        }
    )


def sizes_world(laws, noise=0.002, draw=0):
    """The same for laws of N and D, on a grid of 4 sizes by 5 ratios D / N."""
    rng = np.random.default_rng([draw, 12])
    N, M = (np.ravel(each) for each in np.meshgrid(np.geomspace(1e7, 1e9, 4), [5, 10, 20, 80, 320]))
    value = [law(N, N * M) * np.exp(noise * rng.normal(size=len(N))) for law in laws.values()]
    return make_run_table(
        {
            "corpus": np.repeat(np.array(list(laws), dtype=object), len(N)),
            "N": np.tile(N, len(laws)),
            "D": np.tile(N * M, len(laws)),
            "value": np.concatenate(value),
        }
    )


def chinchilla_law(N, D, times=1.0):
    return 1.82 + 480.0 / N**0.348 + 2080.0 / (times * D) ** 0.366
