"""Questions about a document, and how a document is kept from answering them itself."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scoring.ask_llm.backend import Prompt
from scoring.errors import InputError, bad_value, unknown_name

PLACE = "{document}"

SACHDEVA2024 = (
    "###\n{document}\n###\n\nDoes the previous paragraph demarcated within ### and ### contain informative signal for "
    "pre-training a large-language model? An informative datapoint should be well-formatted, contain some usable "
    "knowledge of the world, and strictly NOT have any harmful, racist, sexist, etc. content.\n\n"
    "OPTIONS:\n- yes\n- no"
)

PROMPTS: Mapping[str, str] = {
    "sachdeva2024": SACHDEVA2024,
    "yes-no-answer": SACHDEVA2024.replace("OPTIONS:\n- yes\n- no", "OPTIONS: yes / no\nANSWER:"),
    "educational": (
        "###\n{document}\n###\n\nWould a teacher or a student learn something true and useful from the text between "
        "the ### lines, because it explains, shows or reports a matter clearly and coherently? Advertisements, lists "
        "of links, boilerplate, spam and text out of which no sense can be made do not count.\n\n"
        "OPTIONS: yes / no\nANSWER:"
    ),
}
"""By name. ``sachdeva2024``: figure 3 of Sachdeva et al. 2024, word for word, made for encoder-decoder models.
``yes-no-answer``: the same with an end that a model continues with the answer, for decoders without a chat template.
``educational``: of our own wording, in that form."""

_UNSEEN = "\u00ad\u200b-\u200f\u2060\ufeff\x00-\x08"
"""Characters that are not seen and that tokenizers drop."""
_CONTROL = "|".join(
    [
        r"<(?=\|[^|<>\n]{1,48}\|>)",
        r"<(?=｜[^｜<>\n]{1,48}｜>)",
        r"<(?=/?(?:s|bos|eos|pad|unk|mask|start_of_turn|end_of_turn|think|tool_call|tool_response)>)",
        r"\[(?=/?INST\])",
        r"<(?=</?SYS>>)",
    ]
)
"""The first character of what looks like a token that steers a model."""


@dataclass(frozen=True)
class Template:
    """A question with a place for the document.

    Attributes:
        name: Of a prompt of this module, or ``own``.
        before, after: Its text on both sides of the document.
        chat: Whether a chat template goes around it, where the model has one.
    """

    name: str
    before: str
    after: str
    chat: bool = True

    @classmethod
    def of(cls, prompt: str, *, chat: bool = True) -> Template:
        """From a name of ``PROMPTS``, a file ``*.txt``, or a text; the latter two have ``{document}`` in them once.

        No other brace means anything.

        Raises:
            InputError: The name is not known, the place is missing or there twice, or nothing is asked.
        """
        own = prompt not in PROMPTS
        text = PROMPTS.get(prompt, prompt)
        if own and prompt.endswith(".txt") and PLACE not in prompt:
            if not Path(prompt).is_file():
                raise bad_value("prompt", "ask_llm", prompt, "a file that is there")
            text = Path(prompt).read_text(encoding="utf-8")
        elif own and not re.search(r"[\s{}]", prompt):
            raise unknown_name("prompt", "ask_llm", prompt, PROMPTS)
        if text.count(PLACE) != 1:
            raise bad_value("prompt", "ask_llm", prompt, f"a text with {PLACE} in it exactly once")
        before, _, after = text.partition(PLACE)
        if not after.strip():
            raise InputError(
                f"ask_llm: the prompt must ask its question behind {PLACE}, where a document cannot change its "
                f"meaning, got {prompt!r}."
            )
        return cls("own" if own else prompt, before, after, chat)

    @property
    def fences(self) -> tuple[str, ...]:
        """The lines right before and right behind the document that set it off; none unless both have no blanks."""
        if not (self.before.endswith("\n") and self.after.startswith("\n")):
            return ()
        lines = (self.before[:-1].rpartition("\n")[2].strip(), self.after[1:].partition("\n")[0].strip())
        if any(len(line) < 2 or re.search(r"\s", line) for line in lines):
            return ()
        return tuple(sorted(set(lines)))

    def harmless(self, document: str, controls: Sequence[str] = ()) -> str:
        """The document with nothing in it that looks like the end of the document, or that steers the model.

        A run of the character of a fence (``###``), also in its other widths and with unseen characters between, is
        cut to one less than the fence has (``##``), wherever it stands; of any other fence (``</text>``), and of
        tokens that steer (``<|im_end|>``, ``</s>``, ``[INST]``, ``controls``), the first character gets a blank
        behind it (``< |im_end|>``). So the change can be seen in the prompt, and doing it again changes nothing.
        """
        for fence in self.fences:
            if len(set(fence)) == 1:
                document = _runs(fence).sub(fence[:-1], document)
            else:
                document = re.sub(_first(fence), r"\g<0> ", document, flags=re.IGNORECASE)
        return _controls(tuple(controls)).sub(r"\g<0> ", document)

    def prompt(self, window: str, controls: Sequence[str] = ()) -> Prompt:
        """The question about a window; the window is made harmless."""
        return Prompt(self.before, self.harmless(window, controls), self.after)

    @property
    def text(self) -> str:
        """With the place in it."""
        return self.before + PLACE + self.after


def _first(text: str) -> str:
    """A pattern of the first character of a text; of ``xyx`` also where two of them share one, as in ``xyxyx``."""
    return f"{re.escape(text[0])}(?={re.escape(text[1:])})"


@cache
def _runs(fence: str) -> re.Pattern[str]:
    """At least as many of the fence's character as it has, in any width."""
    wide = (chr(k) for k in range(sys.maxunicode + 1) if unicodedata.normalize("NFKC", chr(k)) == fence[0])
    one = f"[{re.escape(''.join(wide))}]"
    return re.compile(f"{one}(?:[{_UNSEEN}]*{one}){{{len(fence) - 1},}}")


@cache
def _controls(controls: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join([*(_first(each) for each in controls if len(each) > 1), _CONTROL]))
