"""Several models asked about the same documents: how much they agree, and one score of all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value, unknown_name
from scoring.table import ScoreTable

FloatArray = npt.NDArray[np.float64]
How = Literal["ranks", "mean"]


def agreement(table: ScoreTable, columns: Sequence[str]) -> FloatArray:
    """Kendall's tau-b of every two of M columns over the documents that both have a number for: (M, M).

    Between Ask-LLM scores of Flan-T5 models of different sizes the paper (Sachdeva et al. 2024, figure 7) has -.11 to
    .42, .10 on average, where perplexities agree by .63 to .91: one model's answers are not the quality of a document.
    NaN where a column is constant, or fewer than two documents are left.

    Raises:
        InputError: Fewer than two columns, or one that is not there.
    """
    from scipy.stats import kendalltau

    values_MN = _values(table, columns, "agreement")
    found_MM = np.eye(len(columns))
    for a, b in combinations(range(len(columns)), 2):
        both_N = ~np.isnan(values_MN[a]) & ~np.isnan(values_MN[b])
        tau = kendalltau(values_MN[a][both_N], values_MN[b][both_N]).statistic if both_N.sum() > 1 else np.nan
        found_MM[a, b] = found_MM[b, a] = tau
    return found_MM


def ensemble(
    table: ScoreTable, columns: Sequence[str], how: How = "ranks", name: str = "ensemble"
) -> ScoreTable:
    """One score of several columns, as a table with the same ids; its meaning is theirs.

    A document has the mean over the columns that have a number for it, NaN if none has.

    Args:
        how: ``ranks``: of normal scores, the standard normal quantile of (average rank - 1/2) / n in each column
            (Hazen 1914), so that no model's scale or saturation outweighs another's. ``mean``: of the values
            themselves, for columns of one scale, such as ``ask_llm(form=log_odds)``.
        name: Of the column.

    Raises:
        InputError: Fewer than two columns, one that is not there, or columns whose high values mean different things.
    """
    if how not in get_args(How):
        raise unknown_name("how", "ensemble", str(how), get_args(How))
    values_MN = _values(table, columns, "ensemble")
    meanings = sorted({table.meaning(column) for column in columns})
    if len(meanings) > 1:
        raise InputError(
            f"ensemble: high values of the columns must mean the same, got {', '.join(meanings)}."
        )
    terms_MN = np.array([_normal_scores(values_N) for values_N in values_MN]) if how == "ranks" else values_MN
    known_N = (~np.isnan(terms_MN)).sum(axis=0)
    total_N = np.where(np.isnan(terms_MN), 0.0, terms_MN).sum(axis=0)
    mean_N = np.divide(total_N, known_N, out=np.full(len(total_N), np.nan), where=known_N > 0)
    made = ScoreTable.from_columns(table.ids, {name: mean_N}, meanings[0], table.info)
    made.columns[name] |= {"scorer": "ensemble", "options": {"how": how, "columns": list(columns)}}
    return made


def _normal_scores(values_N: FloatArray) -> FloatArray:
    """Normal quantiles of the ranks of those that are no NaN; equal values share one."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    ranks_N = rankdata(values_N, nan_policy="omit")
    found: FloatArray = ndtri((ranks_N - 0.5) / max(int((~np.isnan(values_N)).sum()), 1))
    return found


def _values(table: ScoreTable, columns: Sequence[str], owner: str) -> FloatArray:
    if isinstance(columns, str) or len(columns) < 2:
        raise bad_value("columns", owner, columns, "two or more names of columns")
    return np.array([table.column(column) for column in columns])
