"""Do scores find what was planted? Every score column against the rows of every intervention.

Which end of a score is the suspect one follows from what the score means and from what is wrong with the rows:

    wrong labels            high of hard, noisy, uncertain; low of easy, clean, certain, typical, quality, like_target
    rows of other sources   the same, and low of redundant: nothing is near them
    copies                  high of redundant, typical, easy, certain, clean; low of hard, noisy, uncertain, since what
                            stands there twice is learned twice

``arbitrary`` (random numbers) is read from above, as the reference. Other pairs have no suspect end and give no row.

Which of two equal rows is the copy cannot be told, so of copies families are counted and not rows
(``Planted.families_N``). A family ranks by the mean rank of its rows. A score that spares one of every group by
design, and says so in a column ``kept`` beside it, ranks a family by its most suspect row: by q^m, with q the share of
rows that are no more suspect and m the number of different values in it: the chance that m random rows do no better.
Either way the AUROC of random numbers is one half (where nearly all values are equal, a little more in the second way).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scoring.compare.detection import Detection, detection
from scoring.compare.ranks import average_ranks
from scoring.errors import InputError, unknown_name
from scoring.table import ScoreTable
from training.interventions.intervention import Intervened, Kind, Planted

OWNER = "detection"
End = Literal["high", "low"]

_HARD, _EASY = ("hard", "noisy", "uncertain"), ("easy", "clean", "certain", "typical")
_SUSPECT: Mapping[Kind, Mapping[End, Sequence[str]]] = {
    "labels": {"high": _HARD, "low": (*_EASY, "quality", "like_target")},
    "foreign": {"high": _HARD, "low": (*_EASY, "quality", "like_target", "redundant")},
    "copies": {"high": (*_EASY, "redundant"), "low": _HARD},
}
_SPOKEN: Mapping[Kind, tuple[str, str]] = {
    "labels": ("this noise", "wrong"),
    "foreign": ("these rows", "from elsewhere"),
    "copies": ("these copies", "copied"),
}

SCHEMA = pa.schema(
    {
        "variant": pa.string(), "intervention": pa.string(), "score": pa.string(), "meaning": pa.string(),
        "suspect": pa.string(), "rows": pa.int64(), "planted": pa.int64(), "auroc": pa.float64(),
        "auroc_low": pa.float64(), "auroc_high": pa.float64(), "average_precision": pa.float64(), "k": pa.int64(),
        "precision_at_k": pa.float64(), "recall_at_k": pa.float64(), "jaccard_at_k": pa.float64(),
        "chance": pa.float64(), "verdict": pa.string(),
    }
)  # fmt: skip
"""One row per (variant, intervention, score). ``suspect`` is the end of the score that was taken as suspect; ``rows``
and ``planted`` count rows with a score, of copies families; ``chance`` is the precision of random numbers; AUROC with
its 95 % interval."""


def suspect_end(meaning: str, kind: Kind) -> End | None:
    """Which end of a score of that meaning is suspect where rows of that kind are looked for; None: neither."""
    if meaning == "arbitrary":
        return "high"
    for end, meanings in _SUSPECT[kind].items():
        if meaning in meanings:
            return end
    return None


def planted_detections(
    intervened: Intervened,
    table: ScoreTable,
    scores: Iterable[str] | None = None,
    *,
    k: int | None = None,
    variant: str = "",
) -> list[dict[str, Any]]:
    """Rows of ``SCHEMA``: every intervention that planted something, by every score, the best AUROC first.

    Args:
        intervened: What ``intervene`` gave.
        table: Scores of its examples, by id; rows without a score are left out and not counted.
        scores: Columns; default all scores of the table.
        k: Length of the list for precision, recall and Jaccard, default the number that was planted.
        variant: For the column of that name.

    Where all or none of the scored rows are planted, numbers are null and the verdict says so.

    Raises:
        InputError: A column that is not there, or a table without any of the ids.
    """
    names = table.scores if scores is None else list(scores)
    for name in names:
        if name not in table.columns:
            raise unknown_name("scores", OWNER, name, table.columns)
    places = _places(intervened, table)
    rows: list[dict[str, Any]] = []
    for planted in intervened.planted:
        found = [_row(planted, name, table, places, k) for name in names]
        ordered = sorted(
            (row for row in found if row is not None),
            key=lambda row: (-1.0 if row["auroc"] is None else -row["auroc"], row["score"]),
        )
        rows += [{"variant": variant, **row} for row in ordered]
    return rows


def _places(intervened: Intervened, table: ScoreTable) -> npt.NDArray[np.int64]:
    """The row of the table of every example, -1 where it has none, (N,)."""
    known = {each: row for row, each in enumerate(table.ids.tolist())}
    ids = intervened.examples.ids.tolist()
    places = np.array([known.get(each, -1) for each in ids], dtype=np.int64)
    if len(places) and (places < 0).all():
        raise InputError(f"{OWNER}: the score table has none of the ids of {intervened.examples.name}.")
    return places


def _row(
    planted: Planted, name: str, table: ScoreTable, places: npt.NDArray[np.int64], k: int | None
) -> dict[str, Any] | None:
    meaning = table.meaning(name)
    end = suspect_end(meaning, planted.kind)
    if end is None:
        return None
    values = np.full(len(places), np.nan)
    values[places >= 0] = table.column(name)[places[places >= 0]]
    scored = ~np.isnan(values)
    suspicion, mask = (values if end == "high" else -values)[scored], planted.rows_N[scored]
    if planted.families_N is not None:
        spares = any(
            each.get("parent") == name and side.endswith("kept") for side, each in table.columns.items()
        )
        suspicion, mask = _families(suspicion, mask, planted.families_N[scored], spares)
    told = {
        "intervention": planted.name, "score": name, "meaning": meaning, "suspect": end, "rows": len(mask),
        "planted": int(mask.sum()),
    }  # fmt: skip
    if not mask.any() or mask.all() or len(mask) < 3:
        why = f"{int(mask.sum()):,} of {len(mask):,} scored rows were planted by {planted.name}"
        return {**told, **dict.fromkeys(SCHEMA.names[7:16]), "verdict": f"{name} cannot be judged: {why}."}
    sought, being = _SPOKEN[planted.kind]
    limit = None if k is None else min(k, len(mask))
    found = replace(detection(suspicion, mask, name=name, k=limit), sought=sought, being=being)
    return {**told, **_numbers(found), "verdict": found.verdict}


def _numbers(found: Detection) -> dict[str, Any]:
    low, high = found.interval
    return {
        "auroc": found.auroc, "auroc_low": low, "auroc_high": high, "average_precision": found.average_precision,
        "k": found.k, "precision_at_k": found.precision_at_k, "recall_at_k": found.recall_at_k,
        "jaccard_at_k": found.jaccard_at_k, "chance": found.prevalence,
    }  # fmt: skip


def _families(
    suspicion: npt.NDArray[np.float64],
    mask: npt.NDArray[np.bool_],
    families: npt.NDArray[np.int64],
    spares_one: bool,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """How suspect every family is, and whether any of it is planted; see the head of the file."""
    _, which, sizes = np.unique(families, return_inverse=True, return_counts=True)
    any_planted = np.bincount(which, mask, len(sizes)) > 0
    if not spares_one:
        return np.bincount(which, average_ranks(suspicion), len(sizes)) / sizes, any_planted
    share = np.searchsorted(np.sort(suspicion), suspicion, side="right") / max(1, len(suspicion))
    most = np.zeros(len(sizes))
    np.maximum.at(most, which, share)
    different = np.bincount(
        np.unique(np.stack([which, share]), axis=1)[0].astype(np.int64), minlength=len(sizes)
    )
    return most**different, any_planted
