"""Strided windows: how a text longer than the context of a model is cut so that every token is predicted once."""

from __future__ import annotations

from dataclasses import dataclass

from scoring.errors import InputError, bad_value


@dataclass(frozen=True)
class Window:
    """Reads tokens ``start`` to ``end`` - 1 of a text, and predicts those from ``first`` on."""

    start: int
    first: int
    end: int


@dataclass(frozen=True)
class Windows:
    """At most ``size`` tokens, the begin token included; the next window starts ``stride`` tokens later.

    ``stride`` 0: one window, what lies behind it is left out. Every window begins with the begin token if the model has
    one: models lean on their first position (Xiao et al. 2024, "Efficient Streaming Language Models with Attention
    Sinks"). Where it has none, the first token of a text is context alone.
    """

    size: int
    stride: int
    begin: bool

    @classmethod
    def of(cls, window: int | None, stride: int | None, context: int, begin: bool, owner: str) -> Windows:
        """From the options of ``DocumentNats`` and what the model reads at once."""
        size = context if window is None else window
        if type(size) is not int or not 2 <= size <= context:
            raise bad_value(
                "window", owner, window, f"from 2 to {context:,}, the tokens that the model reads"
            )
        step = max(1, size // 2) if stride is None else stride
        if type(step) is not int or not 0 <= step < size:
            raise bad_value("stride", owner, stride, f"from 0 to {size - 1:,}, less than the window")
        return cls(size, step, begin)

    def cut(self, count: int, first: int = 0) -> list[Window]:
        """Windows over ``count`` tokens that predict those from ``first`` on, each once, in the order of the text."""
        room = self.size - self.begin
        done = max(first, 0 if self.begin else 1)
        windows, start = [], 0
        if self.stride and done > start + room - 1:
            # the first window that reaches what is to be predicted
            start = -(-(done + 1 - room) // self.stride) * self.stride
        while True:
            end = min(start + room, count)
            if end > done:
                windows.append(Window(start, done, end))
                done = end
            if end == count or not self.stride:
                return windows
            start += self.stride


def check_windows(window: int | None, stride: int | None, owner: str) -> None:
    """Refuse what fits no model, before one is there."""
    for name, value, least in (("window", window, 2), ("stride", stride, 0)):
        if value is not None and (type(value) is not int or value < least):
            raise bad_value(name, owner, value, f"a whole number from {least}, or none for the default")
    if window is not None and stride is not None and stride >= window:
        raise InputError(f"{owner}: stride must be less than window ({window}), got {stride}.")
