"""Which classes or groups to judge by: those of much signal and little noise; some seeds choose, others judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from scoring.errors import InputError
from training.laws.evaluations.rank_agreement import decision_accuracy
from training.laws.evaluations.signal_noise import best_subtasks, signal_noise
from training.studies.significance.ways_by_seeds import OWNER, Floats, ways_by_seeds


@dataclass(frozen=True)
class ReliableGroups:
    """Groups that were kept, and what that did on seeds that did not choose.

    Attributes:
        groups: All of them; ``kept`` those whose mean has the highest ratio of signal to noise on the choosing seeds.
        ratio_all, ratio_kept: Signal over noise of the mean over groups, on the judging seeds.
        accuracy_all, accuracy_kept: Share of pairs of ways that the mean over groups on the choosing seeds
            orders as the mean over all groups does on the judging seeds.
    """

    groups: tuple[str, ...]
    kept: tuple[str, ...]
    ratio_all: float
    ratio_kept: float
    accuracy_all: float
    accuracy_kept: float


def reliable_groups(
    table: pa.Table,
    metric: str = "accuracy",
    *,
    prefix: str = "class:",
    split: str | None = None,
    **where: Any,
) -> ReliableGroups:
    """Keep the groups whose names begin with ``prefix`` that tell the ways apart, in one world of the table.

    The first half of the seeds (rounded up) chooses; the others judge. Two seeds or more each are needed.
    """
    names = [each for each in dict.fromkeys(table["group"].to_pylist()) if each.startswith(prefix)]
    values: list[Floats] = []
    kept: list[str] = []
    for name in names:
        found = ways_by_seeds(table, metric, split=split, group=name, **where)
        if len(found) > 1:
            raise InputError(
                f"{OWNER}: name one world of {'; '.join(each.told for each in found)}, as in budget='30%'."
            )
        if found:
            values.append(found[0].last_WS)
            kept.append(name)
    if len(values) < 2 or len({each.shape for each in values}) > 1:
        raise InputError(
            f"{OWNER}: at least 2 groups {prefix!r} with the same ways and seeds are needed, got {len(values)}."
        )
    return filter_groups(np.stack(values), tuple(kept))


def filter_groups(scores_GWS: Floats, names: tuple[str, ...]) -> ReliableGroups:
    """The same from an array: G groups, W ways, S seeds."""
    seeds = scores_GWS.shape[2]
    half = (seeds + 1) // 2
    if seeds - half < 2:
        raise InputError(
            f"{OWNER}: groups are chosen on half of the seeds; at least 4 are needed, got {seeds}."
        )
    choosing, judging = scores_GWS[:, :, :half], scores_GWS[:, :, half:]
    kept = best_subtasks(choosing, last=half).kept

    def ratio(values_GWS: Floats) -> float:
        return signal_noise(values_GWS.mean(axis=0), last=seeds, independent=True).ratio.value

    truth_W = judging.mean(axis=(0, 2))
    return ReliableGroups(
        names, tuple(names[at] for at in kept), ratio(judging), ratio(judging[kept]),
        decision_accuracy(choosing.mean(axis=(0, 2)), truth_W),
        decision_accuracy(choosing[kept].mean(axis=(0, 2)), truth_W),
    )  # fmt: skip
