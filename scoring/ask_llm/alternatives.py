"""The first token of an answer, as OpenAI-compatible servers tell it: the most probable tokens and their ln p."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from scoring.ask_llm.backend import SPELLINGS

Alternatives = Sequence[tuple[str, float]]
"""Tokens as text with ln of their probability in the softmax over the whole vocabulary, of the likeliest k."""

_BLANKS = "▁Ġ "
"""What a vocabulary has for the blank before a word, where a server does not decode."""
ROUNDING = 1e-7
"""What probabilities that were told in single precision may lack of 1 together."""


def alternatives(reply: Any) -> Alternatives | None:
    """Those of the first token of a reply; None where the server gives none.

    Reads both forms in use, at either endpoint, below ``choices[0].logprobs``: ``content[0].top_logprobs``, a list of
    ``{token, logprob}`` (chat completions; llama.cpp also for completions), and ``top_logprobs[0]``, an object of
    token -> logprob (completions of OpenAI, vLLM, SGLang). In the second, tokens that are written alike count once,
    because their names collide. A probability of 0 counts as not told, and one that is NaN spoils them all.
    """
    try:
        logprobs = reply["choices"][0]["logprobs"]
        if logprobs.get("content"):
            first = logprobs["content"][0]["top_logprobs"]
        else:
            first = logprobs["top_logprobs"][0]
        if isinstance(first, dict):
            found = [(str(token), value) for token, value in first.items()]
        else:
            found = [(str(each["token"]), each["logprob"]) for each in first]
        logs = [(token, float(value)) for token, value in found if value is not None]
        if any(math.isnan(log) for _, log in logs):
            return None
        return [(token, min(0.0, log)) for token, log in logs if log > -math.inf] or None
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None


def log_mass(found: Alternatives, answer: str) -> float:
    """ln of the probability of all spellings of ``answer`` (``yes``, ``no``) among the alternatives.

    Where no spelling is among them, each is at most as likely as the least likely alternative, and as what the k
    alternatives leave over; the smaller of the two, never above 1/(k+1), stands for the word. So ratios and ranks stay
    defined, where 0 would make them infinite, and what is not shown seems too likely rather than not likely enough.
    Spellings that are absent while others are there count as 0, and so does a word that takes several tokens, which
    one position cannot tell.
    """
    words = {spelling.strip() for spelling in SPELLINGS[answer]}
    values = [value for token, value in found if token.lstrip(_BLANKS) in words]
    if values:
        return min(0.0, math.log(math.fsum(math.exp(value - max(values)) for value in values)) + max(values))
    least = min(value for _, value in found)
    rest = 1.0 - math.fsum(math.exp(value) for _, value in found)
    return min(least, math.log(max(rest, ROUNDING)))
