"""Every scorer in its slowest obvious form: one example, Python floats, written from the formulas of the papers.

``REFERENCES[name](logits_TC, y)`` is the score of one example in one run: T lists of C logits and its label.
``over_runs(name, values)`` combines R such scores, ``side(name, logits_TC, y)`` are the side columns.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

Logits = Sequence[Sequence[float]]
Reference = Callable[[Logits, int], float]


def log_softmax(z):
    m = max(z)
    norm = m + math.log(math.fsum(math.exp(v - m) for v in z))
    return [v - norm for v in z]


def softmax(z):
    return [math.exp(v) for v in log_softmax(z)]


def loss(z, y):
    return -log_softmax(z)[y]


def entropy(z):
    return -math.fsum(math.exp(v) * v for v in log_softmax(z))


def errors(z, y):
    return [p - (k == y) for k, p in enumerate(softmax(z))]


def el2n(z, y):
    return math.sqrt(math.fsum(e * e for e in errors(z, y)))


def margin(values, y):
    return values[y] - max(v for k, v in enumerate(values) if k != y)


def top_two(z):
    first, second = sorted(softmax(z), reverse=True)[:2]
    return first - second


def predicted(z):
    return min(k for k, v in enumerate(z) if v == max(z))


def right(zs, y):
    """a_t for every t."""
    return [predicted(z) == y for z in zs]


def mean(values):
    return math.fsum(values) / len(values)


def variance(values, ddof=0):
    middle = mean(values)
    return math.fsum((v - middle) ** 2 for v in values) / (len(values) - ddof)


def early(zs):
    """Checkpoints are the steps 1..T: the nearest to T / 10, the earlier of two."""
    return zs[min(range(len(zs)), key=lambda i: (abs(i + 1 - 0.1 * len(zs)), i))]


def forgetting(zs, y, never):
    a = right(zs, y)
    return never(len(a)) if not any(a) else sum(before and not after for before, after in pairwise(a))


def first_learned(zs, y):
    a = right(zs, y)
    return a.index(True) if any(a) else len(a)


def iteration_learned(zs, y):
    a = right(zs, y)
    return next(t for t in range(len(a) + 1) if all(a[t:]))


def unforgettable(zs, y):
    a = right(zs, y)
    return float(any(a) and not any(before and not after for before, after in pairwise(a)))


def label_probs(zs, y):
    return [softmax(z)[y] for z in zs]


def confidence_weighted_entropy(z, y):
    s = entropy(z) / math.log(len(z)) / max(softmax(z)[y], 1e-6)
    return 1.0 if s == 0 else math.log1p(s) / s


REFERENCES: dict[str, Reference] = {
    "accuracy_over_time": lambda zs, y: mean(right(zs, y)),
    "aum": lambda zs, y: mean([margin(z, y) for z in zs]),
    "aum:ccs-sum": lambda zs, y: math.fsum(margin(softmax(z), y) for z in zs),
    "confidence": lambda zs, y: softmax(zs[-1])[y],
    "confidence_weighted_entropy": lambda zs, y: confidence_weighted_entropy(zs[-1], y),
    "consensus_label": lambda zs, y: predicted(zs[-1]),
    "correctness": lambda zs, y: sum(right(zs, y)),
    "ddd": lambda zs, y: 1.0 if right(zs, y)[-1] else -1.0,
    "el2n": lambda zs, y: el2n(early(zs), y),
    "el2n:brier": lambda zs, y: el2n(early(zs), y) ** 2,
    "el2n:ccs-sum": lambda zs, y: math.fsum(el2n(z, y) for z in zs[:10]),
    "el2n:l1": lambda zs, y: math.fsum(abs(e) for e in errors(early(zs), y)),
    "el2n:paul2021": lambda zs, y: el2n(early(zs), y),
    "entropy": lambda zs, y: entropy(zs[-1]),
    "entropy:normalized": lambda zs, y: entropy(zs[-1]) / math.log(len(zs[-1])),
    "first_learned": first_learned,
    "forgetting": lambda zs, y: forgetting(zs, y, lambda t: t),
    "forgetting:cartography": lambda zs, y: forgetting(zs, y, lambda t: 1000),
    "forgetting:deepcore": lambda zs, y: forgetting(zs, y, lambda t: 0),
    "forgetting:paul2021": lambda zs, y: forgetting(zs, y, lambda t: math.inf),
    "forgetting:toneva2019": lambda zs, y: forgetting(zs, y, lambda t: t),
    "iteration_learned": iteration_learned,
    "loss": lambda zs, y: loss(zs[-1], y),
    "margin": lambda zs, y: margin(softmax(zs[-1]), y),
    "margin:label": lambda zs, y: margin(softmax(zs[-1]), y),
    "margin:logit": lambda zs, y: margin(zs[-1], y),
    "margin:top2": lambda zs, y: top_two(zs[-1]),
    "max_confidence": lambda zs, y: max(softmax(zs[-1])),
    "mean_confidence": lambda zs, y: mean(label_probs(zs, y)),
    "normalized_margin": lambda zs, y: (margin(softmax(zs[-1]), y) + 1) / 2,
    "self_confidence": lambda zs, y: softmax(zs[-1])[y],
    "threshold_closeness": lambda zs, y: mean(label_probs(zs, y)) * (1 - mean(label_probs(zs, y))),
    "unforgettable": unforgettable,
    "variability": lambda zs, y: math.sqrt(variance(label_probs(zs, y))),
    # step rules
    "el2n@last": lambda zs, y: el2n(zs[-1], y),
    "loss@first": lambda zs, y: loss(zs[0], y),
    "loss@max": lambda zs, y: max(loss(z, y) for z in zs),
    "loss@mean": lambda zs, y: mean([loss(z, y) for z in zs]),
    "loss@min": lambda zs, y: min(loss(z, y) for z in zs),
    "loss@std": lambda zs, y: math.sqrt(variance([loss(z, y) for z in zs])),
    "loss@step=1": lambda zs, y: loss(zs[0], y),
    "loss@sum": lambda zs, y: math.fsum(loss(z, y) for z in zs),
    "loss@var": lambda zs, y: variance([loss(z, y) for z in zs]),
}

SUMMED_OVER_RUNS = ("forgetting", "forgetting:toneva2019")
WITH_MASK = ("first_learned", "forgetting")


def over_runs(name, values):
    if name == "ddd":
        return values[0] if len(set(values)) == 1 else 0.0
    if name == "consensus_label":
        return max(sorted(set(values)), key=values.count)
    return sum(values) if name in SUMMED_OVER_RUNS else mean(values)


def se_over_runs(name, values):
    """Standard error of ``over_runs``; NaN if it has none."""
    if len(values) == 1 or name in ("consensus_label", "ddd") or not all(map(math.isfinite, values)):
        return math.nan
    return math.sqrt(variance(values, ddof=1) / len(values)) * (
        len(values) if name in SUMMED_OVER_RUNS else 1
    )


def never_learned(zs, y):
    return float(not any(right(zs, y)))


def adjusted_probs(logits_NC, labels_N):
    """Probabilities of every example after each class's own level is taken away (label quality, ``adjust``)."""
    probs = [softmax(z) for z in logits_NC]
    classes = range(len(probs[0]))
    own = [[p[k] for p, y in zip(probs, labels_N) if y == k] for k in classes]
    level = [max(mean(values), 2e-6) if values else 2.0 for values in own]
    shifted = [[p[k] - level[k] + max(level) for k in classes] for p in probs]
    return [[v / math.fsum(row) for v in row] for row in shifted]
