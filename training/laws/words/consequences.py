"""Cautions as sentences of consequence: what they forbid, and what they leave."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.laws.cautions import Caution, constant_outcome
from training.laws.fit import Fit
from training.laws.uncertainty.bootstrap import Bootstrap
from training.laws.uncertainty.profile import Profile
from training.laws.words.precision import law_precision
from training.laws.words.quantities import digits, percent

SEVERE = ("few_runs", "unrelated")
"""With these neither parameters nor predictions are worth anything."""
NO_LAW = ": there is no law here to use"
USEFUL = 0.05
"""Predictions known to a smaller share than this are called good in spite of parameters that are not known."""


def cautions_in(
    fitted: Fit, boot: Bootstrap | None = None, profiles: Sequence[Profile] = ()
) -> tuple[Caution, ...]:
    """Everything found by the fit, its bootstrap and its profiles."""
    found = [*fitted.cautions, *(boot.cautions if boot is not None else ())]
    return (*found, *(caution for profile in profiles for caution in profile.cautions))


def severe(fitted: Fit, boot: Bootstrap | None = None) -> bool:
    """Whether a caution forbids to use the law at all."""
    return any(caution.code in SEVERE for caution in cautions_in(fitted, boot))


def consequences(
    fitted: Fit, boot: Bootstrap | None = None, profiles: Sequence[Profile] = (), level: float = 0.95
) -> list[str]:
    """One sentence for every kind of caution, the gravest first; codes not known here keep their own text."""
    found = cautions_in(fitted, boot, profiles)
    by_code: dict[str, list[Caution]] = {}
    for caution in found:
        by_code.setdefault(caution.code, []).append(caution)
    said = []
    if "unrelated" in by_code:
        constant = constant_outcome(fitted)
        reason = "The inputs explain the outcome hardly better than chance"
        said.append(f"{'The outcome is the same in all runs' if constant else reason}{NO_LAW}.")
    if "few_runs" in by_code:
        runs, size = fitted.runs, len(fitted.form.free)
        said.append(
            f"{runs} run{'' if runs == 1 else 's'} for {size} free parameters: the law follows their noise, so that it "
            "lies close to them is no evidence, and neither its parameters nor its predictions should be used."
        )
    of_profiles = [caution for profile in profiles for caution in profile.cautions]
    said += [caution.text for caution in of_profiles if caution.code == "starts_disagree"]
    if any(caution.code == "starts_disagree" for caution in fitted.cautions):
        said.append(
            f"Only one of {len(fitted.starts_S)} starts reached the best objective, so others may fit better: "
            "fit again from more starts before any number of this law is used."
        )
    if "at_bound" in by_code:
        said.append(_at_bound(fitted))
    flat = [profile for profile in profiles if profile.flat]
    said += [
        f"{caution.text.removesuffix('.')}: do not quote a value." for caution in by_code.get("flat", [])
    ]
    wide = _names(by_code.get("wide", []), [profile.parameter for profile in flat])
    if wide:
        said.append(_wide(fitted, boot, wide, level))
    known = {"unrelated", "few_runs", "starts_disagree", "at_bound", "flat", "wide"}
    return said + [caution.text for caution in found if caution.code not in known]


def _at_bound(fitted: Fit) -> str:
    each = [f"{name} ({digits(fitted.parameters[name])})" for name in fitted.at_bounds]
    several = len(each) > 1
    return (
        f"{' and '.join(each)} {'lie' if several else 'lies'} at a bound of {'their' if several else 'its'} range: the "
        f"runs do not determine {'them' if several else 'it'}, do not quote {'them' if several else 'it'} as measured."
    )


def _names(cautions: Sequence[Caution], told: Sequence[str]) -> list[str]:
    found = dict.fromkeys(caution.parameter for caution in cautions)
    return [name for name in found if name and name not in told]


def _wide(fitted: Fit, boot: Bootstrap | None, names: Sequence[str], level: float) -> str:
    several = len(names) > 1
    listed = f"{', '.join(names[:-1])} and {names[-1]}" if several else names[0]
    said = (
        f"{listed} {'are' if several else 'is'} hardly determined: do not quote {'them' if several else 'it'}"
    )
    precision = law_precision(fitted, boot, level)
    if severe(fitted, boot) or not np.isfinite(precision):
        return f"{said}."
    if precision <= USEFUL:
        return f"{said}; predictions within the measured range are still good to {percent(precision)}."
    return f"{said}; predictions within the measured range are uncertain by {percent(precision)} as well."
