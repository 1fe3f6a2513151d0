"""How a tokenizer writes yes and no."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scoring.ask_llm.backend import SPELLINGS
from scoring.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Tokens = tuple[int, ...]

_BLANKS = "▁Ġ "
"""What a vocabulary has for the blank before a word."""


def spelled(tokenizer: PreTrainedTokenizerBase, answer: str) -> tuple[Tokens, ...]:
    """Every token that is a spelling of ``yes`` (or of ``no``), with and without a blank before it.

    A tokenizer that has none (of bytes, of characters, of a small vocabulary) writes them with several: then the
    sequences of tokens for the spellings, none of which begins with another, so that the probabilities of the sequences
    add. The first of several tokens alone says nothing: ``y`` also begins ``you``.

    Raises:
        InputError: The vocabulary cannot write the word.
    """
    words = {spelling.strip() for spelling in SPELLINGS[answer]}
    single = {
        (index,)
        for token, index in tokenizer.get_vocab().items()
        if token.lstrip(_BLANKS).removesuffix("</w>") in words
    }
    if single:
        return tuple(sorted(single))
    found = {tokens for spelling in SPELLINGS[answer] for tokens in _written(tokenizer, spelling)}
    shortest = {tokens for tokens in found if not any(tokens[:k] in found for k in range(1, len(tokens)))} - {
        ()
    }
    if not shortest:
        raise InputError(f"ask_llm: the tokenizer of the model cannot write {answer!r}, so it cannot answer.")
    return tuple(sorted(shortest))


def _written(tokenizer: PreTrainedTokenizerBase, text: str) -> set[Tokens]:
    """The tokens of a text at the start, and behind a line's end, where some tokenizers add no blank."""

    def encode(part: str) -> list[int]:
        return list(tokenizer(part, add_special_tokens=False)["input_ids"])

    found, line, both = [encode(text)], encode("\n"), encode(f"\n{text}")
    if both[: len(line)] == line:
        found.append(both[len(line) :])
    return {tuple(tokens) for tokens in found if tokenizer.unk_token_id not in tokens}
