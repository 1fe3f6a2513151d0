"""The scorer ask_llm: what becomes of answers, a planted mix, models that do not answer, several models."""

import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from references.document_world import documents

from scoring.ask_llm import provider
from scoring.ask_llm.backend import Answer, IntArray, Prompt
from scoring.ask_llm.ensemble import agreement, ensemble
from scoring.examples import Examples
from scoring.hashing import uniform
from scoring.run import score
from scoring.scorers.ask_llm import AskLLM
from scoring.table import ScoreTable


class ScriptedBackend:
    """Says yes to a window the more of it is words, with noise; every character is a token."""

    controls: tuple[str, ...] = ()
    parameters = None

    def __init__(self, mass: float = 0.98) -> None:
        self.mass = mass
        self.asked: list[Prompt] = []

    def describe(self) -> dict[str, object]:
        return {"scripted": self.mass}

    def room(self) -> int:
        return 120

    def token_starts(self, documents: Sequence[str]) -> list[IntArray]:
        return [np.arange(len(document)) for document in documents]

    def answer(self, prompts: Sequence[Prompt]) -> list[Answer]:
        self.asked.extend(prompts)
        return [self._one(prompt.document) for prompt in prompts]

    def _one(self, text: str) -> Answer:
        words = text.split()
        good = np.mean([word.strip(".").isalpha() for word in words]) if words else 0.0
        noise = float(uniform(0, [text])[0]) - 0.5
        share = 1 / (1 + math.exp(-6 * (good - 0.6) - 2 * noise))
        return Answer(math.log(self.mass * share), math.log(self.mass * (1 - share)), len(text))


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> ScriptedBackend:
    """The model of every request."""
    backend = ScriptedBackend()
    monkeypatch.setattr(provider, "make_backend", lambda *given: backend)
    return backend


def mix(clean: int, junk: int) -> tuple[Examples, np.ndarray]:
    """Sentences, and lines of symbols and numbers; which are sentences."""
    rng = np.random.default_rng(3)
    symbols = ["#", "$$$", "12", "x1", "click", "http://a.b", "|", "{}", "buy", "&amp;"]
    lines = [" ".join(rng.choice(symbols, size=rng.integers(3, 60))) for _ in range(junk)]
    return Examples.from_arrays([*documents(clean), *lines], ids=[f"{k}" for k in range(clean + junk)]), (
        np.arange(clean + junk) < clean
    )


