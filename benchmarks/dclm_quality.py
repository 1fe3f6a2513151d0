"""Claim: a quality score is worth its price only beyond text length; most classifiers are, few other scores.

AUROC of every score of documents against the human judgement good or not of 499 web documents (Li et al. 2024), all of
them and the 281 on which the judges agreed, and its difference from that of length, with the intervals of DeLong et al.
1988. Classifiers learn from the same judgements and score each document out of fold (5 folds by hash of content); every
``--seed`` deals other folds. Several are tried, so that the best of them is a little worse elsewhere. Scores that learn
from something else are told apart by their names: dsir from Brown or WikiText-2, perplexity from children's stories.
Where a low score means good, as for perplexity, the AUROC is of the negated score.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm, rankdata

from benchmarks.record import data_file, write_record
from scoring.examples import Examples
from scoring.run import score

LOW_IS_GOOD = ("perplexity", "perplexity(unit=bits_per_byte)", "ngram_perplexity")
CLASSIFIERS = (
    "features=hashed",
    "features=statistics",
    "features=embeddings",
    "features=embeddings,c=1",
    "features=embeddings+statistics",
    "features=embeddings+statistics,c=3",
    "features=hashed+statistics",
    "features=hashed+embeddings",
    "features=hashed+embeddings+statistics",
)


FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def placements(values_N: FloatArray, good_N: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Share of the bad below each good document, and of the good above each bad one; NaN counts lowest."""
    ranks_N = rankdata(np.nan_to_num(values_N, nan=-np.inf, neginf=-np.inf))
    above = (ranks_N[good_N] - rankdata(ranks_N[good_N])) / (~good_N).sum()
    below = 1 - (ranks_N[~good_N] - rankdata(ranks_N[~good_N])) / good_N.sum()
    return above, below


def with_interval(above: FloatArray, below: FloatArray) -> tuple[float, float, float]:
    """Mean of placements, or of differences of two scores' placements, and its 95 % interval."""
    error = float(np.sqrt(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below)))
    mean, error = float(above.mean()), error * float(norm.ppf(0.975))
    return mean, mean - error, mean + error


def auroc(values_N: FloatArray, baseline_N: FloatArray, good_N: BoolArray) -> dict[str, float]:
    """Area under the curve, and how far it is beyond the baseline's on the same documents."""
    own, other = placements(values_N, good_N), placements(baseline_N, good_N)
    beyond = with_interval(own[0] - other[0], own[1] - other[1])
    named = {"": with_interval(*own), "beyond_": beyond}
    return {
        f"{what}{end}": number
        for what, numbers in named.items()
        for end, number in zip(("auroc", "low", "high"), numbers)
    }


def scores(examples: Examples, seed: int, encoder: str) -> dict[str, FloatArray]:
    """Every score by name, all turned so that high should be good."""
    labels = {"target": examples, "encoder": encoder}
    brown = Examples.load(data_file("corpora/brown.parquet"), text="text", label=False)
    wikitext = Examples.load(
        data_file("corpora/wikitext2_valid_test.parquet"), text="text", label=False, split="all"
    )
    classifiers = [f"quality_classifier({options},output=log-odds,seed={seed})" for options in CLASSIFIERS]
    asked: list[tuple[str, list[str], Mapping[str, Any]]] = [
        ("", ["random", "length", "length(unit=words)", "gopher"], {}),
        ("", ["perplexity", "perplexity(unit=bits_per_byte)"], {"lm": data_file("lm_stories260k")}),
        ("", ["density", "knn_distance"], {"encoder": encoder}),
        (" towards brown", ["dsir", "dsir:length-normalized", "ngram_perplexity"], {"target": brown}),
        (" towards wikitext", ["dsir", "dsir:length-normalized", "ngram_perplexity"], {"target": wikitext}),
        (" of judgements", classifiers, labels),
        (" brown against these", ["quality_classifier(against=corpus,output=log-odds)"], {"target": brown}),
        (
            " wikitext against these",
            ["quality_classifier(against=corpus,output=log-odds)"],
            {"target": wikitext},
        ),
    ]
    found = {}
    for what, names, options in asked:
        started = time.perf_counter()
        table = score(examples, names, **options)
        for name in names:
            values = table.column(name)
            shown = name.replace(",output=log-odds", "").replace(f",seed={seed}", "")
            found[f"{shown}{what}"] = -values if name in LOW_IS_GOOD else values
            if name == "gopher":
                found |= {side: table.column(side) for side in table.names if side.startswith("gopher.")}
        print(f"{', '.join(names)}{what}: {time.perf_counter() - started:.1f} s", flush=True)
    return found


def main() -> None:
    """One table, best first."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--encoder", default="minilm")
    arguments = parser.parse_args()
    frame = pd.read_parquet(data_file("dclm_human_quality/dclm_human_quality.parquet"))
    good_N, agreed_N = frame["label"].to_numpy() == 1, frame["unanimous"].to_numpy(dtype=bool)
    examples = Examples.load(frame, text="text", label="label", name="dclm_human_quality")
    found = scores(examples, arguments.seed, arguments.encoder)
    length_N = found["length"]
    table = {
        name: {
            **auroc(values, length_N, good_N),
            "auroc_agreed": float(placements(values[agreed_N], good_N[agreed_N])[0].mean()),
        }
        for name, values in found.items()
    }
    ranked = dict(sorted(table.items(), key=lambda item: -item[1]["auroc"]))
    for name, row in ranked.items():
        mark = f"{row['beyond_auroc']:+.3f} [{row['beyond_low']:+.3f}, {row['beyond_high']:+.3f}]"
        mark = "baseline" if name == "length" else mark
        shown = f"{row['auroc']:.3f} [{row['low']:.3f}, {row['high']:.3f}]  agreed {row['auroc_agreed']:.3f}"
        print(f"{shown}  {mark:>23}  {name}")
    write_record(
        "dclm_quality",
        __doc__.splitlines()[0],
        {"documents": len(good_N), "good": int(good_N.sum()), "baseline": "length", "scores": ranked},
        [arguments.seed],
    )


if __name__ == "__main__":
    main()
