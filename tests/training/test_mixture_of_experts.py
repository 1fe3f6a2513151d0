"""Mixtures of experts and other families: what is computed, what is counted, and how a study names them."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from references.mixture_slow import logits_and_balance

from scoring.errors import InputError
from training.pretraining.configured import Configured, mixture_of_width, read_models
from training.pretraining.corpus import make_corpus
from training.pretraining.decoder import Decoder, shape_of_width
from training.pretraining.held_out import HeldOut, held_out_losses
from training.pretraining.run import pretrain

SMALL: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
    "intermediate_size": 24, "num_experts_per_tok": 2,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": {}, "qwen2": {}, "qwen3": {}, "olmo2": {}, "mistral": {},
    "mixtral": {"num_local_experts": 4},
    "qwen2_moe": {"num_experts": 4, "moe_intermediate_size": 8, "shared_expert_intermediate_size": 24},
    "qwen3_moe": {"num_experts": 4, "moe_intermediate_size": 8},
    "olmoe": {"num_experts": 4},
}  # fmt: skip


def test_logits_and_router_loss_one_token_at_a_time() -> None:
    shape = mixture_of_width(16, 30, experts=4, active=2, mlp=8, router_loss=0.5)
    model = Decoder(shape, 8, 0)
    weights = {name: each.detach().double().numpy() for name, each in model.module.named_parameters()}
    tokens = [3, 1, 29, 3, 7, 7]
    slow, balance = logits_and_balance(weights, tokens, heads=2, active=2)
    padded = torch.tensor([[*tokens, 0, 0]])
    counted = torch.tensor([[True] * len(tokens) + [False] * 2])
    logits, routers = model.training_logits(padded, counted)
    assert routers is not None and float(routers.detach()) == pytest.approx(0.5 * balance, rel=1e-5)
    assert np.allclose(logits[0, : len(tokens)].detach().numpy(), slow, atol=2e-5)
    # transformers by itself: its loss of a text has the same two parts
    text = torch.tensor([tokens])
    whole = model.module(input_ids=text, labels=text, output_router_logits=True)
    own = torch.nn.functional.cross_entropy(torch.from_numpy(slow[:-1]), text[0, 1:])
    assert float(whole.loss.detach()) == pytest.approx(float(own) + 0.5 * balance, rel=1e-5)


def test_without_a_router_loss_nothing_is_added() -> None:
    model = Decoder(mixture_of_width(16, 30, experts=3, active=1), 8, 0)
    tokens = torch.zeros(1, 8, dtype=torch.long)
    assert model.training_logits(tokens, tokens >= 0)[1] is None


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("tied", [True, False])
def test_sizes_and_flops_are_those_of_the_network(family: str, tied: bool) -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    config = {**SMALL, **CONFIGS[family], "model_type": family, "tie_word_embeddings": tied}
    shape = Configured(config, 257)
    module: Any = Decoder(shape, 32, 0).module
    assert shape.parameters == sum(each.numel() for each in module.parameters())
    idle = 0
    if shape.experts:
        assert (shape.experts, shape.chosen) == (4, 2)
        expert = 3 * 16 * config.get("moe_intermediate_size", 24)
        idle = 2 * 2 * expert
        module.set_experts_implementation("eager")
    assert shape.active == shape.parameters - idle
    assert shape.non_embedding == shape.parameters - 257 * 16 * (1 if tied else 2)
    tokens = torch.zeros(2, 32, dtype=torch.long)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(input_ids=tokens).logits.sum().backward()
    assert counter.get_total_flops() / tokens.numel() == pytest.approx(shape.flops_per_token(32), rel=2e-3)


def test_one_active_expert_of_the_usual_width_costs_what_the_dense_model_does_but_for_the_router() -> None:
    dense, mixture = shape_of_width(24, 257), mixture_of_width(24, 257, experts=4, active=1)
    router = 4 * 24 * dense.depth
    assert mixture.active == dense.parameters + router
    assert mixture.flops_per_token(64) == dense.flops_per_token(64) + 6 * router
    assert mixture.parameters == dense.parameters + router + 3 * (3 * 24 * dense.mlp) * dense.depth


def test_weights_belong_to_seed_and_name_and_the_first_loss_is_near_knowing_nothing() -> None:
    shape = mixture_of_width(32, 257, experts=4, shared=16)
    one, two, other = (Decoder(shape, 16, seed) for seed in (0, 0, 1))
    pairs = [*zip(one.module.parameters(), two.module.parameters(), other.module.parameters())]
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert all(not torch.equal(a, c) for a, _, c in pairs if a.dim() > 1)
    text = HeldOut.of(make_corpus("words", ["some text or other"] * 20), 500)
    loss = held_out_losses(one, text, 16, torch.device("cpu"))["loss"]
    assert math.log(257) - 0.3 < loss < math.log(257) + 0.9


def test_a_mixture_is_trained_and_told(tmp_path: Path) -> None:
    corpus = make_corpus("words", [f"the cat saw dog {n % 7} and ran home" for n in range(60)])
    text = HeldOut.of(corpus, 300)
    shape = mixture_of_width(8, 257, experts=2, active=1, router_loss=0.01)
    options: dict[str, Any] = {"tokens": 2_000, "length": 16, "batch_tokens": 64, "device": "cpu", "lr": 0.02}
    run = pretrain(corpus, {"words": text}, out=tmp_path / "run", shape=shape, **options)
    assert run.config["model"]["family"] == "mixtral" and run.config["model"]["width"] == 8
    assert (run.config["num_parameters"], run.config["active_parameters"]) == (shape.parameters, shape.active)
    losses = [
        row["value"] for row in run.metrics().to_pylist() if row["name"] == "loss" and row["split"] == "words"
    ]
    assert losses[-1] < losses[0] < 5
    other = pretrain(
        corpus,
        {"words": text},
        out=tmp_path / "off",
        shape=mixture_of_width(8, 257, experts=2, active=1),
        **options,
    )
    assert other.config["request"]["model"] != run.config["request"]["model"]


def test_what_a_study_calls_models(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps({**SMALL, "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]})
    )
    found = read_models(
        [16, {"width": 16, "experts": 4, "active": 1}, {"width": 16, "experts": 4, "shared": 8, "name": "own"},
         {"config": str(tmp_path)}, {"config": {**SMALL, "model_type": "llama"}, "name": "config"}],
        257, "study",
    )  # fmt: skip
    assert list(found) == ["llama-16", "mixtral-16-4x1", "own", "qwen3-16", "config"]
    assert found["llama-16"] == shape_of_width(16, 257) and found["own"].family == "qwen2_moe"


@pytest.mark.parametrize(
    "given, message",
    [
        ([], "models must be widths"),
        ([16, 16], "got 'llama-16' twice"),
        ([{"experts": 4}], "needs width, or config"),
        ([{"width": 16, "active": 2}], "active of a model is for experts"),
        ([{"width": 16, "experts": 2, "active": 3}], "active must be at most experts"),
        ([{"width": 16, "experts": 1}], "experts must be a whole number of at least 2"),
        ([{"width": 16, "expert": 4}], "Did you mean 'experts'"),
        ([{"config": {"model_type": "gpt2"}}], "model_type must be one of"),
        ([{"config": {"model_type": "llama", "hidden_size": 16, "num_attention_heads": 0}}], "cannot be made so"),
        (["small"], "models must be a width"),
    ],
)  # fmt: skip
def test_what_is_no_model_is_told_in_a_sentence(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_models(given, 257, "study")
    assert "\n" not in str(error.value)
