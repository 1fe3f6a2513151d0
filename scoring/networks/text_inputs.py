"""Texts as model inputs: token ids for transformers, hashed bags of n-grams for linear models."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scoring.networks.inputs import Batch, Inputs, IntArray, Prepared

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from scoring.examples import Examples

# Words of one letter count too, unlike in scikit-learn's default.
_WORD = r"(?u)\b\w+\b"
_DEFAULT_NGRAMS = {"word": (1, 2), "char": (2, 4), "char_wb": (2, 4)}
_BLOCK = 1024


class Ragged:
    """N rows of different length in one flat array: row n is ``flat[starts[n]:starts[n + 1]]``."""

    def __init__(self, lengths_N: IntArray) -> None:
        self.starts = np.concatenate([[0], np.cumsum(lengths_N, dtype=np.int64)])

    def positions(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Positions in the flat array of all elements of these rows, (M,), and the length of each row."""
        lengths = self.starts[rows + 1] - self.starts[rows]
        before = np.cumsum(lengths) - lengths
        return np.repeat(self.starts[rows] - before, lengths) + np.arange(lengths.sum()), lengths


class BagInputs(Inputs):
    """Bags of hashed n-grams: buckets (M,), weights (M,) and offsets (B,), see ``architectures.BagClassifier``.

    A weight is the count of the term, or 1 + ln(count) with ``sublinear_tf``; the inverse document frequency belongs
    to the network. The texts of a pair are hashed into different halves of the buckets.
    """

    kind = "text"

    def __init__(
        self, *, analyzer: str, ngrams: tuple[int, int], buckets: int, sublinear_tf: bool, pairs: bool
    ) -> None:
        self.analyzer, self.ngrams, self.buckets = analyzer, (int(ngrams[0]), int(ngrams[1])), buckets
        self.sublinear_tf, self.pairs = sublinear_tf, pairs
        self._fitted: tuple[Examples, BagPrepared] | None = None

    @classmethod
    def from_options(cls, options: dict[str, Any], *, pairs: bool) -> BagInputs:
        """From the options of ``linear`` and ``mlp``; words make 1-2-grams by default, characters 2-4-grams."""
        names = ("analyzer", "buckets", "sublinear_tf")
        ngrams = options["ngrams"] or _DEFAULT_NGRAMS[options["analyzer"]]
        return cls(ngrams=ngrams, pairs=pairs, **{name: options[name] for name in names})

    def fit(self, examples: Examples) -> npt.NDArray[np.float32]:
        """Smooth inverse document frequency ln((1 + N) / (1 + df)) + 1 of every bucket, (buckets,).

        The hashed texts are kept for the first ``prepare`` of the same examples, so that training hashes once.
        """
        prepared = self._hashed(examples, np.arange(len(examples)))
        self._fitted = (examples, prepared)
        frequencies = np.bincount(prepared.buckets, minlength=self.buckets)
        return (np.log((1 + len(prepared)) / (1 + frequencies)) + 1).astype(np.float32)

    def prepare(self, examples: Examples, rows: IntArray | None = None) -> Prepared:
        chosen = self.rows_of(examples, rows)
        if self._fitted is not None and rows is None and self._fitted[0] is examples:
            prepared, self._fitted = self._fitted[1], None
            return prepared
        return self._hashed(examples, chosen)

    def _hashed(self, examples: Examples, rows: IntArray) -> BagPrepared:
        from scipy.sparse import csr_matrix, hstack
        from sklearn.feature_extraction.text import HashingVectorizer

        self.check_pairs(examples, self.pairs)
        vectorizer = HashingVectorizer(
            analyzer=self.analyzer,
            ngram_range=self.ngrams,
            n_features=self.buckets // 2 if self.pairs else self.buckets,
            alternate_sign=False,
            norm=None,
            dtype=np.float32,
            **({"token_pattern": _WORD} if self.analyzer == "word" else {}),
        )
        buckets, weights, lengths = [], [], []
        for start in range(0, len(rows), _BLOCK):
            texts = examples.texts(rows[start : start + _BLOCK])
            fields = zip(*texts) if self.pairs else [texts]
            counts = csr_matrix(hstack([vectorizer.transform(field) for field in fields]))
            counts.sum_duplicates()  # also sorts, so that sums have one order
            buckets.append(counts.indices.astype(np.int32))
            weights.append(1 + np.log(counts.data) if self.sublinear_tf else counts.data)
            lengths.append(np.diff(counts.indptr).astype(np.int64))
        empty = np.empty(0)
        return BagPrepared(
            np.concatenate([empty, *buckets]).astype(np.int32),
            np.concatenate([empty, *weights]).astype(np.float32),
            np.concatenate([empty, *lengths]).astype(np.int64),
        )

    def describe(self) -> dict[str, Any]:
        return {
            "type": "bags",
            "analyzer": self.analyzer,
            "ngrams": list(self.ngrams),
            "buckets": self.buckets,
            "sublinear_tf": self.sublinear_tf,
            "pairs": self.pairs,
        }


