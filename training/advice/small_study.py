"""The small study that would make sure, as a file for ``tamis study``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scoring.errors import InputError
from scoring.files import write_atomic
from training.cell_data import DataRequest
from training.studies.study_file import read_study

DEFAULT_SCORE = "el2n@mean"


def write_small_study(
    path: str | Path,
    data: DataRequest,
    test: DataRequest | str | None,
    model: str,
    ways: Sequence[Mapping[str, Any]],
    keeps: Sequence[float],
    *,
    scores: str | None = None,
    epochs: int = 10,
    train: Mapping[str, Any] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
) -> Path:
    """Write the pruning study of ``ways`` and read it back; both random baselines are in it anyway.

    A study tries every way at every share, so a share is left out where a way first drops so many that it is not left;
    if that would be all of them, those ways are.
    Scores are a table where there is one, else EL2N, mean over epochs, of three runs of the model itself.
    """
    import yaml

    place = check_place(path)
    left = 1 - max(float(way.get("drop_hardest", 0)) for way in ways)
    fitting = [keep for keep in keeps if keep <= left + 1e-9]
    if not fitting:
        ways, fitting = [way for way in ways if not way.get("drop_hardest")], list(keeps)
    settings = dict(train or {})
    made: dict[str, Any] = {"table": str(Path(scores).resolve())} if scores is not None else {
        "scorers": [DEFAULT_SCORE], "model": model, "train": {"epochs": epochs, **settings}
    }  # fmt: skip
    content: dict[str, Any] = {"kind": "pruning", "data": _source(data)}
    if test is not None:
        content["test"] = test if isinstance(test, str) else _source(test)
    content |= {
        "models": model, "scores": made, "select": [dict(way) for way in ways],
        "keep": [f"{100 * keep:.10g}%" for keep in fitting], "seeds": list(seeds), "epochs": epochs,
    }  # fmt: skip
    if settings:
        content["train"] = settings
    told = "# Does the advice hold here? Every way against random shares of the same size, three seeds.\n"
    for keep in keeps:
        if keep not in fitting:
            told += (
                f"# Not {100 * keep:.10g}% of the rows: without the hardest {1 - left:.0%} there are fewer.\n"
            )
    text = told + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(place, text.encode())
    read_study(place)
    return place


def check_place(path: str | Path) -> Path:
    """Where the study will be, if its name is that of a study file."""
    place = Path(path)
    if place.suffix not in (".yaml", ".yml"):
        raise InputError(f"advise: study_out must end in .yaml, got {str(place)!r}.")
    return place


def _source(data: DataRequest) -> dict[str, Any]:
    """As a study file writes data; a path that exists is made absolute."""
    place = Path(data.source)
    source = str(place.resolve()) if place.exists() else data.source
    return {"source": source, **dict(data.options)}
