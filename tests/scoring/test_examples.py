"""Examples as sets of rows: ids, fingerprints, labels, parts. Where they come from is in the tests beside this."""

import hashlib
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scoring.errors import InputError
from scoring.examples import Examples

rows_of_text = st.lists(
    st.tuples(st.text("abc ", max_size=3), st.sampled_from(["no", "yes", "maybe"])), min_size=2, max_size=12
).filter(lambda rows: len({label for _, label in rows}) > 1)


def load(rows, **options):
    texts, labels = zip(*rows)
    return Examples.load({"text": list(texts), "label": list(labels)}, **options)


def as_set(examples):
    names = [examples.label_names[label] for label in examples.labels]
    return set(zip(examples.ids.tolist(), examples.texts(np.arange(len(examples))), names))


@given(rows_of_text, st.randoms(use_true_random=False))
def test_ids_and_fingerprint_do_not_depend_on_row_order(rows, generator):
    mixed = rows.copy()
    generator.shuffle(mixed)
    one, other = load(rows), load(mixed)
    assert as_set(one) == as_set(other)
    assert one.fingerprint == other.fingerprint
    assert one.label_names == other.label_names


@given(rows_of_text)
def test_ids_are_unique_and_name_the_input(rows):
    examples = load(rows)
    ids = examples.ids.tolist()
    assert len(set(ids)) == len(ids) == len(rows)
    for each, (text, _) in zip(ids, rows):
        head, _, copy = each.partition("-")
        assert head == hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
        assert copy == "" or 1 <= int(copy) < sum(text == other for other, _ in rows)


def test_copies_are_kept_apart_by_label_then_order():
    examples = load([("a", "yes"), ("a", "no"), ("b", "no"), ("a", "no")])
    head = examples.ids[1]
    assert examples.ids.tolist() == [f"{head}-2", head, examples.ids[2], f"{head}-1"]


def test_the_label_is_no_part_of_the_id_but_of_the_fingerprint():
    one, other = load([("a", "x"), ("b", "y")]), load([("a", "y"), ("b", "x")])
    assert one.ids.tolist() == other.ids.tolist()
    assert one.fingerprint != other.fingerprint


def test_a_pair_is_not_its_joined_text():
    pairs = Examples.load({"text_a": ["ab", "a"], "text_b": ["c", "bc"], "label": [0, 1]})
    assert pairs.has_pairs and pairs.ids[0] != pairs.ids[1]
    assert pairs.texts([1, 0]) == [("a", "bc"), ("ab", "c")]
    assert pairs.describe_row(0) == "ab | c"


def test_named_ids_are_kept_as_they_are():
    data = {"text": ["a", "a", "b"], "label": [0, 1, 1], "key": [7, -3, 2**40]}
    examples = Examples.load(data, id="key")
    assert examples.ids.dtype == np.int64 and examples.ids.tolist() == [7, -3, 2**40]
    named = Examples.load({**data, "key": ["k1", "k2", "k3"]}, id="key")
    assert named.ids.dtype == object and named.ids.tolist() == ["k1", "k2", "k3"]
    assert named.fingerprint != examples.fingerprint
    other_text = Examples.load({**data, "text": ["a", "a", "c"]}, id="key")
    assert other_text.fingerprint != examples.fingerprint


@given(st.lists(st.integers(-20, 20), min_size=2, max_size=20).filter(lambda labels: len(set(labels)) > 1))
def test_whole_number_classes_are_in_numeric_order(labels):
    texts = [f"text {row}" for row in range(len(labels))]
    examples = Examples.load({"text": texts, "label": np.array(labels, dtype=float)})
    assert examples.label_names == tuple(str(value) for value in sorted(set(labels)))
    assert [int(examples.label_names[index]) for index in examples.labels] == labels


def test_text_and_boolean_classes():
    assert load([("1", "pear"), ("2", "Apple"), ("3", "fig")]).label_names == ("Apple", "fig", "pear")
    examples = Examples.load({"text": ["a", "b"], "label": [True, False]})
    assert examples.label_names == ("False", "True") and examples.labels.tolist() == [1, 0]


def test_numbers_take_the_names_of_the_column_beside_them():
    data = {"text": ["a", "b", "c"], "label": [2, 0, 2], "label_name": ["zebra", "yak", "zebra"]}
    assert Examples.load(data).label_names == ("yak", "zebra")
    # No one-to-one naming, no names.
    assert Examples.load({**data, "label_name": ["zebra", "yak", "yak"]}).label_names == ("0", "2")


@pytest.mark.parametrize("labels", [["b", "c"], ["b", "b"], ["c", "a"]])
def test_label_names_fix_the_classes_of_a_part(labels):
    part = Examples.load({"text": ["u", "v"], "label": labels}, label_names=("c", "b", "a"))
    assert part.num_classes == 3
    assert [part.label_names[index] for index in part.labels] == labels


def test_label_names_for_numbers_are_positions_unless_a_class_is_called_by_a_number():
    data = {"text": ["u", "v"], "label": [2, 1]}
    assert Examples.load(data, label_names=("shirt", "shoe", "bag")).labels.tolist() == [2, 1]
    assert Examples.load(data, label_names=("1", "2", "3")).labels.tolist() == [1, 0]


def test_labels_may_be_absent():
    for examples in (Examples.load({"text": ["a", "b"]}), load([("a", "x"), ("b", "y")], label=False)):
        assert examples.labels is None and examples.label_names == () and examples.num_classes == 0
        assert examples.fingerprint and "no labels" in repr(examples)


@pytest.fixture
def digits():
    return Examples.load("digits")