class TestScores:
    @pytest.mark.parametrize("request_", ["ask_llm", "ask_llm:sachdeva2024", "ask_llm(windows=head_tail)"])
    def test_planted_mix(self, request_: str, scripted: ScriptedBackend) -> None:
        """What proves it: precision of at least .9 in the top part, where .3 are clean."""
        examples, clean = mix(60, 140)
        values = score(examples, request_, llm="scripted").column(request_)
        top = np.argsort(-values)[: int(clean.sum())]
        assert clean[top].mean() >= 0.9

    def test_forms(self, scripted: ScriptedBackend) -> None:
        examples, _ = mix(10, 10)
        table = score(
            examples, [AskLLM(form=form) for form in ("log_mass", "mass", "share", "log_odds")], llm="x"
        )
        log_mass, mass, share, log_odds = (table.column(name) for name in table.scores)
        np.testing.assert_allclose(np.exp(log_mass), mass, rtol=1e-6)
        np.testing.assert_allclose(mass / scripted.mass, share, rtol=1e-6)
        np.testing.assert_allclose(np.log(share / (1 - share)), log_odds, rtol=1e-4)
        np.testing.assert_allclose(table.column("ask_llm.valid"), scripted.mass, rtol=1e-6)
        assert len(scripted.asked) == 20  # one question serves all forms

    def test_logs_do_not_tie_where_probabilities_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Sure(ScriptedBackend):
            def _one(self, text: str) -> Answer:
                return Answer(-800.0 - len(text), -1e-300, len(text))

        monkeypatch.setattr(provider, "make_backend", lambda *given: Sure())
        examples = Examples.from_arrays(["a", "bb", "ccc"])
        table = score(examples, ["ask_llm", "ask_llm(form=mass)"], llm="x")
        assert len(set(table.column("ask_llm").tolist())) == 3
        assert set(table.column("ask_llm(form=mass)").tolist()) == {0.0}

    def test_costs_are_told(self, scripted: ScriptedBackend, tmp_path: Path) -> None:
        import json

        examples, _ = mix(5, 5)
        score(examples, "ask_llm", llm="x", out=tmp_path / "s.parquet")
        (cost,) = json.loads((tmp_path / "s.parquet.costs.json").read_text())["signals"].values()
        assert cost["tokens"] == sum(len(prompt.document) for prompt in scripted.asked)

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"form": "odds"}, "form must be one of"),
            ({"windows": "tail"}, "windows must be one of"),
            ({"pool": "median"}, "pool must be one of"),
            ({"window_tokens": 0}, "window_tokens must be a whole number from 1"),
            ({"prompt": "is it good?"}, "exactly once"),
        ],
    )
    def test_refused(self, options: dict[str, Any], said: str) -> None:
        with pytest.raises(ValueError, match=said):
            AskLLM(**options)

    def test_a_prompt_without_fences_is_warned_of(self, scripted: ScriptedBackend) -> None:
        del scripted
        with pytest.warns(UserWarning, match="a document can pose as the question"):
            score(Examples.from_arrays(["a", "b"]), AskLLM(prompt="{document} Good?"), llm="x")


class TestReview:
    def test_a_model_that_does_not_answer(self, scripted: ScriptedBackend) -> None:
        scripted.mass = 0.004
        examples, _ = mix(10, 10)
        with pytest.warns(
            UserWarning, match=r"less than 0.5 on yes and no for 100% .* less than 0.01 for half"
        ):
            table = score(examples, "ask_llm", llm="x")
        summary = table.columns["ask_llm"]["summary"]
        assert (
            summary["low_mass"] == 1 and summary["mass_below_0.01"] == 20 and summary["mass_below_0.001"] == 0
        )

    def test_what_was_tried_is_not_advised(self) -> None:
        values = dict.fromkeys(("", "valid", "windows", "unseen"), torch.full((3,), 0.01))
        for prompt, advised in (("sachdeva2024", True), ("yes-no-answer", False)):
            scorer = AskLLM(prompt=prompt)
            (said,) = scorer.review(scorer.tally(values)).warnings
            assert ("try another prompt (yes-no-answer" in said) == advised

    def test_a_model_that_answers_is_not_warned_of(self, scripted: ScriptedBackend) -> None:
        examples, _ = mix(10, 10)
        table = score(examples, "ask_llm", llm="x")  # a warning would be an error
        summary = table.columns["ask_llm"]["summary"]
        assert summary["low_mass"] == 0 and summary["documents"] == 20
        long = sum(len(text) > 120 for text in map(str, examples.texts(np.arange(20))))
        assert summary["cut"] == long > 0

    def test_tallies_of_parts_add_up(self) -> None:
        scorer, rng = AskLLM(), np.random.default_rng(0)
        valid = torch.tensor(rng.random(50) ** 4)
        values = {"": valid.log(), "valid": valid, "windows": valid, "unseen": (valid - 0.5).clamp(min=0)}
        whole = scorer.tally(values)
        parts = [scorer.tally({k: v[rows] for k, v in values.items()}) for rows in (slice(20), slice(20, 50))]
        assert {k: parts[0][k] + parts[1][k] for k in whole} == whole
        assert scorer.review(whole).summary["low_mass"] == pytest.approx(float((valid < 0.5).double().mean()))

    def test_a_real_model_that_tells_stories(self, data_dir: Path) -> None:
        """stories260k continues any text with a story; of the 512 tokens that it reads the question takes most."""
        examples, _ = mix(2, 2)
        with pytest.warns(UserWarning, match="the model does not answer the question"):
            table = score(examples, "ask_llm", llm=data_dir / "lm_stories260k")
        assert (table.column("ask_llm.valid") < 0.01).all()


