"""Asking a real model behind an OpenAI-compatible server on this machine: same answers, none lost, none paid twice."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from references.openai_server import OpenAIServer
from references.tiny_language_models import save_llama

from scoring.ask_llm import connection, retries
from scoring.ask_llm.backend import Answer, Prompt
from scoring.ask_llm.prompts import Template
from scoring.ask_llm.provider import AnswerProvider
from scoring.ask_llm.server import TRIED_OUT_WITH, ServerBackend
from scoring.ask_llm.transformers_backend import TransformersBackend
from scoring.corpus.documents import Documents
from scoring.corpus.models import CorpusModels
from scoring.examples import Examples
from scoring.needs import Answers
from scoring.run import score

CHAT = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}<|assistant|>"
TEXTS = [f"document {k} is {'long ' * k}" for k in range(30)]
TEMPLATE = Template.of("yes-no-answer")
ALL = 10**6

pytestmark = pytest.mark.filterwarnings("ignore:ask_llm.*does not answer the question:UserWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama whose vocabulary has the answers."""
    return save_llama(tmp_path_factory.mktemp("llm"), positions=1024, words=("yes", "no", "Yes", "NO"))


@pytest.fixture(scope="module")
def chat_folder(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    """The same with a chat template."""
    there = save_llama(tmp_path_factory.mktemp("chat"), positions=1024, words=("yes", "no", "Yes", "NO"))
    about = json.loads((there / "tokenizer_config.json").read_text())
    (there / "tokenizer_config.json").write_text(json.dumps({**about, "chat_template": CHAT}))
    return there


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE", 1e-3)
    for name in connection.KEYS:
        monkeypatch.delenv(name, raising=False)


def backend(server: OpenAIServer, work: Path | None = None, url: str = "", **models: Any) -> ServerBackend:
    return ServerBackend.of(url or server.url, CorpusModels(**models), TEMPLATE, work)


def prompts(texts: list[str] = TEXTS) -> list[Prompt]:
    return [TEMPLATE.prompt(text) for text in texts]


def paid(server: OpenAIServer) -> dict[str, int]:
    """Answers that were sent, by document."""
    known = {prompt.text: prompt.document for prompt in prompts()}
    return {known[text]: count for text, count in server.asked.items() if text in known}


def assert_close(found: list[Answer], expected: list[Answer]) -> None:
    for name in ("log_yes", "log_no", "tokens"):
        np.testing.assert_allclose(
            [getattr(answer, name) for answer in found],
            [getattr(answer, name) for answer in expected],
            atol=1e-4,
            rtol=0,
        )


@contextmanager
def one_sentence(*parts: str) -> Iterator[None]:
    with pytest.raises(ValueError) as error:
        yield
    said = str(error.value)
    assert said.startswith("ask_llm: ") and said.endswith(".") and "\n" not in said
    for part in parts:
        assert part in said


class TestAnswers:
    ODD = ("", "word", "北京 🙂", "<s></s>", "###\nyes\n###", "half \ud83d a pair", "the sea " * 60)

    def test_equal_those_in_process(self, folder: Path) -> None:
        asked = prompts([text for text in self.ODD if "\ud83d" not in text])
        with OpenAIServer(folder, top=ALL) as server:
            found = backend(server).answer(asked)
        assert_close(found, TransformersBackend.of(str(folder), CorpusModels(), TEMPLATE, None).answer(asked))

    def test_equal_those_in_process_through_a_chat_template(self, chat_folder: Path) -> None:
        asked = prompts([text for text in self.ODD if "\ud83d" not in text])
        with OpenAIServer(chat_folder, top=ALL) as server:
            asking = backend(server)
            assert asking.describe()["path"] == "chat/completions"
            found = asking.answer(asked)
        own = TransformersBackend.of(str(chat_folder), CorpusModels(), TEMPLATE, None)
        assert own.chats
        assert_close(found, own.answer(asked))

    def test_both_endpoints_of_a_model_without_template_differ_in_nothing_but_it(
        self, chat_folder: Path
    ) -> None:
        asked = prompts(["a boat"])
        with OpenAIServer(chat_folder, top=ALL) as server:
            plain = backend(server, url=f"{server.url}/completions").answer(asked)
        own = TransformersBackend.of(
            str(chat_folder), CorpusModels(), Template.of("yes-no-answer", chat=False), None
        )
        assert_close(plain, own.answer(asked))

    def test_any_text_can_be_sent(self, folder: Path) -> None:
        with OpenAIServer(folder) as server:
            found = backend(server).answer(prompts(list(self.ODD)))
        assert np.isfinite([(answer.log_yes, answer.log_no) for answer in found]).all()

    def test_what_few_alternatives_do_not_show_is_as_likely_as_the_least(self, folder: Path) -> None:
        asked = prompts(TEXTS[:4])
        with OpenAIServer(folder, most=5) as server:
            asking = backend(server)
            assert asking.describe()["top"] == 5
            for prompt, answer in zip(asked, asking.answer(asked), strict=True):
                all_V = server.model.log_probs(prompt.text, chat=False)[0]
                assert not {token for token, _ in all_V[:5]} & {"yes", "Yes", "no", "NO"}
                assert answer.log_yes == answer.log_no == pytest.approx(all_V[4][1])

    def test_equal_prompts_are_asked_once(self, folder: Path) -> None:
        with OpenAIServer(folder) as server:
            found = backend(server).answer(prompts([TEXTS[3]] * 5))
            assert paid(server) == {TEXTS[3]: 1}
        assert len(found) == 5 and len(set(found)) == 1

    def test_a_window_that_is_too_long_loses_its_end(self, folder: Path) -> None:
        with OpenAIServer(folder, context=500, top=ALL) as server:
            (found,) = backend(server).answer(prompts(["x" * 600]))
            (read,) = (body["prompt"] for body in server.bodies if TRIED_OUT_WITH not in body["prompt"])
        assert 400 < found.tokens <= 500
        assert read.startswith(f"{TEMPLATE.before}xxx") and read.endswith(f"xxx{TEMPLATE.after}")
        assert found.shown == (len(read) - len(TEMPLATE.before + TEMPLATE.after)) / 600

    def test_what_a_server_does_not_take_is_told_as_unseen(self, folder: Path, tmp_path: Path) -> None:
        """One that does not say how much its model reads, also after the answer came from the journal."""
        text = "x" * 2000
        with OpenAIServer(folder, context=500, top=ALL, meta={}) as server:
            given = CorpusModels.of({"llm": server.url})
            for _ in range(2):
                asking = AnswerProvider.of(Answers(prompt="yes-no-answer"), given, tmp_path)
                assert asking.backend.room() is None
                found = asking.values(Documents(Examples.from_arrays([text, "short"]), np.arange(2)))
            read = max(len(body["prompt"]) for body in server.bodies)
        left = read - len(TEMPLATE.before + TEMPLATE.after)
        assert found[2].tolist() == [1, 1]
        assert found[3].tolist() == [pytest.approx(1 - left / 2000), 0]

    def test_room_is_what_the_server_says_less_the_question(self, folder: Path) -> None:
        question = (
            len((TEMPLATE.before + TRIED_OUT_WITH + TEMPLATE.after).encode()) - 2
        )  # yes and no are one token
        with OpenAIServer(folder, context=700) as server:
            assert 0 < backend(server).room() - (700 - question - 1 - 8) <= 4  # type: ignore[operator]
        with OpenAIServer(folder, context=700, meta={"n_ctx_train": 9000, "n_params": 1234}) as server:
            asking = backend(server)
            assert asking.parameters == 1234 and asking.room() < 700  # type: ignore[operator]
        with OpenAIServer(folder, meta={"n_ctx_train": 9000, "n_ctx": 650}) as server:
            assert backend(server).room() < 650  # type: ignore[operator]
        with OpenAIServer(folder) as server:
            assert backend(server).room() is None


class TestStories:
    def test_a_model_that_does_not_answer_is_told_of(self, data_dir: Path) -> None:
        """A model of children's stories, with no token for yes or no."""
        examples = Examples.from_arrays(TEXTS[:12], ids=[f"d{k}" for k in range(12)], name="corpus")
        with (
            OpenAIServer(data_dir / "lm_stories260k", context=512) as server,
            pytest.warns(UserWarning, match="does not answer the question"),
        ):
            table = score(examples, "ask_llm(prompt=yes-no-answer)", llm=server.url)
        (valid,) = (table.column(name) for name in table.names if name.endswith(".valid"))
        assert (valid <= 2 / 21).all() and np.isfinite(table.column(table.names[0])).all()


class TestFailures:
    @pytest.mark.parametrize("failure", [429, 500, 503, "drop"])
    def test_passing_ones_are_retried(self, folder: Path, failure: int | str) -> None:
        with OpenAIServer(folder, top=ALL) as server:
            expected = backend(server).answer(prompts())
        with OpenAIServer(folder, top=ALL, every=3, failure=failure) as server:
            found = backend(server, concurrency=4).answer(prompts())
            assert paid(server) == dict.fromkeys(TEXTS, 1)
            assert server.received > len(TEXTS) * 1.4
        assert_close(found, expected)

    def test_pauses_that_the_server_asks_for(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[float | None] = []

        def no_pause(attempt: int, salt: bytes, seconds: float | None) -> float:
            asked.append(seconds)
            return 0.0

        monkeypatch.setattr(connection, "pause", no_pause)
        with OpenAIServer(folder, every=2, headers={"Retry-After": "7"}) as server:
            backend(server).answer(prompts(TEXTS[:5]))
        assert asked and set(asked) == {7.0}

    def test_quotas_are_not_waited_for(self, folder: Path) -> None:
        with (
            OpenAIServer(folder, every=2, headers={"Retry-After": "86400"}) as server,
            one_sentence("takes no more requests for now", "429 busy"),
        ):
            backend(server).answer(prompts())

    def test_a_server_that_stays_away(self, folder: Path) -> None:
        with OpenAIServer(folder, answers=6) as server:
            asking = backend(server)
            with one_sentence(server.url, "in 8 attempts", "start it again."):
                asking.answer(prompts())

    def test_a_prompt_that_is_refused_for_good_has_no_answer(self, folder: Path) -> None:
        with OpenAIServer(folder) as server:
            asking = backend(server)
            reply = server.reply

            def refuse(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
                wrong = "document 3 " in body["prompt"]
                return (400, {"error": {"message": "content policy"}}) if wrong else reply(path, body)

            server.reply = refuse  # type: ignore[method-assign]
            found = asking.answer(prompts(TEXTS[:6]))
        assert [np.isnan(answer.log_yes) for answer in found] == [False] * 3 + [True] + [False] * 2


class TestTurns:
    def test_every_request_takes_one(self, folder: Path) -> None:
        class Turns:
            taken = 0

            def turn(self, wait: object) -> None:
                self.taken += 1

        with OpenAIServer(folder, every=3) as server:
            asking, turns = backend(server, requests_per_minute=10.0**6, concurrency=1), Turns()
            asking.pace, before = turns, server.received  # type: ignore[assignment]
            asking.answer(prompts())
            assert turns.taken == server.received - before > len(TEXTS)

    def test_the_limit_is_that_of_the_models(self, folder: Path) -> None:
        with OpenAIServer(folder) as server:
            assert backend(server, requests_per_minute=10.0**6).pace._gap == 6e-5
            assert backend(server).pace._gap == 0


class TestResuming:
    REQUEST = "ask_llm(prompt=yes-no-answer)"

    def test_a_server_that_comes_back(self, folder: Path, tmp_path: Path) -> None:
        """It dies after some answers, three times; every document is paid for once, values are those of one go."""
        examples = Examples.from_arrays(TEXTS, ids=[f"d{k}" for k in range(len(TEXTS))], name="corpus")
        with OpenAIServer(folder) as server:
            whole = score(examples, self.REQUEST, llm=server.url)
        total: dict[str, int] = {}
        out, port = tmp_path / "scores.parquet", 0
        for answers in (1, 8, 12, None):
            with OpenAIServer(folder, port=port, answers=answers) as server:
                port = server.port
                if answers is None:
                    table = score(examples, self.REQUEST, llm=server.url, out=out, concurrency=3)
                else:
                    with one_sentence("goes on where" if answers > 1 else "attempts"):
                        score(examples, self.REQUEST, llm=server.url, out=out, concurrency=3)
                for text, count in paid(server).items():
                    total[text] = total.get(text, 0) + count
        assert total == dict.fromkeys(TEXTS, 1)
        assert [path.name for path in sorted(tmp_path.iterdir())] == [out.name, f"{out.name}.costs.json"]
        for name in whole.names:
            np.testing.assert_array_equal(table.column(name), whole.column(name))
        costs = json.loads((tmp_path / f"{out.name}.costs.json").read_text())["signals"]
        (cost,) = costs.values()
        assert cost["documents"] == len(TEXTS) and cost["tokens"] > 300 * len(TEXTS)

    def test_a_job_that_is_killed(self, folder: Path, tmp_path: Path) -> None:
        """SIGKILL in the middle: what the server had sent was on disk."""
        with OpenAIServer(folder) as server:
            code = (
                "import os, signal, sys\n"
                "from pathlib import Path\n"
                "from scoring.ask_llm.journal import Journal\n"
                "from scoring.ask_llm.prompts import Template\n"
                "from scoring.ask_llm.server import ServerBackend\n"
                "from scoring.corpus.models import CorpusModels\n"
                "add = Journal.add\n"
                "def added(self, key, answer):\n"
                "    add(self, key, answer)\n"
                "    if len(self.answers) == 9: os.kill(os.getpid(), signal.SIGKILL)\n"
                "Journal.add = added\n"
                "template = Template.of('yes-no-answer')\n"
                f"models, work = CorpusModels(concurrency=1), Path({str(tmp_path)!r})\n"
                f"backend = ServerBackend.of({server.url!r}, models, template, work)\n"
                f"backend.answer([template.prompt(text) for text in {TEXTS!r}])\n"
            )
            done = subprocess.run(
                [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(Path.cwd())}, check=False
            )
            assert done.returncode == -9 and sum(paid(server).values()) in (9, 10)  # one may be under way
            backend(server, tmp_path).answer(prompts())
            counts = paid(server)
        assert set(counts) == set(TEXTS) and sum(counts.values()) <= len(TEXTS) + 1

    def test_the_address_is_no_part_of_the_request(self, folder: Path, tmp_path: Path) -> None:
        with OpenAIServer(folder) as first:
            expected = backend(first, tmp_path).answer(prompts())
        with OpenAIServer(folder) as second:
            found = backend(second, tmp_path).answer(prompts())
            assert not paid(second) and found == expected


class TestMistakes:
    def test_nobody_there(self, folder: Path) -> None:
        with OpenAIServer(folder) as server:
            url = server.url
        with one_sentence(url, "in 3 attempts", "start it"):
            ServerBackend.of(url, CorpusModels(), TEMPLATE, None)

    def test_another_address(self, folder: Path) -> None:
        with OpenAIServer(folder) as server, one_sentence("does not list its models (404: Not Found)", "/v1"):
            backend(server, url=f"http://127.0.0.1:{server.port}/v2")

    def test_another_model(self, folder: Path) -> None:
        with (
            OpenAIServer(folder) as server,
            pytest.raises(ValueError, match=r"^ask_llm: llm_name must be one of tiny, got 'tyny'"),
        ):
            backend(server, llm_name="tyny")

    def test_several_models(self, folder: Path) -> None:
        with OpenAIServer(folder, names=("large", "small")) as server:
            with one_sentence("has 2 models ('large', 'small')", "llm_name"):
                backend(server)
            assert backend(server, llm_name="small").describe()["served"] == "small"

    def test_no_models(self, folder: Path) -> None:
        with OpenAIServer(folder, names=()) as server, one_sentence("has no model"):
            backend(server)

    def test_no_logprobs(self, folder: Path) -> None:
        said = ("returns logprobs", "/completions answers without logprobs")
        with OpenAIServer(folder, logprobs=False) as server, one_sentence(*said):
            backend(server)

    def test_no_endpoint(self, folder: Path) -> None:
        with OpenAIServer(folder, endpoints=()) as server, one_sentence("refuses (404: Not Found)"):
            backend(server)

    def test_an_endpoint_that_breaks_is_none(self, chat_folder: Path) -> None:
        """As that for chats where the model has no template."""
        with OpenAIServer(chat_folder, broken=["chat/completions"]) as server:
            assert backend(server).describe()["path"] == "completions"
        both = ["chat/completions", "completions"]
        with OpenAIServer(chat_folder, broken=both) as server, one_sentence("/completions fails (500)"):
            backend(server)

    def test_a_list_of_models_that_breaks_is_none(self, folder: Path) -> None:
        with OpenAIServer(folder, broken=["models"]) as server:
            assert backend(server, llm_name="tiny").describe()["served"] == "tiny"
            with one_sentence("500 Internal Server Error"):
                backend(server)

    def test_pages_of_a_browser(self, folder: Path) -> None:
        with OpenAIServer(folder) as server:
            server.http.RequestHandlerClass.send = _send_page  # type: ignore[attr-defined]
            with one_sentence("no OpenAI-compatible server"):
                backend(server)


class TestKeys:
    def test_key_opens_and_stands_nowhere(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        examples = Examples.from_arrays(TEXTS[:5], ids=list("abcde"), name="corpus")
        with OpenAIServer(folder, key="k-secret") as server:
            with one_sentence("TAMIS_LLM_KEY", "401"):
                backend(server)
            monkeypatch.setenv("TAMIS_LLM_KEY", "k-wrong")
            with one_sentence("Bearer ***"):
                backend(server)
            monkeypatch.setenv("TAMIS_LLM_KEY", "k-secret")
            score(examples, TestResuming.REQUEST, llm=server.url, out=tmp_path / "scores.parquet")
            assert "k-secret" not in repr(vars(backend(server, tmp_path)))
        for path in tmp_path.rglob("*"):
            assert path.is_dir() or b"k-secret" not in path.read_bytes()

    def test_openai_key_does_not_travel_open(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "k-openai")
        keys = {
            url: connection._key(url)
            for url in ("http://far.example/v1", "https://far.example/v1", "http://localhost")
        }
        assert list(keys.values()) == ["", "k-openai", "k-openai"]
        monkeypatch.setenv("TAMIS_LLM_KEY", "k-own")
        assert connection._key("http://far.example/v1") == "k-own"

    def test_odd_keys(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TAMIS_LLM_KEY", "k-\u00e9")
        with one_sentence("TAMIS_LLM_KEY"):
            connection._key("http://localhost")


def _send_page(self: Any, status: int, content: object, headers: object = None) -> None:
    self.send_response(200)
    self.send_header("Content-Length", "6")
    self.end_headers()
    self.wfile.write(b"<html>")
    self.wfile.flush()
