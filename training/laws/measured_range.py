"""Where a law was measured: which predictions lie among its runs, and how far the others reach beyond them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError
from training.laws.fit import Fit
from training.laws.inputs import complete

NEAR = 1e-6
"""Points so close to the hull, relative to its width, count as inside."""


def inside(fitted: Fit, inputs: Mapping[str, npt.ArrayLike]) -> npt.NDArray[np.bool_]:
    """Whether points lie in the convex hull of the runs, of the broadcast shape of the inputs.

    The hull is that of the logarithms of the inputs, plain values where a run has one that is not positive. Between the
    smallest and the largest N and D is not enough: with 20 tokens per parameter in every run, a large model on few
    tokens was not measured. A point is in the hull if it is a mean of runs, found by non-negative least squares.
    """
    from scipy.optimize import nnls

    names = fitted.form.inputs
    columns = np.broadcast_arrays(*complete(inputs, names).values())
    shape = columns[0].shape if columns else ()
    runs, points = [], []
    for name, column in zip(names, columns):
        own = fitted.inputs[name][fitted.weights_N > 0]
        logs = bool((own > 0).all())
        with np.errstate(divide="ignore", invalid="ignore"):
            at = np.log(np.ravel(column)) if logs else np.ravel(column)
        own = np.log(own) if logs else own
        width = float(np.ptp(own)) or 1.0
        runs.append((own - own.min()) / width)
        points.append((at - own.min()) / width)
    run_NI, point_KI = np.stack(runs, 1), np.stack(points, 1)
    low, high = run_NI.min(0) - NEAR, run_NI.max(0) + NEAR
    found = ((point_KI >= low) & (point_KI <= high)).all(1)
    if len(names) > 1:
        unique_NI = np.unique(run_NI, axis=0)
        system = np.concatenate([unique_NI.T, np.ones((1, len(unique_NI)))])
        for k in np.flatnonzero(found):
            found[k] = nnls(system, np.append(point_KI[k], 1.0))[1] <= NEAR
    return np.asarray(found.reshape(shape))


def reach(fitted: Fit, inputs: Mapping[str, npt.ArrayLike]) -> tuple[str, float]:
    """How far the largest point goes beyond the runs: in compute C if the law knows it, else in its only input.

    The factor is 1 or less for points among the runs; the name is empty, and the factor NaN, where a law has several
    inputs and no compute.
    """
    try:
        name = "C"
        at, own = complete(inputs, ("C",))["C"], complete(fitted.inputs, ("C",))["C"]
    except InputError:
        if len(fitted.form.inputs) != 1:
            return "", float("nan")
        name = fitted.form.inputs[0]
        at, own = complete(inputs, (name,))[name], fitted.inputs[name]
    largest = float(own[fitted.weights_N > 0].max())
    return name, float(np.max(at)) / largest if largest > 0 else float("nan")
