"""Slow, obvious measures of classifiers, one example after another."""

import math


def softmax(logits):
    highest = max(logits)
    each = [math.exp(value - highest) for value in logits]
    return [value / sum(each) for value in each]


def measures(logits_NC, labels_N, bins=15):
    """accuracy, loss, brier, ece, worst_class_accuracy."""
    rows = [softmax([float(v) for v in row]) for row in logits_NC]
    labels = [int(label) for label in labels_N]
    guesses = [
        max(range(len(row)), key=lambda k: (row[k], -k)) for row in [list(map(float, r)) for r in logits_NC]
    ]
    right = [float(guess == label) for guess, label in zip(guesses, labels, strict=True)]
    confidence = [row[guess] for row, guess in zip(rows, guesses, strict=True)]
    by_class = {
        label: [r for r, each in zip(right, labels, strict=True) if each == label] for label in set(labels)
    }
    return {
        "accuracy": sum(right) / len(right),
        "error": sum(1 - r for r in right) / len(right),
        "loss": sum(-math.log(row[label]) for row, label in zip(rows, labels, strict=True)) / len(rows),
        "brier": sum(
            sum((p - (k == label)) ** 2 for k, p in enumerate(row))
            for row, label in zip(rows, labels, strict=True)
        )
        / len(rows),
        "ece": equal_width_error(confidence, right, bins),
        "worst_class_accuracy": min(sum(each) / len(each) for each in by_class.values()),
    }


def equal_width_error(confidence, right, bins):
    total = 0.0
    for m in range(1, bins + 1):
        inside = [i for i, c in enumerate(confidence) if (m - 1) / bins < c <= m / bins]
        if inside:
            gap = sum(right[i] for i in inside) - sum(confidence[i] for i in inside)
            total += abs(gap) / len(confidence)
    return total


def equal_mass_error(confidence, right, bins):
    """For confidences that all differ."""
    order = sorted(range(len(confidence)), key=lambda i: confidence[i])
    parts = [[] for _ in range(bins)]
    for place, i in enumerate(order):
        parts[place * bins // len(order)].append(i)
    return sum(abs(sum(right[i] - confidence[i] for i in part)) for part in parts) / len(confidence)


def fieller_by_search(values, baseline, level=0.975):
    """Ends of the set of rho for which the t test of values - rho baseline does not reject, by bisection."""
    from scipy import stats

    n = len(values)
    t = stats.t.ppf(level, n - 1)

    def accepted(rho):
        d = [v - rho * b for v, b in zip(values, baseline, strict=True)]
        mean = sum(d) / n
        sd = math.sqrt(sum((x - mean) ** 2 for x in d) / (n - 1))
        return abs(mean) <= t * sd / math.sqrt(n)

    centre, ends = sum(values) / sum(baseline), []
    for sign in (-1, 1):
        inside, step = centre, 1e-3
        while accepted(centre + sign * step):
            inside, step = centre + sign * step, step * 2
        outside = centre + sign * step
        for _ in range(200):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if accepted(middle) else (inside, middle)
        ends.append(inside - 1)
    return ends
