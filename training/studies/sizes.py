"""What a selection is worth in model size, from a study's table: over-scaling, and effective model size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scoring.errors import InputError, unknown_name
from training.laws.selections.effective_size import EffectiveSize, effective_size
from training.laws.selections.over_scaling import OverScaling, over_scaling
from training.laws.uncertainty.interval import Interval
from training.studies.outcomes import higher_is_better, outcomes
from training.studies.paired import paired_difference
from training.studies.ways import ALL

OWNER = "study"
FloatArray = npt.NDArray[np.float64]
MEAN = "mean"
"""The mean of the metric over all splits, told beside them."""


@dataclass(frozen=True)
class StudyOverScaling:
    """What a way of choosing does for one model, in steps to the ``larger`` one; see ``over_scaling``.

    ``found`` is of the means over seeds, its interval over splits (held-out texts), of which it needs 5.
    ``over_seeds`` has the same value with the 95 % t interval over seeds, the ratios being linearised (delta method):
    noise of the step to the larger model is in it. NaN of one seed. Both are None, and ``why`` says so, where the
    larger model is better on no split.
    """

    way: str
    budget: str | None
    model: str
    larger: str
    found: OverScaling | None
    over_seeds: Interval | None
    why: str = ""


@dataclass(frozen=True)
class StudyEffectiveSize:
    """The effective size of a model of ``N`` parameters on a selection by split, and by the ``mean`` of all splits."""

    way: str
    budget: str | None
    model: str
    N: float
    by_split: Mapping[str, EffectiveSize]


@dataclass(frozen=True)
class _Sizes:
    """Models of ascending size; values (splits, seeds) by (model, way, budget), all with the same seeds."""

    N: Mapping[str, float]
    splits: tuple[str, ...]
    values: Mapping[tuple[str, str, str | None], FloatArray]

    @property
    def selections(self) -> list[tuple[str, str | None]]:
        return list(dict.fromkeys((way, budget) for _, way, budget in self.values if way != ALL))


def study_over_scaling(
    study: pa.Table,
    metric: str = "loss",
    *,
    models: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
) -> list[StudyOverScaling]:
    """Over-scaling of every way and budget between all neighbouring sizes (Sachdeva et al. 2024, section 5.1).

    Args:
        study: The run table of one data variant and one regime.
        metric: Measured on every split, such as ``loss``.
        models: Which models are sizes of one kind; by default all. They are ordered by parameters.
        splits: The paper's metrics; by default all but ``train``.

    Raises:
        InputError: Fewer than two sizes, or runs that are missing.
    """
    read = _read(study, metric, models, splits)
    names = list(read.N)
    lower = not higher_is_better(metric)
    found = []
    for way, budget in read.selections:
        for model, larger in pairwise(names):
            chosen, full, step = (
                read.values[key] for key in ((model, way, budget), (model, ALL, None), (larger, ALL, None))
            )
            told = (way, budget, model, larger)
            try:
                result = over_scaling(
                    *(dict(zip(read.splits, each.mean(1).tolist())) for each in (chosen, full, step)),
                    lower_is_better=lower,
                )
            except InputError as error:
                found.append(StudyOverScaling(*told, None, None, str(error)))
                continue
            kept = [row for row, name in enumerate(read.splits) if name in result.by_metric]
            found.append(StudyOverScaling(*told, result, _over_seeds(chosen[kept], full[kept], step[kept])))
    return found


def _over_seeds(chosen_KS: FloatArray, full_KS: FloatArray, step_KS: FloatArray) -> Interval:
    """Mean over K metrics of the ratio of means, 100 a / b, with the t interval of its linearisation over seeds."""
    a_KS, b_KS = chosen_KS - full_KS, step_KS - full_KS
    a_K, b_K = a_KS.mean(1, keepdims=True), b_KS.mean(1, keepdims=True)
    linear_S = 100 * (a_K / b_K + (a_KS - a_K / b_K * b_KS) / b_K).mean(0)
    if len(linear_S) == 1:
        return Interval(float(linear_S[0]), np.nan, np.nan, 0.95)
    interval = paired_difference(linear_S, np.zeros_like(linear_S))
    return Interval(interval.mean, interval.low, interval.high, 0.95)


def study_effective_sizes(
    study: pa.Table,
    metric: str = "loss",
    *,
    models: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
) -> list[StudyEffectiveSize]:
    """The effective size of every model on every selection; see ``study_over_scaling`` and ``effective_size``."""
    read = _read(study, metric, models, splits)
    lower = not higher_is_better(metric)
    rows: dict[str, slice] = {name: slice(at, at + 1) for at, name in enumerate(read.splits)}
    if len(read.splits) > 1:
        rows[MEAN] = slice(None)
    full = {read.N[model]: read.values[model, ALL, None] for model in read.N}
    return [
        StudyEffectiveSize(
            way, budget, model, size,
            {
                name: effective_size(
                    read.values[model, way, budget][part].mean(0),
                    {each: values[part].mean(0).tolist() for each, values in full.items()},
                    lower_is_better=lower,
                )
                for name, part in rows.items()
            },
        )
        for way, budget in read.selections
        for model, size in read.N.items()
    ]  # fmt: skip


def _read(study: pa.Table, metric: str, models: Sequence[str] | None, splits: Sequence[str] | None) -> _Sizes:
    for name in ("variant", "regime"):
        if len(values := set(study[name].to_pylist())) > 1:
            raise InputError(
                f"{OWNER}: sizes are compared in one {name}, the table has {len(values)}; filter it."
            )
    known = [each for each in dict.fromkeys(study["split"].to_pylist()) if each != "train"]
    for each in splits or ():
        if each not in known:
            raise unknown_name("splits", OWNER, each, known)
    chosen = tuple(splits) if splits else tuple(known)
    size_of = dict(zip(study["model"].to_pylist(), study["N"].to_pylist()))
    for each in models or ():
        if each not in size_of:
            raise unknown_name("models", OWNER, each, size_of)
    names = sorted(models or size_of, key=lambda model: float(size_of[model]))
    sizes = {model: float(size_of[model]) for model in names}
    if len(sizes) < 2 or len(set(sizes.values())) < len(sizes):
        told = ", ".join(f"{model} ({size:,.0f})" for model, size in sizes.items())
        raise InputError(
            f"{OWNER}: sizes need two or more models of different numbers of parameters, got {told}."
        )
    by_split = {split: outcomes(study, metric, split=split) for split in chosen}
    cells: dict[tuple[str, str, str | None], dict[str, Mapping[int, float]]] = {}
    for split, found in by_split.items():
        for outcome in found:
            if outcome.model in sizes:
                cells.setdefault((outcome.model, outcome.way, outcome.budget), {})[split] = outcome.values
    common = [set(values) for cell in cells.values() for values in cell.values()]
    seeds = sorted(set.intersection(*common))
    selections = dict.fromkeys((way, budget) for _, way, budget in cells)
    missing = [(m, *pick) for pick in selections for m in names if (m, *pick) not in cells]
    if missing or not seeds or (ALL, None) not in selections:
        what = " ".join(str(word) for word in missing[0] if word) if missing else f"{ALL} of a common seed"
        raise InputError(f"{OWNER}: sizes need the runs of all models, and {what} is missing.")
    values_KS = {
        key: np.array([[cell[split][seed] for seed in seeds] for split in chosen])
        for key, cell in cells.items()
    }
    return _Sizes(sizes, chosen, values_KS)
