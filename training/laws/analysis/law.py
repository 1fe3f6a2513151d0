"""One law per corpus of a run table, as a report: parameters, held-out runs, optima, profiles, figures, law.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.errors import InputError, bad_value, name_some
from scoring.progress import progress
from scoring.reports.folder import Report
from scoring.reports.section import Section
from training.laws.analysis.extrapolation import extrapolation_section
from training.laws.analysis.isoflop import isoflop_section
from training.laws.analysis.law_request import LawRequest
from training.laws.analysis.law_rows import compute_factor, law_inputs, law_outcome
from training.laws.analysis.law_tables import held_out_listing, optima_listing, parameters_listing
from training.laws.analysis.names import KIND, ends, file_stem
from training.laws.evaluation import Evaluation, evaluate
from training.laws.fit import Fit, fit
from training.laws.fitting.objective import Objective
from training.laws.form import Form
from training.laws.isoflop import LEAST_SIZES
from training.laws.law_file import save_law
from training.laws.optimal import Optimum, compute_optimal
from training.laws.run_table import RunTable
from training.laws.uncertainty.bootstrap import Bootstrap, bootstrap
from training.laws.uncertainty.interval import level_checked
from training.laws.uncertainty.profile import Profile, profile
from training.laws.words.formula_text import formula_text
from training.laws.words.quantities import digits
from training.laws.words.summary import headline, summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST_RUNS = 2
"""With one there is nothing to resample."""
MOST_DRAWN = 6
"""Parameters of which pairs are drawn."""


@dataclass(frozen=True)
class LawOfCorpus:
    """What was found for one corpus."""

    corpus: str
    metric: str
    fitted: Fit
    resampled: Bootstrap
    evaluation: Evaluation | None
    optima: tuple[Optimum, ...]
    profiles: tuple[Profile, ...]
    about: Mapping[str, Any]

    @property
    def name(self) -> str:
        """``loss of web``, or the metric alone."""
        return _named(self.corpus, self.metric)


def law_report(
    table: RunTable, request: LawRequest, *, source: str = "", show_progress: bool = False
) -> Report:
    """Fit one law per corpus and metric of a run table.

    ``source`` names where the table came from. What is asked for is checked before anything is fitted.
    """
    level_checked(request.level)
    form = request.form(table)
    rows = table if request.all_steps else table.last()
    if len(rows) == 0:
        raise InputError(f"laws: {source or 'the table'} holds no rows with a value.")
    if request.groups is not None:
        rows[request.groups]  # an unknown column is an error now, not after the first fit
    if request.pooled:
        rows = replace(rows, columns={**rows.columns, "corpus": np.full(len(rows), "", dtype=object)})
    counts = Counter(zip(rows["corpus"], rows["metric"]))
    alone = sorted(cell for cell, count in counts.items() if count < LEAST_RUNS)
    alone = alone if len(alone) < len(counts) else []
    cells = sorted(set(counts) - set(alone))
    others = _isoflop_sections(rows, cells, request) if request.isoflop else []
    rivals = request.rivals(rows) if request.cutoffs else {}
    found = []
    with progress("fitting", len(cells), "laws", show_progress) as advance:
        for corpus, metric in cells:
            mine = rows.rows((rows["corpus"] == corpus) & (rows["metric"] == metric))
            if rivals:
                others.append(
                    extrapolation_section(mine, _named(corpus, metric), corpus, metric, rivals, request)
                )
            found.append(_law_of(mine, form, request, corpus, metric, source))
            advance(1)
    about: dict[str, Any] = {
        "source": source,
        "law": form.name,
        "rows": len(rows),
        "of": [[corpus, metric] for corpus, metric in cells],
        "request": {
            **{name: getattr(request, name) for name in LawRequest.__dataclass_fields__ if name != "law"},
            "law": request.law if isinstance(request.law, str) else form.name,
            "outliers": [request.outliers.highest, *request.outliers.ratio],
        },
        "parameters": {law.name: law.fitted.parameters for law in found},
    }
    preamble = _preamble(request, found, rows, source)
    if alone:
        named = name_some((_named(*cell) for cell in alone), 5)
        preamble.append(f"not fitted, as a law needs at least {LEAST_RUNS} runs: {named}")
    return Report(KIND, _title(form, found), preamble, about, [*(_section(law) for law in found), *others])


def _isoflop_sections(rows: RunTable, cells: Sequence[tuple[str, str]], request: LawRequest) -> list[Section]:
    found = []
    for corpus, metric in cells:
        mine = (rows["corpus"] == corpus) & (rows["metric"] == metric)
        if request.below is not None:
            mine &= rows["C"] < request.below
        if mine.any():
            name = _named(corpus, metric)
            found.append(isoflop_section(rows.rows(mine), name, corpus, metric, request.level))
    sections = [section for section in found if section is not None]
    if not sections:
        raise InputError(
            f"laws: there are no curves of equal compute, as no C has runs of {LEAST_SIZES} sizes or more."
        )
    return sections


def _law_of(
    rows: RunTable, form: Form, request: LawRequest, corpus: str, metric: str, source: str
) -> LawOfCorpus:
    owner = f"the law {form.name} of {_named(corpus, metric)}"
    wanted = [*form.inputs, *(["C"] if request.below is not None and "C" not in form.inputs else [])]
    inputs = law_inputs(rows, wanted, owner)
    outcome = law_outcome(rows, Objective(request.objective, request.delta), metric, owner)
    how: dict[str, Any] = {
        "objective": request.objective, "delta": request.delta, "outliers": request.outliers,
        "starts": request.starts, "seed": request.seed,
    }  # fmt: skip
    evaluation, train = None, np.ones(len(rows), dtype=bool)
    if request.below is None:
        fitted = fit(form, inputs, outcome, **how)
    else:
        train = inputs["C"] < request.below
        if not train.any() or train.all():
            where = "all" if train.all() else "none"
            raise bad_value(
                "below", owner, request.below, f"a budget with runs on both sides; {where} are below"
            )
        evaluation = evaluate(form, inputs, outcome, train=train, **how)
        fitted = evaluation.fitted
    if len(fitted.y_N) < LEAST_RUNS:
        raise InputError(f"{owner}: it needs at least {LEAST_RUNS} runs, got {len(fitted.y_N)}.")
    groups = None if request.groups is None else rows[request.groups][train].astype(str)
    resampled = bootstrap(fitted, request.resamples, groups=groups, seed=request.seed)
    names = [p.name for p in form.free] if "all" in request.profiles else list(request.profiles)
    return LawOfCorpus(
        corpus,
        metric,
        fitted,
        resampled,
        evaluation,
        tuple(compute_optimal(resampled, C, request.level) for C in request.budgets),
        tuple(profile(fitted, name, level=request.level) for name in names if len(form.free) > 1),
        {"corpus": corpus, "metric": metric, "source": source, "level": request.level},
    )


def _named(corpus: str, metric: str) -> str:
    return f"{metric} of {corpus}" if corpus else metric


def _title(form: Form, found: Sequence[LawOfCorpus]) -> str:
    counts = sorted({len(law.fitted.y_N) for law in found})
    runs = " to ".join(f"{count:,}" for count in dict.fromkeys((counts[0], counts[-1])))
    if len(found) == 1:
        return f"{form.name}: {found[0].name}, {runs} runs"
    return f"{form.name}: {len(found)} laws, of {runs} runs each"


def _preamble(request: LawRequest, found: Sequence[LawOfCorpus], rows: RunTable, source: str) -> list[str]:
    said = [f"runs: {source}"] if source else []
    if rows.without_value:
        plural = "" if rows.without_value == 1 else "s"
        said.append(f"{rows.without_value:,} value{plural} of the table empty or NaN, and not used")
    delta = f" with delta {request.delta:g}" if request.objective == "huber" else ""
    said.append(
        f"fitted by {request.objective}{delta}, {request.starts} starts, {request.resamples:,} resamples"
    )
    for law in found:
        if law.fitted.left_out:
            plural = "" if law.fitted.left_out == 1 else "s"
            said.append(f"{law.name}: {law.fitted.left_out:,} run{plural} left out as outliers")
    if request.below is not None:
        said.append(f"runs of C >= {request.below:.4g} held out")
    if (request.below is not None or request.budgets) and (factor := compute_factor(rows)) != 1:
        said.append(
            f"the table's C is {digits(factor, 2)} times 6 N D; budgets for which a best size is wanted are 6 N D"
        )
    return said


def _section(law: LawOfCorpus) -> Section:
    stem = file_stem(law.corpus, law.metric)
    listings = [parameters_listing(law)]
    if law.optima:
        listings.append(optima_listing(law))
    if law.evaluation is not None:
        listings.append(held_out_listing(law, law.evaluation))
    named: dict[str, Any] = {"outcome": law.name, "level": law.about["level"]}
    text = summary(
        law.fitted,
        law.resampled,
        law.evaluation,
        law.optima[0] if law.optima else None,
        law.profiles,
        **named,
    )
    return Section(
        name=stem,
        title=f"{law.name[:1].upper()}{law.name[1:]}",
        sentences=[headline(law.fitted, law.resampled, law.evaluation, law.profiles, **named), text],
        listings=listings,
        figures={f"{stem}-{name}": draw for name, draw in _figures(law).items()},
        document=_document(law),
        files={
            f"{stem}.law.json": partial(save_law, fitted=law.fitted, resampled=law.resampled, about=law.about)
        },
    )


def _figures(law: LawOfCorpus) -> dict[str, Callable[[], Figure]]:
    from training.laws.plots.bootstrap import parameter_plot
    from training.laws.plots.fit import fit_plot
    from training.laws.plots.profile import profile_plot
    from training.laws.plots.residuals import residual_plot

    found: dict[str, Callable[[], Figure]] = {}
    level = law.about["level"]
    if len(law.fitted.form.inputs) in (1, 2):
        found["fit"] = partial(
            fit_plot, law.resampled, evaluation=law.evaluation, level=level, outcome=law.metric
        )
    if 1 <= len(law.fitted.form.inputs) <= 3:
        found["residuals"] = partial(residual_plot, law.fitted, outcome=law.metric)
    if 2 <= len(law.fitted.form.free) <= MOST_DRAWN:
        found["parameters"] = partial(parameter_plot, law.resampled, level)
    if law.profiles:
        found["profiles"] = partial(profile_plot, law.profiles)
    return found


def _document(law: LawOfCorpus) -> dict[str, Any]:
    fitted, level = law.fitted, law.about["level"]
    found: dict[str, Any] = {
        "corpus": law.corpus,
        "metric": law.metric,
        "formula": formula_text(fitted),
        "parameters": fitted.parameters,
        "intervals": {
            p.name: ends(law.resampled.interval(p.name, level)) for p in fitted.form.free
        },
        "level": level,
        "objective": fitted.objective,
        "agreeing_starts": fitted.agreeing,
        "at_bounds": list(fitted.at_bounds),
        "condition": fitted.condition,
        "runs": len(fitted.y_N),
        "left_out": fitted.left_out,
        "cautions": [[each.code, each.text] for each in (*fitted.cautions, *law.resampled.cautions)],
        "profiles": {
            each.parameter: {
                "values": each.values_K, "objectives": each.objectives_K, "interval": ends(each.interval),
                "flat": each.flat,
            }
            for each in law.profiles
        },
        "optima": [
            {"C": at.C, **{key: ends(getattr(at, key)) for key in ("N", "D", "loss", "a")}} for at in law.optima
        ],
    }  # fmt: skip
    if law.evaluation is not None:
        centre, low, high = law.resampled.predict(law.evaluation.inputs, level)
        found["held_out"] = {
            "inputs": law.evaluation.inputs, "predicted": centre, "low": low, "high": high,
            "actual": law.evaluation.actual_T, "mean_error": law.evaluation.mean_error,
            "worst_error": law.evaluation.worst_error, "ln_rmse": law.evaluation.ln_rmse, "r2": law.evaluation.r2,
        }  # fmt: skip
    return found
