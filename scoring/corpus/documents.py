"""Documents: what providers of signals read, some rows of examples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError
from scoring.hashing import Ids

if TYPE_CHECKING:
    from scoring.examples import Examples

IntArray = npt.NDArray[np.int64]

BETWEEN = "\n\n"
"""Joins the two texts of a pair where a document is asked for."""


@dataclass(frozen=True, eq=False)
class Documents:
    """B rows of examples, ``rows_B`` of them; texts are read when they are first asked for."""

    examples: Examples
    rows_B: IntArray

    def __len__(self) -> int:
        return len(self.rows_B)

    @property
    def ids_B(self) -> Ids:
        """Ids, (B,)."""
        return self.examples.ids[self.rows_B]

    @cached_property
    def texts_B(self) -> list[str]:
        """The texts; of a pair the first, a blank line, and the second."""
        if self.examples.kind != "text":
            raise InputError(
                f"score: the scorers that were asked for read texts, and {self.examples.name} has "
                f"{self.examples.kind} examples; name the column with text=."
            )
        texts = self.examples.texts(self.rows_B)
        return [text if isinstance(text, str) else BETWEEN.join(text) for text in texts]

    @cached_property
    def pairs_B(self) -> list[tuple[str, str]]:
        """Prompt and response of every row."""
        if not self.examples.has_pairs:
            raise InputError(
                f"score: a scorer that was asked for reads a prompt and a response, and {self.examples.name} has one "
                "text per row; name the column of the prompt with text= and that of the response with text_pair=."
            )
        return [(pair[0], pair[1]) for pair in self.examples.texts(self.rows_B)]

    @cached_property
    def bytes_B(self) -> IntArray:
        """UTF-8 bytes of ``texts_B``, (B,)."""
        return np.array([len(text.encode()) for text in self.texts_B], dtype=np.int64)

    def take(self, places: IntArray) -> Documents:
        """Some of them."""
        return Documents(self.examples, self.rows_B[places])
