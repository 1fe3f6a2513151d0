"""Rows removed and added: closed-form profiles, copies, rows of other sources, and chains of interventions."""

from typing import Any

import numpy as np
import pytest

from scoring.errors import InputError
from scoring.examples import Examples
from training.interventions.catalog import make_intervention, read_interventions
from training.interventions.intervention import Intervened, intervene

RNG = np.random.default_rng(0)


def features(n: int = 1000, classes: int = 10) -> Examples:
    names = [f"c{label}" for label in range(classes)]
    labels = np.arange(n) % classes
    return Examples.from_arrays(
        RNG.normal(size=(n, 3)), labels, ids=[f"r{i}" for i in range(n)], label_names=names
    )


def texts() -> Examples:
    words = [f"w{i}" for i in range(50)]
    rows = [" ".join(RNG.choice(words, size=12)) for _ in range(60)]
    return Examples.load({"text": rows, "label": [f"k{i % 3}" for i in range(60)]})


def do(given: Any, examples: Examples, seed: int = 0) -> Intervened:
    return intervene(examples, read_interventions(given), seed)


def counts(examples: Examples) -> list[int]:
    return np.bincount(np.array(examples.labels), minlength=examples.num_classes).tolist()


@pytest.mark.parametrize("factor", [1, 10, 100])
def test_the_exponential_profile_is_its_closed_form(factor: float) -> None:
    """n_i mu^i, mu = rho^(-1/(C-1)) (Cui et al. 2019, section 5.1)."""
    done = do({"imbalance": factor}, features())
    assert counts(done.examples) == [int(np.floor(100 * factor ** (-i / 9) + 0.5)) for i in range(10)]
    told = done.realised[0]
    assert told["rows"] == len(done.examples) and told["removed"] == 1000 - len(done.examples)
    assert told["factor"] == pytest.approx(factor) and not done.planted_N.any() and done.planted == ()


def test_steps_orders_and_shares() -> None:
    rows = features()
    step = do({"imbalance": {"factor": 20, "profile": "step", "minority": 0.3}}, rows)
    assert counts(step.examples) == [100] * 7 + [5] * 3
    first = do({"imbalance": {"factor": 10, "order": ["c9", "c0"]}}, rows)
    assert counts(first.examples)[9] == 100 and counts(first.examples)[8] == 10
    drawn = [counts(do({"imbalance": {"factor": 10, "order": "random"}}, rows, s).examples) for s in (0, 1)]
    assert sorted(drawn[0]) == sorted(drawn[1]) and drawn[0] != drawn[1]
    named = do({"imbalance": {"shares": {"c3": 0.25}}}, rows)
    assert counts(named.examples) == [100] * 3 + [25] + [100] * 6
    tiny = do({"imbalance": 1000}, features(20))
    assert counts(tiny.examples)[9] == 1  # a class keeps one row


def test_a_higher_factor_keeps_a_subset_whatever_the_order_of_rows() -> None:
    rows = features()
    low, high = (set(do({"imbalance": factor}, rows).examples.ids.tolist()) for factor in (5, 50))
    assert high < low
    again = do({"imbalance": 5}, rows.take(np.random.default_rng(1).permutation(1000)))
    assert set(again.examples.ids.tolist()) == low


def test_exact_copies() -> None:
    rows = features(200)
    done = do({"duplicates": {"share": 0.1, "copies": 2}}, rows)
    assert len(done.examples) == 240 and done.planted_N.sum() == 40
    assert done.realised[0]["added"] == 40 and done.realised[0]["copied"] == 20
    (planted,) = done.planted
    assert planted.kind == "copies" and planted.families_N is not None
    sizes = np.unique(planted.families_N, return_counts=True)[1]
    assert sorted(sizes.tolist()) == [1] * 180 + [3] * 20
    hashes = done.examples.content_hashes(np.arange(240))
    assert done.origin_N is not None
    np.testing.assert_array_equal(hashes, hashes[done.origin_N])
    np.testing.assert_array_equal(done.examples.labels, np.array(rows.labels)[done.origin_N])
    assert done.examples.ids[200] == f"{rows.ids[done.origin_N[200]]}~1"
    mixed = do(
        {"duplicates": {"share": 0.1, "copies": 2}}, rows.take(np.random.default_rng(2).permutation(200))
    )
    assert mixed.examples.fingerprint == done.examples.fingerprint
    assert set(do({"duplicates": 0.05}, rows).examples.ids.tolist()) < set(done.examples.ids.tolist())


