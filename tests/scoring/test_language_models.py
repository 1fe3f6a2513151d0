"""Nats of documents and tokens against a loop that asks the model token by token, on tiny models of some families."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from references.language_models_slow import token_by_token
from references.tiny_language_models import save_gpt2, save_llama, save_t5, save_tokenizer
from transformers import AutoModelForCausalLM

from scoring.corpus.documents import Documents
from scoring.corpus.models import CorpusModels
from scoring.examples import Examples
from scoring.language_models import token_nats
from scoring.language_models.causal_model import causal_model
from scoring.language_models.provider import NatsProvider
from scoring.language_models.token_losses import token_losses, write_token_losses
from scoring.language_models.windows import Windows
from scoring.needs import DocumentNats
from scoring.run import score
from training.pretraining.corpus import make_corpus
from training.pretraining.run import pretrain

TEXTS = [
    "the sea was calm",
    "",
    "a",
    "北京 🙂 über",
    "x" * 80,
    "<s></s> not control tokens",
    "The sea was calm. " * 5,
]
BEGIN = 256


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def unbegun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama whose tokenizer has no begin token."""
    folder = save_llama(tmp_path_factory.mktemp("unbegun"), seed=3)
    save_tokenizer(folder, words=("<s>",), eos_token="</s>")
    return folder


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Gemma 2: it bends its logits behind the head."""
    from transformers import Gemma2Config, Gemma2ForCausalLM

    folder = tmp_path_factory.mktemp("gemma")
    size = save_tokenizer(folder, bos_token="<s>", eos_token="</s>")
    config = Gemma2Config(
        vocab_size=size, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, max_position_embeddings=64, final_logit_softcapping=0.5,
        bos_token_id=256, eos_token_id=257, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Gemma2ForCausalLM(config)
        with torch.no_grad():
            network.model.embed_tokens.weight.mul_(10)  # logits that the cap reaches
        network.save_pretrained(folder)
    return folder


def examples(texts: list[str] = TEXTS) -> Examples:
    return Examples.from_arrays(texts, ids=[f"d{k}" for k in range(len(texts))])


def provider(lm: Path, need: DocumentNats | None = None, **options: Any) -> NatsProvider:
    return NatsProvider.of(need or DocumentNats(), CorpusModels(lm=str(lm), device="cpu", **options), None)


def values(made: NatsProvider, texts: list[str] = TEXTS) -> np.ndarray:
    """(4, B): nats, tokens, bytes, left out."""
    found = examples(texts)
    return torch.stack(made.values(Documents(found, np.arange(len(found))))).numpy()


def byte_ids(folder: Path, text: str) -> list[int]:
    (encoded,) = causal_model(folder).encoder.encode([text])
    return encoded.ids_T.tolist()


class TestAgainstTheLoop:
    @pytest.mark.parametrize("family", ["llama", "unbegun", "gemma", "gpt2"])
    @pytest.mark.parametrize(("window", "stride"), [(None, None), (16, 15), (16, 1), (20, 0), (2, 1)])
    def test_values(
        self,
        family: str,
        window: int | None,
        stride: int | None,
        request: pytest.FixtureRequest,
        tmp_path: Path,
    ) -> None:
        folder = save_gpt2(tmp_path, positions=64) if family == "gpt2" else request.getfixturevalue(family)
        made = provider(folder, DocumentNats(window=window, stride=stride), batch_tokens=150)
        found = values(made)
        begin = made.model.encoder.begin
        assert (begin is None) == (family in ("unbegun", "gpt2"))
        network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        for k, text in enumerate(TEXTS):
            ids = byte_ids(folder, text)
            expected = token_by_token(network, ids, begin, made.windows.size, made.windows.stride)
            assert found[1, k] == len(expected)
            if expected:
                assert found[0, k] == pytest.approx(sum(expected), rel=1e-5)
            else:
                assert math.isnan(found[0, k])
            assert found[3, k] == max(0, len(ids) - (begin is None)) - len(expected)
            if stride != 0 and begin is not None:
                assert found[2, k] == len(text.encode()) or not expected

    def test_the_head_is_taken_apart_only_where_nothing_stands_behind_it(
        self, llama: Path, gemma: Path
    ) -> None:
        assert causal_model(llama).parts is not None and causal_model(gemma).parts is None

    @pytest.mark.parametrize(("family", "most"), [("llama", 3000 // 258), ("gemma", 64)])
    def test_logits_are_made_in_parts(
        self, family: str, most: int, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """At most so many at a time; of a model that makes its logits itself, those of a window."""
        folder = request.getfixturevalue(family)
        whole, inner = values(provider(folder)), token_nats._cross_entropy
        seen: list[int] = []

        def watched(logits_PV: torch.Tensor, targets_P: torch.Tensor) -> torch.Tensor:
            seen.append(len(logits_PV))
            return inner(logits_PV, targets_P)

        monkeypatch.setattr(token_nats, "LOGITS", 3000)
        monkeypatch.setattr(token_nats, "_cross_entropy", watched)
        np.testing.assert_allclose(values(provider(folder)), whole, rtol=1e-6)
        assert max(seen) <= most


class TestInvariance:
    @pytest.mark.parametrize("batch_tokens", [1, 64, 10_000])
    def test_batches(self, llama: Path, batch_tokens: int) -> None:
        np.testing.assert_allclose(
            values(provider(llama, batch_tokens=batch_tokens)), values(provider(llama)), rtol=1e-6
        )

    def test_neighbours_and_padding_side(self, llama: Path, tmp_path: Path) -> None:
        alone = np.concatenate([values(provider(llama), [text]) for text in TEXTS], axis=1)
        np.testing.assert_allclose(alone, values(provider(llama)), rtol=1e-6)
        left = save_llama(tmp_path, padding_side="left", pad_token="</s>")
        np.testing.assert_array_equal(values(provider(left)), values(provider(llama)))

    def test_windows_that_hold_the_text(self, llama: Path) -> None:
        """Where a text fits, neither size nor stride changes anything."""
        short = [text for text in TEXTS if len(text.encode()) < 30]
        for window, stride in ((32, 1), (40, 0), (64, 63)):
            made = provider(llama, DocumentNats(window=window, stride=stride))
            np.testing.assert_allclose(values(made, short), values(provider(llama), short), rtol=1e-6)

    def test_one_model_for_all_needs(self, llama: Path) -> None:
        a, b = provider(llama), provider(llama, DocumentNats(window=8))
        assert a.model is b.model and a.describe() != b.describe()
        assert provider(llama, precision="bfloat16").model is not a.model

    def test_bfloat16_is_close(self, llama: Path) -> None:
        found, expected = values(provider(llama, precision="bfloat16"))[0], values(provider(llama))[0]
        there = ~np.isnan(expected)
        np.testing.assert_allclose(found[there], expected[there], rtol=0.02)


class TestTokens:
    def test_control_tokens_in_a_text_are_text(self, llama: Path) -> None:
        """Else a document could end itself, and what follows would be scored as another one."""
        assert byte_ids(llama, "<s></s>") == [
            int(x) for x in byte_ids(llama, "<s>") + byte_ids(llama, "</s>")
        ]
        assert len(byte_ids(llama, "<s></s>")) == len("<s></s>")

    def test_every_token_once(self) -> None:
        for begin in (True, False):
            for size in (2, 3, 7, 10):
                for stride in range(1, size):
                    for first in (0, 1, 5, 11):
                        windows = Windows(size, stride, begin).cut(23, first)
                        predicted = [t for each in windows for t in range(each.first, each.end)]
                        assert predicted == list(range(max(first, 0 if begin else 1), 23))
                        assert all(begin + each.end - each.start <= size for each in windows)
                        assert all(each.first - each.start + begin >= 1 for each in windows)

    def test_token_losses(self, llama: Path) -> None:
        found = token_losses(TEXTS, llama, window=20)
        totals = values(provider(llama, DocumentNats(window=20)))
        for k, (text, each) in enumerate(zip(TEXTS, found, strict=True)):
            assert len(each) == len(text.encode()) and not np.isnan(each.nats_T).any()
            assert each.nats_T.sum() == pytest.approx(np.nan_to_num(totals[0, k]))
            assert (each.ends_T > each.starts_T).all() and (np.diff(each.starts_T) >= 0).all()
            assert each.ends_T.max(initial=0) == len(text)

    def test_bytes_of_what_is_predicted(self, llama: Path, unbegun: Path) -> None:
        head = values(provider(llama, DocumentNats(window=11, stride=0)))
        assert head[1:, 6].tolist() == [10, 10, len(TEXTS[6]) - 10]
        assert values(provider(unbegun))[1:, 0].tolist() == [15, 15, 0]
        assert values(provider(unbegun))[1:, 2].tolist() == [0, 0, 0]

    def test_costs(self, llama: Path) -> None:
        """Bytes: begin and all but the last; 2 FLOPs per weight of layer and head, and attention."""
        made = provider(llama)
        values(made, ["x" * 10, "y" * 20])
        layer = 4 * 32 * 32 + 3 * 32 * 48
        expected = 2 * 30 * (layer + 258 * 32) + 4 * 32 * (10**2 + 20**2)
        assert made._spent == {"tokens": 30, "flops": expected}


class TestPairs:
    def test_response_after_prompt(self, llama: Path) -> None:
        prompts, responses = ["What is it?", "", "x" * 200], ["The sea.", "Alone.", "Behind a long prompt."]
        pairs = Examples.load(
            {"p": prompts, "r": responses, "id": ["a", "b", "c"]}, text="p", text_pair="r", id="id"
        )
        network = AutoModelForCausalLM.from_pretrained(llama, dtype=torch.float32).eval()
        table = score(pairs, ["perplexity:response(unit=nats)", "ifd", "ifd:loss"], lm=llama, device="cpu")
        for k, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
            before = list(f"{prompt}\n\n".encode()) if prompt else []
            ids = byte_ids(llama, f"{prompt}\n\n" if prompt else "") + byte_ids(llama, response)
            given = token_by_token(network, ids, BEGIN, 64, 32, first=len(before))
            alone = token_by_token(network, byte_ids(llama, response), BEGIN, 64, 32)
            assert len(given) == len(alone) == len(response)
            mean, mean_alone = np.mean(given), np.mean(alone)
            assert table.column("perplexity:response(unit=nats)")[k] == pytest.approx(mean, rel=1e-5)
            assert table.column("ifd")[k] == pytest.approx(math.exp(mean - mean_alone), rel=1e-5)
            assert table.column("ifd:loss")[k] == pytest.approx(mean / mean_alone, rel=1e-5)
        assert table.column("ifd")[1] == pytest.approx(1.0, abs=1e-6)

    def test_a_prompt_that_fills_the_only_window(self, llama: Path) -> None:
        pairs = Examples.load({"p": ["x" * 99], "r": ["y"], "id": ["a"]}, text="p", text_pair="r", id="id")
        made = provider(llama, DocumentNats(part="response", stride=0))
        found = torch.stack(made.values(Documents(pairs, np.arange(1))))[:, 0].tolist()
        assert math.isnan(found[0]) and found[1:] == [0, 0, 1]


class TestPerplexity:
    def test_units_and_side_columns(self, llama: Path) -> None:
        names = ["perplexity", "perplexity(unit=nats)", "perplexity(unit=bits_per_byte)", "loss"]
        table = score(examples(), [*names, "perplexity:qurating(window=11)"], lm=llama, device="cpu")
        nats, tokens, size, _ = values(provider(llama))
        with np.errstate(invalid="ignore"):
            np.testing.assert_allclose(table.column("loss"), nats / tokens)
            np.testing.assert_allclose(table.column("perplexity"), np.exp(nats / tokens))
            np.testing.assert_allclose(table.column("perplexity(unit=nats)"), nats / tokens)
            np.testing.assert_allclose(table.column("perplexity.bits_per_byte"), nats / math.log(2) / size)
            np.testing.assert_allclose(
                table.column("perplexity(unit=bits_per_byte)"), nats / math.log(2) / size
            )
        head = values(provider(llama, DocumentNats(window=11, stride=0)))
        with np.errstate(invalid="ignore"):
            np.testing.assert_allclose(table.column("perplexity:qurating(window=11)"), -head[0] / head[1])
        truncated = table.column("perplexity:qurating(window=11).truncated")
        assert truncated[0] == 6 / 16 and truncated[2] == 0 and math.isnan(truncated[1])
        assert math.isnan(table.column("perplexity")[1])

    def test_reducible_loss_with_another_tokenizer(self, llama: Path, tmp_path: Path) -> None:
        """Nats of both over the tokens of one."""
        other = save_llama(tmp_path, seed=5, words=("the", "sea"))
        table = score(examples(), ["reducible_loss"], lm=llama, reference=other, device="cpu")
        a, b = values(provider(llama)), values(provider(other))
        assert b[1, 0] < a[1, 0]
        with np.errstate(invalid="ignore"):
            np.testing.assert_allclose(table.column("reducible_loss"), (a[0] - b[0]) / a[1], atol=1e-12)

    @pytest.mark.parametrize(
        ("request_", "sentence"),
        [
            ("perplexity(unit=bits)", "unit must be one of"),
            ("perplexity(part=prompt)", "part must be one of"),
            ("perplexity(window=1)", "window must be a whole number from 2"),
            ("perplexity(stride=-1)", "stride must be a whole number from 0"),
            (
                "perplexity(window=8,stride=8)",
                "stride must be less than the window|stride must be less than window",
            ),
            ("perplexity(window=65)", "window must be from 2 to 64"),
            ("perplexity(model=3)", "model must be"),
            ("ifd(of=tokens)", "of must be one of"),
            ("ngram_perplexity(order=0)", "order must be a whole number from 1"),
            ("ngram_perplexity(bits=50)", "bits must be a whole number from 1"),
            ("ngram_perplexity(tokens=letters)", "tokens must be one of"),
        ],
    )
    def test_refusals(self, llama: Path, request_: str, sentence: str) -> None:
        with pytest.raises(ValueError, match=sentence) as caught:
            score(examples(), [request_], lm=llama, target=examples())
        assert "\n" not in str(caught.value)


class TestModels:
    def test_refusals(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="name its folder or hub name as lm"):
            score(examples(), ["perplexity"])
        with pytest.raises(ValueError, match="name its folder or hub name as reference"):
            score(examples(), ["reducible_loss"], lm=save_llama(tmp_path / "a"))
        with pytest.raises(ValueError, match="not one of encoder and decoder"):
            score(examples(), ["perplexity"], lm=save_t5(tmp_path / "t5"))
        with pytest.raises(ValueError, match="holds no tokenizer"):
            folder = save_llama(tmp_path / "b")
            for file in folder.glob("*token*"):
                file.unlink()
            score(examples(), ["perplexity"], lm=folder)

    def test_a_run_of_pretraining(self, tmp_path: Path) -> None:
        """Its last checkpoint, which reads bytes; a separator begins a text, as it did in training."""
        texts = [f"the sea was calm on day {k} and the boat lay still" for k in range(30)]
        options: dict[str, Any] = {"tokens": 2048, "length": 64, "batch_tokens": 512, "device": "cpu"}
        run = pretrain(make_corpus("sea", texts), {}, out=tmp_path / "run", width=8, **options)
        found = score(examples(texts), ["perplexity(unit=nats)"], lm=run.path, device="cpu")
        nats = found.column("perplexity(unit=nats)")
        network = AutoModelForCausalLM.from_pretrained(run.checkpoints()[-1].path, dtype=torch.float32).eval()
        expected = token_by_token(network, list(texts[0].encode()), 256, 64, 32)
        assert nats[0] == pytest.approx(np.mean(expected), rel=1e-5)
        (losses,) = token_losses(["über"], run.path, device="cpu")
        assert losses.ids_T.tolist() == list("über".encode()) and losses.starts_T.tolist() == [0, 0, 1, 2, 3]


class TestFileOfTokenLosses:
    def test_columns(self, llama: Path, tmp_path: Path) -> None:
        other = save_llama(tmp_path / "other", seed=2)
        out = write_token_losses(examples(), llama, tmp_path / "t.parquet", reference=other, device="cpu")
        rows = pq.read_table(out).to_pylist()
        expected = token_losses(TEXTS, llama, device="cpu")
        assert [row["id"] for row in rows] == [f"d{k}" for k in range(len(TEXTS))]
        for row, each, ref in zip(rows, expected, token_losses(TEXTS, other), strict=True):
            assert row["tokens"] == each.ids_T.tolist() and row["starts"] == each.starts_T.tolist()
            np.testing.assert_allclose(row["losses"], each.nats_T, rtol=1e-6)
            np.testing.assert_allclose(row["reducible_losses"], each.nats_T - ref.nats_T, atol=1e-5)
        plain = write_token_losses(examples(), llama, tmp_path / "p.parquet")
        assert pq.read_table(plain).column_names == ["id", "tokens", "starts", "ends", "losses"]

    def test_other_tokens_are_refused(self, llama: Path, tmp_path: Path) -> None:
        other = save_llama(tmp_path / "other", words=("sea",))
        with pytest.raises(ValueError, match="must have one tokenizer, and cut document 'd0'"):
            write_token_losses(examples(), llama, tmp_path / "t.parquet", reference=other)
        assert not (tmp_path / "t.parquet").exists()


def test_windows_are_checked_against_the_model(llama: Path) -> None:
    made = provider(llama)
    assert made.windows == Windows(64, 32, True)
    with pytest.raises(ValueError, match="window must be from 2 to 64"):
        provider(llama, DocumentNats(window=65))
