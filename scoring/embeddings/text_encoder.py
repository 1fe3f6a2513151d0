"""Vectors of texts by a transformer: an encoder, a sentence-transformers folder, or a layer of a language model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from scoring.batching import plan_batches
from scoring.corpus.documents import Documents
from scoring.embeddings.encoder import Encoded, Running, check_one_of, check_whole
from scoring.embeddings.model_folder import folder_digest
from scoring.embeddings.pooling import POOLINGS, pool
from scoring.embeddings.published import Published, read_published
from scoring.embeddings.token_windows import TokenWindows, token_windows
from scoring.errors import InputError, bad_value, name_some
from scoring.inference import autocast, check_precision, pick_device, to_device
from scoring.models import seeded
from scoring.networks.huggingface import load_base_network, load_tokenizer, token_inputs
from scoring.networks.text_inputs import TokenInputs

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WINDOWS = ("first", "mean")
LENGTH = 512
"""Tokens that are read of a text where neither the model nor its tokenizer says what it was made for."""
MOST_ROWS = 1024


@dataclass(frozen=True)
class TextOptions:
    """How states of tokens become a vector.

    Attributes:
        pooling: See ``scoring.embeddings.pooling``. Without it as the folder says, else ``mean``.
        layer: Which hidden states: 0 are the embeddings of tokens, -1 (default) the last layer, -2 the one before.
            A given pooling or layer replaces all that a sentence-transformers folder says behind its transformer.
        normalize: Whether vectors are divided by their norm. Without it as the folder says, else not.
        max_length: Tokens that are read of a text, special ones included; by default all the model was made for.
        windows: ``first``: what is behind ``max_length`` is not read, and the text is marked as truncated. ``mean``: a
            long text is cut into windows, and its vector is their mean, weighted by tokens, and normalised if theirs
            are.
        prompt: Put before every text, as in ``query: ``; by default the folder's default prompt.
    """

    pooling: str | None = None
    layer: int | None = None
    normalize: bool | None = None
    max_length: int | None = None
    windows: str = "first"
    prompt: str | None = None

    def check(self, owner: str) -> None:
        """Refuse values that are none."""
        if self.pooling is not None:
            check_one_of("pooling", owner, self.pooling, POOLINGS)
        if self.layer is not None and (not isinstance(self.layer, int) or isinstance(self.layer, bool)):
            raise bad_value("layer", owner, self.layer, "a whole number, -1 for the last")
        if self.normalize not in (None, True, False):
            raise bad_value("normalize", owner, self.normalize, "true or false")
        if self.max_length is not None:
            check_whole("max_length", owner, self.max_length, 4)
        check_one_of("windows", owner, self.windows, WINDOWS)


class _Loaded(NamedTuple):
    network: PreTrainedModel
    inputs: TokenInputs
    weights_per_token: int
    """Parameters that every token is multiplied with: all but those of look-ups."""


class TextEncoder:
    """Vectors of a transformer's states, float32 weights; one that needs no token at all gets zero.

    An empty text has its special tokens to be pooled; where a tokenizer adds none, its vector is zero.
    """

    def __init__(self, folder: Path, options: TextOptions, running: Running, owner: str) -> None:
        options.check(owner)
        self.owner, self.folder, self.options, self.running = owner, folder, options, running
        self.device = pick_device(running.device)
        check_precision(running.precision, self.device, owner)
        self.published = self._as_asked(read_published(folder) or Published(folder, ("mean",)))
        if options.windows == "mean" and self.published.prompt:
            raise InputError(
                f"{owner}: windows='mean' goes without a prompt, which only the first window would have."
            )

    def _as_asked(self, published: Published) -> Published:
        options = self.options
        if options.pooling is not None or options.layer is not None:
            poolings = published.poolings if options.pooling is None else (options.pooling,)
            published = replace(published, poolings=poolings, dense=(), normalize=False)
        if options.normalize is not None:
            published = replace(published, normalize=options.normalize)
        if options.prompt is not None:
            published = replace(published, prompt=str(options.prompt))
        return published

    @cached_property
    def _digest(self) -> str:
        return folder_digest(self.folder)

    def describe(self) -> dict[str, object]:
        """Digest of the folder's files, options, precision."""
        return {
            "encoder": "text",
            "weights": self._digest,
            "precision": self.running.precision,
            **asdict(self.options),
        }

    def encode(self, documents: Documents) -> Encoded:
        """Longest first, in batches of ``batch_tokens``."""
        network, inputs, weights = self._loaded
        lower = self.published.lower_case
        texts_B = [self.published.prompt + (text.lower() if lower else text) for text in documents.texts_B]
        windows = token_windows(inputs, texts_B, self.options.windows == "mean")
        batches = plan_batches(windows.prepared.lengths, MOST_ROWS, self.running.batch_tokens)
        with torch.inference_mode():
            found = [
                self._vectors(network, to_device(windows.prepared.batch(places), self.device)).cpu()
                for places in batches
            ]
        vectors_WD = torch.empty(len(windows.text_W), found[0].shape[1])
        vectors_WD[torch.from_numpy(np.concatenate(batches))] = torch.cat(found)  # leaves inference mode, too
        vectors_BD = self._of_texts(vectors_WD, windows)
        tokens_B = np.bincount(windows.text_W, windows.tokens_W, len(documents)).astype(np.int64)
        return Encoded(vectors_BD, tokens_B, windows.truncated_B, flops=2.0 * weights * int(tokens_B.sum()))

    def _vectors(self, network: PreTrainedModel, batch: dict[str, Tensor]) -> Tensor:
        """(B, D) float32 of a batch of windows."""
        layer = self.options.layer
        with autocast(self.device, self.running.precision):
            output = network(**batch, **({} if layer is None else {"output_hidden_states": True}))
        states_BTD = output.last_hidden_state if layer is None else output.hidden_states[layer]
        mask_BT = batch["attention_mask"]
        if self.published.prompt and not self.published.prompt_pooled:
            mask_BT = mask_BT.clone()
            mask_BT[:, : self._prompt_tokens] = 0
        vectors_BD = pool(states_BTD, mask_BT, self.published.poolings)
        for dense in self.published.dense:
            vectors_BD = dense(vectors_BD)
        return normalize(vectors_BD, dim=1) if self.published.normalize else vectors_BD

    def _of_texts(self, vectors_WD: Tensor, windows: TokenWindows) -> Tensor:
        """The vectors of texts from those of their windows; zero where there was no token."""
        tokens_W1 = torch.from_numpy(windows.tokens_W)[:, None]
        if self.options.windows == "first":
            return torch.where(tokens_W1 > 0, vectors_WD, 0.0)
        text_W = torch.from_numpy(windows.text_W)
        texts = len(windows.truncated_B)
        sums_BD = torch.zeros(texts, vectors_WD.shape[1], dtype=torch.float64)
        sums_BD.index_add_(0, text_W, vectors_WD.double() * tokens_W1)
        tokens_B1 = torch.zeros(texts, 1, dtype=torch.float64).index_add_(0, text_W, tokens_W1.double())
        means_BD = sums_BD / tokens_B1.clamp_min(1)
        several_B1 = (torch.bincount(text_W, minlength=texts) > 1)[:, None]
        if self.published.normalize:
            means_BD = torch.where(several_B1, normalize(means_BD, dim=1), means_BD)
        return means_BD.float()

    @cached_property
    def _prompt_tokens(self) -> int:
        """Tokens of the prompt with what stands before it, without the special token that ends a text."""
        tokenizer = self._loaded.inputs.tokenizer
        ids = tokenizer(self.published.prompt)["input_ids"]
        return len(ids) - (1 if ids and ids[-1] in tokenizer.all_special_ids else 0)

    @cached_property
    def _loaded(self) -> _Loaded:
        folder, trust = self.published.transformer, self.running.trust_remote_code
        with seeded(0):
            network, missing = load_base_network(folder, trust_remote_code=trust)
        absent = sorted(name for name in missing if not name.startswith("pooler."))
        if absent:
            raise InputError(
                f"{self.owner}: the folder must hold all weights, and lacks {len(absent):,}: {name_some(absent)}."
            )
        self._check_layer(network)
        tokenizer = load_tokenizer(folder, trust)
        wanted = self.options.max_length or self.published.max_length
        inputs = token_inputs(tokenizer, network, wanted or _made_for(tokenizer, network))
        if self.options.windows == "mean" and not tokenizer.is_fast:
            raise InputError(f"{self.owner}: windows='mean' needs a fast tokenizer (tokenizer.json).")
        network.to(self.device)  # type: ignore[arg-type]
        return _Loaded(network, inputs, weights_without_embeddings(network))

    def _check_layer(self, network: PreTrainedModel) -> None:
        layers = int(getattr(network.config, "num_hidden_layers", 0))
        layer = self.options.layer
        if layer is not None and layers and not -layers - 1 <= layer <= layers:
            raise bad_value("layer", self.owner, layer, f"from {-layers - 1} to {layers}")


def _made_for(tokenizer: object, network: PreTrainedModel) -> int:
    """Tokens of the longest text, as tokenizer and configuration say; ``LENGTH`` where neither does."""
    named = int(min(getattr(tokenizer, "model_max_length", 1e30), 2**31))
    positions = getattr(network.config, "max_position_embeddings", None) or 2**31
    found = min(named, int(positions))
    return found if found < 2**31 else LENGTH


def weights_without_embeddings(network: nn.Module) -> int:
    """Parameters that are multiplied with every token: all but those of ``torch.nn.Embedding``."""
    looked_up = {id(part.weight) for part in network.modules() if isinstance(part, nn.Embedding)}
    return sum(weight.numel() for weight in network.parameters() if id(weight) not in looked_up)
