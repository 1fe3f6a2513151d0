"""What scoring will cost, from a pilot: against what it does cost, where that is known."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from references.counted_tokens import CountedTokens
from references.document_world import documents
from references.openai_server import OpenAIServer
from references.tiny_language_models import save_llama

from scoring.corpus import providers
from scoring.corpus.estimate import Estimate, estimate
from scoring.examples import Examples
from scoring.hashing import hash64


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    places = {**providers.PROVIDERS, "answers": "references.counted_tokens:CountedTokens"}
    monkeypatch.setattr(providers, "PROVIDERS", places)


def corpus(rows: int, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    texts = ["x" * int(length) for length in rng.lognormal(4, 1, rows)]
    return Examples.from_arrays(texts, ids=[f"{seed}-{k}" for k in range(rows)], name="corpus")


def total_bytes(examples: Examples) -> int:
    return sum(len(str(text).encode()) for text in examples.texts(np.arange(len(examples))))


@pytest.mark.usefixtures("counted")
class TestPilot:
    def test_intervals_hold_the_truth_as_often_as_they_say(self) -> None:
        inside = []
        for seed in range(60):
            examples = corpus(600, seed)
            found = estimate(examples, "ask_llm", documents=100).tokens
            assert found.low is not None and found.high is not None
            inside.append(found.low <= total_bytes(examples) <= found.high)
        assert np.mean(inside) >= 0.85

    def test_all_documents_leave_nothing_to_guess(self) -> None:
        examples = corpus(60)
        found = estimate(examples, "ask_llm")
        truth = pytest.approx(total_bytes(examples))
        assert (found.pilot, found.documents, found.groups) == (60, 60, 5)
        assert (found.tokens.low, found.tokens.value, found.tokens.high) == (truth, truth, truth)
        assert found.flops is not None and found.flops.value == pytest.approx(1000 * total_bytes(examples))

    def test_pilot_is_that_of_the_lowest_hash_in_any_order(self) -> None:
        examples = corpus(300)
        chosen = np.argsort(hash64(0, examples.ids))[:50]
        mean = total_bytes(examples.take(chosen)) / 50
        for order in (np.arange(300), np.random.default_rng(1).permutation(300)):
            found = estimate(examples.take(order), "ask_llm", documents=50)
            assert found.tokens.value == pytest.approx(300 * mean)

    def test_gpu_hours(self) -> None:
        found = estimate(corpus(40), "ask_llm", flop_per_second=2e12, utilisation=0.5)
        assert found.flops is not None and found.gpu_hours is not None
        assert found.gpu_hours.value == pytest.approx(found.flops.value / 1e12 / 3600)
        assert "50% of 2e+12 FLOP/s" in found.text()

    def test_size_of_a_model_that_does_not_say(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(CountedTokens, "flops_per_token", 0.0)
        examples = corpus(40)
        unknown = estimate(examples, "ask_llm")
        assert unknown.flops is None and unknown.gpu_hours is None and "operations unknown" in unknown.text()
        found = estimate(examples, "ask_llm", parameters=7e9)
        assert found.flops is not None and found.flops.value == pytest.approx(14e9 * total_bytes(examples))

    def test_bytes(self) -> None:
        """Four numbers of a signal while it is scored; in the table an id and score, valid, windows, unseen."""
        found = estimate(corpus(1000), "ask_llm")
        assert found.work_bytes == 1000 * 4 * 8
        assert found.table_bytes == pytest.approx(1000 * (4 * 8 + 5), rel=0.01)

    def test_bytes_of_what_is_read_together(self) -> None:
        """Minhashes are not kept, but stored for the scorer; embeddings are both. Beside a score are three columns."""
        found = estimate(corpus(1000), "minhash_duplicates(permutations=32)")
        assert found.work_bytes == 1000 * 32 * 8
        assert found.table_bytes == pytest.approx(1000 * (4 * 8 + 5), rel=0.01)
        assert (
            estimate(corpus(1000), "semantic_duplicates", encoder="hashed(dim=16)").work_bytes
            == 2 * 1000 * 16 * 4
        )

    def test_one_document(self) -> None:
        found = estimate(corpus(1), "ask_llm")
        assert found.groups == 1 and found.tokens.low is None
        assert "to" not in found.text().splitlines()[2].split("tokens")[0].split(":")[1]
        json.dumps(found.to_dict(), allow_nan=False)

    @pytest.mark.parametrize(
        "wrong", [{"documents": 0}, {"utilisation": 0}, {"utilisation": 2}, {"flop_per_second": 0}]
    )
    def test_mistakes(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"^estimate: .*\.$"):
            estimate(corpus(5), "ask_llm", **wrong)


def test_nothing_dear() -> None:
    found = estimate(corpus(30), "length")
    assert found.tokens.value == 0 and found.seconds.value > 0 and "needs a model" in found.text()


def test_scores_of_runs_are_refused() -> None:
    with pytest.raises(ValueError, match="give runs or arrays"):
        estimate(corpus(30), "el2n")


def test_no_documents() -> None:
    with pytest.raises(ValueError, match="no documents"):
        estimate(corpus(5).take([]), "length")


def test_a_server_is_asked_for_the_pilot_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = Examples.from_arrays(documents(60), ids=[f"d{k}" for k in range(60)], name="corpus")
    with OpenAIServer(save_llama(tmp_path, positions=1024, words=("yes", "no"))) as server:
        found = estimate(examples, "ask_llm(prompt=yes-no-answer)", documents=20, llm=server.url)
        assert len(server.asked) == 21 and server.asked.total() == 22  # one to try out, and the first again
        tokens = [len(text.encode()) for text in server.asked]
    (signal,) = found.signals
    assert signal.name == "answers(prompt=yes-no-answer)" and signal.flops is None
    assert 0.8 < signal.tokens.value / (60 * np.mean(tokens)) < 1.05
    assert isinstance(found, Estimate) and "20 of 60 documents" in found.text()
