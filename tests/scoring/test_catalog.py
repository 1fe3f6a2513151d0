"""The catalogue: what may be asked for, how it is named, and what a mistake reads like."""

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from references.own_scorer import HalfLoss
from references.scored_arrays import arrays, scored

from scoring import catalog, places
from scoring.catalog import SCORERS, describe, make_scorer, parse_scorer, scorer_names, split_scorers
from scoring.errors import InputError
from scoring.scorer import Scorer
from scoring.scorers.el2n import EL2N, EL2NSum
from scoring.scorers.forgetting import Forgetting
from scoring.scorers.loss import Loss
from scoring.scorers.uniform import Random
from scoring.steps import StepRule

HERE = "references.own_scorer:HalfLoss"


@pytest.fixture
def plugins(monkeypatch):
    """Entry points of another package."""
    points = [
        EntryPoint("half_loss", HERE, catalog.ENTRY_POINTS),
        EntryPoint("loss", HERE, catalog.ENTRY_POINTS),
        EntryPoint("gone", "no_such_package:Scorer", catalog.ENTRY_POINTS),
    ]

    def entry_points(group):
        return [point for point in points if point.group == group]

    monkeypatch.setattr(places, "entry_points", entry_points)


class TestGrammar:
    @pytest.mark.parametrize(
        ("request_text", "name", "scorer", "rule"),
        [
            ("el2n", "el2n", EL2N(), None),
            (" el2n ", "el2n", EL2N(), None),
            ("el2n()", "el2n", EL2N(), None),
            ("el2n:brier", "el2n:brier", EL2N(form="brier"), None),
            ("el2n:brier@mean", "el2n:brier@mean", EL2N(form="brier"), "mean"),
            ("loss@epoch=3", "loss@epoch=3", Loss(), "epoch=3"),
            ("loss@epoch=3.0", "loss@epoch=3", Loss(), "epoch=3"),
            ("el2n(form=l1)@last", "el2n(form=l1)@last", EL2N(form="l1"), "last"),
            (
                "forgetting(never_learned=inf)",
                "forgetting(never_learned=inf)",
                Forgetting(never_learned="inf"),
                None,
            ),
            (
                "forgetting( never_learned = 5 , runs = mean )",
                "forgetting(never_learned=5,runs=mean)",
                Forgetting(never_learned=5, runs="mean"),
                None,
            ),
            ("random(seed=-3)", "random(seed=-3)", Random(seed=-3), None),
            ("el2n:ccs-sum(epochs=3)", "el2n:ccs-sum(epochs=3)", EL2NSum(epochs=3), None),
            ("scoring.scorers.loss:Loss@sum", "scoring.scorers.loss:Loss@sum", Loss(), "sum"),
            (
                "scoring.scorers.el2n:EL2N(form=l1)",
                "scoring.scorers.el2n:EL2N(form=l1)",
                EL2N(form="l1"),
                None,
            ),
        ],
    )
    def test_requests(self, request_text, name, scorer, rule):
        expected = (name, scorer, None if rule is None else StepRule.parse(rule))
        assert parse_scorer(request_text) == expected
        assert parse_scorer(name) == expected

    @pytest.mark.parametrize(
        "text",
        ["self_confidence(adjust=true)", "self_confidence(adjust=True)", "self_confidence(adjust= true)"],
    )
    def test_booleans(self, text):
        assert parse_scorer(text)[1].adjust is True

    def test_split_at_commas_outside_parentheses(self):
        assert split_scorers(" el2n, forgetting(runs=mean,never_learned=inf) ,loss@mean,, ") == [
            "el2n",
            "forgetting(runs=mean,never_learned=inf)",
            "loss@mean",
        ]
        assert split_scorers(" ") == []

    @pytest.mark.parametrize(
        "text", ["", "(seed=1)", "el2n@", "@mean", "el2n@mean@last", "el2n(form=l1", "a b", "loss@", 3, None]
    )
    def test_malformed(self, text):
        with pytest.raises(InputError, match=r"scorers must be names like el2n, loss@mean or forgetting\("):
            parse_scorer(text)


