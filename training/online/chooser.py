"""Chooser: the state of an online selection inside the loop."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from scoring.batching import plan_batches
from scoring.hashing import derive_seed, hash64
from scoring.inference import forward_logits
from scoring.models import Model
from scoring.networks.inputs import Prepared
from training.job import Job
from training.online.request import OnlineSelection
from training.online.rule import Candidates, FloatArray, IntArray

MAX_TOKENS = 16_384
"""Padded tokens of one forward pass over candidates."""


class Chooser:
    """Chooses the rows of every update and counts what it chose and what that cost.

    Candidates are scored in evaluation mode without augmentation, in batches of similar length: batch statistics stay
    as they are and no random number is drawn, so a choice follows from weights, seed, step and ids alone.
    """

    def __init__(
        self,
        selection: OnlineSelection,
        job: Job,
        net: Model,
        prepared: Prepared,
        batch_size: int,
        seed: int,
        device: torch.device,
        precision: str,
    ) -> None:
        assert job.examples.labels is not None
        self.rule, self.selection, self.batch_size = selection.made, selection, batch_size
        self.net, self.prepared, self.device, self.precision = net, prepared, device, precision
        self.seed = seed
        self.candidates = selection.candidates(batch_size)
        self.steps_per_epoch = math.ceil(len(job.rows) / self.candidates)
        self.ids_N, self.labels_N = job.examples.ids[job.rows], job.examples.labels[job.rows]
        self.hashes_N = hash64(0, self.ids_N)
        self.irreducible_N = selection.irreducible(job.examples, job.rows)
        self.in_tokens = "input_ids" in prepared.batch(np.arange(1))
        self.units, self.seen = 0, 0
        self.counts: list[IntArray] = []
        """For every epoch how often each row was chosen, (N,) int32."""

    def choose(self, step: int, rows: IntArray) -> IntArray:
        """The rows of ``rows`` that update ``step`` is made on, in the order in which they were drawn."""
        count = self.selection.kept(len(rows), self.batch_size)
        seed = derive_seed("online", self.seed, step)
        hashes_L = hash64(seed, self.hashes_N[rows].view(np.int64))
        values_L = self.rule.values(
            Candidates(
                self.labels_N[rows], hashes_L, seed,
                self._logits(rows) if "logits" in self.rule.needs else None,
                None if self.irreducible_N is None else self.irreducible_N[rows],
            )
        )  # fmt: skip
        # A loss that is NaN must reach the update, where the loop stops at it.
        values_L = np.where(np.isnan(values_L), np.inf, values_L)
        chosen = rows[np.sort(np.lexsort((hashes_L, -values_L))[:count])]
        self._count(step // self.steps_per_epoch, chosen, len(rows))
        return chosen

    def _logits(self, rows: IntArray) -> FloatArray:
        lengths = self.prepared.lengths[rows]
        batches = [rows[part] for part in plan_batches(lengths, self.batch_size, MAX_TOKENS)]
        place = np.empty(int(rows.max()) + 1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        logits_LC = np.empty((len(rows), self.net.num_classes))
        for part, logits_BC in forward_logits(self.net, self.prepared, batches, self.device, self.precision):
            logits_LC[place[part]] = logits_BC.double().numpy()
            self.units += self._units(part)
        return logits_LC

    def _units(self, part: IntArray) -> int:
        """Examples, or padded tokens, of a forward pass: the unit in which FLOPs are counted."""
        if self.in_tokens:
            return len(part) * int(self.prepared.lengths[part].max())
        return len(part)

    def _count(self, epoch: int, chosen: IntArray, drawn: int) -> None:
        while len(self.counts) <= epoch:
            self.counts.append(np.zeros(len(self.ids_N), dtype=np.int32))
        self.counts[epoch][chosen] += 1
        self.seen += drawn

    def state(self) -> dict[str, Tensor]:
        """For ``restore``; rows in the order of their hashes, since the data may come in another order next time."""
        order = np.argsort(self.hashes_N, kind="stable")
        counts = np.stack(self.counts)[:, order] if self.counts else np.zeros((0, len(order)), dtype=np.int32)
        return {"counts": torch.from_numpy(counts), "cost": torch.tensor([self.units, self.seen])}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on where ``state`` was taken."""
        order = np.argsort(self.hashes_N, kind="stable")
        self.counts = []
        for counts in state["counts"].numpy():
            back = np.empty_like(counts)
            back[order] = counts
            self.counts.append(back)
        self.units, self.seen = (int(each) for each in state["cost"])
