"""Section: do runs predict the same, what do they agree on, and where do they all contradict the label?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from scoring.compare.intervals.over_runs import Estimate
from scoring.compare.predictions.agreement import PredictionAgreement, prediction_agreement
from scoring.compare.predictions.consensus import Consensus, consensus, dichotomous, suspected_errors
from scoring.compare.predictions.probabilities import Predictions
from scoring.compare.predictions.votes import VoteRecord, vote_records
from scoring.compare.ranks import Floats
from scoring.compare.request import Request
from scoring.compare.run_scores import RunScores
from scoring.compare.wording import decimal, ends, percent, percent_estimate
from scoring.ids import id_column
from scoring.reports.section import Cell, Listing, Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Agreement of predictions"
NAME = "predictions"


def section(scores: RunScores, request: Request) -> Section:
    """How the runs of ``request.predictions`` agree; the scores themselves play no part."""
    predictions = request.predictions
    if predictions is None:
        said = "There are no predictions: compare run directories together with their data, or pass predictions=."
        return Section(NAME, TITLE, [said])
    pairs, common = prediction_agreement(predictions), consensus(predictions)
    sentences, listings = pair_sentences(pairs, predictions.data), []
    figures: dict[str, Callable[[], Figure]] = {}
    if combinations := _combinations(pairs):
        listings.append(_pairs_listing(pairs, combinations))
        figures["predictions_pairs"] = partial(_draw_pairs, pairs)
    document: dict[str, Any] = {
        "examples": pairs.rows,
        "data": predictions.data,
        "pairs": [_pair_document(pairs, a, b) for a, b in combinations],
    }
    if pairs.accuracy_M is None:
        sentences.append(
            "The examples have no labels: nothing is said of accuracy, difficulty and label errors."
        )
    else:
        records = vote_records(predictions, common, pairs.accuracy_M)
        suspects = suspected_errors(common, predictions)
        agreed = suspects[common.votes_N[suspects] == 1]
        sentences += [
            *_vote_sentences(records, predictions),
            _suspect_sentence(predictions, suspects, agreed),
        ]
        listings.append(_votes_listing(records))
        if len(suspects) and request.shown:
            listings.append(_suspects_listing(predictions, common, suspects[: request.shown], request))
        figures["predictions_votes"] = partial(_draw_votes, records, pairs)
        document |= {
            "votes": [{**asdict(record), "single": record.single.document()} for record in records],
            "suspected_label_errors": len(suspects),
            "suspected_by_all_runs": len(agreed),
        }
    tables = {"predictions_examples": example_table(predictions, common)}
    return Section(NAME, TITLE, sentences, listings, figures, document, tables)


def example_table(predictions: Predictions, found: Consensus) -> pa.Table:
    """One row per example: consensus label, its votes, ensemble entropy; with labels also who is right."""
    names = pa.array([str(name) for name in predictions.label_names], pa.string())

    def classes(index_N: Any) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(index_N, pa.int32()), names)

    columns: dict[str, Any] = {
        "id": id_column(predictions.ids, NAME),
        "consensus": classes(found.label_N),
        "votes": pa.array(found.votes_N),
        "ensemble_entropy": pa.array(found.entropy_N),
    }
    if predictions.labels_N is not None:
        assert found.right_N is not None and found.right_AN is not None
        columns |= {
            "label": classes(predictions.labels_N),
            "label_probability": pa.array(found.label_probability_N),
            "right": pa.array(found.right_N),
            "ddd": pa.array(dichotomous(found.right_N), pa.int8()),
        }
        for name, right_N in zip(predictions.architectures, found.right_AN):
            columns[f"right.{name}"] = pa.array(right_N)
    return pa.table(columns)


def pair_sentences(pairs: PredictionAgreement, data: str = "") -> list[str]:
    """How often, how far, and whether on the same examples (of ``data``) runs differ."""
    combinations = _combinations(pairs)
    if not combinations:
        return ["There is one run only; predictions are compared between two runs or more."]
    own, other = ([(a, b) for a, b in combinations if (a == b) == same] for same in (True, False))

    def means(matrix_MM: Floats, low: float, say: Callable[[Estimate], str]) -> str:
        parts = []
        for who, some in (("two runs of", own), ("runs of", other)):
            found = [
                (a if a == b else f"{a} and {b}", pairs.mean(matrix_MM, a, b).within(low, 1)) for a, b in some
            ]
            if len(found) > 4:
                found.sort(key=lambda each: each[1].value)
                texts = [f"from {say(found[0][1])} ({found[0][0]}) to {say(found[-1][1])} ({found[-1][0]})"]
                who = "pairs of architectures" if some is other else "two runs of one architecture"
            else:
                texts = [f"{name} {say(value)}" for name, value in found]
            if found:
                parts.append(f"{who} {', '.join(texts)}")
        return "; ".join(parts)

    said = [
        f"Share of {pairs.rows:,} examples{f' ({data})' if data else ''} for which different classes are predicted: "
        f"{means(pairs.disagreement_MM, 0, percent_estimate)}.",
        f"Mean total variation of the predicted distributions: {means(pairs.variation_MM, 0, decimal)}.",
    ]
    if pairs.error_consistency_MM is not None:
        said.append(
            "Error consistency (1: the same examples are wrong; 0: errors coincide as often as accuracies alone "
            f"explain): {means(pairs.error_consistency_MM, -1, decimal)}."
        )
    return said


def _combinations(pairs: PredictionAgreement) -> list[tuple[str, str]]:
    """Pairs of architectures of which there are pairs of runs; those of one with itself first."""
    names, counts = pairs.architectures, np.bincount(pairs.owner_M)
    own = [(name, name) for name, count in zip(names, counts) if count > 1]
    return own + [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]


def _measures(pairs: PredictionAgreement, a: str, b: str) -> dict[str, Estimate]:
    found = {
        "disagreement": pairs.mean(pairs.disagreement_MM, a, b).within(0, 1),
        "total_variation": pairs.mean(pairs.variation_MM, a, b).within(0, 1),
        "kappa": pairs.mean(pairs.kappa_MM, a, b).within(-1, 1),
    }
    if pairs.error_consistency_MM is not None:
        found["error_consistency"] = pairs.mean(pairs.error_consistency_MM, a, b).within(-1, 1)
    return found


def _pair_document(pairs: PredictionAgreement, a: str, b: str) -> dict[str, Any]:
    return {"a": a, "b": b, **{name: each.document() for name, each in _measures(pairs, a, b).items()}}


def _pairs_listing(pairs: PredictionAgreement, combinations: Sequence[tuple[str, str]]) -> Listing:
    rows: list[list[Cell]] = []
    for a, b in combinations:
        found = _measures(pairs, a, b)
        rest = [each.value for name, each in found.items() if name != "disagreement"]
        rows.append([a, b, found["disagreement"].value, *ends(found["disagreement"]), *rest])
    header = ["runs of", "and of", "disagreement", "from", "to", "total variation", "kappa of classes"]
    if pairs.error_consistency_MM is not None:
        header.append("error consistency")
    caption = "Means over pairs of different runs, and the 95 % interval of the disagreement for other runs"
    return Listing(header, rows, caption)


def _vote_sentences(records: Sequence[VoteRecord], predictions: Predictions) -> list[str]:
    kinds = [record for record in records if record.name is not None]
    singles = ", ".join(
        f"{r.name} {percent_estimate(r.single)}"
        + (f" (its ensemble of {r.runs}: {percent(r.ensemble)})" if r.runs > 1 else "")
        for r in kinds
    )
    last = records[-1]
    everyone = f"all {last.runs} runs" if last.runs > 1 else "the one run"
    where = f"the examples of {predictions.data}" if predictions.data else "these examples"
    known = ", which the runs may have trained on" if predictions.trained_on else ""
    return [
        f"Right on {where}{known}: single runs of {singles}.",
        f"The consensus label, which most of {everyone} predict, is the gold label of {percent(last.majority)}; the "
        f"class of their mean probability is it of {percent(last.ensemble)}.",
        f"Dichotomous difficulty: {last.all_right:,} of {len(predictions):,} examples are right in {everyone} "
        f"({last.all_by_chance:,.0f} if runs erred independently), {last.none_right:,} in none "
        f"({last.none_by_chance:,.0f}), {last.some_right:,} in some.",
    ]


def _votes_listing(records: Sequence[VoteRecord]) -> Listing:
    rows: list[list[Cell]] = [
        [
            "all" if r.name is None else r.name, r.runs, r.single.value, *ends(r.single), r.ensemble, r.majority,
            r.all_right, r.some_right, r.none_right,
        ]
        for r in records
    ]  # fmt: skip
    header = [
        "architecture", "runs", "single runs right", "from", "to", "ensemble right", "majority right",
        "all right (ddd 1)", "some (0)", "none (-1)",
    ]  # fmt: skip
    return Listing(
        header, rows, "Accuracy with its 95 % interval for other runs; examples by dichotomous difficulty"
    )


def _suspect_sentence(predictions: Predictions, suspects: Any, agreed: Any) -> str:
    runs = len(predictions.owner_M)
    if not len(suspects):
        return f"The consensus of all {runs} runs is the gold label of every example: none is suspect."
    return (
        f"The consensus of all {runs} runs contradicts the label of {len(suspects):,} of {len(predictions):,} "
        f"examples; for {len(agreed):,} of them every run predicts the same other class, which are the first to check "
        "for wrong labels; hard and ambiguous examples look the same."
    )


def _suspects_listing(predictions: Predictions, found: Consensus, rows: Any, request: Request) -> Listing:
    assert predictions.labels_N is not None and found.label_probability_N is not None
    names, examples = predictions.label_names, request.examples
    shown = {}
    if examples is not None:
        known = dict(zip(examples.ids.tolist(), range(len(examples))))
        ids = predictions.ids[rows].tolist()
        shown = {each: examples.describe_row(known[each]) for each in ids if each in known}
    cells: list[list[Cell]] = []
    for row in rows:
        each = predictions.ids[row : row + 1].tolist()[0]
        cells.append(
            [
                str(each), str(names[predictions.labels_N[row]]), str(names[found.label_N[row]]),
                float(found.votes_N[row]), float(found.label_probability_N[row]), *([shown.get(each)] if shown else []),
            ]
        )  # fmt: skip
    header = ["id", "label", "consensus", "share of runs", "mean probability of the label"]
    return Listing(header + (["example"] if shown else []), cells, "The most suspect labels")


def _draw_pairs(pairs: PredictionAgreement) -> Figure:
    from scoring.plots.predictions import pair_maps

    return pair_maps(pairs)


def _draw_votes(records: Sequence[VoteRecord], pairs: PredictionAgreement) -> Figure:
    from scoring.plots.predictions import votes

    return votes(records, pairs)