class TestUnknown:
    @pytest.mark.parametrize(
        ("text", "hint"),
        [
            ("el2m", "el2n"),
            ("forgeting", "forgetting"),
            ("el2n:bier", "el2n:brier"),
            ("el2m:brier", "el2n:brier"),
            ("margin:labels", "margin:label"),
        ],
    )
    def test_names_list_the_nearest(self, text, hint):
        with pytest.raises(
            InputError, match=rf"scorer must be one of {hint}, .* more, got '{text}'.*'{hint}'\?$"
        ):
            parse_scorer(text)

    @pytest.mark.parametrize("text", [":x", "x:", "qqqqqqqqqq"])
    def test_names_without_a_near_one(self, text):
        with pytest.raises(InputError, match=rf"scorer must be one of .*got '{text}'\.$"):
            parse_scorer(text)

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("el2n(fom=l1)", r"scorer 'el2n': option must be one of form, got 'fom'\. Did you mean 'form'\?"),
            ("loss(base=2)", r"score: scorer 'loss' has no options, got 'base'\."),
            ("self_confidence(thresholds=1)", "option must be one of adjust, got 'thresholds'"),
            ("el2n(form)", r"option must be of the form option=value, got 'form'\."),
            ("el2n(form=)", "option must be of the form option=value, got 'form='"),
            ("el2n(form=l1,form=l1)", r"option 'form' must be given once, got it twice\."),
        ],
    )
    def test_options(self, text, sentence):
        with pytest.raises(InputError, match=sentence):
            parse_scorer(text)

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("random(seed=1.5)", r"scorer 'random': seed must be a whole number, got 1\.5\."),
            ("random(seed=true)", "seed must be a whole number, got True"),
            ("self_confidence(adjust=1)", "adjust must be true or false, got 1"),
            ("self_confidence(adjust=yes)", "adjust must be true or false, got 'yes'"),
            ("el2n(form=3)", "form must be one of brier, l1, norm, got '3'"),
            ("el2n:ccs-sum(epochs=0)", "epochs must be a whole number from 1, got 0"),
            ("forgetting(never_learned=most)", "never_learned must be 'max', .*got 'most'"),
            ("forgetting(runs=mode)", "runs must be one of mean, sum, got 'mode'"),
        ],
    )
    def test_wrong_types(self, text, sentence):
        with pytest.raises(InputError, match=sentence):
            parse_scorer(text)

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("no_such_package:Scorer", "cannot be imported .*No module named 'no_such_package'"),
            ("scoring.scorers.loss:Lost", "cannot be imported .*no attribute 'Lost'"),
            ("json:loads", r"scorer must be a subclass of scoring\.Scorer, got 'json:loads'\."),
            ("pathlib:Path", r"scorer must be a subclass of scoring\.Scorer"),
        ],
    )
    def test_places(self, text, sentence):
        with pytest.raises(InputError, match=sentence):
            parse_scorer(text)

    def test_step_rules(self):
        with pytest.raises(
            InputError, match=r"'aum' is a score of all checkpoints .* takes no step rule, got @mean"
        ):
            parse_scorer("aum@mean")
        with pytest.raises(InputError, match=r"step rule must be one of .*Did you mean 'mean'\?"):
            parse_scorer("loss@mena")
        with pytest.raises(
            InputError, match=r"'consensus_label' is a class, so its step rule must pick one .*got @mean"
        ):
            parse_scorer("consensus_label@mean")
        assert parse_scorer("consensus_label@first")[2] == StepRule("first")


