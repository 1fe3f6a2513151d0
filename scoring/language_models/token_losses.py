"""Losses token by token: what a model, and a reference model, make of every token of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.corpus.documents import Documents
from scoring.errors import InputError
from scoring.files import atomic_file
from scoring.language_models.causal_model import CausalModel, causal_model
from scoring.language_models.encoding import Encoded
from scoring.language_models.token_nats import Reading, token_nats
from scoring.language_models.windows import Windows

if TYPE_CHECKING:
    from scoring.examples import Examples

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

OWNER = "token_losses"
CHUNK_ROWS = 1024


@dataclass(frozen=True, eq=False)
class TokenLosses:
    """T tokens of a text: their numbers, the characters they are of (``starts_T`` to ``ends_T`` - 1), and -ln p.

    Attributes:
        nats_T: NaN for the first token where the model has no begin token, and for what no window predicts.
    """

    ids_T: IntArray
    starts_T: IntArray
    ends_T: IntArray
    nats_T: FloatArray

    def __len__(self) -> int:
        return len(self.ids_T)


def token_losses(
    texts: Sequence[str],
    model: str | Path,
    *,
    window: int | None = None,
    stride: int | None = None,
    device: str = "auto",
    precision: str = "float32",
    batch_tokens: int = 8192,
    trust_remote_code: bool = False,
) -> list[TokenLosses]:
    """-ln p of every token of every text under a causal language model, in nats.

    Args:
        model: A folder, hub name, or run directory of pretraining.
        window: See ``scoring.needs.DocumentNats``, as ``stride``.

    Raises:
        InputError: The model does not serve, or an option does not fit.
    """
    found = causal_model(
        model, device=device, precision=precision, trust_remote_code=trust_remote_code, owner=OWNER
    )
    return _losses(found, texts, _windows(found, window, stride), batch_tokens)


def write_token_losses(
    examples: Examples,
    model: str | Path,
    out: str | Path,
    *,
    reference: str | Path | None = None,
    window: int | None = None,
    stride: int | None = None,
    device: str = "auto",
    precision: str = "float32",
    batch_tokens: int = 8192,
    trust_remote_code: bool = False,
) -> Path:
    """Write one row per document to a Parquet file: id, and lists over its tokens.

    ``tokens`` (numbers), ``starts`` and ``ends`` (characters of the document), ``losses`` (nats); with a reference
    ``reference_losses`` and ``reducible_losses``, their difference: what the model has still to learn at that token.
    Losses are float32. Documents are read in chunks of 1,024.

    Raises:
        InputError: A model does not serve; the two models cut a document into other tokens.
    """
    paths = [model] if reference is None else [model, reference]
    models = [
        causal_model(
            path, device=device, precision=precision, trust_remote_code=trust_remote_code, owner=OWNER
        )
        for path in paths
    ]
    windows = [_windows(each, window, stride) for each in models]
    fields = [pa.field("id", pa.array(examples.ids[:0].tolist(), _id_type(examples)).type)]
    fields += [pa.field(name, pa.list_(pa.int32())) for name in ("tokens", "starts", "ends")]
    fields += [pa.field(name, pa.list_(pa.float32())) for name in _LOSSES[: 1 if reference is None else 3]]
    schema = pa.schema(fields)
    out = Path(out)
    with atomic_file(out) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for start in range(0, len(examples), CHUNK_ROWS):
            rows = np.arange(start, min(start + CHUNK_ROWS, len(examples)))
            documents = Documents(examples, rows)
            found = [
                _losses(each, documents.texts_B, cut, batch_tokens)
                for each, cut in zip(models, windows, strict=True)
            ]
            writer.write_table(pa.Table.from_pydict(_columns(documents, found), schema=schema))
    return out


_LOSSES = ("losses", "reference_losses", "reducible_losses")


def _columns(documents: Documents, found: list[list[TokenLosses]]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        "id": documents.ids_B.tolist(),
        "tokens": [each.ids_T for each in found[0]],
        "starts": [each.starts_T for each in found[0]],
        "ends": [each.ends_T for each in found[0]],
        "losses": [each.nats_T for each in found[0]],
    }
    if len(found) > 1:
        for name, one, other in zip(columns["id"], *found, strict=True):
            if not np.array_equal(one.ids_T, other.ids_T):
                raise InputError(
                    f"{OWNER}: model and reference must have one tokenizer, and cut document {name!r} into different "
                    "tokens; the scorer reducible_loss compares them per document."
                )
        columns["reference_losses"] = [each.nats_T for each in found[1]]
        columns["reducible_losses"] = [one.nats_T - other.nats_T for one, other in zip(*found, strict=True)]
    return columns


def _id_type(examples: Examples) -> pa.DataType:
    return pa.int64() if examples.ids.dtype.kind == "i" else pa.string()


def _windows(model: CausalModel, window: int | None, stride: int | None) -> Windows:
    return Windows.of(window, stride, model.context, model.encoder.begin is not None, OWNER)


def _losses(
    model: CausalModel, texts: Sequence[str], windows: Windows, batch_tokens: int
) -> list[TokenLosses]:
    encoded: list[Encoded] = model.encoder.encode(texts)
    readings = [Reading(each.ids_T, windows.cut(len(each))) for each in encoded]
    nats = token_nats(model, readings, batch_tokens)
    return [
        TokenLosses(each.ids_T, each.starts_T, each.ends_T, nats_T)
        for each, nats_T in zip(encoded, nats, strict=True)
    ]
