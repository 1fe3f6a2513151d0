"""Options that say which models score documents, shared by ``tamis score`` and ``tamis embed``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

Encoder = Annotated[
    str | None,
    typer.Option(
        help="What makes embeddings: minilm, hashed (no download), a Hugging Face or sentence-transformers "
        "folder, a run directory, or a hub name."
    ),
]
Vectors = Annotated[str | None, typer.Option(help="Embeddings that `tamis embed` wrote, read by id.")]
LanguageModel = Annotated[
    str | None,
    typer.Option("--lm", help="Causal language model for perplexity and the like: folder or hub name."),
]
Answering = Annotated[
    str | None,
    typer.Option(
        "--llm", help="Model that ask_llm asks: folder, hub name, or URL of an OpenAI-compatible server."
    ),
]
AnsweringName = Annotated[str | None, typer.Option("--llm-name", help="What the server calls the model.")]
BatchTokens = Annotated[
    int | None, typer.Option(help="Tokens of a forward pass over documents; default 8192.")
]
Concurrency = Annotated[int | None, typer.Option(help="Requests to a server at the same time; default 8.")]
RequestsPerMinute = Annotated[float | None, typer.Option(help="At most so many requests to a server.")]


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Those that were given."""
    return {name: value for name, value in options.items() if value is not None}
