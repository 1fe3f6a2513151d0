"""Every section of a comparison answers, whatever few, tied, constant or infinite scores it is given."""

import json

import numpy as np
import pytest

from scoring.compare.request import Request
from scoring.compare.run_scores import RunScores
from scoring.compare.sections import (
    agreement,
    components,
    fingerprint,
    proxy,
    reliability,
    sensitive,
    variance,
)
from scoring.manifest import plain

SECTIONS = (agreement, components, fingerprint, proxy, reliability, sensitive, variance)


def odd(kind, base, runs, rng):
    """One score of some runs, (R, N)."""
    values = base + rng.normal(size=(runs, len(base)))
    if kind == "counts":
        return np.floor(np.maximum(values, 0))
    if kind == "constant":
        return np.zeros_like(values)
    if kind == "equal":
        return np.tile(base, (runs, 1))
    if kind == "infinite":
        return np.where(values > 1, np.inf, np.where(values < -1, -np.inf, values))
    if kind == "one run constant":
        values[0] = 0
    return values


KINDS = ("plain", "counts", "constant", "equal", "infinite", "one run constant")


@pytest.mark.parametrize("seed", range(30))
def test_sections_answer_without_an_error_and_without_nan(seed):
    rng = np.random.default_rng(seed)
    examples, runs = int(rng.choice([3, 4, 5, 20])), rng.choice([1, 2, 3, 5, 10], rng.integers(1, 4)).tolist()
    values = {}
    for number in range(int(rng.integers(1, 5))):
        kind, base = rng.choice(KINDS), rng.normal(size=examples)
        values[f"{kind} {number}"] = {f"a{i}": odd(kind, base, count, rng) for i, count in enumerate(runs)}
    scores = RunScores.of_arrays(values)
    for each in SECTIONS:
        found = each.section(scores, Request(proxies=scores.architectures if len(runs) > 1 else ()))
        assert found.sentences and not any("nan" in sentence.lower().split() for sentence in found.sentences)
        json.dumps(plain(found.document), allow_nan=False)
