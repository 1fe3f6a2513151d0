"""The gate and the choice behind it, row by row."""

from scoring.hashing import hash64


def passing_slow(labels, probabilities, ids, confidence=None, most=None):
    """Which rows pass: those whose label is the likeliest class, likely enough, or among the likeliest."""
    rows = []
    for row, label in enumerate(labels):
        best = max(range(len(probabilities[row])), key=lambda c: (probabilities[row][c], -c))
        if best == label:
            rows.append(row)
    if confidence is not None:
        return {row for row in rows if probabilities[row][labels[row]] >= confidence}
    if most is not None:
        keys = hash64(0, ids).tolist()
        rows.sort(key=lambda row: (-probabilities[row][labels[row]], keys[row]))
        return set(rows[:most])
    return set(range(len(labels)))


def highest_slow(values, rows, count):
    """The rows of the highest values, which must all differ."""
    return set(sorted(rows, key=lambda row: -values[row])[:count])
