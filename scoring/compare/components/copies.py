"""Scores that rank all examples alike: monotone maps of each other, one score to anything that ranks."""

from __future__ import annotations

import numpy as np

from scoring.compare.agreement.rank_gram import centred_ranks, correlations
from scoring.compare.run_scores import RunScores

ALIKE = 1 - 1e-6
"""Spearman correlation from which on two scores are one: room for a few ties that rounding makes in one of them."""


def copies(scores: RunScores) -> dict[str, list[str]]:
    """The first of the scores that rank alike in every run of every architecture -> the others (often none).

    Loss and confidence of one checkpoint, for example: a loss is -log of a confidence. Copies inflate the share of a
    first component, as what they share is counted once for each. Averages over steps or runs of copies are no copies.
    """
    first, *rest = scores.scores
    groups: dict[str, list[str]] = {first: []}
    alike = _alike(scores, scores.architectures[0], [0], scores.scores)
    for name in rest:
        known = next(
            (
                other for other in groups
                if (other, name) in alike
                and all(
                    (other, name) in _alike(scores, kind, range(len(scores.runs[kind])), (other, name))
                    for kind in scores.architectures
                )
            ),
            None,
        )  # fmt: skip
        if known is None:
            groups[name] = []
        else:
            groups[known].append(name)
    return groups


def _alike(
    scores: RunScores, architecture: str, runs: list[int] | range, names: tuple[str, ...]
) -> set[tuple[str, str]]:
    """Pairs (earlier, later) of the names that rank alike in all of these runs."""
    alike = np.ones((len(names), len(names)), dtype=np.bool_)
    for run in runs:
        ranks = np.stack([centred_ranks(scores.values(name, architecture)[run]) for name in names])
        alike &= correlations(ranks @ ranks.T) >= ALIKE
    return {(names[i], names[j]) for i, j in zip(*np.nonzero(np.triu(alike, 1)))}
