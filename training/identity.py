"""What makes two calls of train() the same run: the same call resumes or finds it finished, another one is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scoring.checkpoints import RunDirectory
from scoring.errors import InputError
from scoring.hashing import digest
from scoring.models import Model
from training.job import Job
from training.settings import Settings
from training.start import Start

Request = dict[str, str]
"""What the results depend on -> its digest. The device, and how often state is saved, are not part of it."""


WORDS = {
    "data": "other data or labels",
    "evaluation": "other evaluation data",
    "held_out": "other held-out examples",
    "initial_weights": "another random initialisation or training set",
    "model": "another model",
    "seed": "another seed",
    "subset": "another subset",
    "fold": "another fold",
    "start": "another start",
    "online": "another online selection",
}
"""How a part of the request is told to the user."""


def describe_request(
    job: Job,
    net: Model,
    settings: Settings,
    seed: int,
    fold: dict[str, int] | None,
    start: Start | None,
    online: Mapping[str, Any] | None = None,
) -> Request:
    """The identity of one run; ``net`` has its initial weights. Where those of ``start`` lie plays no part."""
    held_out = sorted(str(each) for each in job.examples.ids[job.held_out].tolist())
    content = {
        "settings": settings.to_json(),
        "seed": seed,
        "model": net.spec,
        "initial_weights": net.hash() if start is None else start["weights"],
        "data": job.examples.fingerprint,
        "evaluation": None if job.evaluation is None else job.evaluation.fingerprint,
        "subset": None if job.subset is None else job.subset["hash"],
        "held_out": digest(*(each.encode() for each in held_out)).hex(),
        "fold": fold,
    }
    if start is not None:
        content["start"] = start["weights"]
    if online is not None:
        content["online"] = dict(online)
    return digests(content)


def digests(content: Mapping[str, Any]) -> Request:
    """The digest of every part of a request, which JSON can hold."""
    return {key: digest(json.dumps(value, sort_keys=True).encode()).hex() for key, value in content.items()}


def open_run(
    out: Path, request: Request, settings: Mapping[str, Any], owner: str = "train"
) -> RunDirectory | None:
    """The run of the same call that is there already, or None if there is nothing.

    Raises:
        InputError: The folder holds something else.
    """
    if not (out / "run.json").exists():
        if out.exists() and any(not path.name.startswith(".") for path in out.iterdir()):
            raise InputError(f"{owner}: out {str(out)!r} holds other files; choose an empty or new folder.")
        return None
    run = RunDirectory.open(out)
    before = run.config.get("request") or {}
    changed = [key for key in {**request, **before} if before.get(key) != request.get(key)]
    if not changed:
        return run
    if "settings" in changed:
        there, here = run.config.get("config") or {}, json.loads(json.dumps(dict(settings)))
        named = [
            f"{key} {there.get(key)!r} there, {here[key]!r} here"
            for key in here
            if there.get(key) != here[key]
        ]
        changed[changed.index("settings")] = ", ".join(named) or "settings"
    if len(changed) > 1 and "initial_weights" in changed:
        changed.remove("initial_weights")  # they follow from the rest
    changed = [WORDS.get(key, key) for key in changed]
    raise InputError(
        f"{owner}: out {str(out)!r} holds a run of a different call ({'; '.join(changed)}); choose another out, "
        "or delete it."
    )
