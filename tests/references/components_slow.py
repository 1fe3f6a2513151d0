"""Components and a factor by other ways: singular values of the ranks, a general minimiser, shuffled columns."""

import numpy as np
from scipy import optimize, stats


def components(columns):
    """Shares and absolute loadings from the singular values of standardised ranks; ``columns`` is (S, N)."""
    ranks = np.stack([stats.rankdata(values) for values in columns], axis=1)
    z = (ranks - ranks.mean(axis=0)) / ranks.std(axis=0)
    _, singular, right = np.linalg.svd(z, full_matrices=False)
    eigenvalues = singular**2 / len(z)
    return eigenvalues / eigenvalues.sum(), np.abs(right.T * np.sqrt(eigenvalues))


def minimum_residuals(rho):
    """Loadings within [-1, 1] that leave the smallest squares off the diagonal; their sum is positive."""
    upper = np.triu_indices(len(rho), 1)

    def squares(loadings):
        return ((rho - np.outer(loadings, loadings))[upper] ** 2).sum()

    starts = [np.full(len(rho), 0.5), np.sign(rho[0]) * 0.7, rho.mean(axis=1)]
    found = min(
        (
            optimize.minimize(squares, s, bounds=[(-1, 1)] * len(rho), options={"ftol": 1e-15, "gtol": 1e-10})
            for s in starts
        ),
        key=lambda result: result.fun,
    )
    return found.x * np.sign(found.x.sum()), found.fun


def shuffled_shares(scores, examples, draws, seed=0):
    """Shares of components of unrelated rankings, (draws, S)."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        ranks = np.stack([rng.permutation(examples) for _ in range(scores)])
        found.append(np.linalg.eigvalsh(np.corrcoef(ranks))[::-1] / scores)
    return np.array(found)
