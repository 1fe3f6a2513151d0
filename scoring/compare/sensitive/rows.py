"""What was tested as a table: a row per example, score and pair of architectures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from scoring.compare.ranks import Bools
from scoring.compare.run_scores import RunScores
from scoring.compare.sensitive.examples import Sensitive
from scoring.ids import id_column


def sensitive_rows(each: Sensitive, scores: RunScores, keep_N: Bools | None = None) -> pa.Table:
    """Columns id, score, first, second, effect (percentiles), g, p, q: of all examples or of those in ``keep_N``."""
    at = np.arange(len(scores)) if keep_N is None else np.flatnonzero(keep_N)

    def constant(text: str) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(at), dtype=np.int32)), pa.array([text]))

    return pa.table(
        {
            "id": id_column(scores.ids[at], "compare"),
            "score": constant(each.score),
            "first": constant(each.first),
            "second": constant(each.second),
            **{
                name: pa.array(values[at].astype(np.float32))
                for name, values in (
                    ("effect", each.effect_N),
                    ("g", each.g_N),
                    ("p", each.p_N),
                    ("q", each.q_N),
                )
            },
        }
    )


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of all."""
    return pa.concat_tables(tables).unify_dictionaries()
