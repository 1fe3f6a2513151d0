"""What is asked of laws: which form, fitted how, and what is wanted of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scoring.errors import InputError, unknown_name
from training.laws.catalog import form_of
from training.laws.fit import Outliers
from training.laws.fitting.objective import Name
from training.laws.form import Form
from training.laws.run_table import RunTable


@dataclass(frozen=True, kw_only=True)
class LawRequest:
    """How laws are fitted.

    Attributes:
        law: A name of the catalogue, a call with options, a formula, or a form.
        freeze, tie: See :meth:`~training.laws.form.Form.frozen` and ``tied``.
        objective, delta, starts, outliers: See :func:`~training.laws.fit.fit`.
        below: Fit on the runs with compute below this and predict the others.
        budgets: Compute budgets whose best model size is wanted.
        profiles: Parameters whose profile is wanted; ``all`` for all.
        groups: Column whose equal values are resampled as a whole.
        pooled: One law for all corpora together.
        all_steps: Use every step of a run, not the last one alone.
        cutoffs: Budgets below each of which the law and those of ``versus`` are fitted, and judged on the runs above.
        versus: Other laws, as ``law``, for ``cutoffs``.
        isoflop: Look for the best size on every curve of equal compute too, of all runs below ``below``.
    """

    law: str | Form = "chinchilla"
    freeze: Mapping[str, float] = field(default_factory=dict)
    tie: Mapping[str, str] = field(default_factory=dict)
    objective: Name = "huber"
    delta: float = 1e-3
    outliers: Outliers = field(default_factory=Outliers)
    below: float | None = None
    budgets: Sequence[float] = ()
    profiles: Sequence[str] = ()
    groups: str | None = None
    resamples: int = 1_000
    starts: int = 48
    seed: int = 0
    level: float = 0.95
    pooled: bool = False
    all_steps: bool = False
    cutoffs: Sequence[float] = ()
    versus: Sequence[str] = ()
    isoflop: bool = False

    def form(self, table: RunTable) -> Form:
        """The law, with what is frozen and tied."""
        form = form_of(self.law, _numbers(table)) if isinstance(self.law, str) else self.law
        form = form.frozen(**self.freeze).tied(**self.tie)
        for name in self.profiles:
            if name != "all" and name not in [p.name for p in form.free]:
                raise unknown_name("profile", f"form {form.name}", name, [p.name for p in form.free])
        if self.budgets and form.optimum is None:
            raise InputError(
                f"form {form.name}: it has no compute-optimal model size, so no budgets can be given."
            )
        return form

    def rivals(self, table: RunTable) -> dict[str, Form]:
        """The law and those of ``versus`` by what they are called in tables."""
        asked = self.law if isinstance(self.law, str) else self.law.name
        held = [*(f"{name}={value:g}" for name, value in self.freeze.items())]
        held += [f"{name}={text}" for name, text in self.tie.items()]
        named = f"{asked} with {', '.join(held)}" if held else asked
        return {named: self.form(table)} | {text: form_of(text, _numbers(table)) for text in self.versus}


def _numbers(table: RunTable) -> list[str]:
    return [name for name in (*table.columns, "M") if name not in ("run", "value")]
