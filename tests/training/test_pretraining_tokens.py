"""Documents become tokens: held out by content, ordered by hash, as many as were asked for."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from scoring.errors import InputError
from scoring.examples import Examples
from training.pretraining.corpus import Corpus, make_corpus
from training.pretraining.held_out import NOTHING, HeldOut, sequences
from training.pretraining.tokenizer import ByteTokenizer, make_tokenizer
from training.pretraining.tokens import TokenStream

END = 256
TEXTS = [f"document {k}: " + "größe " * (k % 7) for k in range(200)]


def documents(tokens: np.ndarray) -> list[str]:
    """The documents of tokens that begin and end with a separator."""
    return [
        bytes(part.tolist()).decode()
        for part in np.split(tokens[:-1], np.flatnonzero(tokens[:-1] == END))
        for part in [part[part != END]]
    ][1:]


def plain_stream(corpus: Corpus, seed: int, epochs: int) -> np.ndarray:
    """The obvious twin: whole epochs, one after the other."""
    stream = TokenStream(corpus, seed)
    parts = [np.array([END])]
    for epoch in range(epochs):
        for row in stream._order(epoch)[0]:
            parts.append(corpus.tokens[corpus.starts[row] : corpus.starts[row + 1]])
    return np.concatenate(parts).astype(np.int64)


def test_bytes_and_ends_of_documents() -> None:
    corpus = make_corpus("two", ["aß", "b"])
    assert corpus.tokens.tolist() == [97, 195, 159, END, 98, END]
    assert corpus.bytes_M.tolist() == [3, 1] and corpus.lengths_M.tolist() == [4, 2]


def test_pairs_are_one_document() -> None:
    pairs = Examples.load({"java": ["a", "b"], "csharp": ["c", "d"]}, text="java", text_pair="csharp")
    assert documents(TokenStream(make_corpus("pairs", pairs), 0).window(0, 9)) in (
        ["a\nc", "b\nd"],
        ["b\nd", "a\nc"],
    )


def test_windows_are_stretches_of_the_stream() -> None:
    corpus = make_corpus("c", TEXTS)
    whole, stream = plain_stream(corpus, 3, 4), TokenStream(corpus, 3)
    rng = np.random.default_rng(0)
    for _ in range(200):
        start, stop = np.sort(rng.integers(0, len(whole) + 1, 2))
        assert np.array_equal(stream.window(int(start), int(stop)), whole[start:stop])
    edge = stream.per_epoch + 1
    assert stream.window(edge - 1, edge).tolist() == [END]


def test_every_epoch_has_every_document_once_in_another_order() -> None:
    stream = TokenStream(make_corpus("c", TEXTS), 0)
    first, second = (
        documents(stream.window(k * stream.per_epoch, (k + 1) * stream.per_epoch + 1)) for k in (0, 1)
    )
    assert Counter(first) == Counter(second) == Counter(TEXTS)
    assert first != second
    other = TokenStream(stream.corpus, 1)
    assert documents(other.window(0, other.per_epoch + 1)) != first


def test_the_order_of_the_data_changes_nothing() -> None:
    corpus, turned = make_corpus("c", TEXTS), make_corpus("c", TEXTS[::-1])
    one, two = TokenStream(corpus, 5), TokenStream(turned, 5)
    assert np.array_equal(one.window(0, 20_000), two.window(0, 20_000))
    assert corpus.fingerprint == turned.fingerprint
    for a, b in zip(corpus.split(), turned.split()):
        assert a.fingerprint == b.fingerprint
        assert np.array_equal(HeldOut.of(a, 500).tokens, HeldOut.of(b, 500).tokens)


def test_no_copy_of_a_held_out_document_is_trained_on() -> None:
    copies = make_corpus("copies", [*TEXTS, *TEXTS[:100], *TEXTS[:50]])
    train, held_out = copies.split(0.3)
    assert not set(train.keys_M.tolist()) & set(held_out.keys_M.tolist())
    assert len(train) + len(held_out) == len(copies)
    selected = copies.take(np.arange(0, len(copies), 3))
    part_train, part_out = selected.split(0.3)
    assert set(part_train.keys_M.tolist()) <= set(train.keys_M.tolist())
    assert set(part_out.keys_M.tolist()) <= set(held_out.keys_M.tolist())
    assert 0.2 < len(held_out) / len(copies) < 0.4


def test_unique_tokens_and_epochs() -> None:
    stream = TokenStream(make_corpus("c", TEXTS), 0)
    size = stream.per_epoch
    assert stream.unique(size // 3) == size // 3
    assert stream.unique(size) == stream.unique(4 * size) == size
    assert stream.epochs(4 * size) == 4.0
    twice = TokenStream(make_corpus("c", TEXTS + TEXTS), 0)
    assert twice.unique(2 * size) == twice.unique(9 * size) == size
    for tokens in (1, 100, size, size + 77):
        seen, at = 0, 0
        known: set[int] = set()
        order = twice._order(0)[0]
        for row in order:
            length = int(twice.corpus.lengths_M[row])
            if twice.corpus.keys_M[row] not in known:
                seen += min(length, max(0, tokens - at))
            known.add(twice.corpus.keys_M[row])
            at += length
        assert twice.unique(tokens) == seen


@pytest.mark.parametrize("count", [1, 7, 8, 9, 40])
def test_sequences_have_every_prediction_once(count: int) -> None:
    tokens = np.arange(count + 1)
    inputs, targets = sequences(tokens, 8)
    real = targets != NOTHING
    assert int(real.sum()) == count
    assert targets[real].tolist() == list(range(1, count + 1))
    assert inputs[real].tolist() == list(range(count))


def test_held_out_text_is_whole_documents() -> None:
    corpus = make_corpus("c", TEXTS)
    text = HeldOut.of(corpus, 1_000)
    found = documents(text.tokens)
    assert len(text.tokens) - 1 <= 1_000 and set(found) <= set(TEXTS)
    assert text.bytes == sum(len(each.encode()) for each in found)
    assert len(documents(HeldOut.of(corpus, 1).tokens)) == 1  # at least one
    assert len(documents(HeldOut.of(corpus, 10**9).tokens)) == len(TEXTS)


def test_a_tokenizer_of_a_folder(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    fast = Tokenizer(models.BPE())
    fast.pre_tokenizer = pre_tokenizers.ByteLevel()  # type: ignore[assignment]
    fast.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=300, special_tokens=["<|endoftext|>"]))
    fast.save(str(tmp_path / "tokenizer.json"))
    found = make_tokenizer(tmp_path)
    corpus = make_corpus("bpe", TEXTS, found)
    assert found.separator == fast.token_to_id("<|endoftext|>") and corpus.tokens[-1] == found.separator
    assert found.vocabulary == fast.get_vocab_size() and corpus.tokens.max() < found.vocabulary
    assert corpus.fingerprint != make_corpus("bytes", TEXTS).fingerprint
    assert len(corpus.tokens) < len(make_corpus("bytes", TEXTS).tokens) and (
        np.array_equal(corpus.bytes_M, make_corpus("bytes", TEXTS).bytes_M)
    )


def test_errors_for_users(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="corpus c has no documents"):
        make_corpus("c", [])
    with pytest.raises(InputError, match="leaves one side empty of the 1 documents"):
        make_corpus("c", ["one"]).split()
    with pytest.raises(InputError, match="held_out must be a fraction between 0 and 1, got 1"):
        make_corpus("c", TEXTS).split(1)
    with pytest.raises(InputError, match="parts must be Examples or texts, got 'int'"):
        make_corpus("c", [3])  # type: ignore[list-item]
    with pytest.raises(FileNotFoundError, match=r"has no tokenizer\.json"):
        make_tokenizer(tmp_path)
    assert make_tokenizer("bytes") == ByteTokenizer()
