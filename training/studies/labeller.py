"""Models trained on the labelled data that label and score a pool; none of them has trained on a row of the pool."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.checkpoints import RunDirectory
from scoring.compare.predictions.predicting import predictions_of_runs
from scoring.engines.engine import Engine
from scoring.errors import InputError, bad_value, unknown_name
from scoring.examples import Examples
from scoring.files import write_json
from scoring.hashing import digest
from scoring.plan import parse_columns
from scoring.run import score
from scoring.scorer import DocumentScorer
from scoring.table import ScoreTable
from training.architectures import Architecture, read_architectures
from training.cells import train_cells
from training.settings import read_seeds
from training.studies.material import identity
from training.studies.scores import SCORES, SCORING_SEED, ScoreRequest, cost_of

OWNER = "study"
LABELLERS = "labellers"
NAME = "labeller"


@dataclass(frozen=True, kw_only=True)
class Labeller:
    """What labels a pool, and what scores it where no other model is named.

    Attributes:
        model: A request as in ``train_cells``, or an ``Architecture``.
        seeds: Of its runs; probabilities are their mean.
        train: Settings of its runs. Scores at several checkpoints (``el2n@mean``) need ``checkpoint_every``.
    """

    model: Any
    seeds: Sequence[int] = (SCORING_SEED, SCORING_SEED + 1, SCORING_SEED + 2)
    train: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        read_seeds(self.seeds, OWNER)

    @classmethod
    def read(cls, given: object, default: Labeller) -> Labeller:
        """From a mapping of a study file, a model's name, or None; what is not said is as in ``default``."""
        if isinstance(given, Labeller):
            return given
        if given is None or isinstance(given, str | Architecture):
            given = {} if given is None else {"model": given}
        if not isinstance(given, Mapping):
            raise bad_value(NAME, OWNER, given, "a model, or {model: linear, train: {epochs: 5}}")
        names = [each.name for each in fields(cls)]
        for name in given:
            if name not in names:
                raise unknown_name(f"key of {NAME}", OWNER, str(name), names)
        return cls(**{**{name: getattr(default, name) for name in names}, **given})

    @property
    def architecture(self) -> Architecture:
        """Its model."""
        return read_architectures({NAME: self.model})[0]

    @property
    def told(self) -> list[Any]:
        """All that its runs depend on beside the data, as JSON."""
        return [*self.architecture.identity, list(self.seeds), dict(self.train)]

    def runs(
        self,
        labelled: Examples,
        out: Path,
        engine: Engine,
        device: str,
        trust_remote_code: bool,
        progress: bool,
    ) -> Path:
        """The folder of its runs, trained once for the same labelled data."""
        content = json.dumps([self.told, labelled.fingerprint], sort_keys=True, default=str).encode()
        folder = out / LABELLERS / digest(content, size=8).hex()
        train_cells(
            labelled, {NAME: self.architecture}, out=folder, seeds=self.seeds, engine=engine, evaluate=False,
            device=device, trust_remote_code=trust_remote_code, progress=progress,
            **{"checkpoint_every": None, "evaluate_every": None, **self.train},
        )  # fmt: skip
        return folder / NAME

    @property
    def own_code(self) -> Any:
        """See ``Architecture``."""
        return self.architecture.own_code


def pool_probabilities(
    labeller: Labeller, runs: Path, pool: Examples, device: str, trust_remote_code: bool
) -> npt.NDArray[np.float64]:
    """Mean over the runs of the softmax at the last checkpoint, (P, C) float64."""
    found = predictions_of_runs(
        {NAME: runs}, pool, device=device, model=labeller.own_code, trust_remote_code=trust_remote_code
    )
    mean_PC: npt.NDArray[np.float64] = found.probabilities[NAME].astype(np.float64).mean(axis=0)
    return mean_PC


def of_documents(request: ScoreRequest) -> bool:
    """Whether the scores of a request read the rows of the pool alone, and no runs.

    Raises:
        InputError: Some do and some do not.
    """
    kinds = {isinstance(each.scorer, DocumentScorer) for each in parse_columns(request.scorers)}
    if len(kinds) > 1:
        raise InputError(
            f"{OWNER}: scores of models and of documents must be two entries of scores, got {request.scorers!r}."
        )
    return kinds.pop()


def pool_scores(
    request: ScoreRequest,
    labeller: Labeller,
    labelled: Examples,
    pool: Examples,
    out: Path,
    engine: Engine,
    device: str,
    trust_remote_code: bool,
    progress: bool,
) -> ScoreTable:
    """The scores of a pool under the labels it would be added with, made once in ``out/scores``.

    Scores of runs are of the model that the request names, trained on the labelled data, else of the labeller's.
    """
    if request.table is not None:
        return ScoreTable.read(request.table)
    if request.folds is not None:
        raise InputError(
            f"{OWNER}: scores of a pool need no folds, since no model of theirs trains on the pool."
        )
    if request.model is not None:
        labeller = Labeller(model=request.model, seeds=request.seeds, train=request.train)
    alone = request.model is None and of_documents(request)
    about = [
        None if alone else [labeller.told, labelled.fingerprint],
        str(request.scorers),
        identity(request.options),
    ]
    content = json.dumps([about, pool.fingerprint], sort_keys=True, default=str).encode()
    path = out / SCORES / f"{digest(content, size=8).hex()}.parquet"
    if path.is_file():
        return ScoreTable.read(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    source = None if alone else labeller.runs(labelled, out, engine, device, trust_remote_code, progress)
    own = {} if alone or labeller.own_code is None else {"model": labeller.own_code}
    table = score(
        pool, request.scorers, source, out=path, overwrite=True, device=device, show_progress=progress,
        **{**own, **request.options},
    )  # fmt: skip
    runs = [] if source is None else [RunDirectory.open(each) for each in sorted(source.glob("seed-*"))]
    write_json(path.with_suffix(".json"), {"request": about, **cost_of(runs)})
    return table
