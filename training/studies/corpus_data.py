"""The texts of a corpus study: one pool to choose from and train on, and held-out texts that no run ever sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value, name_some, unknown_name
from scoring.examples import Examples
from scoring.hashing import UInt64Array, hash_ids, uniform
from training.cell_data import DataRequest
from training.job import SPLIT_SEED
from training.pretraining.corpus import BETWEEN_PAIR, Corpus, make_corpus
from training.pretraining.held_out import HeldOut
from training.pretraining.tokenizer import Tokenizer

IntArray = npt.NDArray[np.int64]
Data = Examples | DataRequest

OWNER = "study"
LEAKED = ("error", "drop")
POOL, SOURCE, LENGTH = "pool", "source", "length"
LENGTH_GROUPS = 10


@dataclass(frozen=True)
class CorpusData:
    """What a corpus study reads.

    Attributes:
        pool: The documents to choose from, rows of text. Ids are those of their source, after its name where there are
            several; labels are the groups of the stratified random baseline, as ``strata`` says: ``source``, a column,
            or ``length``, tenths of the documents by their number of tokens, where there is one source.
        corpus: The same documents in the same order, as tokens.
        held_out: Texts that losses are measured on, by name.
        leaked: Documents that were left out of the pool, since a held-out document is the same text.
        held_out_keys: Hashes of the content of all held-out documents, measured on or not.
    """

    pool: Examples
    corpus: Corpus
    held_out: Mapping[str, HeldOut]
    strata: str
    leaked: int
    held_out_keys: UInt64Array

    @property
    def counts(self) -> list[int]:
        """Documents of every group of the baseline, in the order of ``pool.label_names``."""
        assert self.pool.labels is not None
        return [int(each) for each in np.bincount(self.pool.labels, minlength=self.pool.num_classes)]

    def check_unseen(self, target: Examples, what: str) -> None:
        """Refuse documents that scores learn from if a held-out text is among them."""
        found = np.isin(hash_ids(_texts(target)), self.held_out_keys)
        if found.any():
            raise InputError(
                f"{OWNER}: {int(found.sum()):,} of {len(target):,} documents of {what} are held-out texts too, so that "
                f"scores would learn from them: {name_some(target.ids[found].tolist())}."
            )


def read_corpus_data(
    sources: Mapping[str, Data],
    held_out: Mapping[str, Data | float],
    tokenizer: Tokenizer,
    *,
    held_out_tokens: int,
    leaked: str,
    strata: str | None,
) -> CorpusData:
    """Read everything; see ``training.studies.corpus.CorpusStudy`` for the arguments."""
    texts: list[str] = []
    ids: list[object] = []
    names: list[str] = []
    kept: dict[str, list[str]] = {}
    values: list[str] = []
    for name, data in sources.items():
        examples = _load(data)
        found = _texts(examples)
        share = held_out.get(name)
        inside = np.ones(len(found), dtype=bool)
        if isinstance(share, int | float):
            if isinstance(share, bool) or not 0 < share < 1:
                raise bad_value(f"held_out {name}", OWNER, share, "texts, or a fraction between 0 and 1")
            inside = uniform(SPLIT_SEED, hash_ids(found).view(np.int64)) >= share
            kept[name] = [text for text, stays in zip(found, inside) if not stays]
            if inside.all() or not inside.any():
                raise InputError(
                    f"{OWNER}: held_out {share} of {name} leaves one side empty of its {len(found):,} documents; give "
                    "more documents or another fraction."
                )
        rows = np.flatnonzero(inside)
        texts += [found[row] for row in rows]
        names += [name] * len(rows)
        own = [examples.ids[row] for row in rows]
        ids += own if len(sources) == 1 else [f"{name}/{each}" for each in own]
        if strata is not None:
            values += _values(examples, strata, rows)
    for name, given in held_out.items():
        if isinstance(given, Examples | DataRequest):
            kept[name] = _texts(_load(given))
        elif name not in sources:
            raise unknown_name("held_out share of a source", OWNER, name, sources)
    out = {name: make_corpus(name, found, tokenizer) for name, found in kept.items()}
    out_keys = np.unique(np.concatenate([each.keys_M for each in out.values()]))
    leaks = np.isin(hash_ids(texts), out_keys)
    if leaks.any() and leaked == "error":
        some = name_some([each for each, leaks_ in zip(ids, leaks) if leaks_])
        raise InputError(
            f"{OWNER}: {int(leaks.sum()):,} of {len(texts):,} documents are held-out texts too: {some}; leaked: drop "
            "leaves them out."
        )
    stay = np.flatnonzero(~leaks)
    if not len(stay):
        raise InputError(f"{OWNER}: no documents are left to train on.")
    corpus = make_corpus(POOL, [texts[row] for row in stay], tokenizer)
    if strata is not None:
        groups, by = [values[row] for row in stay], strata
    elif len(sources) > 1:
        groups, by = [names[row] for row in stay], SOURCE
    else:
        groups, by = _length_groups(corpus.lengths_M), LENGTH
    columns = {"text": [texts[row] for row in stay], "id": [ids[row] for row in stay], by: groups}
    pool = Examples.load(columns, text="text", id="id", label=by, name=POOL)
    parts = {name: HeldOut.of(found, held_out_tokens) for name, found in out.items()}
    return CorpusData(pool, corpus, parts, by, int(leaks.sum()), out_keys)


def _length_groups(lengths_M: IntArray) -> list[str]:
    """Tenths by length; documents of one length are in one group."""
    ends = np.quantile(lengths_M, np.arange(1, LENGTH_GROUPS) / LENGTH_GROUPS)
    return [f"length {group}" for group in np.searchsorted(ends, lengths_M, side="left").tolist()]


def _load(data: Data) -> Examples:
    return data.load() if isinstance(data, DataRequest) else data


def _texts(examples: Examples) -> list[str]:
    if examples.kind != "text":
        raise bad_value(
            "data", OWNER, f"{examples.name}: {examples.kind}", "documents; name their column with text"
        )
    read = examples.texts(np.arange(len(examples)))
    return [each if isinstance(each, str) else BETWEEN_PAIR.join(each) for each in read]


def _values(examples: Examples, column: str, rows: IntArray) -> list[str]:
    if column not in examples.columns:
        raise unknown_name("strata", OWNER, column, examples.columns)
    read = examples.table.read(column, examples.table_rows(rows))
    values = read.tolist() if isinstance(read, np.ndarray) else read.to_pylist()
    return [str(each) for each in values]
