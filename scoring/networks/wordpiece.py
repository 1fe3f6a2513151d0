"""A BERT tokenizer trained on the given texts, the same for every order of the texts and in every process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from scoring.networks.inputs import IntArray

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from scoring.examples import Examples

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MOST_CHARACTERS = 1000


def train_wordpiece(examples: Examples, vocabulary: int, max_length: int) -> PreTrainedTokenizerBase:
    """A lower-casing WordPiece tokenizer of at most ``vocabulary`` tokens (more if the characters alone need them).

    The trainer of ``tokenizers`` numbers characters in the order of a hash map that differs between processes, and
    breaks ties between merges by these numbers. Handing it all characters, sorted, as its first tokens fixes both.
    """
    import numpy as np
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import BertTokenizer

    rows = np.arange(len(examples))
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    counts: Counter[str] = Counter()
    for text in _texts(examples, rows):
        counts.update(tokenizer.normalizer.normalize_str(text))
    common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    alphabet = sorted(character for character, _ in common[:MOST_CHARACTERS] if not character.isspace())
    first = [*SPECIAL, *chain.from_iterable((character, f"##{character}") for character in alphabet)]
    trainer = trainers.WordPieceTrainer(
        vocab_size=max(vocabulary, len(first)),
        min_frequency=2,
        special_tokens=first,
        limit_alphabet=len(alphabet),
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(examples, rows), trainer)
    tokens = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return BertTokenizer(vocab=dict(tokens), model_max_length=max_length)


def _texts(examples: Examples, rows: IntArray) -> Iterator[str]:
    for start in range(0, len(rows), 1024):
        for text in examples.texts(rows[start : start + 1024]):
            if isinstance(text, str):
                yield text
            else:
                yield from text
