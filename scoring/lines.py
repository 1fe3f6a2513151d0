"""Any text as one line that a terminal can show."""

from __future__ import annotations

import unicodedata


def one_line(text: object) -> str:
    """White space is one blank; what would move the cursor or colour the screen is escaped."""
    words = " ".join(str(text).split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)


def width(text: str) -> int:
    """Columns on a terminal: two for wide characters, none for those that combine."""
    return sum(_columns(c) for c in text)


def cut_to(text: str, columns: int) -> str:
    """The text, or its beginning with ``...``, in at most so many columns (3 or more)."""
    used, fits = 0, 0
    for place, character in enumerate(text):
        used += _columns(character)
        if used <= columns - 3:
            fits = place + 1
        if used > columns:
            return text[:fits].rstrip() + "..."
    return text


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def padded(text: str, columns: int, right: bool = False) -> str:
    """The text in exactly so many columns."""
    text = cut_to(text, columns)
    blanks = " " * (columns - width(text))
    return blanks + text if right else text + blanks


def wrapped(text: str, columns: int, indent: str = "  ") -> list[str]:
    """The words on lines of at most so many columns, all but the first indented."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if line.strip() and width(joined) > columns:
            lines.append(line)
            joined = indent + word
        line = cut_to(joined, columns)
    return [*lines, line] if line else lines
