"""Corpora of documents as tokens, and the part of them that is held out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from scoring.examples import Examples
from scoring.hashing import UInt64Array, fingerprint, hash64, hash_ids, uniform
from training.cell_data import DataRequest
from training.job import SPLIT_SEED
from training.pretraining.tokenizer import ByteTokenizer, TokenArray, Tokenizer, make_tokenizer

IntArray = npt.NDArray[np.int64]

OWNER = "pretrain"
HELD_OUT = 0.1
"""The share of all documents that is held out, unless said otherwise."""
BETWEEN_PAIR = "\n"
READ_AT_ONCE = 4096


@dataclass(frozen=True)
class Corpus:
    """M documents as one array of tokens, each document followed by the separator.

    Attributes:
        tokens: (A,) all tokens.
        starts: (M + 1,) where documents start in ``tokens``; the last is A.
        keys_M: a hash of the content of every document: what a document is called everywhere here.
        bytes_M: the length of every text in bytes of UTF-8.
    """

    name: str
    tokenizer: Tokenizer
    tokens: TokenArray
    starts: IntArray
    keys_M: UInt64Array
    bytes_M: IntArray

    def __len__(self) -> int:
        return len(self.keys_M)

    @cached_property
    def lengths_M(self) -> IntArray:
        """Tokens of every document, its separator included."""
        return np.diff(self.starts)

    @property
    def fingerprint(self) -> str:
        """Hex digest of the set of documents, whatever their order, and of the tokenizer's name."""
        return f"{fingerprint(self.keys_M)} {self.tokenizer.name}"

    def order(self, seed: int) -> IntArray:
        """The documents by hash of (seed, content), which the order of the data has no part in."""
        return np.argsort(hash64(seed, self.keys_M.view(np.int64)), kind="stable").astype(np.int64)

    def take(self, documents: IntArray) -> Corpus:
        """Some of the documents, in that order."""
        parts = [self.tokens[self.starts[row] : self.starts[row + 1]] for row in documents]
        starts = np.concatenate([[0], np.cumsum(self.lengths_M[documents])]).astype(np.int64)
        tokens = np.concatenate(parts) if parts else self.tokens[:0]
        return Corpus(
            self.name, self.tokenizer, tokens, starts, self.keys_M[documents], self.bytes_M[documents]
        )

    def split(self, held_out: float = HELD_OUT) -> tuple[Corpus, Corpus]:
        """The documents to train on, and those held out: about a share ``held_out``, by hash of the content alone.

        Copies of a document fall on the same side, in this corpus, in any part and in any other.
        """
        if not 0 < held_out < 1:
            raise bad_value("held_out", OWNER, held_out, "a fraction between 0 and 1")
        out = uniform(SPLIT_SEED, self.keys_M.view(np.int64)) < held_out
        if out.all() or not out.any():
            raise InputError(
                f"{OWNER}: held_out {held_out} leaves one side empty of the {len(self):,} documents of {self.name}; "
                "give more documents or another fraction."
            )
        return self.take(np.flatnonzero(~out)), self.take(np.flatnonzero(out))

    def whole_documents(self, most_tokens: int) -> Corpus:
        """The first documents by hash that together have at most ``most_tokens`` tokens, at least one."""
        order = self.order(SPLIT_SEED)
        count = int(np.searchsorted(np.cumsum(self.lengths_M[order]), most_tokens, side="right"))
        return self.take(order[: max(1, count)])


def make_corpus(
    name: str, parts: Examples | Sequence[Examples] | Iterable[str], tokenizer: Tokenizer | None = None
) -> Corpus:
    """A corpus from examples that hold texts, several of them, or plain texts; pairs are joined by a line break."""
    encoder = ByteTokenizer() if tokenizer is None else tokenizer
    tokens: list[TokenArray] = []
    keys: list[UInt64Array] = []
    sizes: list[int] = []
    end = np.array([encoder.separator], dtype=np.uint32)
    for texts in _texts(parts):
        keys.append(hash_ids(texts))
        sizes += [len(text.encode()) for text in texts]
        tokens += [np.concatenate([found, end]) for found in encoder.encode(texts)]
    if not tokens:
        raise InputError(f"{OWNER}: the corpus {name} has no documents.")
    starts = np.concatenate([[0], np.cumsum([len(each) for each in tokens])]).astype(np.int64)
    return Corpus(
        name, encoder, np.concatenate(tokens), starts, np.concatenate(keys), np.array(sizes, dtype=np.int64)
    )


def _texts(parts: Examples | Sequence[Examples] | Iterable[str]) -> Iterable[list[str]]:
    listed = [parts] if isinstance(parts, Examples) else list(parts)
    plain = [part for part in listed if isinstance(part, str)]
    if plain:
        yield plain
    for part in listed:
        if isinstance(part, str):
            continue
        if not isinstance(part, Examples):
            raise bad_value("parts", OWNER, type(part).__name__, "Examples or texts")
        for start in range(0, len(part), READ_AT_ONCE):
            rows = part.texts(np.arange(start, min(start + READ_AT_ONCE, len(part))))
            yield [row if isinstance(row, str) else BETWEEN_PAIR.join(row) for row in rows]


@dataclass(frozen=True)
class CorpusRequest:
    """A corpus that every process reads for itself: files as ``Examples.load`` takes them, and a tokenizer."""

    name: str
    parts: Sequence[DataRequest]
    tokenizer: str = "bytes"
    held_out: float = HELD_OUT

    def load(self) -> tuple[Corpus, Corpus]:
        """Documents to train on, and held out."""
        encoder = make_tokenizer(self.tokenizer)
        return make_corpus(self.name, [part.load() for part in self.parts], encoder).split(self.held_out)
