"""``tamis embed``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tamis.app import command
from tamis.corpus_options import BatchTokens, given
from tamis.options import (
    Data,
    Device,
    Features,
    Id,
    Image,
    Json,
    Precision,
    Quiet,
    Split,
    Text,
    TextPair,
    Trust,
    emit,
    load_data,
)  # fmt: skip


@command
def embed(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    encoder: Annotated[
        str,
        typer.Option(
            help="minilm, hashed (no download), a Hugging Face or sentence-transformers folder, a run directory, or a "
            "hub name."
        ),
    ] = "hashed",
    dtype: Annotated[str, typer.Option(help="float16 or float32.")] = "float16",
    format: Annotated[str, typer.Option(help="parquet, or npy for one memory-mapped array.")] = "parquet",
    batch_tokens: BatchTokens = None,
    precision: Precision = "float32",
    device: Device = "auto",
    trust_remote_code: Trust = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing embeddings.")] = False,
    split: Split = None,
    text: Text = None,
    text_pair: TextPair = None,
    image: Image = None,
    features: Features = None,
    id_column: Id = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write one vector per example, keyed by id.

    `tamis score --embeddings` and `tamis select --embeddings` read them. The same command resumes.
    """
    from scoring.embeddings.write import embed as write
    from tamis.grid import console

    examples = load_data(
        data, split=split, text=text, text_pair=text_pair, image=image, features=features, label=None, id=id_column
    )  # fmt: skip
    more: dict[str, Any] = given({"batch_tokens": batch_tokens})
    store = write(
        examples, encoder, out, dtype=dtype, format=format, precision=precision, device=device,
        trust_remote_code=trust_remote_code, overwrite=overwrite, show_progress=not quiet, **more,
    )  # fmt: skip
    document = {"out": str(out), "rows": len(store), "width": store.width, "encoder": encoder, "dtype": dtype}
    emit(
        document,
        as_json,
        lambda: console().print(f"{len(store):,} vectors of {store.width} numbers, written to {out}"),
    )
