"""Slow, obvious versions: a language model asked token by token, and Kneser-Ney smoothing with dictionaries."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch

BEGIN = -1
"""Stands before the first token of a document."""


def token_by_token(
    network: Any, ids: Sequence[int], begin: int | None, window: int, stride: int, first: int = 0
) -> list[float]:
    """-ln p of tokens ``first`` to the last, each by a forward pass over its own context alone."""
    room = window - (begin is not None)
    before = [] if begin is None else [begin]
    nats = []
    for t in range(max(first, 0 if before else 1), len(ids)):
        starts = range(0, len(ids), stride) if stride else [0]
        start = next((start for start in starts if start + room > t), None)
        if start is None:
            break
        context = [*before, *ids[start:t]]
        with torch.inference_mode():
            logits = network(input_ids=torch.tensor([context])).logits[0, -1].double()
        nats.append(-float(torch.log_softmax(logits, 0)[ids[t]]))
    return nats


class KneserNey:
    """Interpolated modified Kneser-Ney smoothing, Chen and Goodman 1999, with whole contexts as keys."""

    def __init__(self, documents: Sequence[Sequence[int]], order: int, vocabulary: int) -> None:
        self.order, self.vocabulary = order, vocabulary
        counts = [Counter[tuple[int, ...]]() for _ in range(order + 1)]
        for document in documents:
            tokens = (BEGIN, *document)
            for end in range(1, len(tokens)):
                for k in range(1, order + 1):
                    if end - k + 1 >= 0:
                        counts[k][tokens[end - k + 1 : end + 1]] += 1
        self.adjusted: list[dict[tuple[int, ...], int]] = [{}]
        for k in range(1, order + 1):
            preceded = Counter(gram[1:] for gram in counts[k + 1]) if k < order else counts[k]
            self.adjusted.append(
                {gram: times if gram[0] == BEGIN else preceded[gram] for gram, times in counts[k].items()}
            )

    def discount(self, k: int, times: int) -> float:
        """D of an order, for a count."""
        n = Counter(self.adjusted[k].values())
        at = min(times, 3)
        if not all(n[each] for each in (1, 2, 3, 4)):
            return (0.5, 1.0, 1.5)[at - 1]
        found = at - (at + 1) * (n[1] / (n[1] + 2 * n[2])) * n[at + 1] / n[at]
        return found if 0 < found <= at else (0.5, 1.0, 1.5)[at - 1]

    def probability(self, context: tuple[int, ...], token: int) -> float:
        """p of a token after a context, which begins with BEGIN if it reaches so far."""
        return self._p(context[max(0, len(context) - self.order + 1) :], token)

    def _p(self, context: tuple[int, ...], token: int) -> float:
        k = len(context) + 1
        lower = self._p(context[1:], token) if context else 1 / self.vocabulary
        after = {gram: n for gram, n in self.adjusted[k].items() if gram[:-1] == context}
        if not after:
            return lower
        total = sum(after.values())
        seen = after.get((*context, token), 0)
        left = sum(self.discount(k, n) for n in after.values())
        return (seen - (self.discount(k, seen) if seen else 0)) / total + left / total * lower

    def nats(self, document: Sequence[int]) -> list[float]:
        """-ln p of every token."""
        tokens = (BEGIN, *document)
        return [-math.log(self.probability(tokens[:t], tokens[t])) for t in range(1, len(tokens))]
