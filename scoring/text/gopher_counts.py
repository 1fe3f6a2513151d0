"""Counts of words, lines and repetitions of a document, and the published limits on them.

Rules: Rae et al. 2021 (Gopher), appendix A.1.1 and table A1. Further counts: Raffel et al. 2020 (C4) keep lines that
end in a mark; Penedo et al. 2024 (FineWeb), section 3.6, limit the shares of such lines and of short ones, and lines
per word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
BULLETS = ("•", "‣", "▪", "◦", "●", "-", "*")
ELLIPSES = ("...", "…")
END_MARKS = (".", "!", "?", '"', "'", "”", "’", "。", "！", "？")
SHORT_LINE = 30

RULES: Mapping[str, tuple[float, float]] = {
    "words": (50, 100_000),
    "mean_word_length": (3, 10),
    "hashes_per_word": (0, 0.1),
    "ellipses_per_word": (0, 0.1),
    "bullet_lines": (0, 0.9),
    "ellipsis_lines": (0, 0.3),
    "alphabetic_words": (0.8, 1),
    "stop_words": (2, float("inf")),
    "duplicate_lines": (0, 0.30),
    "duplicate_paragraphs": (0, 0.30),
    "duplicate_line_characters": (0, 0.20),
    "duplicate_paragraph_characters": (0, 0.20),
    "top_2gram": (0, 0.20),
    "top_3gram": (0, 0.18),
    "top_4gram": (0, 0.16),
    "duplicate_5grams": (0, 0.15),
    "duplicate_6grams": (0, 0.14),
    "duplicate_7grams": (0, 0.13),
    "duplicate_8grams": (0, 0.12),
    "duplicate_9grams": (0, 0.11),
    "duplicate_10grams": (0, 0.10),
}
"""Least and largest value of every count that a document may have."""

COUNTS = ("characters", *RULES, "end_mark_lines", "short_lines", "lines_per_word")

_WORD = re.compile(r"[^\W_]")
_LETTER = re.compile(r"[^\W\d_]")
_PARAGRAPHS = re.compile(r"\n\s*\n")
_PUNCTUATION = re.compile(r"^[\W_]+|[\W_]+$")


def gopher_counts(text: str, stop_words: Sequence[str] = STOP_WORDS) -> dict[str, float]:
    """All ``COUNTS`` of a text; what is a share of nothing is NaN.

    Lines (without blank ones) and paragraphs (at blank lines) have no white space at their ends, nor has the text.

    * ``words``: runs without white space that hold a letter or a digit; ``mean_word_length``: of these.
    * ``hashes_per_word``, ``ellipses_per_word``, ``alphabetic_words`` (those with a letter), ``lines_per_word``:
      divided by all runs without white space.
    * ``bullet_lines``, ``ellipsis_lines``: share of lines that begin with one of ``BULLETS``, end in an ellipsis.
    * ``stop_words``: how many different ones occur, whatever their case.
    * ``duplicate_lines``, ``duplicate_paragraphs``: share of those that occurred before, and of their characters in all
      characters.
    * ``top_2gram`` ...: characters (blanks between words included) of the most frequent n-gram, of equals the longest,
      times its occurrences, in all characters; 0 where nothing occurs twice, at most 1.
    * ``duplicate_5grams`` ...: characters of n-grams that occurred before, from left to right, none counted twice, in
      all characters.
    * ``end_mark_lines``, ``short_lines``: share of lines that end in one of ``END_MARKS``, of 30 characters or fewer.
    """
    text = text.strip()
    runs = text.split()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    paragraphs = [part.strip() for part in _PARAGRAPHS.split(text)] if text else []
    words = [run for run in runs if _WORD.search(run)]
    bare = {_PUNCTUATION.sub("", word).lower() for word in words}
    line_share, line_characters = _duplicates(lines)
    paragraph_share, paragraph_characters = _duplicates(paragraphs)
    found = {
        "characters": float(len(text)),
        "words": float(len(words)),
        "mean_word_length": _over(sum(map(len, words)), len(words)),
        "hashes_per_word": _over(text.count("#"), len(runs)),
        "ellipses_per_word": _over(sum(text.count(mark) for mark in ELLIPSES), len(runs)),
        "bullet_lines": _share(line.startswith(BULLETS) for line in lines),
        "ellipsis_lines": _share(line.endswith(ELLIPSES) for line in lines),
        "alphabetic_words": _share(_LETTER.search(run) is not None for run in runs),
        "stop_words": float(len(bare.intersection(stop_words))),
        "duplicate_lines": line_share,
        "duplicate_paragraphs": paragraph_share,
        "duplicate_line_characters": _over(line_characters, len(text)),
        "duplicate_paragraph_characters": _over(paragraph_characters, len(text)),
        "end_mark_lines": _share(line.endswith(END_MARKS) for line in lines),
        "short_lines": _share(len(line) <= SHORT_LINE for line in lines),
        "lines_per_word": _over(len(lines), len(runs)),
    }
    for n in (2, 3, 4):
        found[f"top_{n}gram"] = _over(min(top_ngram_characters(runs, n), len(text)), len(text))
    some = True
    for n in range(5, 11):
        # without a repeated n-gram there is no longer one
        repeated = duplicate_ngram_characters(runs, n) if some else 0
        some = repeated > 0
        found[f"duplicate_{n}grams"] = _over(repeated, len(text))
    return found


def passed(counts: Mapping[str, float], rules: Iterable[str]) -> int:
    """How many of some rules hold; none does for a count that is NaN."""
    return sum(RULES[name][0] <= counts[name] <= RULES[name][1] for name in rules)


def top_ngram_characters(words: Sequence[str], n: int) -> int:
    """Characters of the most frequent n-gram times its occurrences."""
    counts = Counter(zip(*(words[k:] for k in range(n))))
    most = max(counts.values(), default=0)
    if most < 2:
        return 0
    return most * max(sum(map(len, gram)) + n - 1 for gram, count in counts.items() if count == most)


def duplicate_ngram_characters(words: Sequence[str], n: int) -> int:
    """Characters of words within n-grams that occurred before."""
    grams = list(zip(*(words[k:] for k in range(n))))
    if len(set(grams)) == len(grams):
        return 0
    seen: set[tuple[str, ...]] = set()
    characters, place = 0, 0
    while place < len(grams):
        if grams[place] in seen:
            characters += sum(map(len, grams[place]))
            place += n
        else:
            seen.add(grams[place])
            place += 1
    return characters


def _duplicates(parts: Sequence[str]) -> tuple[float, int]:
    """Share of parts that occurred before, and their characters."""
    counts = Counter(parts)
    again = len(parts) - len(counts)
    return _over(again, len(parts)), sum(len(part) * (count - 1) for part, count in counts.items())


def _share(flags: Iterable[bool]) -> float:
    values = list(flags)
    return _over(sum(values), len(values))


def _over(amount: float, total: float) -> float:
    return amount / total if total else float("nan")
