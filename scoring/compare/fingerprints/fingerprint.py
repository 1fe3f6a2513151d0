"""Fingerprint: the fewest examples whose scores tell which architecture a run is of.

Kwok et al. 2024 (arXiv 2401.01867) report that simple classifiers on a few sensitive examples identify the
architecture. Here examples are chosen pair by pair of architectures, the classifier is a diagonal nearest centroid with
shrunken scales (``centroids``), and its accuracy is that on runs that had no part in choosing (``held_out_runs``).

    found = fingerprint(scores)                     # RunScores of two architectures or more
    found.save("fingerprint.json")
    Fingerprint.read("fingerprint.json").predict("new.parquet")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from scoring.compare.fingerprints.centroids import Centroids, Ints
from scoring.compare.fingerprints.held_out_runs import (
    OWNER,
    Of,
    Tested,
    chosen_in_folds,
    on_held_out_runs,
    read,
    sums_of,
)
from scoring.compare.ranks import Floats, average_ranks, hard_high
from scoring.compare.run_scores import RunScores
from scoring.compare.score_columns import Columns
from scoring.errors import InputError, bad_value, unknown_name
from scoring.files import read_json, write_json
from scoring.hashing import Ids
from scoring.ids import find_rows
from scoring.manifest import plain
from scoring.meaning import Meaning
from scoring.versions import library_version

KIND = "fingerprint"
FORMAT = 1


@dataclass(frozen=True)
class Prediction:
    """What a fingerprint says about one run.

    Attributes:
        run: its name.
        architecture: the nearest.
        margin: by how much nearer it is than the next, in mean squared standardised distance.
        distances: architecture -> root mean squared standardised distance; about 1 or less from the own architecture,
            far more from all where the run is of none of them.
    """

    run: str
    architecture: str
    margin: float
    distances: dict[str, float]


@dataclass(frozen=True)
class Fingerprint:
    """K examples of N, and where A architectures put them.

    Attributes:
        score, meaning: what is read; values count as high = hard whatever the meaning.
        of: ``values``: a new run need be scored on the K examples only. ``ranks``: on all N, as a rank is among all.
        architectures: names.
        ids: of the K examples, the most telling first.
        mean_AK, scale_K: centroids and standard deviations, (A, K), (K,).
        examples: N.
        data: fingerprint of the data, if it is known.
        accuracy: what was found on held-out runs: sizes, right, runs, interval ...
    """

    score: str
    meaning: Meaning
    of: Of
    architectures: Sequence[str]
    ids: Ids
    mean_AK: Floats
    scale_K: Floats
    examples: int
    data: str | None
    accuracy: dict[str, Any]

    def __len__(self) -> int:
        return len(self.ids)

    def to_json(self) -> dict[str, Any]:
        """Plain lists, strings and numbers."""
        return {
            "kind": KIND, "format": FORMAT, "library_version": library_version(), "score": self.score,
            "meaning": self.meaning, "of": self.of, "architectures": list(self.architectures),
            "ids": np.asarray(self.ids).tolist(), "centroids": self.mean_AK.tolist(), "scales": self.scale_K.tolist(),
            "examples": self.examples, "data": self.data, "accuracy": plain(self.accuracy),
        }  # fmt: skip

    def save(self, path: str | Path) -> Path:
        """Write JSON; equal fingerprints are equal bytes."""
        write_json(path, self.to_json())
        return Path(path)

    @classmethod
    def read(cls, path: str | Path) -> Fingerprint:
        """Read what ``save`` wrote, or the fingerprint in the summary.json of a comparison.

        Raises:
            FileNotFoundError: nothing there.
            InputError: something else, a later format, damaged content.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"{OWNER}: no file at {str(path)!r}.")
        try:
            found = read_json(path)
        except ValueError:
            found = None
        if isinstance(found, dict) and found.get("kind") == "comparison":
            found = (found.get("sections") or {}).get("fingerprint", {}).get("fingerprint")
        if not isinstance(found, dict) or found.get("kind") != KIND:
            raise InputError(f"{OWNER}: {str(path)!r} must be a fingerprint, and holds none.")
        if found.get("format") != FORMAT:
            raise bad_value(
                "format", f"{OWNER} {str(path)!r}", found.get("format"), f"{FORMAT} for this version"
            )
        try:
            made = cls(
                str(found["score"]), found["meaning"], found["of"], tuple(found["architectures"]),
                np.array(found["ids"], dtype=object if isinstance(found["ids"][0], str) else np.int64),
                np.array(found["centroids"], dtype=np.float64), np.array(found["scales"], dtype=np.float64),
                int(found["examples"]), found["data"], found["accuracy"],
            )  # fmt: skip
            whole = made.mean_AK.shape == (len(made.architectures), len(made.ids)) and (
                made.scale_K.shape == (len(made.ids),) and made.of in ("values", "ranks")
            )
        except (KeyError, IndexError, TypeError, ValueError):
            whole = False
        if not whole:
            raise InputError(
                f"{OWNER}: {str(path)!r} must be a whole fingerprint, and parts are missing or wrong."
            )
        return made

    def predict(
        self, runs: npt.ArrayLike | RunScores | Columns | str | Path, *, allow_changed_data: bool = False
    ) -> list[Prediction]:
        """The architecture of every run.

        Args:
            runs: a score table (or its path) with the score, by single runs if it has them; ``RunScores``; or, for a
                fingerprint of values, an array (R, K) or (K,) with high = hard in the order of ``ids``.
            allow_changed_data: Take scores of data with another fingerprint: of a part of the data (such as the K
                examples alone), or of changed content or labels under the same ids.

        Raises:
            InputError: other data, examples or the score missing, NaN or infinite values, only some of the examples
                where ranks need all.
        """
        if isinstance(runs, RunScores):
            return self._of_run_scores(runs, allow_changed_data)
        if isinstance(runs, str | Path):
            from scoring.stored_table import StoredTable

            return self._of_table(cast(Columns, StoredTable(runs, OWNER)), allow_changed_data)
        if hasattr(runs, "columns") and hasattr(runs, "column"):
            return self._of_table(cast(Columns, runs), allow_changed_data)
        values_RK = np.atleast_2d(np.asarray(runs, dtype=np.float64))
        if self.of == "ranks" or values_RK.ndim != 2 or values_RK.shape[1] != len(self):
            allowed = f"of shape (runs, {len(self)}) in the order of ids"
            needed = "a score table, as ranks are among all examples" if self.of == "ranks" else allowed
            raise bad_value("values", OWNER, values_RK.shape, needed)
        return self.named(values_RK, [str(run) for run in range(len(values_RK))])

    def named(self, values_RK: Floats, names: Sequence[str]) -> list[Prediction]:
        """Predictions of runs whose values (or ranks) of the K examples are known, (R, K)."""
        if not np.isfinite(values_RK).all():
            raise bad_value(
                "values", OWNER, "NaN or infinite ones", "finite on the examples of the fingerprint"
            )
        distances_RA = Centroids(self.mean_AK, self.scale_K).distances(values_RK)[:, :, -1]
        found = []
        for name, distances_A in zip(names, distances_RA):
            first, second = np.argsort(distances_A, kind="stable")[:2]
            each = {kind: float(d) for kind, d in zip(self.architectures, np.sqrt(distances_A))}
            margin = float(distances_A[second] - distances_A[first])
            found.append(Prediction(name, self.architectures[first], margin, each))
        return found

    def _check_data(self, data: str | None, allow_changed_data: bool) -> None:
        """Refuse data of another fingerprint; unknown ones pass, as ids are checked as well."""
        if not allow_changed_data and self.data is not None and data is not None and data != self.data:
            raise InputError(
                f"{OWNER}: scores must be of the data that the fingerprint was made on, and are of other data or a "
                "part; pass allow_changed_data=True if that is meant."
            )

    def _of_run_scores(self, scores: RunScores, allow_changed_data: bool) -> list[Prediction]:
        self._check_data(scores.fingerprint, allow_changed_data)
        self._check_meaning(scores.scores, scores.meanings.get(self.score))
        self._check_all(len(scores))
        rows = find_rows(scores.ids, self.ids, OWNER, "the scores")
        found: list[Prediction] = []
        for name, runs in scores.runs.items():
            read = scores.ranks if self.of == "ranks" else scores.values
            found += self.named(read(self.score, name)[:, rows], [f"{name}/{run}" for run in runs])
        return found

    def _of_table(self, table: Columns, allow_changed_data: bool) -> list[Prediction]:
        self._check_data(cast(str | None, table.info.get("fingerprint")), allow_changed_data)
        known = [name for name, meta in table.columns.items() if meta["role"] == "score"]
        self._check_meaning(known, table.meaning(self.score) if self.score in known else None)
        self._check_all(len(table))
        rows = find_rows(table.ids, self.ids, OWNER, "the score table")
        numbered = sorted(
            (int(name.removeprefix(f"{self.score}.run")), name)
            for name, meta in table.columns.items()
            if meta["role"] == "run" and meta.get("parent") == self.score
        )
        columns = [name for _, name in numbered] or [self.score]
        names = [str(name) for name in cast(Sequence[object], table.info.get("runs") or ())]
        if len(names) != len(columns):
            names = columns if numbered else ["all"]
        return self.named(np.stack([self._read(table, column, rows) for column in columns]), names)

    def _read(self, table: Columns, column: str, rows: Ints) -> Floats:
        """Values or scaled ranks of the K examples, (K,)."""
        values_N = hard_high(table.column(column), self.meaning, self.score)
        if self.of == "values":
            return values_N[rows]
        if np.isnan(values_N).any():
            raise bad_value(
                column, OWNER, f"{int(np.isnan(values_N).sum()):,} NaN", "free of NaN to be ranked"
            )
        return np.asarray((average_ranks(values_N)[rows] - 0.5) / len(values_N))

    def _check_meaning(self, known: Sequence[str], meaning: str | None) -> None:
        if self.score not in known:
            raise unknown_name("score", OWNER, self.score, known)
        if meaning != self.meaning:
            raise bad_value(f"{self.score!r}", OWNER, meaning, f"a score whose high means {self.meaning!r}")

    def _check_all(self, count: int) -> None:
        if self.of == "ranks" and count != self.examples:
            raise bad_value(
                "examples", OWNER, count, f"all {self.examples:,}, as ranks are among all of them"
            )