class TestSeveralModels:
    TABLE = ScoreTable.from_columns(
        ["a", "b", "c", "d", "e"],
        {
            "x": [1.0, 2.0, 3.0, 4.0, np.nan],
            "y": [10.0, 30.0, 20.0, 20.0, 5.0],
            "z": [np.nan] * 5,
            "constant": [1.0] * 5,
        },
        "quality",
    )

    def test_kendall_by_counting_pairs(self) -> None:
        rng = np.random.default_rng(1)
        columns = {name: rng.integers(0, 6, 40).astype(float) for name in "abc"}
        columns["a"][:3] = np.nan
        table = ScoreTable.from_columns(np.arange(40), columns, "quality")
        found = agreement(table, ["a", "b", "c"])
        for (i, a), (j, b) in combinations(enumerate("abc"), 2):
            assert found[i, j] == found[j, i] == pytest.approx(_tau_b(columns[a], columns[b]))
        assert (np.diag(found) == 1).all()

    def test_columns_that_say_nothing(self) -> None:
        found = agreement(self.TABLE, ["x", "z", "constant"])
        assert np.isnan(found[~np.eye(3, dtype=bool)]).all()

    def test_ranks_do_not_depend_on_scale(self) -> None:
        rng = np.random.default_rng(2)
        a, b = rng.normal(size=(2, 30))
        plain, bent = (
            ensemble(ScoreTable.from_columns(np.arange(30), {"a": left, "b": b}, "quality"), ["a", "b"])
            for left in (a, np.exp(20 * a))
        )
        np.testing.assert_allclose(plain.column("ensemble"), bent.column("ensemble"))
        assert plain.meaning("ensemble") == "quality"

    def test_one_model_missing_and_all_missing(self) -> None:
        both = ensemble(self.TABLE, ["x", "y"], "mean").column("ensemble")
        np.testing.assert_allclose(both, [5.5, 16, 11.5, 12, 5])
        assert np.isnan(ensemble(self.TABLE, ["z", "z"]).column("ensemble")).all()

    def test_an_ensemble_is_better_than_its_members(self) -> None:
        rng = np.random.default_rng(4)
        truth = rng.normal(size=400)
        members = {f"m{k}": truth + 2 * rng.normal(size=400) for k in range(6)}
        table = ScoreTable.from_columns(np.arange(400), members, "quality")
        together = np.corrcoef(ensemble(table, list(members)).column("ensemble"), truth)[0, 1]
        assert together > max(np.corrcoef(each, truth)[0, 1] for each in members.values()) + 0.1

    def test_refused(self) -> None:
        with pytest.raises(ValueError, match="two or more names"):
            agreement(self.TABLE, ["x"])
        with pytest.raises(ValueError, match="how must be one of"):
            ensemble(self.TABLE, ["x", "y"], "median")  # type: ignore[arg-type]
        mixed = ScoreTable.from_columns(["a"], {"x": [1.0], "y": [1.0]}, {"x": "quality", "y": "hard"})
        with pytest.raises(ValueError, match="must mean the same, got hard, quality"):
            ensemble(mixed, ["x", "y"])


def _tau_b(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall 1945: concordant less discordant pairs, over the geometric mean of pairs not tied in each."""
    known = ~np.isnan(a) & ~np.isnan(b)
    a, b = a[known], b[known]
    signs = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in combinations(range(len(a)), 2)]
    untied = [sum(pair[side] != 0 for pair in signs) for side in (0, 1)]
    return float(sum(x * y for x, y in signs) / math.sqrt(untied[0] * untied[1]))
