"""Asking a model in this process: batches of prompts, one forward pass each, nothing is generated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from scoring.ask_llm.backend import Answer, IntArray, Prompt
from scoring.ask_llm.prompts import Template
from scoring.ask_llm.spellings import Tokens, spelled
from scoring.batching import plan_batches
from scoring.corpus.models import CorpusModels
from scoring.errors import InputError
from scoring.inference import check_precision, pick_device
from scoring.language_models.loaded import loaded_network
from scoring.networks import huggingface

MARGIN = 4
"""Tokens that are left free, since a window does not always have as many tokens beside the question as alone."""
UNSTATED = {True: 512, False: 4096}
"""Tokens that are read where neither tokenizer nor model says, encoder-decoder or not."""
SHARED_OPTIONS: Mapping[str, Any] = {"date_string": "26 Jul 2024", "enable_thinking": False}
"""For chat templates that know them: no answer depends on the day, and answers come without thinking first."""


class TransformersBackend:
    """A causal or an encoder-decoder model of the transformers library.

    A decoder reads the prompt, in its chat template if it has one, padded on the left so that the last position is the
    last token of every prompt; the probabilities are those of the next token. An encoder-decoder reads it in the
    encoder; they are those of the first token that the decoder says. Logits become float64 probabilities over the
    whole vocabulary. An answer that takes several tokens (see ``spelled``) takes a pass per spelling.
    """

    def __init__(self, folder: str, models: CorpusModels, template: Template) -> None:
        self.folder, self.models, self.template = folder, models, template
        self.device = pick_device(models.device)
        check_precision(models.precision, self.device, "ask_llm")
        self.config = huggingface.load_config(folder, models.trust_remote_code)
        self.tokenizer: Any = huggingface.load_tokenizer(folder, models.trust_remote_code)
        self.encoder_decoder = bool(self.config.is_encoder_decoder)
        self.chats = template.chat and not self.encoder_decoder and bool(self.tokenizer.chat_template)
        self.yes, self.no = spelled(self.tokenizer, "yes"), spelled(self.tokenizer, "no")
        self.controls: tuple[str, ...] = tuple(
            sorted(
                {
                    str(token)
                    for token in self.tokenizer.added_tokens_decoder.values()
                    if token.special and str(token).strip()
                }
            )
        )
        if self.room() < 1:
            raise InputError(
                f"ask_llm: the question alone fills the {self._limit} tokens that model {folder!r} reads; "
                "take a shorter prompt or another model."
            )

    @classmethod
    def of(cls, model: str, models: CorpusModels, template: Template, work: Path | None) -> Self:
        """The model of a folder or hub name; its weights are loaded when the first question is asked."""
        return cls(model, models, template)

    def describe(self) -> dict[str, object]:
        """Weights, precision, the question as the model reads it, and the tokens that count as answers."""
        return {
            "backend": "transformers",
            "weights": self._digest,
            "precision": self.models.precision,
            "reads": self._written(self.template.prompt("")),
            "tokens": self._limit,
            "yes": [list(tokens) for tokens in self.yes],
            "no": [list(tokens) for tokens in self.no],
        }

    @cached_property
    def _digest(self) -> str:
        return huggingface.weights_digest(self.folder, self.config)

    @cached_property
    def model(self) -> Any:
        """The network, on its device; the same for all questions to it."""
        precision, trust = self.models.precision, self.models.trust_remote_code
        return loaded_network(self.folder, self._digest, self.device, precision, trust)

    @property
    def parameters(self) -> int:
        """Of the network, shared ones once."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def room(self) -> int:
        """What the model reads, less the question, its answer and a margin."""
        (question,) = self._tokens([self.template.prompt("")])
        return self._limit - (self._longest - 1) - len(question) - MARGIN

    def token_starts(self, documents: Sequence[str]) -> list[IntArray]:
        """Exact; a tokenizer written in Python does not say, so its tokens are taken to be of equal length."""
        if not documents:
            return []
        fast = bool(self.tokenizer.is_fast)
        encoded = self.tokenizer(
            list(documents), add_special_tokens=False, return_offsets_mapping=fast, verbose=False
        )
        if fast:
            return [
                np.array([start for start, _ in each], dtype=np.int64) for each in encoded["offset_mapping"]
            ]
        pairs = zip(documents, encoded["input_ids"], strict=True)
        return [np.arange(len(ids)) * len(text) // max(len(ids), 1) for text, ids in pairs]

    def answer(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """Prompts of similar length together, at most ``batch_tokens`` with their padding in a pass."""
        ids_P, shown_P = self._fitted(prompts)
        logs_P2, read_P = np.full((len(ids_P), 2), -math.inf), np.zeros(len(ids_P), dtype=np.int64)
        for begun in sorted({tokens[:-1] for tokens in (*self.yes, *self.no)}):
            lengths_P = np.array([len(ids) + len(begun) for ids in ids_P], dtype=np.int64)
            for rows in self._batches(lengths_P):
                log_probs_BTV = self._log_probs([ids_P[row] for row in rows], begun)
                for column, spellings in enumerate((self.yes, self.no)):
                    for tokens in spellings:
                        if tokens[:-1] == begun:
                            found_BT = log_probs_BTV[:, range(len(tokens)), list(tokens)]
                            joint_B = found_BT.sum(dim=1).cpu().numpy()
                            with np.errstate(invalid="ignore"):  # NaN stays NaN
                                logs_P2[rows, column] = np.logaddexp(logs_P2[rows, column], joint_B)
            read_P += lengths_P
        found = zip(logs_P2.tolist(), read_P.tolist(), shown_P, strict=True)
        return [Answer(yes, no, read, shown) for (yes, no), read, shown in found]

    def _batches(self, lengths_P: IntArray) -> list[IntArray]:
        """Batches by length; of equal lengths only, where the model reads padding."""
        if not self._reads_padding:
            return plan_batches(lengths_P, max(len(lengths_P), 1), self.models.batch_tokens)
        groups = [np.flatnonzero(lengths_P == length) for length in np.unique(lengths_P)]
        return [
            rows[batch]
            for rows in groups
            for batch in plan_batches(lengths_P[rows], len(rows), self.models.batch_tokens)
        ]

    @cached_property
    def _reads_padding(self) -> bool:
        """Whether a prompt is answered differently beside a longer one, as by models without a mask."""
        (short, long), _ = self._fitted([self.template.prompt(""), self.template.prompt("word " * 8)])
        alone, together = self._log_probs([short], ())[0], self._log_probs([short, long], ())[0]
        exact = self.models.precision == "float32"
        return bool((alone.exp() - together.exp()).abs().max() > (1e-4 if exact else 0.05))

    def _log_probs(self, ids_B: list[list[int]], begun: Tokens) -> Tensor:
        """ln of the probabilities of the answer's tokens, given that it begins so: (B, len(begun) + 1, V) float64."""
        count = len(begun) + 1
        if self.encoder_decoder:
            input_ids, mask = self._padded(ids_B, left=False)
            start = self.config.decoder_start_token_id
            decoder_ids = torch.tensor([[start, *begun]] * len(ids_B), device=self.device)
            given = {"input_ids": input_ids, "attention_mask": mask, "decoder_input_ids": decoder_ids}
        else:
            input_ids, mask = self._padded([[*ids, *begun] for ids in ids_B], left=True)
            assert bool(mask[:, -1].all()), "the last position must be the last token of every prompt"
            given = {"input_ids": input_ids, "attention_mask": mask}
            # models that number positions themselves would count the padding
            given |= self._accepted(position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0), logits_to_keep=count)
        with torch.inference_mode():
            logits_BTV: Tensor = self.model(**given, **self._accepted(use_cache=False)).logits
        logits_BTV = logits_BTV[:, -count:]
        if self.device.type == "mps":  # has no float64
            logits_BTV = logits_BTV.cpu()
        return logits_BTV.double().log_softmax(dim=-1)

    def _padded(self, ids_B: list[list[int]], *, left: bool) -> tuple[Tensor, Tensor]:
        """Tokens (B, T), and where they are no padding."""
        tokens = (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id, 0)
        pad = next(token for token in tokens if token is not None)
        width = max(map(len, ids_B))
        input_ids = torch.full((len(ids_B), width), pad, dtype=torch.int64)
        mask = torch.zeros_like(input_ids)
        for row, ids in enumerate(ids_B):
            where = slice(width - len(ids), width) if left else slice(len(ids))
            input_ids[row, where], mask[row, where] = torch.tensor(ids), 1
        return input_ids.to(self.device), mask.to(self.device)

    def _accepted(self, **given: Any) -> dict[str, Any]:
        known = signature(self.model.forward).parameters
        return {name: value for name, value in given.items() if name in known}

    @cached_property
    def _limit(self) -> int:
        stated = (
            self.tokenizer.model_max_length,
            getattr(self.config, "max_position_embeddings", None),
            getattr(self.config, "n_positions", None),
        )
        limits = [int(limit) for limit in stated if limit and 0 < limit < 10**9]
        return min(limits, default=UNSTATED[self.encoder_decoder])

    def _written(self, prompt: Prompt) -> str:
        """The prompt with the chat template around it, if there is one."""
        if not self.chats:
            return prompt.text
        message = [{"role": "user", "content": prompt.text}]
        return str(
            self.tokenizer.apply_chat_template(
                message, tokenize=False, add_generation_prompt=True, **SHARED_OPTIONS
            )
        )

    def _tokens(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        if not prompts:
            return []
        written = [self._written(prompt) for prompt in prompts]
        ids_P = self.tokenizer(written, add_special_tokens=not self.chats, verbose=False)["input_ids"]
        if self.encoder_decoder or self.chats:
            return [list(ids) for ids in ids_P]
        end = [self.tokenizer.eos_token_id]  # some tokenizers end every text; an answer would begin a new one
        return [list(ids[:-1] if ids[-1:] == end else ids) for ids in ids_P]

    def _fitted(self, prompts: Sequence[Prompt]) -> tuple[list[list[int]], list[float]]:
        """Tokens of prompts, and the shares of their windows in them: of what is too long the end is cut."""
        ids_P, shown_P = self._tokens(prompts), [1.0] * len(prompts)
        for place, prompt in enumerate(prompts):
            whole = len(prompt.document)
            while (excess := len(ids_P[place]) - self._limit + self._longest - 1) > 0:
                (starts_T,) = self.token_starts([prompt.document])
                kept = max(0, len(starts_T) - excess)
                prompt = Prompt(prompt.before, prompt.document[: int(starts_T[kept])], prompt.after)
                (ids_P[place],), shown_P[place] = self._tokens([prompt]), len(prompt.document) / whole
        return ids_P, shown_P

    @property
    def _longest(self) -> int:
        """Tokens of the longest answer, of which all but the last follow the prompt; a decoder reads them apart."""
        return 1 if self.encoder_decoder else max(map(len, (*self.yes, *self.no)))
