"""Minhashes of texts: Broder 1997, "On the resemblance and containment of documents"; computed by the package rensa."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.duplicates.banding import Similarity
from scoring.duplicates.shingles import Shingles, Unit, normalized, shingle
from scoring.errors import missing_extra
from scoring.hashing import derive_seed


@dataclass(frozen=True)
class Shingling:
    """How a text becomes a set: see ``scoring.duplicates.shingles``."""

    unit: Unit
    n: int
    ignore_case: bool
    ignore_punctuation: bool

    def of(self, texts: Sequence[str]) -> Shingles:
        """Of some texts."""
        normal = [normalized(text, self.ignore_case, self.ignore_punctuation) for text in texts]
        return shingle(normal, self.unit, self.n)


def minhashes(shingles: Shingles, permutations: int, seed: int) -> npt.NDArray[np.uint32]:
    """The least hash of a text's shingles under each of P permutations that follow from the seed, (B, P).

    Two texts agree in an entry with the probability of their Jaccard index J, so the share of equal entries estimates J
    with a standard error of at most about sqrt(J (1 - J) / P): it reaches that for sets of thousands and is a quarter
    less for sets of fifty.

    Raises:
        MissingExtraError: rensa is not installed.
    """
    check_rensa()
    from rensa import RMinHash

    digests = RMinHash.digest_matrix_from_flat_token_hashes(
        shingles.hashes_S, shingles.starts_N.astype(np.uint64), permutations, derive_seed("minhash", seed)
    )
    rows: npt.NDArray[np.uint32] = np.array(digests.to_rows(), dtype=np.uint32)
    return rows.reshape(len(shingles.starts_N) - 1, permutations)


def check_rensa() -> None:
    """Refuse to begin without it."""
    try:
        import rensa  # noqa: F401
    except ImportError as error:
        raise missing_extra("rensa", "dedup") from error


def share_of_equal(signatures_NP: npt.NDArray[np.integer]) -> Similarity:
    """The Jaccard index as minhashes estimate it."""
    return lambda a, b: float((signatures_NP[a] == signatures_NP[b]).mean())
