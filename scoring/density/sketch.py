"""RACE sketch: counts of hashed rows from which kernel sums over a corpus are estimated, in memory that does not grow.

Repeated array of count estimators, Luo & Shrivastava 2018 and Coleman & Shrivastava 2020 ("Sub-linear RACE sketches for
approximate kernel density estimation on streaming data"), used for selection by Sachdeva et al. 2024, Algorithm 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scoring.density import counting
from scoring.density.hashes import Hashes
from scoring.density.kernels import Kernel
from scoring.density.space import Space
from scoring.errors import InputError
from scoring.tensor_files import load_tensors, save_tensors

FORMAT = 1


@dataclass(frozen=True, eq=False)
class RaceSketch:
    """``counts_RB``: how many of ``count`` rows each of R hash functions put into each of B buckets, int64.

    The mean over R of a row's buckets estimates its kernel sum with a relative error of about 1 / sqrt(R), the own
    count of 1 included if it is among the rows. Sketches of the same hashes and space add up.
    """

    hashes: Hashes
    counts_RB: Tensor
    count: int = 0
    space: Space | None = None
    """What embeddings go through before they are hashed; None where they are hashed as they come."""

    @classmethod
    def empty(cls, hashes: Hashes, space: Space | None = None) -> RaceSketch:
        """Of no rows."""
        return cls(hashes, torch.zeros(hashes.rows, hashes.used_buckets, dtype=torch.int64), 0, space)

    def with_rows(self, blocks: Iterable[Tensor]) -> RaceSketch:
        """The sketch with more embeddings, given as blocks (B, D)."""
        sums: counting.Sums = {
            "codes": torch.empty(0, self.hashes.rows, dtype=torch.int32),
            "counts": self.counts_RB,
        }
        for rows_BD in blocks:
            sums = counting.merged(sums, self.codes(rows_BD), self.hashes.used_buckets)
        return self.of(sums)

    def codes(self, rows_BD: Tensor) -> dict[str, Tensor]:
        """What some embeddings add to it, as ``scoring.density.counting`` merges it."""
        return counting.of_codes(self.hashes.codes(self.placed(rows_BD)))

    def of(self, sums: counting.Sums) -> RaceSketch:
        """A sketch with the same hashes of the rows that were summed up."""
        counts_RB = counting.table(sums, self.hashes.used_buckets)
        return replace(self, counts_RB=counts_RB, count=int(counts_RB[0].sum()))

    def merged(self, other: RaceSketch) -> RaceSketch:
        """The sketch of the rows of both.

        Raises:
            InputError: They were made with different hashes or in different spaces.
        """
        if self.hashes != other.hashes or not _same(self.space, other.space):
            raise InputError(
                "density: these sketches have different hashes, kernels or spaces, so their counts do not add up; make "
                "them with the same options, seed and space."
            )
        return replace(self, counts_RB=self.counts_RB + other.counts_RB, count=self.count + other.count)

    def placed(self, rows_BD: Tensor) -> Tensor:
        """Embeddings as they are hashed, float64."""
        return rows_BD.double() if self.space is None else self.space.place(rows_BD)

    def counts(self, rows_BD: Tensor) -> Tensor:
        """The paper's score: mean over R of the count in the row's bucket, (B,) float64."""
        return self.counts_RB.gather(1, self.hashes.codes(self.placed(rows_BD))).double().mean(0)

    def means(self, rows_BD: Tensor, *, inside: bool) -> Tensor:
        """Mean kernel value to the rows of the sketch, (B,) float64, each row itself left out if it is ``inside``.

        Where codes are folded, rows with other codes are expected to add 1 / B each: (S - N / B) / (1 - 1 / B). At
        least 1 / (R N), one collision in one of R: what remains for a row that nothing is near.
        """
        others = self.count - int(inside)
        sums_B = self.counts(rows_BD) - int(inside)
        if self.hashes.folded:
            share = 1 / self.hashes.used_buckets
            sums_B = (sums_B - others * share) / (1 - share)
        return (sums_B.clamp(min=1 / self.hashes.rows) / max(1, others)).clamp(max=1.0)

    def save(self, path: str | Path) -> None:
        """To ``<path>.safetensors`` and ``<path>.json``; random numbers follow from the seed and are not kept."""
        hashes = self.hashes
        state: dict[str, Any] = {
            "format": FORMAT,
            "kernel": asdict(hashes.kernel),
            "hashes": {name: getattr(hashes, name) for name in ("rows", "buckets", "width", "seed")},
            "counts": self.counts_RB,
            "count": self.count,
            "space": None if self.space is None else vars(self.space),
        }
        save_tensors(Path(path), state)

    @classmethod
    def load(cls, path: str | Path) -> RaceSketch:
        """What ``save`` wrote.

        Raises:
            InputError: There is no sketch, or one of another version.
        """
        from safetensors import SafetensorError

        try:
            state = load_tensors(Path(path))
            known = state["format"] == FORMAT
            hashes = Hashes(Kernel(**state["kernel"]), **state["hashes"]) if known else None
            space = Space(**state["space"]) if known and state["space"] is not None else None
            counted = (state["counts"], state["count"]) if known else None
        except (OSError, ValueError, KeyError, TypeError, SafetensorError):
            raise InputError(
                f"density: there is no sketch at {str(path)!r}; name it without its ending."
            ) from None
        if hashes is None or counted is None:
            raise InputError(f"density: the sketch at {str(path)!r} is of another version; make it again.")
        return cls(hashes, *counted, space)


def _same(a: Space | None, b: Space | None) -> bool:
    if a is None or b is None:
        return a is b
    return torch.equal(a.centre_D, b.centre_D) and torch.equal(a.axes_DP, b.axes_DP)