class TestObjects:
    @pytest.mark.parametrize(
        ("scorer", "name"),
        [
            (EL2N(), "el2n"),
            (EL2N, "el2n"),
            (EL2N(form="brier"), "el2n:brier"),
            (EL2NSum(), "el2n:ccs-sum"),
            (EL2NSum(epochs=3), "el2n:ccs-sum(epochs=3)"),
            (Forgetting(), "forgetting"),
            (Forgetting(never_learned="inf", runs="mean"), "forgetting:paul2021"),
            (Forgetting(never_learned="inf"), "forgetting(never_learned=inf)"),
            (Random(seed=4), "random(seed=4)"),
            (HalfLoss(), "half_loss"),
            (HalfLoss(factor=0.25), "half_loss(factor=0.25)"),
        ],
    )
    def test_names(self, scorer, name):
        found, made, rule = parse_scorer(scorer)
        assert (found, rule) == (name, None)
        assert isinstance(made, Scorer)

    def test_names_read_back(self):
        for scorer in (EL2N(form="l1"), EL2NSum(epochs=3), Forgetting(never_learned="inf"), Random(seed=4)):
            assert parse_scorer(parse_scorer(scorer)[0])[1] == scorer

    def test_own_scorer_in_a_table(self):
        logits, labels = arrays()
        table = scored([HalfLoss(), "loss"], logits, labels)
        np.testing.assert_allclose(table.column("half_loss"), table.column("loss") / 2)
        assert table.columns["half_loss"]["options"] == {"factor": 0.5}
        assert table.meaning("half_loss") == "hard"

    @pytest.mark.parametrize(
        ("declared", "sentence"),
        [
            ({"meaning": "hard"}, "must declare needs"),
            ({"needs": frozenset({"losses"})}, "must declare meaning"),
            (
                {"needs": frozenset({"loss"}), "meaning": "hard"},
                "needs must be one of .*Did you mean 'losses'",
            ),
            ({"needs": frozenset(), "meaning": "hardest"}, "meaning must be one of .*Did you mean 'hard'"),
            ({"needs": frozenset(), "meaning": "hard", "view": "train"}, "view must be one of"),
        ],
    )
    def test_own_scorer_declares_what_exists(self, declared, sentence):
        cls = dataclass(frozen=True)(type("Mine", (Scorer,), declared))
        with pytest.raises(InputError, match=f"scorer Mine: .*{sentence}"):
            parse_scorer(cls())


class TestEntryPoints:
    def test_by_name(self, plugins):
        assert "half_loss" in scorer_names()
        assert parse_scorer("half_loss(factor=2.0)@max") == (
            "half_loss(factor=2.0)@max",
            HalfLoss(2.0),
            StepRule("max"),
        )
        assert type(make_scorer(HERE)) is HalfLoss

    def test_catalogue_wins(self, plugins):
        assert type(make_scorer("loss")) is Loss
        assert scorer_names().count("loss") == 1

    def test_nearest_names_include_them(self, plugins):
        with pytest.raises(InputError, match=r"Did you mean 'half_loss'\?"):
            make_scorer("half_los")

    def test_broken_one(self, plugins):
        with pytest.raises(InputError, match=r"scorer 'gone' cannot be imported .*no_such_package"):
            make_scorer("gone")

    def test_none_installed_is_fine(self):
        assert scorer_names() == sorted(SCORERS)


def test_every_place_exists_and_variants_have_a_base():
    for name, entry in SCORERS.items():
        module, _, cls = entry.place.partition(":")
        assert issubclass(getattr(import_module(module), cls), Scorer)
        assert name.partition(":")[0] in SCORERS


def test_describe():
    rows = {row["name"]: row for row in describe()}
    assert sorted(rows) == sorted(SCORERS)
    for row in rows.values():
        assert "high means" in row["doc"] and row["source"]
    assert rows["el2n"] == {
        "name": "el2n",
        "meaning": "hard",
        "needs": ["labels", "logits"],
        "view": "clean",
        "steps": "early",
        "options": {"form": "norm"},
        "doc": rows["el2n"]["doc"],
        "source": rows["el2n"]["source"],
    }
    assert rows["aum"]["steps"] is None and rows["aum"]["view"] == "presentation"
    assert rows["forgetting:paul2021"]["options"] == {"never_learned": "inf", "runs": "mean"}


def test_of_very_many_names_an_error_lists_the_nearest():
    from scoring.errors import unknown_name

    names = [f"el2n.run{number}" for number in range(200)] + ["margin"]
    sentence = str(unknown_name("by", "select", "margn", names))
    assert (
        sentence.startswith("select: by must be one of margin, ") and " and 191 more, got 'margn'" in sentence
    )
    assert sentence.endswith("Did you mean 'margin'?") and len(sentence) < 300
    assert "more" not in str(unknown_name("by", "select", "margn", names[:59]))
