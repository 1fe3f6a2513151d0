"""Llama by its width: shape, weights, sizes, FLOPs and learning rate by stated rules.

Shape: depth = width / 16 (rounded, at least 1), heads of 8, an MLP of 8/3 of the width rounded to a multiple of 8, tied
embeddings. Weights: N(0, 1 / fan-in), those that write into the residual stream (attention output, MLP down) divided by
sqrt(2 depth) too; embeddings N(0, 1 / width), so that logits start with a variance of about 1 and the first loss up to
0.7 above ln(vocabulary); norms at 1. Embeddings of the usual 0.02 are drowned by the first layer: on 400,000 bytes of
film reviews they left a model of width 24 at 2.22 to 2.29 nats where these reach 2.10 to 2.12.

Learning rate: 0.4 / width, from trials with AdamW at 512 tokens per update on the same reviews: at width 24 0.02 was
slightly better than 0.01 (2.103, 2.121), at width 88 0.004 better than 0.008 (2.241, 2.287, after 125,000 bytes).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from scoring.errors import bad_value
from scoring.hashing import derive_seed

OWNER = "pretrain"
HEAD = 8
WIDTH_PER_LAYER = 16
RESIDUAL = ("o_proj.weight", "down_proj.weight", "experts.down_proj")

LR_TIMES_WIDTH = 0.4


class Blueprint(Protocol):
    """What a model of a run is made by: ``Shape``, or ``configured.Configured`` for other families."""

    @property
    def family(self) -> str: ...

    @property
    def width(self) -> int: ...

    @property
    def vocabulary(self) -> int: ...

    @property
    def parameters(self) -> int: ...

    @property
    def active(self) -> int:
        """Parameters that work on one token: all but those of experts it is not sent to."""
        ...

    @property
    def non_embedding(self) -> int: ...

    @property
    def router_loss(self) -> float:
        """What the load-balancing loss of the routers is multiplied with; 0 is off."""
        ...

    def flops_per_token(self, length: int) -> int: ...

    def to_json(self) -> dict[str, Any]: ...

    def module(self, length: int) -> nn.Module:
        """The network; its weights are overwritten."""
        ...

    def spread(self, name: str, weight: Tensor) -> float:
        """Standard deviation of the initial values of a matrix."""
        ...


@dataclass(frozen=True)
class Shape:
    """A Llama decoder: ``width`` d, ``depth`` L, ``heads`` of d / heads, ``mlp`` f, over ``vocabulary`` V tokens."""

    width: int
    depth: int
    heads: int
    mlp: int
    vocabulary: int
    tied: bool = True

    def __post_init__(self) -> None:
        for name in ("width", "depth", "heads", "mlp", "vocabulary"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise bad_value(name, OWNER, value, "a whole number of at least 1")
        if self.width % (2 * self.heads):
            raise bad_value("width", OWNER, self.width, f"heads ({self.heads}) times an even number")

    @property
    def non_embedding(self) -> int:
        """Parameters without embeddings: L (4 d^2 + 3 d f + 2 d) + d. What Kaplan et al. 2020 call N."""
        layer = 4 * self.width**2 + 3 * self.width * self.mlp + 2 * self.width
        return self.depth * layer + self.width

    @property
    def parameters(self) -> int:
        """All parameters, tied embeddings once: what Hoffmann et al. 2022 call N, and N of every table here.

        With tied embeddings every matrix of it is multiplied once per token, so 6 N is the cost of a training token but
        for attention. Between small models the two counts differ by a factor that shrinks with width, which alone
        bends fitted exponents (Pearce and Song 2024); fits on N without embeddings are of another law.
        """
        return self.non_embedding + self.vocabulary * self.width * (1 if self.tied else 2)

    def flops_per_token(self, length: int) -> int:
        """FLOPs of training per token, matrix products alone: 6 per weight that is multiplied, 12 L d T of attention.

        Attention over sequences of ``length`` T counts all T x T pairs, as the usual kernels without a causal skip.
        """
        products = self.depth * (4 * self.width**2 + 3 * self.width * self.mlp) + self.vocabulary * self.width
        return 6 * products + 12 * self.depth * self.width * length

    @property
    def family(self) -> str:
        """By transformers' name."""
        return "llama"

    @property
    def active(self) -> int:
        """All of them: the model is dense."""
        return self.parameters

    @property
    def router_loss(self) -> float:
        """There are no routers."""
        return 0.0

    def to_json(self) -> dict[str, Any]:
        """For run.json."""
        return asdict(self)

    def module(self, length: int) -> nn.Module:
        """A ``LlamaForCausalLM``."""
        from transformers import LlamaConfig, LlamaForCausalLM

        config = LlamaConfig(
            vocab_size=self.vocabulary, hidden_size=self.width, intermediate_size=self.mlp,
            num_hidden_layers=self.depth, num_attention_heads=self.heads, max_position_embeddings=length,
            tie_word_embeddings=self.tied, use_cache=False, bos_token_id=None, eos_token_id=None,
        )  # fmt: skip
        return LlamaForCausalLM(config)

    def spread(self, name: str, weight: Tensor) -> float:
        """See ``initial_spread``."""
        return initial_spread(name, weight, self.width, self.depth)


