"""The signal ``regressions``: documents in, the output of a trained regression head out."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from scoring.batching import plan_batches
from scoring.corpus.documents import Documents
from scoring.corpus.models import CorpusModels
from scoring.corpus.providers import Spent
from scoring.embeddings.token_windows import TokenWindows, token_windows
from scoring.errors import InputError, bad_value
from scoring.inference import autocast, check_precision, pick_device, to_device
from scoring.needs import Need, Regressions
from scoring.networks import huggingface
from scoring.networks.text_inputs import TokenInputs

OWNER = "score"
MOST_ROWS = 1024


class RegressionProvider:
    """A Hugging Face model for sequence classification with one output; see ``scoring.needs.Regressions``."""

    keeps: ClassVar[bool] = True

    def __init__(self, need: Regressions, models: CorpusModels) -> None:
        self.need, self.models = need, models
        self.device = pick_device(models.device)
        check_precision(models.precision, self.device, OWNER)
        config = huggingface.load_config(need.model, models.trust_remote_code)
        head = str((config.architectures or [""])[0])
        if not head.endswith("ForSequenceClassification") or config.num_labels != 1:
            outputs = f"{head or 'no architecture'} with {config.num_labels} outputs"
            raise bad_value("model", OWNER, outputs, "a model for sequence classification with one output")
        self.digest = huggingface.weights_digest(need.model, config)
        self._tokens = 0

    @classmethod
    def of(cls, need: Need, models: CorpusModels, work: Path | None) -> Self:
        """With the configuration of the model, but not yet its weights."""
        assert isinstance(need, Regressions)
        if not need.model:
            raise InputError(
                f"{OWNER}: model must be given, a folder or hub name of a model with a regression head "
                "(quality_classifier:regression(model=FOLDER))."
            )
        return cls(need, models)

    def describe(self) -> dict[str, object]:
        """Weights, and how a document is read."""
        return {
            "weights": self.digest,
            "max_tokens": self.need.max_tokens,
            "windows": self.need.windows,
            "precision": self.models.precision,
        }

    def values(self, documents: Documents) -> tuple[Tensor, ...]:
        """The output, and whether something was not read, (B,) float64 each."""
        windows = token_windows(self._inputs, documents.texts_B, self.need.windows == "mean")
        self._tokens = int(windows.tokens_W.sum())
        outputs_W = self._outputs(windows)
        # a text without any token, special ones included, counts its window as one token
        weights_W = np.maximum(windows.tokens_W, 1)
        sums_B = np.bincount(windows.text_W, outputs_W * weights_W, len(documents))
        values_B = sums_B / np.bincount(windows.text_W, weights_W, len(documents))
        return torch.from_numpy(values_B), torch.from_numpy(windows.truncated_B.astype(np.float64))

    def spent(self, documents: Documents, values: tuple[Tensor, ...]) -> Spent:
        """Of the last call: tokens, and two operations per parameter behind the embeddings and token."""
        embedded = self._network.get_input_embeddings().weight.numel()
        parameters = sum(weight.numel() for weight in self._network.parameters()) - embedded
        return {"tokens": self._tokens, "flops": 2.0 * parameters * self._tokens}

    def _outputs(self, windows: TokenWindows) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        outputs_W = np.empty(len(windows.text_W))
        with torch.inference_mode():
            for places in plan_batches(windows.prepared.lengths, MOST_ROWS, self.models.batch_tokens):
                batch = to_device(windows.prepared.batch(places), self.device)
                with autocast(self.device, self.models.precision):
                    logits_B1 = self._network(**batch).logits
                outputs_W[places] = logits_B1[:, 0].double().cpu().numpy()
        return outputs_W

    @cached_property
    def _network(self) -> Any:
        network: Any = huggingface.load_network(
            self.need.model, "text", trust_remote_code=self.models.trust_remote_code
        )
        return network.eval().requires_grad_(False).to(self.device)

    @cached_property
    def _inputs(self) -> TokenInputs:
        tokenizer = huggingface.load_tokenizer(self.need.model, self.models.trust_remote_code)
        if self.need.windows == "mean" and not tokenizer.is_fast:
            raise InputError(f"{OWNER}: windows='mean' needs a fast tokenizer (tokenizer.json).")
        return huggingface.token_inputs(tokenizer, self._network, self.need.max_tokens)
