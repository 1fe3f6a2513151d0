"""A column of scores in a few numbers."""

from typing import Any

import numpy as np
import numpy.typing as npt


def describe_column(values_N: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Counts, quartiles and ties.

    ``n`` values that are not NaN, ``nan``, ``inf`` (of either sign); min, quartiles and max of the finite values (None
    if there are none); ``ties``: share of the n values that equal at least one other.
    """
    values = values_N[~np.isnan(values_N)]
    finite = values[np.isfinite(values)]
    quartiles = np.quantile(finite, [0, 0.25, 0.5, 0.75, 1]).tolist() if len(finite) else [None] * 5
    return {
        "n": len(values),
        "nan": len(values_N) - len(values),
        "inf": len(values) - len(finite),
        **dict(zip(("min", "q25", "median", "q75", "max"), quartiles)),
        "ties": tied_fraction(values) if len(values) else 0.0,
    }


def tied_fraction(values: npt.ArrayLike) -> float:
    """Fraction of the rows whose value is not unique; NaN rows are left out."""
    array = np.asarray(values, dtype=np.float64)
    array = array[~np.isnan(array)]
    if len(array) == 0:
        return float("nan")
    _, counts = np.unique(array, return_counts=True)
    return float(counts[counts > 1].sum() / len(array))