def initial_spread(name: str, weight: Tensor, width: int, depth: int) -> float:
    """Standard deviation of the initial values of a matrix (or of a stack of them, one per expert), as said above."""
    if "embed_tokens" in name or "lm_head" in name:
        return float(width**-0.5)
    spread = weight.shape[-1] ** -0.5
    return float(spread / (2 * depth) ** 0.5 if name.endswith(RESIDUAL) else spread)


def shape_of_width(width: int, vocabulary: int) -> Shape:
    """The shape of this width by the rules above; a width is a multiple of 8."""
    if not isinstance(width, int) or isinstance(width, bool) or width < HEAD or width % HEAD:
        raise bad_value("width", OWNER, width, f"a multiple of {HEAD}")
    depth = max(1, math.floor(width / WIDTH_PER_LAYER + 0.5))
    return Shape(width, depth, width // HEAD, HEAD * round(width / 3), vocabulary)


def learning_rate(width: int) -> float:
    """The peak learning rate of AdamW at this width: 0.4 / width."""
    return LR_TIMES_WIDTH / width


class Decoder:
    """A causal language model of transformers, with weights that (seed, name of the weight) decide."""

    def __init__(self, shape: Blueprint, length: int, seed: int) -> None:
        self.shape = shape
        with torch.random.fork_rng(devices=[]):
            self.module = shape.module(length)
        generator = torch.Generator()
        with torch.no_grad():
            for name, weight in self.module.named_parameters():
                if weight.dim() < 2:
                    continue
                generator.manual_seed(derive_seed("weights", seed, name))
                weight.normal_(0.0, shape.spread(name, weight), generator=generator)

    def logits(self, tokens_BT: Tensor) -> Tensor:
        """(B, T, V): after every token, what comes next."""
        logits: Tensor = self.module(input_ids=tokens_BT).logits
        return logits

    def training_logits(self, tokens_BT: Tensor, counted_BT: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits, and what the routers add to the loss: the load-balancing loss over the places that are counted."""
        if self.shape.router_loss == 0:
            return self.logits(tokens_BT), None
        from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

        config: Any = self.module.config
        found = self.module(input_ids=tokens_BT, output_router_logits=True)
        experts = getattr(config, "num_local_experts", None) or config.num_experts
        balance: Any = load_balancing_loss_func(
            found.router_logits, experts, config.num_experts_per_tok, counted_BT.long()
        )
        return found.logits, self.shape.router_loss * balance

    def save(self, folder: Path) -> None:
        """A folder that ``AutoModelForCausalLM.from_pretrained`` reads."""
        from scoring.networks.huggingface import quiet

        with quiet():
            self.module.save_pretrained(folder)  # type: ignore[operator]
