"""Scorers by name: a literal catalogue, loaded on use, and what other packages add by entry points.

A request is ``name[:variant][(option=value, ...)][@step rule]``: ``el2n``, ``el2n:brier@mean``,
``forgetting(never_learned=inf)``, ``loss@epoch=3``; or ``module:Class`` for a scorer of the user's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from scoring.call_syntax import read_options, split_commas
from scoring.errors import InputError, bad_value, unknown_name
from scoring.needs import FROM_ELSEWHERE
from scoring.places import added_places, load_place

if TYPE_CHECKING:
    from scoring.scorer import Scorer
    from scoring.steps import StepRule

ENTRY_POINTS = "tamis.scorers"


@dataclass(frozen=True)
class Entry:
    """Where a scorer lives, and the options that make the variant."""

    place: str
    options: Mapping[str, Any] = field(default_factory=dict)


def _at(module: str, name: str, **options: Any) -> Entry:
    return Entry(f"scoring.scorers.{module}:{name}", options)


SCORERS: Mapping[str, Entry] = {
    "accuracy_over_time": _at("cartography", "AccuracyOverTime"),
    "ask_llm": _at("ask_llm", "AskLLM"),
    "ask_llm:sachdeva2024": _at("ask_llm", "AskLLM", form="mass"),
    "aum": _at("aum", "AUM"),
    "aum:ccs-sum": _at("aum", "AUMSum"),
    "concept_frequency": _at("concept_frequency", "ConceptFrequency"),
    "confidence": _at("confidence", "Confidence"),
    "confidence_weighted_entropy": _at("label_quality", "ConfidenceWeightedEntropy"),
    "consensus_label": _at("over_runs", "ConsensusLabel"),
    "correctness": _at("cartography", "Correctness"),
    "cscore": _at("cscore", "CScore"),
    "ddd": _at("over_runs", "DichotomousDifficulty"),
    "density": _at("density", "Density"),
    "density:exact": _at("density", "Density", method="exact"),
    "density:sachdeva2024": _at("density_sachdeva", "DensitySachdeva"),
    "density:sketch": _at("density", "Density", method="sketch"),
    "dsir": _at("dsir", "DSIR"),
    "dsir:length-normalized": _at("dsir", "DSIR", length_normalized=True),
    "el2n": _at("el2n", "EL2N"),
    "el2n:brier": _at("el2n", "EL2N", form="brier"),
    "el2n:ccs-sum": _at("el2n", "EL2NSum"),
    "el2n:l1": _at("el2n", "EL2N", form="l1"),
    "el2n:paul2021": _at("el2n", "EL2N"),
    "entropy": _at("entropy", "Entropy"),
    "entropy:normalized": _at("entropy", "NormalizedEntropy"),
    "first_learned": _at("learning_time", "FirstLearned"),
    "forgetting": _at("forgetting", "Forgetting"),
    "forgetting:cartography": _at("forgetting", "Forgetting", never_learned=1000, runs="mean"),
    "forgetting:deepcore": _at("forgetting", "Forgetting", never_learned="zero", runs="mean"),
    "forgetting:paul2021": _at("forgetting", "Forgetting", never_learned="inf", runs="mean"),
    "forgetting:toneva2019": _at("forgetting", "Forgetting"),
    "gopher": _at("gopher", "Gopher"),
    "grand": _at("grand", "GraNd"),
    "grand:init": _at("grand", "GraNdAtInit"),
    "grand:last-layer": _at("grand", "GraNd", layers="last-layer"),
    "grand:paul2021": _at("grand", "GraNd"),
    "ifd": _at("ifd", "InstructionFollowingDifficulty"),
    "ifd:loss": _at("ifd", "InstructionFollowingDifficulty", of="loss"),
    "iteration_learned": _at("learning_time", "IterationLearned"),
    "knn_distance": _at("knn_distance", "KnnDistance"),
    "knn_shapley": _at("knn_shapley", "KnnShapley"),
    "knn_shapley:target": _at("knn_shapley", "KnnShapleyTarget"),
    "length": _at("length", "Length"),
    "less": _at("less", "Less"),
    "loss": _at("loss", "Loss"),
    "margin": _at("margin", "LabelMargin"),
    "margin:label": _at("margin", "LabelMargin"),
    "margin:logit": _at("margin", "LogitMargin"),
    "margin:top2": _at("margin", "TopTwoMargin"),
    "max_confidence": _at("confidence", "MaxConfidence"),
    "mean_confidence": _at("cartography", "MeanConfidence"),
    "memorization": _at("memorization", "Memorization"),
    "minhash_duplicates": _at("minhash_duplicates", "MinhashDuplicates"),
    "ngram_perplexity": _at("ngram_perplexity", "NGramPerplexity"),
    "ngram_perplexity:corpus": _at("ngram_perplexity", "NGramPerplexityWithinCorpus"),
    "normalized_margin": _at("label_quality", "NormalizedMargin"),
    "perplexity": _at("perplexity", "Perplexity"),
    "perplexity:ccnet": _at("ccnet_perplexity", "CCNetPerplexity"),
    "perplexity:data-juicer": _at("perplexity", "Perplexity", part="response"),
    "perplexity:qurating": _at("perplexity", "MeanLogLikelihood"),
    "perplexity:response": _at("perplexity", "Perplexity", part="response"),
    "perplexity:sachdeva2024": _at("perplexity", "Perplexity"),
    "prediction_depth": _at("prediction_depth", "PredictionDepth"),
    "prediction_depth:baldock2021": _at("prediction_depth", "PredictionDepth", against="prediction"),
    "prototypes": _at("prototypes", "SelfSupervisedPrototypes"),
    "prototypes:embeddings": _at("embedding_prototypes", "EmbeddingPrototypes"),
    "prototypes:kwok2024": _at("prototypes", "SelfSupervisedPrototypes", metric="euclidean"),
    "prototypes:sorscher2022": _at("prototypes", "SelfSupervisedPrototypes"),
    "prototypes:supervised": _at("prototypes", "SupervisedPrototypes"),
    "pvi": _at("pvi", "PVI"),
    "quality_classifier": _at("quality_classifier", "QualityClassifier"),
    "quality_classifier:fineweb-edu": _at(
        "quality_regression", "QualityRegression", model="HuggingFaceFW/fineweb-edu-classifier", clip=True
    ),
    "quality_classifier:regression": _at("quality_regression", "QualityRegression"),
    "random": _at("uniform", "Random"),
    "reducible_loss": _at("reducible_loss", "ReducibleLoss"),
    "rho": _at("reducible_loss", "ReducibleLoss"),
    "self_confidence": _at("label_quality", "SelfConfidence"),
    "semantic_duplicates": _at("semantic_duplicates", "SemanticDuplicates"),
    "semantic_duplicates:abbas2023": _at("semantic_duplicates", "SemanticDuplicates", mode="chain"),
    "ssft": _at("second_split", "SecondSplitForgetting"),
    "threshold_closeness": _at("cartography", "ThresholdCloseness"),
    "tracin": _at("tracin", "TracInSelf"),
    "tracin:anand2023": _at("tracin", "TracInSelf", layers="last-encoder-layer"),
    "tracin:target": _at("tracin", "TracInTarget"),
    "trak": _at("trak", "Trak"),
    "trak:target": _at("trak", "TrakTarget"),
    "unforgettable": _at("learning_time", "Unforgettable"),
    "variability": _at("cartography", "Variability"),
    "vog": _at("vog", "VarianceOfGradients"),
    "vog:agarwal2022": _at("vog", "VarianceOfGradients"),
    "vog:anand2023": _at("vog", "VarianceOfGradients", channels="each", spread="variance"),
    "vog:kwok2024": _at("vog", "VarianceOfGradients", of="probability", spread="variance", ddof=1),
    "vog:kwok2024-loss": _at("vog", "VarianceOfGradients", of="loss", spread="variance", ddof=1),
}

_REQUEST = re.compile(r"(?P<name>[^()@\s]+)\s*(?:\((?P<options>[^()]*)\))?\s*(?:@(?P<rule>[^()@\s]+))?")


def scorer_names() -> list[str]:
    """All names; names of this catalogue win over entry points."""
    return sorted({*SCORERS, *added_places(ENTRY_POINTS)})


def scorers_of_runs() -> list[str]:
    """Names of this catalogue that need nothing but ordinary runs, labelled and with checkpoints after the start."""
    scorers = {name: make_scorer(name) for name in SCORERS}
    return [name for name, each in scorers.items() if not each.needs & FROM_ELSEWHERE and not each.caveat]


def split_scorers(text: str) -> list[str]:
    """``"el2n,forgetting(never_learned=inf),loss@mean"`` at the commas outside brackets."""
    return split_commas(text)


def parse_scorer(request: str | Scorer | type[Scorer]) -> tuple[str, Scorer, StepRule | None]:
    """Column name, scorer and step rule (None if the request names none) of a request.

    A scorer object has its name in the catalogue, else that of its class in snake case, with the options that differ.
    """
    from scoring.scorer import CollectiveScorer, Scorer, TrajectoryScorer, check_declared
    from scoring.steps import StepRule

    if isinstance(request, type) and issubclass(request, Scorer):
        request = request()
    if isinstance(request, Scorer):
        check_declared(request)
        return _name_of(request), request, None
    found = _REQUEST.fullmatch(request.strip()) if isinstance(request, str) else None
    if found is None:
        raise bad_value(
            "scorers", "score", request, "names like el2n, loss@mean or forgetting(never_learned=inf)"
        )
    name, text, rule_text = found["name"], found["options"], found["rule"]
    scorer = make_scorer(name, read_options(text or "", f"score: scorer {name!r}"))
    check_declared(scorer)
    rule = None if rule_text is None else StepRule.parse(rule_text)
    if rule is not None and isinstance(scorer, TrajectoryScorer):
        raise InputError(
            f"score: {name!r} is a score of all checkpoints together and takes no step rule, got @{rule_text}."
        )
    collective = isinstance(scorer, CollectiveScorer)
    if rule is not None and not rule.picks and collective != (rule.kind == "all"):
        allowed = (
            "pick one checkpoint, or be all"
            if collective
            else "not be all, which is for scores of all examples"
        )
        raise InputError(f"score: the step rule of {name!r} must {allowed}, got @{rule_text}.")
    if rule is not None and scorer.meaning == "label" and not rule.picks:
        raise InputError(
            f"score: {name!r} is a class, so its step rule must pick one checkpoint "
            f"(last, first, early, epoch=K or step=K), got @{rule_text}."
        )
    options = ",".join(part.replace(" ", "") for part in split_commas(text or ""))
    return f"{name}{f'({options})' if options else ''}{f'@{rule}' if rule else ''}", scorer, rule


def make_scorer(name: str, options: Mapping[str, Any] | None = None) -> Scorer:
    """The scorer of a catalogue name, entry point or ``module:Class``, with options."""
    from scoring.scorer import Scorer

    entry = SCORERS.get(name)
    if entry is None and name in (others := added_places(ENTRY_POINTS)):
        entry = Entry(others[name])
    if entry is None:
        module, _, attribute = name.partition(":")
        misspelt = bool(get_close_matches(name, scorer_names(), n=1, cutoff=0.8))
        if not (module and attribute) or misspelt or module in {known.partition(":")[0] for known in SCORERS}:
            raise unknown_name("scorer", "score", name, scorer_names())
        entry = Entry(name)
    cls = load_place(entry.place, f"score: scorer {name!r}")
    if not (isinstance(cls, type) and issubclass(cls, Scorer)):
        raise bad_value("scorer", "score", name, "a subclass of scoring.Scorer")
    known = [f.name for f in fields(cls) if f.init and f.repr]
    for option in options or {}:
        if not known:
            raise InputError(f"score: scorer {name!r} has no options, got {option!r}.")
        if option not in known:
            raise unknown_name("option", f"score: scorer {name!r}", option, known)
    merged = {**entry.options, **(options or {})}
    for f in fields(cls):
        # A default of bool or a number says what an option must be; the rest a scorer checks itself.
        if f.name in merged and isinstance(f.default, bool) and not isinstance(merged[f.name], bool):
            raise bad_value(f.name, f"score: scorer {name!r}", merged[f.name], "true or false")
        if f.name in merged and type(f.default) is int and type(merged[f.name]) is not int:
            raise bad_value(f.name, f"score: scorer {name!r}", merged[f.name], "a whole number")
    return cls(**merged)


def describe() -> list[dict[str, Any]]:
    """One row per scorer: name, what high means, needs, view, default step rule, its first line and its source."""
    from scoring.scorer import TrajectoryScorer

    rows = []
    for name in scorer_names():
        scorer = make_scorer(name)
        text = (type(scorer).__doc__ or "").strip()
        first, _, rest = text.partition("\n")
        rows.append(
            {
                "name": name,
                "meaning": scorer.meaning,
                "needs": sorted(scorer.needs),
                "view": scorer.view,
                "steps": None if isinstance(scorer, TrajectoryScorer) else scorer.default_steps,
                "options": {f.name: getattr(scorer, f.name) for f in fields(scorer) if f.repr},
                "doc": first,
                "source": " ".join(rest.split()),
            }
        )
    return rows


def _name_of(scorer: Scorer) -> str:
    place = f"{type(scorer).__module__}:{type(scorer).__qualname__}"
    entries = [(name, entry) for name, entry in SCORERS.items() if entry.place == place]
    for name, _ in entries:
        if make_scorer(name) == scorer:
            return name
    plain = [name for name, entry in entries if not entry.options] or [name for name, _ in entries]
    words = plain[0] if plain else re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(scorer).__name__).lower()
    changed = [f for f in fields(scorer) if f.init and f.repr and getattr(scorer, f.name) != f.default]
    options = ",".join(f"{f.name}={getattr(scorer, f.name)}" for f in changed)
    return f"{words}({options})" if options else words
