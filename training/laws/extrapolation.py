"""How well several laws extrapolate: each fitted below several compute budgets and judged on the runs above."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from training.laws.cautions import Caution
from training.laws.evaluation import evaluate
from training.laws.form import Form
from training.laws.run_table import RunTable
from training.laws.uncertainty.bootstrap import bootstrap
from training.laws.uncertainty.interval import level_checked


@dataclass(frozen=True)
class Extrapolation:
    """One form below one budget: errors of the ``tested`` runs at or above it, as of ``Evaluation``.

    ``furthest`` is the compute of the largest run over that of the largest trained on. ``inside`` is the share of the
    tested runs inside their prediction intervals at ``level``: runs that share a law err together, so with few of them
    it says little. NaN where no intervals were asked for.
    """

    form: str
    below: float
    trained: int
    tested: int
    furthest: float
    mean_error: float
    worst_error: float
    ln_rmse: float
    inside: float
    level: float
    cautions: tuple[Caution, ...]


def extrapolation_table(
    table: RunTable,
    forms: Mapping[str, Form],
    below: Sequence[float],
    *,
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
    groups: npt.ArrayLike | None = None,
    **options: Any,
) -> list[Extrapolation]:
    """Every form fitted to the runs of compute C < ``below``, for every budget: rows by budget, then form.

    The table holds one corpus, split and metric. Forms go by the names they are given. The input ``x`` of a
    form in one variable (``power_offset``) is the compute, unless the table has a column of that name; what else forms
    read are its columns too. ``groups`` names for every row what is resampled as a whole.
    ``resamples`` = 0 leaves the intervals out; ``options`` go to :func:`~training.laws.fit.fit`. A budget with no run
    on one side of it is an error.
    """
    level_checked(level)
    if resamples < 0:
        raise bad_value("resamples", "extrapolation_table", resamples, "at least 0")
    for column in ("corpus", "split", "metric"):
        if len(table.names(column)) > 1:
            named = ", ".join(table.names(column)[:5])
            raise InputError(f"extrapolation_table: the table has several of {column} ({named}); keep one.")
    columns = {name: column for name, column in table.inputs.items() if np.isfinite(column).all()}
    if "C" not in columns:
        raise InputError(
            "extrapolation_table: the compute of some runs is not known; N and D, or C, are needed."
        )
    C = np.asarray(columns["C"], dtype=np.float64)
    columns["x"] = C
    read = {name for form in forms.values() for name in form.inputs} - {"N", "D", "C"}
    columns |= {name: table[name].astype(np.float64) for name in sorted(read) if name in table.columns}
    labels = None if groups is None else np.asarray(groups)
    found = []
    for budget in below:
        for name, form in forms.items():
            judged = evaluate(form, columns, table["value"], below=budget, seed=seed, **options)
            cautions, inside = judged.fitted.cautions, float("nan")
            if resamples:
                drawn = bootstrap(
                    judged.fitted, resamples, groups=None if labels is None else labels[budget > C], seed=seed
                )
                _, low, high = drawn.predict(judged.inputs, level)
                inside = float(((low <= judged.actual_T) & (judged.actual_T <= high)).mean())
                cautions = (*cautions, *drawn.cautions)
            found.append(
                Extrapolation(
                    form=name,
                    below=float(budget),
                    trained=len(judged.fitted.y_N),
                    tested=len(judged.actual_T),
                    furthest=float(C.max() / C[budget > C].max()),
                    mean_error=judged.mean_error,
                    worst_error=judged.worst_error,
                    ln_rmse=judged.ln_rmse,
                    inside=inside,
                    level=level,
                    cautions=cautions,
                )
            )
    return found
