"""A report as text for a terminal of 100 columns, without colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scoring.lines import one_line, padded, width, wrapped

COLUMNS = 100
BAR = 20
EIGHTHS = " ▏▎▍▌▋▊▉█"
MOST_GROUPS = 20
ENDS_SHOWN = 8
LEAST_NAME, MOST_NAME = 8, 48


def write_report(document: dict[str, Any]) -> str:
    """All sections, in the order of what one asks first; lines have at most 100 columns."""
    sections = [_head(document), _warnings(document["warnings"])]
    sections += [_groups(kind, document[kind]) for kind in ("classes", "domains") if kind in document]
    if "lengths" in document:
        sections.append(_lengths(document["lengths"]))
    if "histogram" in document:
        sections += [_histogram(document), _cut(document), _discarded(document.get("discarded"))]
    sections += [_overlap(document["overlap"], document["by"]), _weights(document)]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _head(document: dict[str, Any]) -> list[str]:
    share = "" if document["share"] is None else f" ({percent(document['share'])})"
    copies = f", {document['copies']:,} with copies" if document["copies"] else ""
    lines = [f"kept {document['kept']:,} of {document['rows']:,} rows{share}{copies}"]
    usual = {"nan": "error", "weight": "one", "balance": "none", "allow_short": False, "seed": 0}
    rule = {name: value for name, value in document["select"].items() if value not in (None, {})}
    options = {k: v for k, v in (rule.pop("options", None) or {}).items() if v is not None}
    told = {name: value for name, value in (rule | options).items() if usual.get(name, "") != value}
    return lines + _wrapped(", ".join(f"{name} {one_line(value)}" for name, value in told.items()))


def _warnings(warnings: Sequence[str]) -> list[str]:
    return [line for words in warnings for line in _wrapped(f"WARNING: {one_line(words)}", "         ")]


def _groups(kind: str, found: dict[str, Any]) -> list[str]:
    groups = found["groups"]
    title = f"Kept by {kind.removesuffix('es') if kind == 'classes' else 'domain'}"
    shown = groups
    if len(groups) > MOST_GROUPS:
        by_share = sorted(groups, key=lambda row: row["share"])
        shown = [*by_share[:ENDS_SHOWN], None, *by_share[-ENDS_SHOWN:]]
        title += f": the least and the most kept of {len(groups):,}"
    rows = [
        ["..."]
        if row is None
        else [one_line(row["group"]), f"{row['rows']:,}", f"{row['kept']:,}", _share(row)]
        for row in shown
    ]
    return _table(title, [kind, "rows", "kept", "share"], rows)


def _share(row: dict[str, Any]) -> str:
    return "NONE" if row["kept"] == 0 else percent(row["share"])


def _lengths(found: dict[str, Any]) -> list[str]:
    rows = [
        [_bucket(at, row), f"{row['rows']:,}", f"{row['kept']:,}", _share(row)]
        for at, row in enumerate(found["buckets"])
    ]
    column = one_line(found["column"])
    total = f" ({percent(found['kept'] / found['total'])})" if found["total"] else ""
    lines = _table(f"Kept by length ({column})", [column, "rows", "kept", "share"], rows)
    unknown = f"; {found['unknown']:,} rows have no length" if found["unknown"] else ""
    return [*lines, f"{number(found['kept'])} of {number(found['total'])} {column}{total}{unknown}"]


def _bucket(at: int, row: dict[str, Any]) -> str:
    span = f"{number(row['low'])} to {number(row['high'])}"
    return f"over {span}" if at else span


def _histogram(document: dict[str, Any]) -> list[str]:
    found = document["histogram"]
    edges, before, after = found["edges"], found["before"], found["after"]
    lines = _wrapped(
        f"Scores before and after: {one_line(document['by'])} (high means {document['meaning']})"
    )
    if edges:
        lines.append(f"{'score':>23} {'all rows':>{BAR + 12}} {'kept':>{BAR + 12}} {'share':>7}")
    parts = [max(sum(counts), 1) for counts in (before, after)]
    longest = max([*(b / parts[0] for b in before), *(a / parts[1] for a in after)], default=0) or 1
    for at, (all_rows, kept) in enumerate(zip(before, after)):
        span = padded(f"{number(edges[at])} to {number(edges[at + 1])}", 23, right=True)
        bars = [bar(count / part / longest) for count, part in zip((all_rows, kept), parts)]
        share = percent(kept / all_rows) if all_rows else ""
        lines.append(f"{span} {bars[0]} {all_rows:>11,} {bars[1]} {kept:>11,} {share:>7}".rstrip())
    for name, words in (("missing", "without a score"), ("infinite", "with an infinite score")):
        if found[name]["rows"]:
            lines.append(f"{found[name]['rows']:,} rows {words}, {found[name]['kept']:,} of them kept")
    return lines


def _cut(document: dict[str, Any]) -> list[str]:
    cut = document["cut"]
    if cut is None:
        return ["No cut: the kept rows are no single stretch of the ranking by this score, or were drawn."]
    lines = ["The cut"]
    intervals = cut["stability"]["interval_95"] if cut["stability"] else [None] * len(cut["ends"])
    for end, interval in zip(cut["ends"], intervals):
        least = "lowest" if end["side"] == "lower" else "highest"
        firm = (
            f", 95 % of bootstrap cuts in {number(interval[0])} to {number(interval[1])}" if interval else ""
        )
        lines.append(f"{least} kept score {number(end['score'])}{firm}")
        for name, words in (("just_kept", "just kept"), ("just_dropped", "just dropped")):
            for row in end[name]:
                lines.append(_example(words, row))
    if cut["stability"]:
        found = cut["stability"]
        low, high = found["overlap"]["range_95"]
        rows = found["rows_95"]
        lines += _wrapped(
            f"Set on a bootstrap sample, the cut would keep {rows[0]:,} to {rows[1]:,} of these rows (95 %); Jaccard "
            f"with what is kept {found['overlap']['mean']:.3f} ({low:.3f} to {high:.3f})"
        )
    else:
        lines.append("The threshold was given, so it does not move with the data.")
    return lines


def _example(words: str, row: dict[str, Any]) -> str:
    told = [
        f"  {words:<12}",
        padded(number(row["score"]), 9, right=True),
        " ",
        padded(one_line(row["id"]), 16),
    ]
    if "label" in row:
        told += [" ", padded(one_line(row["label"]), 18)]
    start = "".join(told)
    if "example" in row:
        start = padded(f"{start} {one_line(row['example'])}", COLUMNS)
    return start.rstrip()


def _discarded(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    tails = found["tails"]
    header = ["Dropped of", *(f"{tail['tail']:.0%}" for tail in next(iter(tails.values())))]
    rows = [[f"the {name}", *(percent(tail["dropped"]) for tail in tail_N)] for name, tail_N in tails.items()]
    mass = "" if found["mass"] is None else f", {percent(found['mass'])} of the sum of scores"
    return [*_table("", header, rows), f"of all rows {percent(found['rows'])}{mass}"]


def _overlap(found: dict[str, Any], by: str | None) -> list[str]:
    lines = []
    if found["random"] and found["random"]["jaccard"] is not None:
        chance = found["random"]["chance"]
        lines.append(
            f"with a random subset of this size   Jaccard {found['random']['jaccard']:.4f}, expected "
            f"{chance['mean']:.4f} ({chance['low']:.4f} to {chance['high']:.4f})"
        )
    if second := found.get("versus"):
        name = f"with the {second['rows']:,} {second['take']} by {one_line(second['by'])}"
        overlap = "none" if second["jaccard"] is None else f"{second['jaccard']:.4f}"
        chance = "" if second["chance"] is None else f", by chance {second['chance']['mean']:.4f}"
        lines += _wrapped(f"{name}: Jaccard {overlap}{chance}, {second['common']:,} rows in common")
        related = second["correlation"]
        if related["spearman"] is None:
            lines += _wrapped(
                f"no correlation of {one_line(by)} and {one_line(second['by'])}: one is constant"
            )
        else:
            turned = ", both turned so that high is hard" if related["turned"] else ""
            lines += _wrapped(
                f"{one_line(by)} and {one_line(second['by'])}: Spearman {related['spearman']:.3f}, Kendall "
                f"{related['kendall']:.3f}{turned}"
            )
    return ["Overlap", *lines] if lines else []


def _weights(document: dict[str, Any]) -> list[str]:
    found = document["weights"]
    if found["weight"] is None:
        return []
    (light, heavy), (rare, sure) = found["weight"], found["probability"]
    lines = [f"Weights {_span(light, heavy)}, inclusion probabilities {_span(rare, sure)}"]
    if found["effective"] is not None and light < heavy:
        lines.append(
            f"effective sample size {found['effective']:,.1f} of {document['kept']:,}; the largest weight is "
            f"{percent(found['largest_share'])} of all"
        )
    if found["zero"]:
        lines.append(f"{found['zero']:,} rows have weight 0")
    return lines


def _span(low: float, high: float) -> str:
    return f"{number(low)} to {number(high)}" if low < high else f"all {number(low)}"


def percent(share: float) -> str:
    """``12.3%``; never 0.0% or 100.0% for what is not none or all."""
    told = f"{100 * share:.1f}%"
    if told == "0.0%" and share > 0:
        return "<0.1%"
    return ">99.9%" if told == "100.0%" and share < 1 else told


def number(value: float) -> str:
    """Four significant digits; whole numbers below a billion in full."""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e9 else f"{value:.4g}"


def bar(share: float, columns: int = BAR) -> str:
    """A bar of block characters of that share of the columns, padded; the least that is not nothing shows."""
    eighths = round(share * columns * 8)
    eighths = max(eighths, 1) if share > 0 else 0
    whole, rest = divmod(eighths, 8)
    return padded("█" * whole + EIGHTHS[rest].strip(), columns)


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A column of names and columns of numbers."""
    widest = max([width(header[0]), *(width(row[0]) for row in rows)])
    first = min(max(LEAST_NAME, widest), MOST_NAME)
    lines = [title] if title else []
    for cells in (header, *rows):
        lines.append(
            (padded(cells[0], first) + "".join(padded(cell, 12, right=True) for cell in cells[1:])).rstrip()
        )
    return lines


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return wrapped(text, COLUMNS, indent)
