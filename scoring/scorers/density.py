"""Density: Sachdeva et al. 2024, "How to Train Data-Efficient LLMs", sections 3.2 and B.2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self, get_args

from torch import Tensor

from scoring.density import counting, sample, weights
from scoring.density.checks import check_counts, check_finite
from scoring.density.hashes import make_hashes
from scoring.density.kernel_sums import Anchors
from scoring.density.kernels import Kernel, Kind
from scoring.density.sketch import RaceSketch
from scoring.density.space import Space
from scoring.density.tuning import anchors_for, concatenations_for
from scoring.errors import InputError, bad_value, unknown_name
from scoring.meaning import Meaning
from scoring.needs import Embeddings, Need
from scoring.scorer import Review, Scorer
from scoring.signals import Signals

Method = Literal["auto", "exact", "anchors", "sketch"]
SAMPLE = 20_000
"""Rows of the first look, and how many a corpus may have for ``auto`` to be exact."""
EXACT = 100_000
"""Rows that ``exact`` compares at most: beyond, pairs take hours and vectors gigabytes."""
OWNER = "score: scorer 'density'"


@dataclass(frozen=True)
class Density(Scorer):
    """How densely the other documents lie around this one, the mean of a kernel, (0, 1]; high means redundant.

    S(x) = mean of k(x, y) over all other documents y: the kernel density of Sachdeva et al. 2024, section 3.2, over N,
    without the document itself. It is made to be drawn from by ``--take inverse_propensity``, with weights 1 / S
    (section 3.3, Theorem A.2). ``density:sachdeva2024`` is the setting of the paper, whose weights hardly vary: with
    one hash on raw embeddings every document is about as dense as every other. Here embeddings are reduced to their
    ``dims`` main directions and scaled to length 1 (``scoring.density.space``, also on ``centre``), and the kernel is
    the power ``concatenations`` of a collision probability (``scoring.density.kernels``), by default (0) the first at
    which weights 1 / S have an effective sample size of at most ``ess`` of the documents: neither uniform nor left to a
    few. A smaller ``ess`` gives a narrower kernel: more weight to the rare, but also to the odd and, where a rare topic
    is full of near copies, away from it. The kernel stays so wide that to half of the documents all others together are
    worth a copy of it at least (a median sum of 1). In small corpora, and where no topic is denser than another, that
    ends the search above ``ess``; fewer ``dims`` leave more neighbours.

    All that is found on the sample of 20,000 documents with the lowest hash of (``seed``, id), in a first look.
    ``method``: ``exact`` compares all pairs. ``anchors`` compares with a random part of that sample, the first
    ``anchors`` of it; 0 is as many (1,000 to 8,000) as it takes for sums that rank documents as those over the rest of
    the sample do, Spearman .98. ``sketch`` takes a second look and counts hashes (``scoring.density.sketch``): ``rows``
    functions, ``buckets`` at most; noisier for its time than anchors, but it adds up over streams. ``auto`` is exact up
    to 20,000 documents, and anchors beyond. ``width`` is of ``kernel`` ``l2`` only.

    S is at least 2^-40, in a sketch 1 / (rows N); a corpus of one document has that. Equal documents are near each
    other, with k = 1. An embedding that is not finite is an error.
    """

    method: Method = "auto"
    kernel: Kind = "angular"
    concatenations: int = 0
    width: float = 1.0
    dims: int = 32
    centre: bool = False
    ess: float = 0.4
    anchors: int = 0
    rows: int = 1000
    buckets: int = 20_000
    seed: int = 0
    encoder: str = ""
    needs: ClassVar[frozenset[str]] = frozenset({"embeddings"})
    meaning: ClassVar[Meaning] = "redundant"
    space: Space | None = field(default=None, repr=False, compare=False)
    found: Anchors | RaceSketch | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise unknown_name("method", OWNER, str(self.method), get_args(Method))
        Kernel(self.kernel, self.concatenations or 1, self.width)
        check_counts(OWNER, self, dims=1, rows=1, buckets=2, concatenations=0, anchors=0, seed=0)
        if self.anchors == 1:  # it has nobody to be compared with
            raise bad_value("anchors", OWNER, self.anchors, "0, or a whole number from 2")
        if not (isinstance(self.ess, int | float) and 0 < self.ess < 1):
            raise bad_value("ess", OWNER, self.ess, "a number between 0 and 1")

    @property
    def reads(self) -> frozenset[Need]:
        """Embeddings by the encoder that is named, or by that of the source."""
        return frozenset({Embeddings(self.encoder)})

    @property
    def most(self) -> int:
        """Rows of the first look."""
        return EXACT if self.method == "exact" else max(SAMPLE, self.anchors)

    @property
    def fits(self) -> bool:
        """One look for the sample; for a sketch another."""
        if isinstance(self.found, RaceSketch):
            return self.found.count == 0
        return self.found is None

    def fit(self, signals: Signals) -> dict[str, Tensor]:
        """The sample, then the counts of the sketch."""
        rows_BD = signals.extra(Embeddings(self.encoder))
        if isinstance(self.found, RaceSketch):
            return self.found.codes(rows_BD)
        return sample.first_look(rows_BD, signals.ids_B, self.seed, self.most)

    def merge(self, sums: Mapping[str, Tensor], more: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Lowest hashes of both; counts add up."""
        if isinstance(self.found, RaceSketch):
            return counting.merged(sums, more, self.found.hashes.used_buckets)
        return sample.merged(sums, more, self.most)

    def fitted(self, sums: Mapping[str, Tensor]) -> Self:
        """With the space and anchors, or a sketch to be filled; then filled."""
        if isinstance(self.found, RaceSketch):
            return replace(self, found=self.found.of(sums))
        count, sample_MD = int(sums["count"]), sums["rows"]
        if self.method == "exact" and count > EXACT:
            raise InputError(
                f"{OWNER}: method exact compares all pairs of at most {EXACT:,} documents, got {count:,}; leave "
                "method=auto."
            )
        space = Space.of(sample_MD, self.dims, self.centre)
        sample_MP = space.place(sample_MD)
        tried = Kernel(self.kernel, 1, self.width)
        kernel = tried.with_concatenations(
            self.concatenations or concatenations_for(sample_MP[:SAMPLE], tried, self.ess)
        )
        if self.method == "sketch":
            hashes = make_hashes(kernel, self.rows, self.buckets, sample_MP.shape[1], self.seed)
            return replace(self, space=space, found=RaceSketch.empty(hashes, space))
        everything = self.method in ("auto", "exact") and count <= self.most
        anchors = count if everything else self.anchors or anchors_for(sample_MP, kernel)
        return replace(self, space=space, found=Anchors(kernel, sample_MP[:anchors], sums["keys"][:anchors]))

    def score(self, signals: Signals) -> Tensor:
        """The mean kernel value to all other documents, (B,)."""
        rows_BD = signals.extra(Embeddings(self.encoder))
        check_finite(rows_BD, signals.ids_B)
        assert self.found is not None and self.space is not None, "fit has seen no rows"
        if isinstance(self.found, RaceSketch):
            return self.found.means(rows_BD, inside=True)
        return self.found.means(self.space.place(rows_BD), sample.keys_of(signals.ids_B, self.seed))

    def tally(self, outputs: Mapping[str, Tensor]) -> dict[str, float]:
        """Sums for the effective sample size, and counts of scores by powers of two."""
        return weights.tally(outputs[""])

    def review(self, tally: Mapping[str, float]) -> Review:
        """ESS of weights 1 / S, extremes, and how many documents have next to nothing near them."""
        others = max(1.0, tally["rows"] - 1)
        alone = weights.share_below(tally, 1 / others)
        narrow = (
            f"for {alone:.0%} of the documents all others together weigh less than one copy of the document would, so "
            "the kernel is too narrow; take fewer concatenations or a larger width"
        )
        # half a copy: the median is known to a part of a power of two, and the automatic kernel leaves a whole one
        said = [narrow] if weights.median(tally) * others < 0.5 else []
        if said:
            uniform = ""  # far from each other for this kernel, whatever the corpus is like
        elif self.concatenations or self.ess > weights.UNIFORM:
            uniform = "; the kernel may be too wide: take more concatenations or a smaller width"
        else:
            uniform = ": this corpus has little density structure in these embeddings"
        return weights.review(tally, {"alone_share": alone}, said, uniform)
