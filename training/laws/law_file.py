"""A fitted law as a file: law.json holds the form, what was fitted, the runs and the resamples, and no code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scoring.errors import InputError
from scoring.files import read_json, write_atomic
from scoring.manifest import to_json
from scoring.versions import library_version
from training.laws.catalog import FORMS, form_named
from training.laws.cautions import Caution
from training.laws.fit import Fit, Outliers, natural_parameters
from training.laws.fitting.objective import Objective
from training.laws.fitting.problem import Problem, Scales
from training.laws.form import Array, Form, Parameter
from training.laws.forms.custom import custom
from training.laws.uncertainty.bootstrap import Bootstrap

KIND, FORMAT = "law", 1


@dataclass(frozen=True)
class SavedLaw:
    """A law as it was fitted, its bootstrap if it had one, and what it is of (``about``: metric, corpus, file)."""

    fitted: Fit
    resampled: Bootstrap | None
    about: Mapping[str, Any]


def save_law(
    path: str | Path, fitted: Fit, resampled: Bootstrap | None = None, about: Mapping[str, Any] | None = None
) -> Path:
    """Write a law; equal laws give equal bytes. A form without a recipe (built in Python) is an error."""
    form, path = fitted.form, Path(path)
    document = {
        "kind": KIND,
        "format": FORMAT,
        "library_version": library_version(),
        "about": dict(about or {}),
        "form": {
            "recipe": _recipe(form),
            "fixed": form.fixed,
            "ties": form.ties,
            "bounds": {p.name: [p.low, p.high] for p in form.parameters},
        },
        "parameters": fitted.parameters,
        "objective": {
            "name": fitted.minimised.name,
            "delta": fitted.minimised.delta,
            "value": fitted.objective,
        },
        "outliers": {
            "highest": fitted.outliers.highest,
            "ratio": fitted.outliers.ratio,
            "left_out": fitted.left_out,
        },
        "cautions": [[each.code, each.text, each.parameter] for each in fitted.cautions],
        "runs": {
            "inputs": fitted.inputs,
            "y": fitted.y_N,
            "weights": fitted.weights_N,
            "rows": fitted.rows_N,
        },
        "minimised": {
            "scales": fitted.scales.ln,
            "theta": fitted.theta_P,
            "solutions": fitted.solutions_SP,
            "starts": fitted.starts_S,
            "at_bounds": fitted.at_bounds,
            "condition": fitted.condition,
        },
        "bootstrap": None
        if resampled is None
        else {"theta": resampled.theta_BP, "objectives": resampled.objectives_B, "seed": resampled.seed},
    }
    write_atomic(path, to_json(document) + b"\n")
    return path


def load_law(path: str | Path) -> SavedLaw:
    """A law from its file, or from the folder of a fit that holds one law."""
    place = Path(path)
    if place.is_dir():
        found = sorted(place.glob("*law.json"))
        if len(found) != 1:
            named = ", ".join(str(each.relative_to(place)) for each in found[:5]) or "none"
            raise InputError(f"law: {str(place)!r} must hold one law.json, got {named}; name one of them.")
        place = found[0]
    if not place.is_file():
        raise FileNotFoundError(f"law: there is no file {str(place)!r}.")
    try:
        document = read_json(place)
        if document["kind"] != KIND:
            raise InputError(f"law: {str(place)!r} must hold a law, got a file of {document['kind']}.")
        if document["format"] > FORMAT:
            raise InputError(
                f"law: {str(place)!r} has format {document['format']}, this version reads {FORMAT}."
            )
        return _restored(document)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(f"law: {str(place)!r} is damaged or no law ({error!r}).") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"law: {str(place)!r} is damaged or no law ({error}).") from None


def _recipe(form: Form) -> Mapping[str, Any]:
    if form.recipe:
        return form.recipe
    if form.name in FORMS and form_named(form.name).names == form.names:
        return {"name": form.name, "options": {}}
    raise InputError(f"law: the form {form.name} was built in Python and cannot be saved.")


def _form(document: Mapping[str, Any]) -> Form:
    recipe = document["recipe"]
    if "expression" in recipe:
        stated = [Parameter(**{**each, "starts": tuple(each["starts"])}) for each in recipe["parameters"]]
        form = custom(recipe["expression"], recipe["inputs"], stated, recipe["name"])
    else:
        form = form_named(recipe["name"], **recipe["options"])
    bounds = {name: (float(low), float(high)) for name, (low, high) in document["bounds"].items()}
    return form.bounded(**bounds).frozen(**document["fixed"]).tied(**document["ties"])


def _restored(document: Mapping[str, Any]) -> SavedLaw:
    form, runs, minimised = _form(document["form"]), document["runs"], document["minimised"]
    inputs = {name: _array(column) for name, column in runs["inputs"].items()}
    y, theta = _array(runs["y"]), _array(minimised["theta"])
    objective = Objective(document["objective"]["name"], document["objective"]["delta"])
    scales = Scales({name: float(ln) for name, ln in minimised["scales"].items()})
    problem = Problem(form, inputs, y, objective, scales)
    outliers = document["outliers"]
    low, high = outliers["ratio"]
    fitted = Fit(
        form=form,
        parameters=natural_parameters(form, theta, scales),
        objective=float(document["objective"]["value"]),
        minimised=objective,
        starts_S=_array(minimised["starts"]),
        at_bounds=tuple(minimised["at_bounds"]),
        condition=float(minimised["condition"]),
        residuals_N=problem.residuals(theta[None])[0] * problem.residual_unit,
        rows_N=np.array(runs["rows"], dtype=np.int64),
        inputs=inputs,
        y_N=y,
        weights_N=_array(runs["weights"]),
        outliers=Outliers(outliers["highest"], (float(low), float(high))),
        left_out=outliers["left_out"],
        theta_P=theta,
        solutions_SP=_array(minimised["solutions"]),
        scales=scales,
        cautions=tuple(Caution(*each) for each in document["cautions"]),
    )
    sampled = document["bootstrap"]
    resampled = (
        None
        if sampled is None
        else Bootstrap(fitted, _array(sampled["theta"]), _array(sampled["objectives"]), sampled["seed"])
    )
    return SavedLaw(fitted, resampled, document["about"])


def _array(values: Any) -> Array:
    """Numbers of a JSON list, infinities and NaN (which JSON writes as text) included."""
    return np.array(values, dtype=np.float64)
