"""The rules on words, lines and repetition by which web pages are kept or dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from scoring.errors import bad_value
from scoring.meaning import Meaning
from scoring.scorer import DocumentScorer, Outputs
from scoring.signals import Signals
from scoring.text.gopher_counts import COUNTS, RULES, STOP_WORDS, gopher_counts, passed


@dataclass(frozen=True)
class Gopher(DocumentScorer):
    """Share of the 21 rules of MassiveText that the document passes; high means quality, 1 that it would be kept.

    Rae et al. 2021, appendix A.1.1 and table A1: 8 rules on words and lines, 13 on repetition. The counts themselves
    are the side columns, with three more from C4 and FineWeb (``scoring.text.gopher_counts`` defines all); other limits
    are a matter of selecting by these. A document without a word passes no rule; shares of nothing are NaN.

    The paper does not say what a word is. Here it is what stands between white space, so that no tokenizer is needed;
    datatrove takes tokens of a language-specific tokenizer, punctuation among them. It also lets an n-gram that occurs
    once count as the most frequent one, which fails documents of a few words for repetition; here only what is
    repeated counts. ``stop_words``: of which two must occur, divided by ";"; those of the paper are English. With
    ``stop_words=none`` that rule is left out.
    """

    stop_words: str = ";".join(STOP_WORDS)
    needs: ClassVar[frozenset[str]] = frozenset({"texts"})
    meaning: ClassVar[Meaning] = "quality"
    sides: ClassVar[tuple[str, ...]] = COUNTS

    def __post_init__(self) -> None:
        if not isinstance(self.stop_words, str) or not self._stop_words():
            raise bad_value(
                "stop_words", "score: scorer 'gopher'", self.stop_words, "words divided by ;, or none"
            )

    def outputs(self, signals: Signals) -> Outputs:
        """The share of rules, and every count."""
        words = self._stop_words()
        rules = [name for name in RULES if name != "stop_words" or words != ("none",)]
        counts_B = [gopher_counts(text, words) for text in signals.texts_B]
        shares_B = [passed(counts, rules) / len(rules) if counts["words"] else 0.0 for counts in counts_B]
        found = {
            name: torch.tensor([counts[name] for counts in counts_B], dtype=torch.float64) for name in COUNTS
        }
        return {"": torch.tensor(shares_B, dtype=torch.float64), **found}

    def _stop_words(self) -> tuple[str, ...]:
        return tuple(word.strip().lower() for word in self.stop_words.split(";") if word.strip())