def test_take_keeps_ids_and_nests(digits):
    part = digits.take([5, 900, 2]).take([2, 0])
    assert part.ids.tolist() == [digits.ids[2], digits.ids[5]]
    assert part.labels.tolist() == [digits.labels[2], digits.labels[5]]
    assert np.array_equal(part.images([1])[0], digits.images([5])[0])
    assert part.label_names == digits.label_names and len(digits) == 1200
    everything = digits.take(np.arange(len(digits))[::-1])
    assert everything.fingerprint == digits.fingerprint != part.fingerprint
    assert len(digits.take(np.zeros(len(digits), dtype=bool))) == 0


def test_rows_of_finds_rows_by_id(digits):
    part = digits.take([5, 900, 2])
    assert part.rows_of(part.ids[[2, 0]]).tolist() == [2, 0]
    assert part.rows_of([]).tolist() == []
    with pytest.raises(InputError, match=r"1 of 2 ids are not in digits: 'nobody'"):
        part.rows_of([part.ids[0], "nobody"])


def test_with_labels_changes_labels_only(digits):
    flipped = digits.with_labels((digits.labels + 1) % 10)
    assert flipped.ids.tolist() == digits.ids.tolist()
    assert flipped.fingerprint != digits.fingerprint
    assert digits.with_labels(digits.labels.astype(np.int32)).fingerprint == digits.fingerprint
    assert flipped.take([3]).labels[0] == (digits.labels[3] + 1) % 10


def test_built_in_digits(digits):
    test, everything = Examples.load("digits", split="test"), Examples.load("digits", split="all")
    assert (len(digits), len(test), len(everything)) == (1200, 597, 1797)
    assert set(digits.ids) | set(test.ids) == set(everything.ids)
    assert digits.kind == "image" and digits.input_shape == (8, 8, 1)
    assert digits.label_names == tuple("0123456789") == test.label_names
    assert digits.splits == ("test",) and digits.split == "train" and digits.name == "digits"
    pixels = np.stack(everything.images(np.arange(1797)))
    assert pixels.dtype == np.uint8 and (pixels.min(), pixels.max()) == (0, 255)
    assert np.bincount(digits.labels).min() > 100
    assert digits.other_split("test").fingerprint == test.fingerprint
    # Pinned: score tables refer to it.
    assert digits.fingerprint == "4b0-511c9bad2d48d4ce7b655e7fec3080b1"


def test_loading_examples_again_gives_them_back(digits):
    assert Examples.load(digits) is digits
    assert Examples.load(digits, split="test").split == "test"
    assert Examples.load(digits, name="numerals").name == "numerals"
    with pytest.raises(InputError, match="label cannot be changed on Examples"):
        Examples.load(digits, label="y")


def test_reading_the_wrong_kind_is_one_sentence(digits):
    with pytest.raises(InputError, match=r"Examples\.texts: digits holds image, not texts\."):
        digits.texts([0])
    with pytest.raises(InputError, match=r"Examples\.features: digits holds image"):
        digits.features([0])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda e: e.take([0, 1200]), "Examples.take: rows must be from 0 to 1199, got 1200."),
        (lambda e: e.take([-1]), "Examples.take: rows must be from 0 to 1199, got -1."),
        (
            lambda e: e.take([1, 1]),
            "Examples.take: rows must be different from each other, ids would repeat.",
        ),
        (lambda e: e.with_labels([1]), "Examples.with_labels: labels must be 1200 class indices, got (1,)."),
        (
            lambda e: e.with_labels(np.full(1200, 10)),
            "Examples.with_labels: labels must be from 0 to 9, got 10.",
        ),
    ],
)
def test_misuse_is_one_sentence(digits, call, sentence):
    with pytest.raises(InputError) as caught:
        call(digits)
    assert str(caught.value) == sentence


def test_descriptions_are_one_short_line():
    text = Examples.load({"text": ["two\n lines " + "long " * 100]})
    assert text.describe_row(0).startswith("two lines long long") and len(text.describe_row(0)) <= 200
    features = Examples.load({"features": [[0.5, -2.0, 3.25]]})
    assert features.describe_row(0) == "3 numbers: 0.5, -2, 3.25"
    image = Examples.load({"image": np.full((1, 4, 6), 255, dtype=np.uint8)})
    assert image.describe_row(0) == "4x6 grey image, brightness 100%"


def test_no_global_generator_and_no_input_is_changed():
    x = np.random.default_rng(0).normal(size=(30, 4))
    before_x = x.copy()
    state = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    examples = Examples.from_arrays(x, np.arange(30) % 3)
    values = examples.features(np.arange(30))
    values[:] = 0
    assert examples.fingerprint == Examples.from_arrays(before_x, np.arange(30) % 3).fingerprint
    Examples.load(
        torch.utils.data.TensorDataset(torch.rand(4, 2, generator=torch.Generator()), torch.arange(4))
    )
    assert np.array_equal(x, before_x)
    assert state == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # noqa: NPY002


def test_from_arrays_with_texts_ids_and_images():
    texts = Examples.from_arrays(["a", "b"], ["x", "y"], ids=[10, 11])
    assert texts.kind == "text" and texts.ids.tolist() == [10, 11] and texts.label_names == ("x", "y")
    images = Examples.from_arrays(np.zeros((2, 5, 5, 3), dtype=np.uint8))
    assert images.kind == "image" and images.labels is None and images.ids[1] == f"{images.ids[0]}-1"
    wide = Examples.from_arrays(np.ones((3, 1)), [0, 1, 0], label_names=("off", "on"))
    assert wide.kind == "features" and wide.input_shape == (1,) and wide.label_names == ("off", "on")
