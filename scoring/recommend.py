"""What every scorer needs, costs and is good for: one row each, worked out from its declaration.

| field | meaning |
|---|---|
| ``name``, ``meaning``, ``good_for``, ``view``, ``caveat`` | as declared; what a score of that meaning serves |
| ``checkpoints`` | ``one`` or ``all`` of a run |
| ``forward``, ``backward`` | passes over all examples per checkpoint; scorers share them in one call |
| ``formed`` | whether every example's whole gradient is formed on the way, one parameter at a time |
| ``recorded`` | whether what ``train(record=True)`` keeps is enough, without any pass |
| ``others`` | what else it must be given: a target, other runs, Adam's moments |
| ``storage``, ``bytes`` | bytes kept per example and run while scoring, in ``UNITS``; ``bytes`` where it is a number |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from scoring.meaning import GOOD_FOR
from scoring.needs import (
    Embeddings,
    GradientDots,
    GradientNorms,
    InputGradients,
    MinHashes,
    Need,
    ProjectedGradients,
    Representations,
    kind_of,
    provided,
)  # fmt: skip

if TYPE_CHECKING:
    from scoring.scorer import Scorer, TrajectoryScorer

OTHERS = {
    "target": "target",
    "reference_losses": "reference runs",
    "null_losses": "null runs",
    "trained": "runs on subsets",
    "embeddings": "an encoder",
    "document_nats": "a language model",
    "answers": "a model that answers",
    "target_documents": "target documents",
}
"""Kinds of signals that the run itself cannot give -> what the user must have."""

WITHOUT_PASS = {"labels", "texts", "minhashes", *OTHERS} - {"embeddings", "document_nats", "answers"}
"""Kinds that cost no pass of the model over the examples."""

RECORDED = provided(frozenset({"labels", "logits"})) | {"trained", "reference_losses", "null_losses"}
"""Kinds that need no pass over the examples where the run recorded logits."""

UNITS = {
    "C": "classes",
    "D": "width of the last layer, or of the embeddings",
    "L": "widths of all layers together",
    "I": "numbers in the input",
    "T": "checkpoints",
}
"""What storage is a multiple of."""

OF_PARAMETERS = (GradientNorms, GradientDots, ProjectedGradients)


def costs() -> list[dict[str, Any]]:
    """One row per scorer of the catalogue, and of what other packages added, by name."""
    from scoring.catalog import make_scorer, scorer_names

    return [cost_of(name, make_scorer(name)) for name in scorer_names()]


def cost_of(name: str, scorer: Scorer) -> dict[str, Any]:
    """The row of one scorer with its options."""
    from scoring.scorer import TrajectoryScorer
    from scoring.steps import StepRule

    trajectory = isinstance(scorer, TrajectoryScorer)
    one = not trajectory and StepRule.parse(scorer.default_steps).picks
    storage = _storage(scorer)
    return {
        "name": name,
        "meaning": scorer.meaning,
        "good_for": GOOD_FOR[scorer.meaning],
        "view": scorer.view,
        "checkpoints": "one" if one else "all",
        "forward": int(any(kind_of(need) not in WITHOUT_PASS for need in scorer.reads)),
        "backward": backward_passes(scorer.reads),
        "formed": any(isinstance(need, ProjectedGradients) for need in scorer.reads),
        "recorded": scorer.needs <= RECORDED,
        "others": _others(scorer),
        "storage": storage,
        "bytes": int(storage) if storage.isdigit() else None,
        "caveat": scorer.caveat,
    }


def backward_passes(needs: Iterable[Need]) -> int:
    """One for all gradients of parameters; of inputs one for the logit, one for loss and probability."""
    needs = list(needs)
    of_inputs = {
        "logit" if need.of == "logit" else "loss" for need in needs if isinstance(need, InputGradients)
    }
    return int(any(isinstance(need, OF_PARAMETERS) for need in needs)) + len(of_inputs)


def _others(scorer: Scorer) -> list[str]:
    others = [what for kind, what in OTHERS.items() if kind in scorer.needs]
    adam = any(isinstance(need, ProjectedGradients) and need.adam for need in scorer.reads)
    return [*others, *(["Adam's moments"] if adam else [])]


def _storage(scorer: Scorer) -> str:
    """Bytes, or a sum of them with what they depend on."""
    from scoring.scorer import CollectiveScorer, TrajectoryScorer
    from scoring.steps import StepRule

    if isinstance(scorer, TrajectoryScorer) and scorer.wide:
        return _wide_storage(scorer)
    if isinstance(scorer, TrajectoryScorer):
        return str(8 * len(scorer.state))
    rule = StepRule.parse(scorer.default_steps)
    if not isinstance(scorer, CollectiveScorer):
        return str(8 * len(rule.state))
    terms: dict[str, int] = {}
    for need in scorer.reads - {"labels", "target"}:
        count, unit = _kept(need)
        unit = unit if rule.picks else f"{unit} T".strip()
        terms[unit] = terms.get(unit, 0) + count
    return _sum(terms)


def _kept(need: Need) -> tuple[int, str]:
    """Bytes that a collective scorer's signal takes on disk, and of what."""
    if isinstance(need, ProjectedGradients):
        return 4 * need.dim, ""
    if isinstance(need, Representations):
        return 4, "L" if need.layers == "all" else "D"
    if isinstance(need, InputGradients):
        return 4, "I"
    if isinstance(need, Embeddings):
        return 4, "D"
    if isinstance(need, MinHashes):
        return 8 * need.permutations, ""
    return 8, "C" if need == "logits" else ""


def _wide_storage(scorer: TrajectoryScorer) -> str:
    """How much state one step leaves, from inputs of one number and of two."""
    one, two = (_state_bytes(scorer, numbers) for numbers in (1, 2))
    return _sum({"": 2 * one - two, "I": two - one})


def _state_bytes(scorer: TrajectoryScorer, numbers: int) -> int:
    """Bytes of the state of an example whose input has so many numbers."""
    import numpy as np
    import torch

    from scoring.signals import Signals

    def extra(need: Need) -> tuple[torch.Tensor, ...]:
        if isinstance(need, InputGradients):
            return torch.ones(1, numbers), torch.full((1,), numbers)
        return (torch.ones(1, need.dim) if isinstance(need, ProjectedGradients) else torch.ones(1),)

    signals = Signals(
        ids_B=np.array([0]),
        step=1,
        epoch=1.0,
        learning_rate=1.0,
        label_tensor=torch.tensor([0]),
        logits=torch.zeros(1, 2),
        extras={need: extra(need) for need in scorer.reads if not isinstance(need, str)},
    )
    start = {key: torch.full((1,), value, dtype=torch.float64) for key, value in scorer.state.items()}
    return sum(value.nbytes for value in scorer.step(signals, start).values())


def _sum(terms: Mapping[str, int]) -> str:
    """``32`` or ``16 + 16 I``."""
    parts = [f"{count} {unit}" if unit else str(count) for unit, count in sorted(terms.items()) if count]
    return " + ".join(parts) or "0"