def fingerprint(
    scores: RunScores,
    score: str | None = None,
    *,
    of: Of = "values",
    reach: float = 0.95,
    most: int = 20,
    held_out: int | None = None,
    seed: int = 0,
) -> Fingerprint:
    """The fewest examples that name the architecture of a held-out run, and where every architecture puts them.

    Args:
        scores: at least two architectures with at least two runs each.
        score: whose values are used; None: the one of the highest rating (see ``held_out_runs``), and the accuracy is
            that of choosing a score in every fold anew.
        of: ``values`` (a new run is scored on those examples only, but whatever moves the level of a score counts, such
            as longer training) or ``ranks`` (only the order counts, and a new run is scored on all examples). On the
            digits values need fewer: one example names every held-out run of three architectures, by ranks eight name
            .97 of them.
        reach: accuracy asked for; where it is not reached, the number of examples of the highest accuracy.
        most: most examples that are tried.
        held_out: runs per architecture that each fold holds out; None: one run at a time.
        seed: decides the folds, if more than one run is held out.

    Raises:
        InputError: one architecture, one run, infinite values (use ranks).
    """
    if not 0 < reach <= 1:
        raise bad_value("reach", OWNER, reach, "a share above 0, at most 1")
    names = scores.scores if score is None else (score,)
    each = [on_held_out_runs(scores, name, of=of, held_out=held_out, most=most, seed=seed) for name in names]
    return made_from(scores, each, of, reach)


def made_from(scores: RunScores, each: Sequence[Tested], of: Of, reach: float) -> Fingerprint:
    """The fingerprint of all runs under the best rated score, with the accuracy found on held-out runs."""
    ratings = [np.mean([run.rating for run in found.runs]) for found in each]
    best = each[int(np.argmax(ratings))]
    known = chosen_in_folds(each) if len(each) > 1 else best
    size = known.best_size(reach)
    even, odd, centre_N = sums_of(read(scores, best.score, of))
    centroids = Centroids.of(even.plus(odd))
    rows = centroids.chosen(size)
    few = centroids.only(rows)
    low, high = known.interval(size)
    accuracy = {
        "sizes": list(known.sizes),
        "right": known.right_K.tolist(),
        "runs": len(known.runs),
        "size": size,
        "accuracy": float(known.accuracy_K[list(known.sizes).index(size)]),
        "interval": [low, high],
        "score": "chosen in every fold" if len(each) > 1 else best.score,
    }
    return Fingerprint(
        best.score, scores.meanings[best.score], of, scores.architectures, scores.ids[rows],
        few.mean_AN + centre_N[rows], few.scale_N, len(scores), scores.fingerprint, accuracy,
    )  # fmt: skip
