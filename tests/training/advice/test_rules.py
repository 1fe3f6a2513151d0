"""Rules: every choice, the evidence behind it, and what is told where nothing is known."""

import numpy as np
import pytest

from training.advice.advice import Advice, Recommendation
from training.advice.advise import way_of
from training.advice.data_size import DataSize, smallest_kept
from training.advice.noise_check import NoiseCheck
from training.advice.planted_flips import PlantedCheck, expected_rise
from training.advice.rules import RULES, Evidence, decide
from training.advice.score_trust import ScoreTrust
from training.laws.uncertainty.interval import Interval


def check(value, low, high, recovered=(1.0, 1.0), **more):
    planted = tuple(
        PlantedCheck(r, value + r * s, r * s, r, 0.8, 0.01) for r, s in zip((0.05, 0.1), recovered)
    )
    return NoiseCheck("linear", 0.9, Interval(value, low, high, 0.95), planted, **more)


def choice(noise, keep, counts=(120,) * 10, trust=None, parameters=4800):
    labels = np.repeat(np.arange(len(counts)), counts)
    size = DataSize(len(labels), parameters, np.array(counts))
    evidence = Evidence(noise, size, trust, tuple(map(str, range(len(counts)))), labels)
    findings = [each for rule in RULES if (each := rule.read(evidence, keep)) is not None]
    return *decide(findings), findings


def trust(of_mean, single=0.3, rows=1200):
    return ScoreTrust("el2n", 3, np.arange(float(rows)), single, of_mean, 9, 0.0)


CLEAN, NOISY = check(0.005, 0.001, 0.01), check(0.11, 0.09, 0.13)


@pytest.mark.parametrize(
    ("noise", "keep", "more", "expected"),
    [
        (CLEAN, 0.5, {}, ("keep hard", "no rule against it")),
        (CLEAN, 0.3, {}, ("keep hard", "no rule against it")),
        (CLEAN, 0.1, {}, ("random is safer", "small share")),
        (NOISY, 0.5, {}, ("drop the hardest", "wrong labels")),
        (NOISY, 0.9, {}, ("keep easy", "wrong labels")),
        (NOISY, 0.1, {}, ("drop the hardest", "wrong labels")),
        (check(0.03, 0.0, 0.06), 0.5, {}, ("random is safer", "wrong labels")),
        (check(0.005, 0.001, 0.01, (0.2, 0.3)), 0.5, {}, ("random is safer", "wrong labels")),
        (check(0.005, 0.001, 0.01, ()), 0.5, {}, ("random is safer", "wrong labels")),
        (None, 0.5, {}, ("random is safer", "no noise check")),
        (CLEAN, 0.5, {"counts": (20,) * 10}, ("coverage", "few per class")),
        (CLEAN, 0.5, {"trust": trust(0.4)}, ("random is safer", "unreliable score")),
        (CLEAN, 0.5, {"trust": trust(0.7)}, ("keep hard", "no rule against it")),
        (CLEAN, 0.5, {"trust": trust(None, None)}, ("keep hard", "no rule against it")),
    ],
)  # fmt: skip
def test_what_decides(noise, keep, more, expected):
    assert choice(noise, keep, **more)[:2] == expected


def test_people_count_more_than_the_estimate():
    """A model that learned the rule behind wrong labels sees none of them; 40 checked rows do."""
    found = check(0.005, 0.001, 0.01, checked=Interval(0.5, 0.35, 0.65, 0.95), checked_rows=40)
    assert choice(found, 0.5)[:2] == ("random is safer", "wrong labels") and found.share is found.checked
    assert not found.findable and "would not find them" in choice(found, 0.5)[2][0].evidence
    seen = check(0.45, 0.4, 0.5, checked=Interval(0.5, 0.35, 0.65, 0.95), checked_rows=40)
    assert choice(seen, 0.5)[0] == "keep easy" and choice(seen, 0.3)[0] == "drop the hardest"
    few = check(0.005, 0.001, 0.01, checked=Interval(0.5, 0.2, 0.8, 0.95), checked_rows=10)
    assert few.share.value == 0.005


def test_an_estimate_that_rises_too_slowly_is_widened():
    assert check(0.1, 0.08, 0.12, (0.75, 1.25)).share.low == pytest.approx(0.08 / 1.25)
    assert check(0.1, 0.08, 0.12, (0.75, 1.25)).share.high == pytest.approx(0.16)
    assert check(0.1, 0.08, 0.12, (0.69, 1.0)).share is None


def test_the_expected_rise_is_what_flipping_does():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 200_000)
    labels = np.where(rng.random(200_000) < 0.3, (truth + rng.integers(1, 4, 200_000)) % 4, truth)
    before = (labels != truth).mean()
    flip = rng.random(200_000) < 0.1
    after = np.where(flip, (labels + rng.integers(1, 4, 200_000)) % 4, labels)
    assert (after != truth).mean() - before == pytest.approx(expected_rise(flip.mean(), before, 4), abs=0.002)


def test_imbalance_asks_for_a_floor_and_names_the_class_that_is_lost():
    hints = {each.rule: each for each in choice(CLEAN, 0.5, (500, 100, 20), trust(0.9, rows=620))[2]}
    assert hints["imbalance"].says == "caution" and "25.0 to 1" in hints["imbalance"].evidence
    # the score of the fixture rises with the row, so the hardest half of 620 has none of the first class but 190
    rows = np.arange(620.0)
    worst, retained = smallest_kept(rows, np.repeat([0, 1, 2], [500, 100, 20]), 310)
    assert worst == 0 and retained == pytest.approx(190 / 500 / 0.5)
    size = DataSize(620, None, np.array([500, 100, 20, 0]))
    assert size.classes == 3 and size.alpha() is None and size.smallest == 20
    assert size.effective_classes == pytest.approx(1 / ((500**2 + 100**2 + 20**2) / 620**2))


def test_ways_are_written_for_studies():
    assert way_of("random is safer", "s", 0.1, NOISY, "floor") == {"take": "random", "balance": "floor"}
    dropped = way_of("drop the hardest", "s", 0.5, NOISY, "none")
    assert dropped == {
        "take": "stratified",
        "by": "s",
        "drop_hardest": 0.13,
        "equal": "mass",
        "balance": "none",
    }
    assert way_of("keep easy", "s", 0.9, NOISY, "none")["take"] == "easiest"
    assert way_of("coverage", "s", 0.5, CLEAN, "none")["take"] == "stratified"


def test_the_report_tells_the_same_everywhere_and_escapes():
    _, because, findings = choice(NOISY, 0.5)
    each = Recommendation(0.5, "drop the hardest", because, {"take": "stratified"}, tuple(findings))
    advice = Advice("my|data", 1200, 10, 4800, NOISY, (each,), "Balanced.", "s.yaml")
    text, page, told = advice.text(), advice.markdown(), advice.to_dict()
    assert "Keep 50%: drop the hardest" in text and "tamis study s.yaml" in text and "my\\|data" in page
    assert "Wrong labels that follow a rule" in text
    assert told["noise"]["share"][0] == 0.11 and told["recommendations"][0]["because"] == "wrong labels"
    assert all(rule.source in page.replace("\\", "") for rule in RULES)
    import json

    json.dumps(told, allow_nan=False)
