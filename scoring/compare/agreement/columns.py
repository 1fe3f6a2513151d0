"""Agreement between scores: do two scores call the same examples hard?

Every column is turned by its declared meaning so that high is hard; a negative correlation is then a disagreement,
not a matter of sign convention.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.compare.ranks import Floats, NanPolicy, average_ranks, hard_high, usable_rows
from scoring.meaning import Meaning


@dataclass(frozen=True)
class Agreement:
    """Spearman's correlation of every pair of S scores, high = hard on all, (S, S); NaN where one is constant."""

    names: tuple[str, ...]
    rho_SS: Floats
    rows: int

    def of(self, a: str, b: str) -> float:
        """Correlation of two of the scores."""
        return float(self.rho_SS[self.names.index(a), self.names.index(b)])

    def ordered(self) -> Agreement:
        """The same with similar scores side by side: average linkage on 1 - rho, leaves ordered to be smooth."""
        if len(self.names) < 3:
            return self
        from scipy.cluster.hierarchy import leaves_list, linkage

        distance = 1 - np.nan_to_num(self.rho_SS, nan=0.0)
        upper = np.triu_indices(len(self.names), 1)
        tree = linkage(np.clip(distance[upper], 0, 2), method="average", optimal_ordering=True)
        order = leaves_list(tree)
        # The tree may be read from both sides; the side whose end agrees best with all others comes first.
        mean = np.nan_to_num(self.rho_SS, nan=0.0).mean(axis=1)
        if mean[order[0]] < mean[order[-1]]:
            order = order[::-1]
        return Agreement(tuple(self.names[i] for i in order), self.rho_SS[np.ix_(order, order)], self.rows)

    def closest(self, name: str) -> tuple[str, float]:
        """The other score that agrees most with ``name``."""
        others = [(other, self.of(name, other)) for other in self.names if other != name]
        return max(others, key=lambda pair: -np.inf if np.isnan(pair[1]) else pair[1])


def agreement(
    columns: Mapping[str, npt.ArrayLike],
    meanings: Mapping[str, Meaning],
    *,
    nan: NanPolicy = "error",
) -> Agreement:
    """Spearman matrix of score columns, oriented by meaning.

    Args:
        columns: name -> (N,) values over the same rows.
        meanings: name -> what a high value means; a meaning without a hard end is refused, ``arbitrary`` is not.
        nan: ``error``, or ``drop``: the rows that every column has, so that all entries speak of the same rows.
    """
    turned = {name: hard_high(values, meanings[name], name) for name, values in columns.items()}
    rows = usable_rows(turned, nan, "agreement")
    ranks_SN = np.stack([average_ranks(values[rows]) for values in turned.values()])
    centred = ranks_SN - ranks_SN.mean(axis=1, keepdims=True)
    norms = np.sqrt((centred**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = np.clip((centred @ centred.T) / np.outer(norms, norms), -1, 1)
    rho[np.diag_indices_from(rho)] = np.where(norms > 0, 1.0, np.nan)
    return Agreement(tuple(turned), rho, int(rows.sum()))
