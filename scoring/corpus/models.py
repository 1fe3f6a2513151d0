"""Which models the signals of a corpus come from, and how they run."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from scoring.errors import bad_value, unknown_name

OWNER = "score"


@dataclass(frozen=True, kw_only=True)
class CorpusModels:
    """Plain values, so that workers can be told; paths are texts.

    Attributes:
        encoder: What makes embeddings: ``minilm``, ``hashed`` (no download), or a folder, run directory or hub name.
            See ``scoring.embeddings``.
        embeddings: Embeddings that were computed before: a folder of ``tamis embed``, read by id.
        lm: A causal language model, folder or hub name. reference: Another one, for reducible_loss.
        llm: A model that answers questions: a folder or hub name, or the URL of an OpenAI-compatible server.
        llm_name: What the server calls the model.
        device, precision: Of the forward passes, as everywhere.
        batch_tokens: Tokens of a forward pass, padding included.
        concurrency: Requests to a server at the same time. requests_per_minute: At most so many; 0 is no limit.
        trust_remote_code: Run code that a Hugging Face model brings along.
    """

    encoder: str = ""
    embeddings: str = ""
    lm: str = ""
    reference: str = ""
    llm: str = ""
    llm_name: str = ""
    device: str = "auto"
    precision: str = "float32"
    batch_tokens: int = 8192
    concurrency: int = 8
    requests_per_minute: float = 0.0
    trust_remote_code: bool = False

    @classmethod
    def of(cls, options: dict[str, Any]) -> CorpusModels:
        """From keywords; paths may be ``Path``, and None is the default."""
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise unknown_name("option", f"{OWNER} of a corpus", name, known)
        texts = {field.name for field in fields(cls) if field.type == "str"}
        values: dict[str, Any] = {
            name: str(value) if name in texts else value
            for name, value in options.items()
            if value is not None
        }
        models = cls(**values)
        if not isinstance(models.batch_tokens, int) or models.batch_tokens < 1:
            raise bad_value("batch_tokens", OWNER, models.batch_tokens, "a whole number from 1")
        if not isinstance(models.concurrency, int) or models.concurrency < 1:
            raise bad_value("concurrency", OWNER, models.concurrency, "a whole number from 1")
        pace = models.requests_per_minute
        if isinstance(pace, bool) or not isinstance(pace, int | float) or not 0 <= pace < math.inf:
            raise bad_value("requests_per_minute", OWNER, pace, "a number from 0, which is no limit")
        return models

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)
