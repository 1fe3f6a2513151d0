"""What a score's mean over runs is for every example, and its standard error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from scoring.compare.ranks import Floats
from scoring.compare.run_scores import RunScores
from scoring.meaning import HARD_WHEN_HIGH, Meaning

RunErrors = tuple[Floats, Floats]


def run_errors(values_RN: Floats, meaning: Meaning) -> RunErrors:
    """Mean over R runs and its standard error s / sqrt(R), (N,) each, in the direction in which the score is stored.

    Args:
        values_RN: turned so that high is hard, as ``RunScores.values`` gives them.
        meaning: what a high value meant before.

    Returns:
        The error is NaN with one run, and where a value is infinite; the mean is infinite there, NaN for both signs.
    """
    sign = 1.0 if HARD_WHEN_HIGH.get(meaning, True) else -1.0
    runs = len(values_RN)
    with np.errstate(invalid="ignore"):
        mean_N = sign * values_RN.mean(axis=0)
        if runs == 1:
            return mean_N, np.full(values_RN.shape[1], np.nan)
        return mean_N, values_RN.std(axis=0, ddof=1) / np.sqrt(runs)


def errors_table(scores: RunScores, errors: Sequence[RunErrors]) -> pa.Table:
    """Rows (id, architecture), columns ``<score>.mean`` and ``<score>.se``; an error that is not known is null.

    ``errors`` are those of every architecture of every score, the scores outermost.
    """
    kinds = scores.architectures
    ids = pa.array(scores.ids.tolist()) if scores.ids.dtype.kind == "O" else pa.array(scores.ids)
    names = pa.DictionaryArray.from_arrays(
        np.repeat(np.arange(len(kinds), dtype=np.int32), len(scores)), list(kinds)
    )
    columns = {"id": pa.chunked_array([ids] * len(kinds)), "architecture": names}
    for number, score in enumerate(scores.scores):
        own = errors[number * len(kinds) : (number + 1) * len(kinds)]
        columns[f"{score}.mean"] = pa.chunked_array([pa.array(mean) for mean, _ in own])
        columns[f"{score}.se"] = pa.chunked_array([pa.array(se, from_pandas=True) for _, se in own])
    return pa.table(columns)
