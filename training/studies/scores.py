"""The scores that a study chooses by: tables that are there, or scoring runs of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from scoring.checkpoints import RunDirectory
from scoring.engines.engine import Engine
from scoring.errors import InputError, bad_value, unknown_name
from scoring.examples import Examples
from scoring.files import read_json, write_json
from scoring.hashing import digest
from scoring.run import score
from scoring.table import ScoreTable
from training.cells import train_cells
from training.crossfit import train_folds
from training.settings import read_seeds
from training.studies.material import identity

OWNER = "study"
SCORES = "scores"
SCORING_SEED = 1_000
"""Seeds of scoring runs start here, so that no run that is judged shares its initial weights with one that scored."""


@dataclass(frozen=True, kw_only=True)
class ScoreRequest:
    """How the scores of one table come to be.

    Attributes:
        table: The path of a score table; nothing else is given then.
        scorers: Names as in ``score``.
        model: Trained on the data (as requests of ``train_cells``) to score from its runs; None for scores that need
            no runs, such as ``density``.
        seeds: Of the scoring runs, whose mean counts.
        folds: Score every example by models that did not see it, by so many cross-fitting folds.
        train: Settings of the scoring runs; recorded presentations and clean passes unless they say otherwise.
        options: More arguments of ``score``, such as ``encoder``.
    """

    table: str | None = None
    scorers: str | Sequence[str] = ()
    model: str | None = None
    seeds: Sequence[int] = (SCORING_SEED, SCORING_SEED + 1, SCORING_SEED + 2)
    folds: int | None = None
    train: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.table is None) == (not self.scorers):
            raise InputError(
                f"{OWNER}: scores must give either table, the path of a score table, or scorers."
            )
        if self.model is None and (self.folds is not None or self.train):
            raise InputError(
                f"{OWNER}: scores give folds or train, and no model that is trained; name model."
            )
        read_seeds(self.seeds, OWNER)

    @classmethod
    def read(cls, given: object) -> ScoreRequest:
        """From a mapping of a study file, or the path of a table."""
        if isinstance(given, ScoreRequest):
            return given
        if isinstance(given, str | Path):
            return cls(table=str(given))
        if not isinstance(given, Mapping):
            raise bad_value("scores", OWNER, given, "the path of a table, or a mapping with scorers")
        names = [each.name for each in fields(cls)]
        for name in given:
            if name not in names:
                raise unknown_name("key of scores", OWNER, str(name), names)
        return cls(**given)


def read_requests(given: object) -> list[ScoreRequest]:
    """One or several requests of a study; none for a table that is there."""
    if isinstance(given, ScoreTable):
        return []
    several = isinstance(given, Sequence) and not isinstance(given, str)
    each: Any = given if several else [given]
    return [ScoreRequest.read(one) for one in each]


def check_seeds(requests: Sequence[ScoreRequest], judged: Sequence[int]) -> None:
    """Refuse seeds that score and are judged: such a run would train on what its own initial weights chose."""
    shared = sorted({seed for each in requests if each.model for seed in each.seeds} & set(judged))
    if shared:
        raise InputError(
            f"{OWNER}: seeds of scores must not be seeds of the study, and both have {', '.join(map(str, shared))}."
        )


def make_scores(
    request: ScoreRequest, examples: Examples, out: Path, engine: Engine, device: str, progress: bool
) -> ScoreTable:
    """The table of a request, made once in ``out/scores/<name>-<hash>.parquet``; its runs and cost lie beside it."""
    if request.table is not None:
        return ScoreTable.read(request.table)
    path = scores_path(request, examples, out)
    if path.is_file():
        return ScoreTable.read(path)
    runs, found = path.with_suffix(".runs"), []
    common: dict[str, Any] = {"device": device, "show_progress": progress}
    if request.model is None:
        table = score(examples, request.scorers, out=path, overwrite=True, **common, **request.options)
    else:
        settings = {"record": True, "checkpoint_every": None, "evaluate_every": None, **request.train}
        if request.folds is not None:
            found = train_folds(
                examples, request.model, folds=request.folds, out=runs, seeds=request.seeds, device=device,
                progress=progress, **settings,
            )  # fmt: skip
        else:
            made = train_cells(
                examples, {"scored": request.model}, out=runs, seeds=request.seeds, engine=engine, evaluate=False,
                device=device, progress=progress, **settings,
            )  # fmt: skip
            found = made["scored"]
        place = runs if request.folds is not None else runs / "scored"
        table = score(examples, request.scorers, place, out=path, overwrite=True, **common, **request.options)
    write_json(path.with_suffix(".json"), {"request": told(request), **cost_of(found)})
    return table


def scores_path(request: ScoreRequest, examples: Examples, out: Path) -> Path:
    """Where the table of a request for some examples lies."""
    if request.table is not None:
        return Path(request.table)
    content = json.dumps([told(request), examples.fingerprint], sort_keys=True).encode()
    return out / SCORES / f"{digest(content, size=8).hex()}.parquet"


def scoring_cost(path: Path) -> dict[str, Any] | None:
    """FLOPs and seconds of the runs behind a table of a study, or None where they are not known."""
    about = path.with_suffix(".json")
    return read_json(about) if about.is_file() else None


def cost_of(runs: Sequence[RunDirectory]) -> dict[str, Any]:
    """FLOPs of training (None if a run does not know them) and its seconds; scoring passes are not counted."""
    flops = [run.config.get("flops") for run in runs]
    known = [float(each) for each in flops if each is not None]
    return {
        "runs": len(runs),
        "flops": sum(known) if len(known) == len(runs) else None,
        "wall_time_s": float(sum(run.config.get("wall_time_s") or 0.0 for run in runs)),
    }


def told(request: ScoreRequest) -> dict[str, Any]:
    """A request as JSON, with everything that its scores depend on."""
    found: dict[str, Any] = identity({each.name: getattr(request, each.name) for each in fields(request)})
    return found
