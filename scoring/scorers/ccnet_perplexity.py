"""Perplexity under an n-gram model of KenLM, as CCNet computes it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from scoring.errors import InputError, bad_value, missing_extra
from scoring.file_digests import file_digest
from scoring.meaning import Meaning
from scoring.scorer import DocumentScorer, Outputs
from scoring.signals import Signals

OWNER = "score: scorer 'perplexity:ccnet'"


@dataclass(frozen=True)
class CCNetPerplexity(DocumentScorer):
    """Perplexity per word under a KenLM model, 10^(-sum log10 p / (words + lines)); high means unlike its text.

    CCNet (Wenzek et al. 2020), and after it datatrove and DCLM: log10 p of every line with its begin and end, over the
    words of all lines and one end per line. ``model``: an ``.arpa`` or binary file of KenLM. ``sentencepiece``: a
    SentencePiece model that cuts the lines into pieces, which then are the words, as in CCNet; else words are what
    stands between blanks. Beside it ``words``.

    Differences: not rounded to one decimal; a document without words is NaN, where the published ones give it the
    perplexity of an empty line, or 0 (Data-Juicer), their best; and the text is scored as it is. CCNet's own models
    were trained on text in lower case, with digits as 0 and punctuation made plain, which belongs into the column.
    Needs the package kenlm.
    """

    model: str = ""
    sentencepiece: str = ""
    files: str = field(init=False, default="", compare=False)
    """Digests of the two, so that other files under the same names are another score."""
    needs: ClassVar[frozenset[str]] = frozenset({"texts"})
    meaning: ClassVar[Meaning] = "hard"
    sides: ClassVar[tuple[str, ...]] = ("words",)

    def __post_init__(self) -> None:
        for name in ("model", "sentencepiece"):
            if not isinstance(getattr(self, name), str):
                raise bad_value(name, OWNER, getattr(self, name), "the path of a file")
        files = [Path(path) for path in (self.model, self.sentencepiece) if path and Path(path).is_file()]
        object.__setattr__(self, "files", ",".join(file_digest(path) for path in files))

    def outputs(self, signals: Signals) -> Outputs:
        """Perplexity and words, (B,) each."""
        model = _kenlm(self.model, self.files)
        pieces = _pieces(self.sentencepiece, self.files) if self.sentencepiece else str.split
        rows = []
        for text in signals.texts_B:
            lines = [pieces(line) for line in text.split("\n")]
            words = sum(len(line) for line in lines)
            log10 = (
                sum(model.score(" ".join(line), bos=True, eos=True) for line in lines) if words else np.nan
            )
            rows.append((10.0 ** (-log10 / (words + len(lines))), words))
        values_B2 = torch.tensor(rows, dtype=torch.float64).reshape(-1, 2)
        return {"": values_B2[:, 0], "words": values_B2[:, 1]}


@functools.lru_cache(maxsize=2)
def _kenlm(path: str, files: str) -> Any:
    try:
        kenlm: Any = import_module("kenlm")
    except ImportError:
        raise missing_extra("kenlm", "kenlm") from None
    if not Path(path).is_file():
        raise bad_value("model", OWNER, path, "an .arpa or binary file of KenLM")
    try:
        return kenlm.Model(path)
    except (OSError, RuntimeError):
        raise InputError(f"{OWNER}: model {path!r} does not load as a model of KenLM.") from None


@functools.lru_cache(maxsize=2)
def _pieces(path: str, files: str) -> Any:
    try:
        sentencepiece: Any = import_module("sentencepiece")
    except ImportError:
        raise missing_extra("sentencepiece", "kenlm") from None
    if not Path(path).is_file():
        raise bad_value("sentencepiece", OWNER, path, "the file of a SentencePiece model")
    processor = sentencepiece.SentencePieceProcessor(model_file=path)
    return functools.partial(processor.encode, out_type=str)
