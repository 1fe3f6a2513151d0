"""advise(): before pruning, which end to keep, or that random is safer, with the evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scoring.errors import InputError, bad_value
from scoring.examples import Examples
from scoring.models import build_model
from scoring.table import ScoreTable
from selection.budget import Budget, parse_budget
from training.advice.advice import Advice, Recommendation
from training.advice.data_size import DataSize
from training.advice.noise_check import NoiseCheck, noise_check
from training.advice.rules import IMBALANCED, RELIABLE, RULES, SMALLEST_CLASS, Choice, Evidence, decide
from training.advice.score_trust import score_trust
from training.advice.small_study import DEFAULT_SCORE, check_place, write_small_study
from training.architectures import read_architectures
from training.cell_data import DataRequest

OWNER = "advise"
MOST_DROPPED = 0.5


def advise(
    data: Examples | DataRequest,
    model: Any = "linear",
    *,
    keep: Sequence[float | str | Budget] = ("50%", "30%", "10%"),
    scores: ScoreTable | str | Path | None = None,
    by: str | None = None,
    cheap: Any = "linear",
    checked: str | None = None,
    noise: NoiseCheck | bool = True,
    parameters: int | None = None,
    folds: int = 5,
    seeds: Sequence[int] = (0, 1),
    planted: Sequence[float] = (0.05, 0.1),
    epochs: int = 10,
    train: Mapping[str, Any] | None = None,
    test: DataRequest | str | None = None,
    study_out: str | Path | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    progress: bool = False,
) -> Advice:
    """Look at noise, size, balance and scores, and apply the rules of ``training.advice.rules`` to every kept share.

    The noise check trains ``cheap`` (1 + number of ``planted``) x ``folds`` x number of ``seeds`` times, and
    nothing else is trained. Test data are not read.

    Args:
        data: What would be pruned, with labels; a ``DataRequest`` where ``study_out`` is to be written.
        model: The one that will be trained on what is kept, as a request of ``train_cells``.
        keep: Shares of the examples to advise on.
        scores: A score table; its column ``by`` is judged: reliability where it keeps single runs (``score`` with
            ``per_run``), and which class the hardest would lose.
        cheap: The model that is cross-fitted for the noise check.
        checked: Column with the class that a person gave, null where nobody looked (random rows). From 30 rows
            on it counts instead of the estimate.
        noise: A finished check, or False for none; hard-first is never advised without one.
        parameters: Of ``model``, where it need not be built to count them.
        epochs, train: Of cross-fitting, and of the study that is written.
        test: For the study.
        study_out: Writes the small study that would make sure, a YAML file for ``tamis study``.
        out: Keeps the cross-fitted runs.

    Raises:
        InputError: No labels, fewer than two classes, a kept share that is not between 0 and 1.
    """
    examples = data.load() if isinstance(data, DataRequest) else data
    if examples.labels is None or examples.num_classes < 2:
        raise bad_value("data", OWNER, examples.name, "labelled, with 2 or more classes")
    request = model if isinstance(study_out, str | Path) else None
    if request is not None and not (isinstance(data, DataRequest) and isinstance(model, str)):
        raise InputError(
            "advise: study_out needs data and model that a file can name: a DataRequest, and a model as text."
        )
    if study_out is not None:
        check_place(study_out)
        if isinstance(scores, ScoreTable):
            raise InputError("advise: scores must be the path of a table where a study is written.")
    architecture = _one(model, "model")
    shares = [_share(each, len(examples)) for each in keep]
    if not shares or len(set(shares)) < len(shares):
        raise bad_value("keep", OWNER, list(keep), "one or more different shares")
    trust = None if scores is None else score_trust(scores, examples, RELIABLE, by)
    if noise is True:
        noise = noise_check(
            examples, _one(cheap, "cheap"), out=out, folds=folds, seeds=seeds, planted=planted, checked=checked,
            device=device, progress=progress, **{"epochs": epochs, **(train or {})},
        )  # fmt: skip
    found = None if noise is False else noise
    if parameters is None:
        parameters = build_model(architecture.model, examples, options=architecture.options).num_parameters
    size = DataSize(len(examples), parameters, np.bincount(examples.labels, minlength=examples.num_classes))
    evidence = Evidence(found, size, trust, examples.label_names, examples.labels)
    column = DEFAULT_SCORE if trust is None else trust.name
    balanced = size.ratio < IMBALANCED
    recommendations = []
    for share in shares:
        findings = tuple(each for rule in RULES if (each := rule.read(evidence, share)) is not None)
        choice, because = decide(list(findings))
        floor = not balanced or share * size.smallest < SMALLEST_CLASS
        way = way_of(choice, column, share, found, "floor" if floor else "proportional")
        recommendations.append(Recommendation(share, choice, because, way, findings))
    study = None
    if study_out is not None:
        assert isinstance(data, DataRequest)
        ways = [
            {"take": "hardest", "by": column},
            {"take": "easiest", "by": column},
            {"take": "stratified", "by": column},
        ]
        ways += [
            way for each in recommendations if (way := dict(each.way)) not in ways and way["take"] != "random"
        ]
        ways = [way for at, way in enumerate(ways) if way not in ways[:at]]
        table = None if scores is None else str(scores)
        written = write_small_study(
            study_out, data, test, model, ways, shares, scores=table, epochs=epochs, train=train
        )
        study = str(written)
    return Advice(
        examples.name, len(examples), size.classes, parameters, found, tuple(recommendations),
        _normalise(balanced, size), study,
    )  # fmt: skip


def way_of(choice: Choice, by: str, keep: float, noise: NoiseCheck | None, balance: str) -> dict[str, Any]:
    """How a choice is written in a study file; ``drop_hardest`` is the upper end of the share of wrong labels."""
    if choice == "random is safer":
        return {"take": "random", "balance": balance}
    if choice in ("keep hard", "keep easy"):
        return {"take": "hardest" if choice == "keep hard" else "easiest", "by": by, "balance": balance}
    if choice == "coverage":
        return {"take": "stratified", "by": by, "balance": balance}
    assert noise is not None and noise.share is not None
    drop = min(MOST_DROPPED, math.ceil(100 * noise.share.high - 1e-9) / 100)
    return {"take": "stratified", "by": by, "drop_hardest": drop, "equal": "mass", "balance": balance}


def _normalise(balanced: bool, size: DataSize) -> str:
    ratio = f"largest class {size.ratio:.1f} times the smallest"
    if balanced:
        return f"Classes are balanced ({ratio}): scores may be normalised by class, and quotas stay proportional."
    return (
        f"Classes are imbalanced ({ratio}): do not normalise scores by class, and let balance: floor keep "
        "at least half of "
        "every class's even share."
    )


def _one(model: Any, name: str) -> Any:
    found = read_architectures(model if isinstance(model, str | Mapping | list) else [model])
    if len(found) != 1:
        raise bad_value(name, OWNER, [each.name for each in found], "one model")
    return found[0]


def _share(keep: float | str | Budget, rows: int) -> float:
    budget = parse_budget(keep)
    share = float(budget.fraction) if budget.fraction is not None else (budget.count or 0) / rows
    if budget.unit != "rows" or not 0 < share < 1:
        raise bad_value("keep", OWNER, str(budget), "a share of the rows above 0 and below 1")
    return share