def test_copies_of_named_classes_and_whole_number_ids() -> None:
    rows = Examples.from_arrays(RNG.normal(size=(100, 2)), np.arange(100) % 4, ids=np.arange(100))
    done = do(
        [{"duplicates": {"count": 10, "classes": ["1"]}}, {"duplicates": {"count": 10, "classes": ["1"]}}],
        rows,
    )
    assert counts(done.examples) == [25, 45, 25, 25] and len(set(done.examples.ids.tolist())) == 120
    assert [one.name for one in done.planted] == ["duplicates", "duplicates 2"]


def test_near_copies_of_texts_lose_words() -> None:
    rows = texts()
    done = do({"duplicates": {"share": 1.0, "change": 0.3}}, rows, seed=5)
    assert done.origin_N is not None
    lost = 0
    for copy, row in enumerate(done.origin_N[60:], start=60):
        old, new = (str(done.examples.texts([at])[0]).split() for at in (row, copy))
        left = iter(old)
        assert new and all(word in left for word in new)  # a subsequence
        lost += len(old) - len(new)
    assert 0.2 < lost / (60 * 12) < 0.4
    again = do({"duplicates": {"share": 1.0, "change": 0.3}}, rows.take(np.arange(60)[::-1]), seed=5)
    assert again.examples.fingerprint == done.examples.fingerprint


def test_near_copies_of_pairs_features_and_images() -> None:
    pairs = Examples.load(
        {"premise": ["a b c d"] * 9, "hypothesis": ["e f g h"] * 9, "label": [*"xyxyxyxyx"]}
    )
    done = do({"duplicates": {"share": 1.0, "change": 0.4}}, pairs)
    assert len(done.examples) == 18 and any(
        len(text[0]) < 7 for text in done.examples.texts(np.arange(9, 18))
    )
    rows = features(2000)
    noisy = do({"duplicates": {"share": 1.0, "change": 0.1}}, rows)
    assert noisy.origin_N is not None
    gap = noisy.examples.features(np.arange(2000, 4000)) - rows.features(noisy.origin_N[2000:])
    np.testing.assert_allclose(gap.std(axis=0) / rows.features(np.arange(2000)).std(axis=0), 0.1, atol=0.01)
    assert abs(gap.mean()) < 0.01
    digits = Examples.load("digits").take(np.arange(20))
    pictures = do({"duplicates": {"count": 5, "change": 0.05}}, digits)
    assert pictures.origin_N is not None and pictures.examples.input_shape == (8, 8, 1)
    one, other = (
        np.stack(pictures.examples.images(r)).astype(int) for r in (range(20, 25), pictures.origin_N[20:])
    )
    assert 0 < np.abs(one - other).mean() < 0.1 * 255


def test_rows_of_another_source() -> None:
    rows, other = texts(), Examples.load({"text": [f"far away {i}" for i in range(40)]})
    done = do({"off_domain": {"data": other, "share": 0.25}}, rows)
    assert len(done.examples) == 75 and done.planted[0].kind == "foreign"
    assert all(str(text).startswith("far") for text in done.examples.texts(np.flatnonzero(done.planted_N)))
    assert sum(done.realised[0]["added_to_class"].values()) == 15 and len(set(counts(done.examples))) > 1
    fixed = do({"off_domain": {"data": other, "count": 4, "label": "k1"}}, rows)
    assert counts(fixed.examples) == [20, 24, 20]
    assert set(fixed.examples.ids.tolist()) < set(done.examples.ids.tolist())
    twice = do([{"off_domain": {"data": other, "count": 40}}] * 2, rows)
    assert len(set(twice.examples.ids.tolist())) == 140
    assert do({"off_domain": {"data": other, "count": 0}}, rows).planted == ()


