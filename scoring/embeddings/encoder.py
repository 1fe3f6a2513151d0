"""What every encoder is: documents in, one vector each out."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from scoring.corpus.documents import Documents
from scoring.errors import bad_value, unknown_name

Options = TypeVar("Options")


@dataclass(frozen=True)
class Running:
    """How forward passes run; ``batch_tokens`` counts padding too."""

    device: str = "auto"
    precision: str = "float32"
    batch_tokens: int = 8192
    trust_remote_code: bool = False


@dataclass(frozen=True)
class Encoded:
    """Vectors of B documents, and what they took.

    Attributes:
        vectors_BD: float32, on the CPU.
        tokens_B: Tokens (of ``hashed``: different terms) that were read; 0 where the input has none.
        truncated_B: Whether a part of the document was not read.
        flops: Floating-point operations that this took, without those on padding; None where that is not known.
    """

    vectors_BD: Tensor
    tokens_B: npt.NDArray[np.int64]
    truncated_B: npt.NDArray[np.bool_]
    flops: float | None


class Encoder(Protocol):
    """The vector of a document depends on that document alone, never on its neighbours, but for float rounding."""

    def describe(self) -> dict[str, object]:
        """All that decides the vectors, as JSON: digest of weights, options; not device, batch size or path."""
        ...

    def encode(self, documents: Documents) -> Encoded:
        """The vectors of some documents, in their order."""
        ...


def make_options(kind: type[Options], given: dict[str, Any], owner: str) -> Options:
    """The options of an encoder, a dataclass, from what was written in brackets behind its name."""
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            raise unknown_name("option", owner, name, known)
    return kind(**given)


def check_whole(name: str, owner: str, value: object, least: int) -> None:
    """Refuse what is no whole number from ``least``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise bad_value(name, owner, value, f"a whole number from {least}")


def check_one_of(name: str, owner: str, value: object, allowed: tuple[str, ...]) -> None:
    """Refuse a text that is not one of some."""
    if value not in allowed:
        raise unknown_name(name, owner, str(value), allowed)
