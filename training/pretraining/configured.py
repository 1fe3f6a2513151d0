"""Decoders of other families than Llama's: any configuration of transformers of a known layout, dense or of experts.

Sizes are counted from the network itself. A mixture of experts sends every token to ``num_experts_per_tok`` of its
experts, by a router without capacity limits (Mixtral, Jiang et al. 2024, section 2.1); experts that all tokens go
through (Qwen2-MoE's shared one) count whole. Routers are trained by the loss of the tokens alone, unless the
configuration says ``output_router_logits: true``: then ``router_aux_loss_coef`` times the load-balancing loss of Fedus
et al. 2022 (equations 4 to 6, over all layers together) is added in training, and never to a loss that is told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scoring.errors import InputError, bad_value, unknown_name
from training.pretraining.decoder import HEAD, OWNER, Blueprint, initial_spread, shape_of_width

FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "olmo2", "mixtral", "qwen2_moe", "qwen3_moe", "olmoe")
"""Families whose matrices are (out, in), with experts stacked as (expert, out, in)."""
EMBEDDINGS = ("embed_tokens.weight", "lm_head.weight")
EXPERTS = ".experts."
RULES = ("width", "experts", "active", "mlp", "shared", "router_loss")


@dataclass(frozen=True)
class Configured:
    """A decoder by a configuration of transformers.

    Attributes:
        config: Keys and values with ``model_type``, as in a model's ``config.json``; special tokens are not used.
        vocabulary: V, in place of the configuration's.
    """

    config: Mapping[str, Any] = field(hash=False)
    vocabulary: int

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise unknown_name("model_type", OWNER, str(self.family), FAMILIES)
        if self.width < 1:
            raise bad_value("hidden_size", OWNER, self.width, "a whole number of at least 1")

    @property
    def family(self) -> str:
        """By transformers' name."""
        return str(self.config.get("model_type"))

    @property
    def width(self) -> int:
        """``hidden_size`` d."""
        return int(self._made.config.hidden_size)

    @property
    def depth(self) -> int:
        """Layers, L."""
        return int(self._made.config.num_hidden_layers)

    @property
    def experts(self) -> int:
        """Experts of a layer, 0 of a dense model."""
        config = self._made.config
        return int(getattr(config, "num_local_experts", None) or getattr(config, "num_experts", None) or 0)

    @property
    def chosen(self) -> int:
        """Experts that a token is sent to."""
        return int(self._made.config.num_experts_per_tok) if self.experts else 0

    @property
    def router_loss(self) -> float:
        """See above."""
        config = self._made.config
        return float(config.router_aux_loss_coef) if getattr(config, "output_router_logits", False) else 0.0

    @cached_property
    def _made(self) -> Any:
        """The network without values."""
        from scoring.networks.huggingface import quiet

        with quiet(), torch.device("meta"):
            return self._network(1)

    @property
    def parameters(self) -> int:
        """All of them, tied embeddings once, idle experts too: what must be stored."""
        return sum(weight.numel() for weight in self._made.parameters())

    @property
    def active(self) -> int:
        """Parameters that work on one token: of the stacked experts the share ``chosen / experts``."""
        return sum(self._working(name, weight) for name, weight in self._made.named_parameters())

    @property
    def non_embedding(self) -> int:
        """All but the two embeddings."""
        return sum(
            weight.numel() for name, weight in self._made.named_parameters() if not name.endswith(EMBEDDINGS)
        )

    def _working(self, name: str, weight: Tensor) -> int:
        return weight.numel() * self.chosen // self.experts if EXPERTS in name else weight.numel()

    def flops_per_token(self, length: int) -> int:
        """As ``Shape.flops_per_token``: 6 per weight that a token is multiplied with, and attention over all pairs."""
        config = self._made.config
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        matrices = sum(
            self._working(name, weight)
            for name, weight in self._made.named_parameters()
            if weight.dim() > 1 and not name.endswith(EMBEDDINGS)
        )
        attention = 12 * self.depth * config.num_attention_heads * head * length
        return int(6 * (matrices + self.vocabulary * self.width) + attention)

    def to_json(self) -> dict[str, Any]:
        """For run.json."""
        return {"config": dict(self.config), "vocabulary": self.vocabulary}

    def module(self, length: int) -> nn.Module:
        """The network for sequences of ``length``."""
        return self._network(length)

    def _network(self, length: int) -> nn.Module:
        from transformers import AutoConfig, AutoModelForCausalLM

        given = {key: value for key, value in self.config.items() if key != "model_type"}
        own = {
            "vocab_size": self.vocabulary, "max_position_embeddings": length, "use_cache": False,
            "bos_token_id": None, "eos_token_id": None, "pad_token_id": None,
        }  # fmt: skip
        try:
            config = AutoConfig.for_model(self.family, **{**given, **own})
            made: nn.Module = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
        except (TypeError, ValueError, KeyError, RuntimeError, AttributeError, ArithmeticError) as error:
            why = " ".join(str(error).split())
            raise InputError(f"{OWNER}: a model of family {self.family} cannot be made so ({why}).") from None
        return made

    def spread(self, name: str, weight: Tensor) -> float:
        """See ``decoder.initial_spread``."""
        return initial_spread(name, weight, self.width, self.depth)


