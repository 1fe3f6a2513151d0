"""Causal language models: a Hugging Face folder, a hub name, or the last checkpoint of a pretraining run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from scoring.checkpoints import RUN, RunDirectory
from scoring.errors import InputError, bad_value
from scoring.inference import check_precision, pick_device
from scoring.language_models.encoding import ByteEncoder, Encoder, FolderEncoder
from scoring.language_models.loaded import loaded_network
from scoring.networks import huggingface

UNSTATED = 2048
"""Tokens of context where neither model nor tokenizer says: that of state-space models in training."""
_CONTEXTS = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length")

Head = Callable[[Tensor], Tensor]

_loaded: WeakValueDictionary[tuple[object, ...], CausalModel] = WeakValueDictionary()
"""Models that somebody uses; they go with their last user."""


@dataclass(eq=False)
class CausalModel:
    """A model by name; its weights are loaded at first use, in the type of ``precision``, and then stay.

    ``digest`` tells one state of weights and tokenizer from another; ``context`` is how many tokens it reads at once.
    """

    name: str
    folder: str
    config: Any
    encoder: Encoder
    context: int
    device: torch.device
    precision: str
    trust_remote_code: bool
    digest: str

    @property
    def vocabulary(self) -> int:
        """V: logits of a token."""
        return int(self.config.get_text_config().vocab_size)

    @cached_property
    def network(self) -> Any:
        """The network, on its device, in evaluation mode."""
        return loaded_network(self.folder, self.digest, self.device, self.precision, self.trust_remote_code)

    @cached_property
    def parts(self) -> tuple[Any, Head] | None:
        """What makes hidden states, and what makes logits of them, if the model is just the one after the other.

        Some models scale or bend their logits behind the head, so both ways are tried on a few tokens; None where they
        differ.
        """
        body, head = self.network.base_model, self.network.get_output_embeddings()
        if body is self.network or head is None:
            return None
        ids_1T = torch.arange(8, device=self.device)[None] * 7919 % self.vocabulary
        with torch.inference_mode():
            whole = self.network(input_ids=ids_1T, use_cache=False).logits
            apart = head(body(input_ids=ids_1T, use_cache=False).last_hidden_state)
        return (body, head) if torch.allclose(whole, apart, rtol=1e-5, atol=1e-6) else None

    def flops(self, lengths: list[int]) -> float:
        """Of forward passes over sequences of these lengths: 2 per weight that is multiplied and token, 4 L d T^2 of
        attention over all pairs; padding is not counted."""
        config = self.config.get_text_config()
        embedding = self.network.get_input_embeddings()
        weights = sum(parameter.numel() for parameter in self.network.parameters() if parameter.dim() > 1)
        head = self.network.get_output_embeddings()
        if head is not None and head.weight is not embedding.weight:
            weights -= embedding.weight.numel()  # looked up, not multiplied
        layers = int(getattr(config, "num_hidden_layers", 0)) * int(getattr(config, "hidden_size", 0))
        return float(2 * weights * sum(lengths) + 4 * layers * sum(length**2 for length in lengths))


def causal_model(
    name: str | Path,
    *,
    device: str = "auto",
    precision: str = "float32",
    trust_remote_code: bool = False,
    owner: str = "score",
) -> CausalModel:
    """The model of a name, shared with whoever else uses it at the same time.

    Raises:
        InputError: There is no such model, it is not causal, or its tokenizer does not serve.
    """
    where = pick_device(device)
    check_precision(precision, where, owner)
    folder, encoder = _place(Path(name), owner) if (Path(name) / RUN).is_file() else (str(name), None)
    config: Any = huggingface.load_config(folder, trust_remote_code)
    if config.is_encoder_decoder:
        raise bad_value("lm", owner, str(name), "a causal language model, and not one of encoder and decoder")
    digest = huggingface.weights_digest(folder, config)
    key = (digest, folder, str(where), precision, trust_remote_code)
    found = _loaded.get(key)
    if found is None:
        tokenizer = None if encoder else huggingface.load_tokenizer(folder, trust_remote_code)
        chosen = encoder or FolderEncoder(tokenizer, str(name))
        context = _context(config, tokenizer)
        found = CausalModel(
            str(name), folder, config, chosen, context, where, precision, trust_remote_code, digest
        )
        _loaded[key] = found
    return found


def _place(path: Path, owner: str) -> tuple[str, Encoder | None]:
    """The folder of the last checkpoint of a run, and its encoder if it reads bytes."""
    run = RunDirectory.open(path)
    checkpoints = run.checkpoints()
    if not checkpoints:
        raise InputError(f"{owner}: run {str(path)!r} has no checkpoint.")
    tokenizer = (run.config.get("data") or {}).get("tokenizer")
    return str(checkpoints[-1].path), ByteEncoder() if tokenizer == "bytes" else None


def _context(config: Any, tokenizer: Any) -> int:
    text = config.get_text_config()
    stated = [getattr(text, name, None) for name in _CONTEXTS]
    lengths = [int(length) for length in stated if isinstance(length, int) and length > 1]
    limit = getattr(tokenizer, "model_max_length", None)
    if limit is not None and 1 < limit < 1 << 30:
        lengths.append(int(limit))
    return min(lengths, default=UNSTATED)