def test_what_was_planted_survives_a_chain() -> None:
    """Noise after imbalance; copies of noisy rows are noisy, too; an imbalance at the end keeps what it keeps."""
    rows = features(400, classes=4)
    chain = [
        {"imbalance": 4},
        {"uniform_noise": 0.2},
        {"duplicates": 0.5},
        {"imbalance": {"shares": {"c0": 0.5}}},
    ]
    done = do(chain, rows, seed=3)
    noise, copies = done.planted
    assert [noise.name, copies.name] == ["uniform_noise", "duplicates"]
    clean = dict(zip(rows.ids.tolist(), np.array(rows.labels).tolist()))
    ids = [str(each) for each in done.examples.ids]
    wrong = np.array([clean[each.partition("~")[0]] for each in ids]) != np.array(done.examples.labels)
    np.testing.assert_array_equal(noise.rows_N, wrong)
    np.testing.assert_array_equal(copies.rows_N, ["~" in each for each in ids])
    np.testing.assert_array_equal(done.planted_N, noise.rows_N | copies.rows_N)
    assert (noise.rows_N & copies.rows_N).any() and copies.families_N is not None
    family = dict(zip(ids, copies.families_N.tolist()))
    assert all(family[each] == family[f"{each}~1"] for each in ids if f"{each}~1" in family)
    assert done.origin_N is not None and rows.ids[done.origin_N].tolist() == [
        each.partition("~")[0] for each in ids
    ]
    assert [told["name"] for told in done.realised] == [
        "imbalance",
        "uniform_noise",
        "duplicates",
        "imbalance",
    ]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"imbalance": 0.5}, "imbalance: factor must be a number of at least 1, got 0.5"),
        ({"imbalance": {}}, "give either factor or shares"),
        ({"imbalance": {"factor": 10, "profile": "stair"}}, "profile must be one of exponential, step"),
        ({"imbalance": {"factor": 10, "order": ["c1", "c1"]}}, "order must not repeat a class"),
        ({"imbalance": {"shares": {"x": 0.1}}}, "class must be one of"),
        ({"imbalance": {"shares": {"c1": 0}}}, "the share of c1 must be above 0"),
        ({"duplicates": {}}, "give either share or count"),
        ({"duplicates": {"count": 2000}}, "only 1,000 rows can be copied, not 2,000; give copies"),
        ({"duplicates": {"share": 0.1, "copies": 0}}, "copies must be a whole number of at least 1"),
        ({"duplicates": {"share": 0.1, "change": 1.0}}, "change must be a number from 0 to below 1"),
        ({"off_domain": {"data": {"text": "x"}, "share": 0.1}}, "data must be a source"),
        (
            {"off_domain": {"data": Examples.from_arrays(np.eye(3)), "share": 0.1}},
            "has only 3 rows, 100 were asked for",
        ),
        ({"off_domain": {"data": Examples.load({"text": ["a"]}), "count": 1}}, "of the same kind as arrays"),
        (
            {"off_domain": {"data": Examples.from_arrays(np.eye(3)), "count": 1, "label": "x"}},
            "label must be one of",
        ),
    ],
)
def test_refused(given: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        do(given, features())


def test_without_labels() -> None:
    rows = Examples.from_arrays(RNG.normal(size=(10, 2)))
    assert len(do({"duplicates": 0.5}, rows).examples) == 15
    for name, options in (("imbalance", 2), ("off_domain", {"data": rows, "count": 1})):
        with pytest.raises(InputError, match="must have labels"):
            make_intervention(name, options).apply(rows, 0)
