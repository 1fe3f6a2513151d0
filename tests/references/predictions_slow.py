"""Agreement of predictions, votes and ensembles, one example and one pair of runs at a time."""

import math
from collections import Counter
from itertools import combinations


def argmax(p):
    best = 0
    for k in range(len(p)):
        if p[k] > p[best]:
            best = k
    return best


def disagreement(p, q):
    return sum(argmax(a) != argmax(b) for a, b in zip(p, q)) / len(p)


def variation(p, q):
    return sum(0.5 * sum(abs(x - y) for x, y in zip(a, b)) for a, b in zip(p, q)) / len(p)


def kappa_of_classes(p, q, classes):
    a, b = [argmax(x) for x in p], [argmax(x) for x in q]
    same = sum(x == y for x, y in zip(a, b)) / len(a)
    chance = sum(a.count(k) / len(a) * b.count(k) / len(b) for k in range(classes))
    return math.nan if chance == 1 else (same - chance) / (1 - chance)


def error_consistency(p, q, labels):
    a = [argmax(x) == y for x, y in zip(p, labels)]
    b = [argmax(x) == y for x, y in zip(q, labels)]
    observed = sum(x == y for x, y in zip(a, b)) / len(a)
    acc_a, acc_b = sum(a) / len(a), sum(b) / len(b)
    expected = acc_a * acc_b + (1 - acc_a) * (1 - acc_b)
    return math.nan if expected == 1 else (observed - expected) / (1 - expected)


def consensus(votes):
    """Most frequent class, ties to the lowest."""
    counts = Counter(votes)
    return min(counts, key=lambda k: (-counts[k], k))


def mean_distribution(distributions):
    return [sum(column) / len(distributions) for column in zip(*distributions)]


def entropy(p):
    return -sum(x * math.log(x) for x in p if x > 0)


def ddd(right):
    return 1 if all(right) else -1 if not any(right) else 0


def ensemble_loss(runs, labels, size):
    """Mean NLL over all ensembles of a size."""
    losses = []
    for chosen in combinations(runs, size):
        total = 0.0
        for row, label in enumerate(labels):
            total -= math.log(mean_distribution([run[row] for run in chosen])[label])
        losses.append(total / len(labels))
    return sum(losses) / len(losses)


def geometric_loss(runs, labels):
    total = 0.0
    for row, label in enumerate(labels):
        logs = [sum(math.log(run[row][k]) for run in runs) / len(runs) for k in range(len(runs[0][row]))]
        total -= logs[label] - math.log(sum(map(math.exp, logs)))
    return total / len(labels)


def divergence_to_geometric_mean(runs):
    """Mean over runs and rows of KL(normalised geometric mean || run)."""
    total = 0.0
    for row in range(len(runs[0])):
        logs = [sum(math.log(run[row][k]) for run in runs) / len(runs) for k in range(len(runs[0][row]))]
        scale = sum(map(math.exp, logs))
        centre = [math.exp(x) / scale for x in logs]
        for run in runs:
            total += sum(c * math.log(c / x) for c, x in zip(centre, run[row])) / len(runs)
    return total / len(runs[0])


def jackknife(groups, statistic):
    """Estimate and standard error; ``statistic(*groups)`` of lists of runs."""
    variance = 0.0
    for g, group in enumerate(groups):
        values = [
            statistic(*groups[:g], group[:i] + group[i + 1 :], *groups[g + 1 :]) for i in range(len(group))
        ]
        mean = sum(values) / len(values)
        variance += (len(group) - 1) / len(group) * sum((v - mean) ** 2 for v in values)
    return statistic(*groups), math.sqrt(variance)