class BagPrepared(Prepared):
    """Hashed texts; ``lengths`` counts distinct terms."""

    def __init__(
        self, buckets: npt.NDArray[np.int32], weights: npt.NDArray[np.float32], terms: IntArray
    ) -> None:
        self.buckets, self.weights = buckets, weights
        self.lengths = np.maximum(terms, 1)
        self._rows = Ragged(terms)

    def batch(self, rows: IntArray) -> Batch:
        import torch

        positions, lengths = self._rows.positions(rows)
        return {
            "buckets": torch.from_numpy(self.buckets[positions].astype(np.int64)),
            "offsets": torch.from_numpy(np.cumsum(lengths) - lengths),
            "weights": torch.from_numpy(self.weights[positions]),
        }


class TokenInputs(Inputs):
    """Token ids of a Hugging Face tokenizer: input_ids and attention_mask (B, L) int64, token_type_ids if used.

    A text without any token becomes one end, unknown or padding token, so that every row has something to read.
    """

    kind = "text"

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int,
        token_types: bool,
        pairs: bool | None = None,
    ) -> None:
        self.tokenizer, self.max_length, self.token_types, self.pairs = (
            tokenizer,
            max_length,
            token_types,
            pairs,
        )

    def prepare(self, examples: Examples, rows: IntArray | None = None) -> Prepared:
        rows = self.rows_of(examples, rows)
        self.check_pairs(examples, self.pairs)
        ids, types, lengths, truncated = [], [], [], 0
        for start in range(0, len(rows), _BLOCK):
            encoded = self._tokenise(examples.texts(rows[start : start + _BLOCK]), examples.has_pairs)
            tokens = encoded["input_ids"]
            truncated += self._truncated(encoded)
            ids.append(np.fromiter(chain.from_iterable(tokens), dtype=np.int32))
            lengths.append(np.array([len(row) for row in tokens], dtype=np.int64))
            if self.token_types:
                types.append(np.fromiter(chain.from_iterable(encoded["token_type_ids"]), dtype=np.int8))
        filler = self._filler()
        empty = np.empty(0)
        return TokenPrepared(
            np.concatenate([empty, *ids]).astype(np.int32),
            np.concatenate([empty, *types]).astype(np.int8) if self.token_types else None,
            np.concatenate([empty, *lengths]).astype(np.int64),
            truncated=truncated,
            pad_token_id=filler if self.tokenizer.pad_token_id is None else int(self.tokenizer.pad_token_id),
            filler=filler,
        )

    def _tokenise(self, texts: list[str] | list[tuple[str, str]], pairs: bool) -> Any:
        fields = [list(field) for field in zip(*texts)] if pairs else [texts]
        return self.tokenizer(
            *fields,
            truncation=True,
            max_length=self.max_length,
            padding=False,
            return_attention_mask=False,
            return_token_type_ids=self.token_types,
            verbose=False,
        )

    def _truncated(self, encoded: Any) -> int:
        """How many texts did not fit; a tokenizer in Python does not say, then those that fill ``max_length``."""
        full = [row for row, tokens in enumerate(encoded["input_ids"]) if len(tokens) >= self.max_length]
        if not encoded.is_fast:
            return len(full)
        return sum(bool(encoded[row].overflowing) for row in full)

    def _filler(self) -> int:
        tokenizer = self.tokenizer
        for token in (tokenizer.eos_token_id, tokenizer.unk_token_id, tokenizer.pad_token_id):
            if token is not None:
                return int(token)
        return 0

    def describe(self) -> dict[str, Any]:
        return {
            "type": "tokens",
            "max_length": self.max_length,
            "token_types": self.token_types,
            "pairs": self.pairs,
        }

    def save(self, folder: Path) -> None:
        self.tokenizer.save_pretrained(folder)


class TokenPrepared(Prepared):
    """Tokenised texts, flat; ``truncated`` of them were longer than ``max_length`` tokens."""

    def __init__(
        self,
        ids: npt.NDArray[np.int32],
        types: npt.NDArray[np.int8] | None,
        tokens: IntArray,
        *,
        truncated: int,
        pad_token_id: int,
        filler: int,
    ) -> None:
        self.ids, self.types, self.truncated = ids, types, truncated
        self.lengths = np.maximum(tokens, 1)
        self._rows = Ragged(tokens)
        self._pad, self._filler = pad_token_id, filler

    def batch(self, rows: IntArray) -> Batch:
        import torch

        positions, tokens = self._rows.positions(rows)
        lengths = self.lengths[rows]
        width = int(lengths.max(initial=1))
        filled = np.arange(width) < tokens[:, None]
        ids = np.full((len(rows), width), self._pad, dtype=np.int64)
        ids[tokens == 0, 0] = self._filler
        ids[filled] = self.ids[positions]
        batch = {
            "input_ids": torch.from_numpy(ids),
            "attention_mask": torch.from_numpy((np.arange(width) < lengths[:, None]).astype(np.int64)),
        }
        if self.types is not None:
            types = np.zeros((len(rows), width), dtype=np.int64)
            types[filled] = self.types[positions]
            batch["token_type_ids"] = torch.from_numpy(types)
        return batch
