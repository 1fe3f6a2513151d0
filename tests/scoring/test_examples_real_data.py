"""The shared real data sets load as their READMEs say."""

import time

import numpy as np
import pytest

from scoring.errors import InputError
from scoring.examples import Examples


def test_hwu64(data_dir):
    path = data_dir / "hwu64" / "hwu64.parquet"
    with pytest.raises(InputError, match="label could be 'intent' and 'domain'"):
        Examples.load(path)
    train = Examples.load(path, label="domain")
    assert (len(train), train.num_classes, train.split, train.splits) == (
        8954,
        18,
        "train",
        ("test", "valid"),
    )
    test = Examples.load(path, label="domain", split="test", label_names=train.label_names)
    assert len(test) == 1076 and test.label_names == train.label_names
    assert test.fingerprint == train.other_split("test").fingerprint
    assert len(Examples.load(path, label="intent", split="all")) == 11106


def test_news20_takes_its_class_names(data_dir):
    train = Examples.load(data_dir / "news20" / "train.parquet")
    assert train.name == "news20" and train.label_names[:2] == ("alt.atheism", "comp.graphics")
    assert np.bincount(train.labels).min() == 377


def test_cifar10_with_human_labels(data_dir):
    path = data_dir / "cifar10_30k" / "train.parquet"
    clean = Examples.load(path, id="orig_index")
    noisy = Examples.load(path, id="orig_index", label="cifar10n_worse_label")
    assert clean.input_shape == (32, 32, 3) and clean.label_names[0] == "airplane"
    assert np.array_equal(clean.ids, noisy.ids) and clean.fingerprint != noisy.fingerprint
    assert np.mean(clean.labels != noisy.labels) == pytest.approx(0.406, abs=0.003)
    assert clean.with_labels(noisy.labels).labels.tolist() == noisy.labels.tolist()
    picture = clean.images([7])[0]
    assert picture.dtype == np.uint8 and picture.shape == (32, 32, 3)


def test_other_sets(data_dir):
    hausa = Examples.load(data_dir / "hausa_newsclass" / "train_clean_and_noisy.parquet", label="noisy_label")
    assert len(hausa) == 2045 and hausa.num_classes == 5
    pairs = Examples.load(data_dir / "snli_small" / "test.parquet")
    assert pairs.has_pairs and len(pairs) == 9824
    assert pairs.label_names == ("entailment", "neutral", "contradiction")
    clothes = Examples.load(data_dir / "fashion_mnist" / "fashion_mnist.npz", split="test")
    assert len(clothes) == 10_000 and clothes.input_shape == (28, 28, 1) and clothes.splits == ("train",)
    questions = Examples.load(data_dir / "trec" / "trec.parquet", split="test")
    assert len(questions) == 500 and questions.label_names[0] == "ABBR"
    human = Examples.load(data_dir / "corpora" / "imdb_unsup_8k.parquet")
    assert human.labels is None and len(human) == 8000


def test_phrases_with_copies_hash_fast(data_dir):
    start = time.perf_counter()
    phrases = Examples.load(data_dir / "sst2" / "sst2_phrases.parquet")
    phrases.fingerprint  # noqa: B018
    seconds = time.perf_counter() - start
    assert len(phrases) == len(np.unique(phrases.ids.astype(str))) == 60_614
    copies = sum("-" in each for each in phrases.ids)
    assert copies == len(phrases) - len(set(phrases.texts(np.arange(len(phrases))))) > 0
    assert seconds / len(phrases) < 100e-6  # measured 4 us; the bound leaves room for a busy machine