def mixture_of_width(
    width: int,
    vocabulary: int,
    *,
    experts: int,
    active: int = 2,
    mlp: int | None = None,
    shared: int = 0,
    router_loss: float = 0.0,
) -> Configured:
    """A mixture of experts that differs from ``shape_of_width`` in its MLPs alone: Mixtral, Qwen2-MoE if ``shared``.

    Args:
        mlp: Hidden width of every expert; by default that of the dense model of this width, so that with ``active`` 1 a
            token costs what it costs there, but for the router.
        shared: Hidden width of the expert that all tokens go through; 0 for none.
        router_loss: What the load-balancing loss is multiplied with; 0 is off.
    """
    rule = shape_of_width(width, vocabulary)
    for name, value, least in (("experts", experts, 2), ("active", active, 1), ("shared", shared, 0)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise bad_value(name, OWNER, value, f"a whole number of at least {least}")
    if active > experts:
        raise bad_value("active", OWNER, active, f"at most experts ({experts})")
    if mlp is not None and (not isinstance(mlp, int) or isinstance(mlp, bool) or mlp < 1):
        raise bad_value("mlp", OWNER, mlp, "a whole number of at least 1")
    if not isinstance(router_loss, int | float) or not 0 <= router_loss < float("inf"):
        raise bad_value("router_loss", OWNER, router_loss, "0 or a positive number")
    inner = mlp or rule.mlp
    config: dict[str, Any] = {
        "model_type": "qwen2_moe" if shared else "mixtral", "hidden_size": width, "num_hidden_layers": rule.depth,
        "num_attention_heads": width // HEAD, "num_key_value_heads": width // HEAD, "num_experts_per_tok": active,
        "tie_word_embeddings": True, "output_router_logits": router_loss > 0,
        "router_aux_loss_coef": float(router_loss), "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
    }  # fmt: skip
    if shared:
        config |= {
            "num_experts": experts, "moe_intermediate_size": inner, "shared_expert_intermediate_size": shared,
            "intermediate_size": inner, "norm_topk_prob": True, "qkv_bias": False,
        }  # fmt: skip
    else:
        config |= {"num_local_experts": experts, "intermediate_size": inner, "sliding_window": None}
    return Configured(config, vocabulary)


def read_models(given: object, vocabulary: int, owner: str) -> dict[str, Blueprint]:
    """Models by name: a width, a mapping of what ``mixture_of_width`` takes, or ``{config: ...}``; or several.

    A configuration is the path of a ``config.json`` (or its folder), or its keys and values. Names are ``llama-24``,
    ``mixtral-24-4x1`` (width, experts x active ones), or the key ``name`` of a mapping.

    Raises:
        InputError: What is no model, or two of one name.
    """
    listed = [given] if isinstance(given, int | str | Mapping) else given
    if not isinstance(listed, list | tuple) or not listed:
        raise bad_value("models", owner, given, "widths, or mappings such as {width: 24, experts: 4}")
    found: dict[str, Blueprint] = {}
    for each in listed:
        name, made = _model(each, vocabulary, owner)
        if name in found:
            raise InputError(
                f"{owner}: models must have different names, got {name!r} twice; give one a name."
            )
        found[name] = made
    return found


def _model(given: object, vocabulary: int, owner: str) -> tuple[str, Blueprint]:
    if isinstance(given, int):
        made: Blueprint = shape_of_width(given, vocabulary)
        return f"llama-{given}", made
    if not isinstance(given, Mapping):
        raise bad_value("models", owner, given, "a width, or a mapping such as {width: 24, experts: 4}")
    options = {str(key): value for key, value in given.items()}
    name = options.pop("name", None)
    if "config" in options:
        made = Configured(_configuration(options.pop("config"), owner), vocabulary)
        if options:
            raise unknown_name("key of a model", owner, next(iter(options)), ("name", "config"))
    else:
        for key in options:
            if key not in RULES:
                raise unknown_name("key of a model", owner, key, ("name", "config", *RULES))
        if "width" not in options:
            raise InputError(f"{owner}: a model needs width, or config.")
        width = options.pop("width")
        if options and "experts" not in options:
            raise InputError(f"{owner}: {next(iter(options))} of a model is for experts; give their number.")
        made = (
            mixture_of_width(width, vocabulary, **options) if options else shape_of_width(width, vocabulary)
        )
    mixture = f"-{made.experts}x{made.chosen}" if isinstance(made, Configured) and made.experts else ""
    return str(name or f"{made.family}-{made.width}{mixture}"), made


def _configuration(given: object, owner: str) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return {str(key): value for key, value in given.items()}
    path = Path(str(given))
    path = path / "config.json" if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"{owner}: there is no configuration {str(path)!r}.")
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise bad_value("config", owner, str(path), "the config.json of a model")
    # What says how a stored model is read says nothing of one that is trained from nothing.
    for key in ("architectures", "transformers_version", "torch_dtype", "dtype", "auto_map"):
        found.pop(key, None)
    return found
