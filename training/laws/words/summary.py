"""A fitted law in one paragraph: what it says, how well it is known, and what must not be concluded from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from scoring.lines import one_line
from training.laws.evaluation import Evaluation
from training.laws.fit import Fit
from training.laws.form import Array
from training.laws.inputs import complete
from training.laws.measured_range import inside, reach
from training.laws.optimal import Optimum
from training.laws.uncertainty.bootstrap import Bootstrap
from training.laws.uncertainty.delta_method import delta_interval
from training.laws.uncertainty.interval import Interval, level_checked
from training.laws.uncertainty.profile import Profile
from training.laws.words.consequences import NO_LAW, cautions_in, consequences, severe
from training.laws.words.formula_text import FORMULAS, formula_text
from training.laws.words.precision import law_precision, run_precision
from training.laws.words.quantities import digits, percent, size, with_interval

MUCH = 1.05
"""Factors above this are told as an extrapolation."""
CHANCE = 0.01
"""Intervals are called too narrow if, with runs independent, so few would hold in a smaller share of cases."""


def summary(
    fitted: Fit,
    boot: Bootstrap | None = None,
    evaluation: Evaluation | None = None,
    optimum: Optimum | None = None,
    profiles: Sequence[Profile] = (),
    *,
    outcome: str = "loss",
    level: float = 0.95,
) -> str:
    """One paragraph of plain sentences: the law, its fit, its range, held-out runs, the optimum, every caution.

    Names that users gave are kept to one line; Markdown is escaped by whoever writes it (``scoring/reports``).
    Without a bootstrap intervals are those of the delta method.
    """
    level_checked(level)
    found: list[str] = [
        _law(fitted, outcome),
        _parameters(fitted, boot, level),
        _closeness(fitted),
        _range(fitted, boot, level),
    ]
    if evaluation is not None:
        found.append(_held_out(fitted, boot, evaluation, level))
    if optimum is not None:
        found.append(_optimum(fitted, boot, optimum, outcome))
    copies = _copies(fitted)
    found += [copies, *consequences(fitted, boot, profiles, level)]
    if (
        not copies
        and not cautions_in(fitted, boot, profiles)
        and not _too_narrow(fitted, boot, evaluation, level)
    ):
        found.append("Nothing was found that speaks against the law among its runs.")
    return one_line(" ".join(sentence for sentence in found if sentence))


def headline(
    fitted: Fit,
    boot: Bootstrap | None = None,
    evaluation: Evaluation | None = None,
    profiles: Sequence[Profile] = (),
    *,
    outcome: str = "loss",
    level: float = 0.95,
) -> str:
    """The paragraph in one sentence: how well the law is known, how it predicted, what of it not to quote."""
    level_checked(level)
    cautions = cautions_in(fitted, boot, profiles)
    if severe(fitted, boot) or any(caution.code == "starts_disagree" for caution in cautions):
        reason = consequences(fitted, boot, profiles, level)[0].replace(NO_LAW, "")
        return one_line(f"No law of {outcome} to use: {reason[:1].lower()}{reason[1:]}")
    runs, known = len(fitted.y_N), law_precision(fitted, boot, level)
    within = f"known to within {percent(known)} ({100 * level:g} %)" if np.isfinite(known) else "not known"
    said = f"Among its {runs:,} runs the law of {outcome} is {within}"
    if evaluation is not None:
        count = len(evaluation.actual_T)
        said += (
            f"; it predicted {count:,} held-out run{'' if count == 1 else 's'} with "
            f"{'an' if count == 1 else 'a mean'} error of {percent(evaluation.mean_error)}"
        )
        if _too_narrow(fitted, boot, evaluation, level):
            said += ", and its intervals are too narrow there"
    doubtful = [name for name in (*fitted.at_bounds, *(c.parameter for c in cautions)) if name]
    if names := [p.name for p in fitted.form.parameters if p.name in doubtful]:
        said += f"; do not quote {', '.join(names[:-1])}{' or ' if names[:-1] else ''}{names[-1]}"
    return one_line(f"{said}.")


def _law(fitted: Fit, outcome: str) -> str:
    runs = f"{len(fitted.y_N):,} run{'' if len(fitted.y_N) == 1 else 's'}"
    left = f" ({fitted.left_out:,} left out as outliers)" if fitted.left_out else ""
    named = f" (the form {fitted.form.name})" if fitted.form.name in FORMULAS else ""
    return f"The law of {outcome}{named}, {formula_text(fitted)}, was fitted to {runs}{left}."


def _parameters(fitted: Fit, boot: Bootstrap | None, level: float) -> str:
    told = []
    for p in fitted.form.free:
        if boot is not None:
            told.append(f"{p.name} {with_interval(boot.interval(p.name, level))}")
        elif p.name in fitted.at_bounds:
            told.append(f"{p.name} {digits(fitted.parameters[p.name])} (at a bound)")
        else:
            told.append(f"{p.name} {with_interval(_by_delta(fitted, p.name, level))}")
    how = (
        f"by the bootstrap ({len(boot.theta_BP):,} resamples)" if boot is not None else "by the delta method"
    )
    held = [f"{name} held at {digits(value)}" for name, value in fitted.form.fixed.items()]
    held += [f"{name} tied to {text}" for name, text in fitted.form.ties.items()]
    rest = f"; {', '.join(held)}" if held else ""
    return f"Its parameters with {100 * level:g} % intervals {how}: {', '.join(told)}{rest}."


def _by_delta(fitted: Fit, name: str, level: float) -> Interval:
    with np.errstate(all="ignore"):
        return delta_interval(fitted, lambda p: p[name], level)


def _closeness(fitted: Fit) -> str:
    predicted = fitted.predict(fitted.inputs)
    if (fitted.y_N > 0).all():
        off = np.abs(np.log(fitted.y_N / predicted))[fitted.weights_N > 0]
        half, most = percent(float(np.median(off))), percent(float(np.quantile(off, 0.95)))
    else:
        off = np.abs(fitted.y_N - predicted)[fitted.weights_N > 0]
        half, most = digits(float(np.median(off)), 2), digits(float(np.quantile(off, 0.95)), 2)
    return f"Half of the runs lie within {half} of it, 95 % within {most}."


def _copies(fitted: Fit) -> str:
    """Rows that equal an earlier one in every input and the outcome; "" where there are none."""
    rows = np.stack([*fitted.inputs.values(), fitted.y_N], 1)[fitted.weights_N > 0]
    again = len(rows) - len(np.unique(rows, axis=0))
    if not again:
        return ""
    return (
        f"{again:,} of {len(rows):,} runs equal{'s' if again == 1 else ''} another in all that the law reads: if these "
        "are copies, leave them out, for intervals take every one as a run of its own."
    )


def _range(fitted: Fit, boot: Bootstrap | None, level: float) -> str:
    shown = {name: column[fitted.weights_N > 0] for name, column in fitted.inputs.items()}
    if "C" not in shown and {"N", "D"} <= set(shown):
        shown["C"] = complete(shown, ("C",))["C"]
    told = [
        f"{name} from {size(float(column.min()), name)} to {size(float(column.max()), name)}"
        for name, column in shown.items()
    ]
    said = f"It was measured for {', '.join(told)}" if told else "It has no inputs"
    law, run = law_precision(fitted, boot, level), run_precision(boot, level)
    said += "; what lies outside is extrapolation." if told else "."
    if not np.isfinite(law) or severe(fitted, boot):
        return said
    run_said = f", a new run to within {percent(run)}" if np.isfinite(run) else ""
    return f"{said} Among its runs the law is typically known to within {percent(law)} ({100 * level:g} %){run_said}."


def _held_out(fitted: Fit, boot: Bootstrap | None, evaluation: Evaluation, level: float) -> str:
    own = dict(evaluation.fitted.parameters) == dict(fitted.parameters)
    who = "It" if own else f"Fitted to {len(evaluation.fitted.y_N):,} runs only, the same form"
    count = len(evaluation.actual_T)
    runs = f"{count:,} held-out run{'' if count == 1 else 's'}"
    errors = evaluation.errors_T
    mean, worst = percent(evaluation.mean_error), percent(evaluation.worst_error)
    said = f"with an error of {worst}" if count == 1 else f"with a mean error of {mean}, at worst {worst}"
    if count > 1 and ((errors > 0).all() or (errors < 0).all()):
        said += f", always too {'high' if errors[0] > 0 else 'low'}"
    sentences = [f"{who} predicted {runs}{_how_far(evaluation.fitted, evaluation.inputs)} {said}."]
    if boot is not None and dict(boot.fitted.parameters) == dict(evaluation.fitted.parameters):
        held = _inside_intervals(boot, evaluation, level)
        rare = _too_narrow(fitted, boot, evaluation, level)
        sentences.append(
            f"{held} of {count} {'lies' if held == 1 else 'lie'} in {100 * level:g} % intervals"
            + (", fewer than these promise: they are too narrow there." if rare else ".")
        )
    return " ".join(sentences)


def _inside_intervals(boot: Bootstrap, evaluation: Evaluation, level: float) -> int:
    _, low, high = boot.predict(evaluation.inputs, level)
    return int(((evaluation.actual_T >= low) & (evaluation.actual_T <= high)).sum())


def _too_narrow(fitted: Fit, boot: Bootstrap | None, evaluation: Evaluation | None, level: float) -> bool:
    """Whether fewer held-out runs lie in their intervals than chance explains."""
    from scipy.special import bdtr

    if boot is None or evaluation is None:
        return False
    if not dict(boot.fitted.parameters) == dict(evaluation.fitted.parameters) == dict(fitted.parameters):
        return False
    count = len(evaluation.actual_T)
    return float(bdtr(_inside_intervals(boot, evaluation, level), count, level)) < CHANCE


def _how_far(fitted: Fit, inputs: Mapping[str, Array]) -> str:
    name, factor = reach(fitted, inputs)
    if not name or not factor > MUCH:
        among = int(inside(fitted, inputs).sum())
        return f" ({among:,} of them among the runs fitted)" if among else " that lie off the runs fitted"
    return f", up to {digits(factor, 2)} times the {_called(name)} of those fitted,"


def _called(name: str) -> str:
    return "compute" if name == "C" else f"largest {name}"


def _optimum(fitted: Fit, boot: Bootstrap | None, optimum: Optimum, outcome: str) -> str:
    at = {"N": optimum.N.value, "D": optimum.D.value}
    ratio = digits(optimum.tokens_per_parameter, 2)
    said = (
        f"For a compute of {size(optimum.C, 'C')} FLOP it puts the least {outcome}, "
        f"{with_interval(optimum.loss)}, at N = {with_interval(optimum.N, 'N')} and D = "
        f"{with_interval(optimum.D, 'D')}, {ratio} tokens per parameter, N growing as C to the power "
        f"{with_interval(optimum.a)}"
    )
    if not all(np.isfinite(value) and value > 0 for value in at.values()):
        return f"For a compute of {size(optimum.C, 'C')} FLOP it has no optimum."
    _, factor = reach(fitted, at)
    if factor > MUCH:
        said += (
            f"; this is {digits(factor, 2)} times the compute of its largest run, and the intervals assume that the "
            "form still holds there"
        )
    elif bool(inside(fitted, at)):
        said += ", which lies among its runs"
    else:
        said += ", where no run was made"
    return f"{said}; by the cautions below this is nothing to act on." if severe(fitted, boot) else f"{said}."
