"""What scoring a corpus will cost, from a pilot on a few of its documents."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scoring.corpus.ledger import Cost, Ledger
from scoring.corpus.wording import count, duration, need_name, size
from scoring.errors import InputError, bad_value
from scoring.hashing import hash64
from scoring.needs import Need
from scoring.plan import Column, needs_of, parse_columns
from scoring.scorer import Scorer
from scoring.sources.corpus import PASS, CorpusSource

if TYPE_CHECKING:
    from scoring.examples import Examples

GROUPS = 5
"""Of the pilot; how much they differ gives the intervals."""
FLOP_PER_SECOND = 989e12
"""Of an H100 SXM in dense bfloat16, by its data sheet."""
UTILISATION = 0.4
"""An assumption about forward passes in large batches; 0.2 to 0.6 is usual."""


@dataclass(frozen=True)
class Range:
    """A number with its 95 % interval; None at both ends where one group is all there is."""

    value: float
    low: float | None
    high: float | None

    def times(self, factor: float) -> Range:
        """The same in another unit."""
        low, high = (None if end is None else end * factor for end in (self.low, self.high))
        return Range(self.value * factor, low, high)


@dataclass(frozen=True)
class SignalEstimate:
    """What one signal of all documents will cost; ``flops`` is None where nobody knows the size of the model."""

    name: str
    tokens: Range
    seconds: Range
    flops: Range | None


@dataclass(frozen=True)
class Estimate:
    """What scoring all documents will cost.

    Attributes:
        documents, pilot, groups: How many there are, how many were scored, and in how many groups.
        start_seconds: To load models and to read a target; once, and in no other number.
        signals: What is dear, one by one.
        tokens, seconds, flops: Of all signals; seconds also of reading the texts, on this machine, as busy as it was.
            ``flops`` is of the signals that it is known of, None if of none.
        gpu_hours: ``flops`` on one accelerator of ``flop_per_second`` at ``utilisation``.
        work_bytes, table_bytes: On disk while scoring (over shards, what collective scorers read lies there once
            more), and of the table, before compression.
    """

    documents: int
    pilot: int
    groups: int
    start_seconds: float
    signals: Sequence[SignalEstimate]
    tokens: Range
    seconds: Range
    flops: Range | None
    gpu_hours: Range | None
    flop_per_second: float
    utilisation: float
    work_bytes: float
    table_bytes: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    def text(self) -> str:
        """For people."""
        lines = [
            f"Pilot: {self.pilot:,} of {self.documents:,} documents, those of the lowest hash, in {self.groups} "
            "groups. Ranges are 95 % intervals from how the groups differ.",
            f"Start: {duration(self.start_seconds)}, once.",
        ]
        for signal in self.signals:
            flops = "operations unknown" if signal.flops is None else f"{signal.flops.value:.2e} FLOPs"
            tokens, seconds = _between(signal.tokens, count), _between(signal.seconds, duration)
            lines.append(f"{signal.name}: {tokens} tokens, {seconds}, {flops}.")
        if not self.signals:
            lines.append("Nothing that was asked for needs a model.")
        lines.append(f"All documents here, as now: {_between(self.seconds, duration)}.")
        if self.gpu_hours is not None:
            lines.append(
                f"On one accelerator: {_between(self.gpu_hours.times(3600), duration)}, at {self.utilisation:.0%} of "
                f"{self.flop_per_second:.3g} FLOP/s (an assumption: state your own)."
            )
        disk = f"Disk: {size(self.table_bytes)} for the table"
        lines.append(
            f"{disk}, and {size(self.work_bytes)} while it is made." if self.work_bytes else f"{disk}."
        )
        return "\n".join(lines)


def estimate(
    examples: Examples,
    scorers: str | Scorer | Sequence[str | Scorer],
    documents: int = 200,
    *,
    flop_per_second: float = FLOP_PER_SECOND,
    utilisation: float = UTILISATION,
    parameters: float | None = None,
    **options: Any,
) -> Estimate:
    """Score ``documents`` of the examples and say what all of them will cost, before that is paid.

    The pilot takes the documents of the lowest hash of their ids, so it is the same at every call and a random sample.
    One document first loads what is to be loaded; then come the groups. Each total is N times the mean over documents,
    its interval from the variance between the groups (Student's t, less the part of the corpus that the pilot is).
    What is measured is the signals that come from models, and reading; not the scorers' own arithmetic, nor second
    looks of scorers that fit at what is not kept. A server with more requests at a time than a group has documents is
    faster than this says. Nothing is written.

    Args:
        flop_per_second, utilisation: Of the accelerator that GPU-hours are counted for, and the share of it that is
            put to use.
        parameters: Of a model behind a server that does not say: two operations per parameter and token.
        options: Of ``score`` of a corpus: ``llm``, ``lm``, ``encoder``, ``target``, ``device`` ...

    Raises:
        InputError: As ``score``.
    """
    if not isinstance(documents, int) or documents < 1:
        raise bad_value("documents", "estimate", documents, "a whole number from 1")
    if not flop_per_second > 0 or not 0 < utilisation <= 1:
        wrong = {"flop_per_second": flop_per_second, "utilisation": utilisation}
        raise bad_value("flop_per_second and utilisation", "estimate", wrong, "above 0, the second at most 1")
    if len(examples) == 0:
        raise InputError("estimate: there are no documents.")
    columns = parse_columns(scorers)
    chosen = np.argsort(hash64(0, examples.ids), kind="stable")[:documents]
    pilot = examples.take(chosen)  # in the order of hashes, so that groups are random, too
    source = CorpusSource(pilot, **options)
    source.check_reads({column.name: column.scorer.needs for column in columns})
    needs = needs_of(columns)
    source.prepare(needs)
    together = needs_of([column for column in columns if column.collective])

    started = perf_counter()
    _spend(source, needs, together, np.arange(1))
    start_seconds = perf_counter() - started
    groups = [
        _spend(source, needs, together, rows)
        for rows in np.array_split(np.arange(len(pilot)), min(GROUPS, len(pilot)))
    ]

    def total(per_group: Sequence[float]) -> Range:
        return _total(per_group, groups, len(examples))

    signals = []
    for need in sorted(source.providers, key=repr):
        costs = [group.costs.get(repr(need), Cost()) for group in groups]
        flops_G = [_flops(cost, parameters) for cost in costs]
        signals.append(
            SignalEstimate(
                need_name(need),
                total([cost.tokens for cost in costs]),
                total([cost.seconds for cost in costs]),
                total(flops_G) if any(flops_G) else None,
            )
        )
    flops_G = [sum(_flops(cost, parameters) for cost in group.costs.values()) for group in groups]
    flops = total(flops_G) if any(flops_G) else None
    return Estimate(
        documents=len(examples),
        pilot=len(pilot),
        groups=len(groups),
        start_seconds=start_seconds,
        signals=tuple(signals),
        tokens=total([sum(cost.tokens for cost in group.costs.values()) for group in groups]),
        seconds=total([group.seconds for group in groups]),
        flops=flops,
        gpu_hours=None if flops is None else flops.times(1 / (flop_per_second * utilisation * 3600)),
        flop_per_second=flop_per_second,
        utilisation=utilisation,
        work_bytes=sum(group.kept_bytes for group in groups) / len(pilot) * len(examples),
        table_bytes=float(len(examples) * (8 * _width(columns) + _id_bytes(pilot))),
    )


@dataclass(frozen=True)
class _Group:
    """What some documents of the pilot cost."""

    documents: int
    seconds: float
    costs: Mapping[str, Cost]
    kept_bytes: int


def _spend(
    source: CorpusSource, needs: frozenset[Need], together: frozenset[Need], rows: npt.NDArray[np.int64]
) -> _Group:
    """Read all signals of some rows; those that some scorer reads ``together`` of all rows are stored for it."""
    source.ledger = Ledger()
    kept = 0
    started = perf_counter()
    for _, signals in source.read(PASS, needs, rows):
        assert signals.documents is not None
        _ = signals.documents.texts_B if source.examples.kind == "text" else None
        for need, values in signals.extras.items():
            times = int(source.providers[need].keeps) + int(need in together)
            kept += times * sum(value.nbytes for value in values)
    return _Group(len(rows), perf_counter() - started, source.ledger.signals, kept)


def _total(spent: Sequence[float], groups: Sequence[_Group], documents: int) -> Range:
    """N times the mean per document, with the interval from groups; at least what the pilot has spent already."""
    from scipy.stats import t

    pilot = sum(group.documents for group in groups)
    value = documents * sum(spent) / pilot
    if len(groups) == 1:
        return Range(value, None, None)
    means = np.array([cost / group.documents for cost, group in zip(spent, groups, strict=True)])
    error = means.std(ddof=1) / math.sqrt(len(groups)) * math.sqrt(1 - pilot / documents)
    half = float(t.ppf(0.975, len(groups) - 1)) * documents * float(error)
    return Range(value, max(value - half, float(sum(spent))), value + half)


def _flops(cost: Cost, parameters: float | None) -> float:
    return cost.flops or 2.0 * (parameters or 0.0) * cost.tokens


def _width(columns: Sequence[Column]) -> int:
    """Numbers per document in the table."""
    return sum(1 + len(getattr(column.scorer, "sides", ())) for column in columns)


def _id_bytes(examples: Examples) -> float:
    if examples.ids.dtype.kind in "iu":
        return 8.0
    return float(np.mean([len(str(each).encode()) for each in examples.ids.tolist()]))


def _between(value: Range, show: Callable[[float], str]) -> str:
    if value.low is None or value.high is None:
        return show(value.value)
    return f"{show(value.value)} ({show(value.low)} to {show(value.high)})"
