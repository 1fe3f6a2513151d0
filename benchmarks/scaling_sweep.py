"""Claim: small runs of our own predict the largest one, and the loss on one corpus that on another; how well, and when.

``sweep``: Llama-style byte-level models of five widths, four token budgets, three corpora (prose: two novels and the
Brown corpus; reviews: IMDb; code: Java and C# methods, each with its translation in one document so that no translation
of a held-out method is trained on), one thread per run. Its table of runs is kept beside the record.
``analyse``: laws, loss-to-loss maps and predictions of the largest run of every corpus, from that table alone.

The loss of a series is that on held-out text, never the training loss: the last updates of a run are too few tokens.
"Train to train" is therefore own held-out loss against own held-out loss. N are all parameters (tied embeddings once),
D bytes and ends of documents; the laws on N without embeddings are in the record for contrast.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.record import data_file, write_record
from scoring.checkpoints import RUN, RunDirectory
from scoring.engines.engine import make_engine
from scoring.errors import InputError
from training.cell_data import DataRequest
from training.laws.catalog import form_named
from training.laws.fit import fit
from training.laws.loss_to_loss.loss_map import relate
from training.laws.loss_to_loss.map_bootstrap import bootstrap_map
from training.laws.loss_to_loss.pairing import Series
from training.laws.loss_to_loss.prediction import PredictionTable, predict_held_out
from training.laws.run_table import RunTable, read_run_table
from training.laws.uncertainty.bootstrap import bootstrap
from training.laws.uncertainty.interval import Interval
from training.pretraining.corpus import CorpusRequest
from training.studies.scaling_sweep import scaling_sweep

WIDTHS = (24, 32, 48, 64, 88)
BUDGETS = (150_000, 300_000, 600_000, 1_200_000)
CLAIM = (__doc__ or "").split("\n")[0].removeprefix("Claim: ")
NAMES = ("prose", "reviews", "code")
HELD_OUT_TOKENS = 2**15
AGAIN = (24, 32)
"""Widths that are trained with a second seed too: what differs between equal runs."""
RESAMPLES = 500
FURTHER = {name: name for name in ("U", "epochs", "seed", "width", "non_embedding", "flops", "budget")}
TABLE = "all.parquet"


def corpora() -> tuple[CorpusRequest, ...]:
    """Prose, reviews and code."""

    def part(name: str, **columns: str) -> DataRequest:
        return DataRequest(data_file(f"corpora/{name}.parquet"), {"label": False, **columns})

    return (
        CorpusRequest("prose", (part("gutenberg_novels", text="text"), part("brown", text="text"))),
        CorpusRequest("reviews", (part("imdb_unsup_8k", text="text"),)),
        CorpusRequest("code", (part("code_java_csharp", text="java", text_pair="csharp"),)),
    )


def sweep(out: Path, workers: int) -> None:
    """Train everything; ``all.parquet`` in ``out`` is the table of runs."""
    import pyarrow as pa
    from pyarrow import parquet

    engine = make_engine("processes", workers) if workers > 1 else None
    tables = [
        scaling_sweep(
            corpora(), out=out / folder, widths=widths, budgets=BUDGETS, seeds=(seed,), engine=engine,
            held_out_tokens=HELD_OUT_TOKENS, device="cpu", evaluate_at=(), progress=True,
        )
        for folder, widths, seed in (("", WIDTHS, 0), ("again", AGAIN, 1))
    ]  # fmt: skip
    parquet.write_table(pa.concat_tables([parquet.read_table(table) for table in tables]), out / TABLE)


def numbers(found: Interval, digits: int = 5) -> list[float | None]:
    """Value and ends; what is not finite is None."""
    values = (found.value, found.low, found.high)
    return [float(f"{value:.{digits}g}") if np.isfinite(value) else None for value in values]


def attempt(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was found, or why nothing could be."""
    try:
        return call()
    except InputError as error:
        return {"not_possible": str(error)}


def law_of(table: RunTable, corpus: str, form: str, size: str = "N") -> dict[str, Any]:
    """The law of a corpus by itself, and whether losses fall with N and with D."""
    rows = Series(corpus, f"{corpus}/loss").of(table)
    inputs = {"N": rows[size].astype(float), "D": rows["D"]}
    law = fit(form_named(form), inputs, rows["value"])
    drawn = bootstrap(law, RESAMPLES)
    share = drawn.derived(lambda p: p["beta"] / (p["alpha"] + p["beta"]))
    return {
        "parameters": {name: numbers(drawn.interval(name)) for name in law.form.names},
        "a_of_N_optimal": numbers(share),
        "rms_ln_residual": float(np.sqrt(np.mean(law.residuals_N**2))),
        "cautions": sorted({caution.code for caution in (*law.cautions, *drawn.cautions)}),
    }


def grid_of(table: RunTable, corpus: str) -> dict[str, Any]:
    """How many neighbours in the grid have a higher loss at more parameters, and at more tokens."""
    rows = Series(corpus, f"{corpus}/loss").of(table)
    loss = {(n, d): v for n, d, v in zip(rows["N"].tolist(), rows["D"].tolist(), rows["value"].tolist())}
    sizes, budgets = sorted({n for n, _ in loss}), sorted({d for _, d in loss})
    grid = np.array([[loss[n, d] for d in budgets] for n in sizes])
    return {
        "N": [int(n) for n in sizes],
        "D": [int(d) for d in budgets],
        "loss": np.round(grid, 4).tolist(),
        "higher_with_more_N": int((np.diff(grid, axis=0) > 0).sum()),
        "higher_with_more_D": int((np.diff(grid, axis=1) > 0).sum()),
        "neighbours_each": [int(np.diff(grid, axis=axis).size) for axis in (0, 1)],
    }


def map_between(table: RunTable, source: Series, target: Series, by: tuple[str, ...]) -> dict[str, Any]:
    """A map with its intervals, and the rank correlation, which needs no law."""
    from scipy.stats import spearmanr

    found = relate(table, source, target, by)
    drawn = bootstrap_map(found, RESAMPLES)
    return {
        **{name: numbers(drawn.interval(name)) for name in ("K", "kappa", "E0", "E1")},
        "pairs": found.pairs,
        "r2": round(found.r2, 4),
        "spearman": round(float(spearmanr(found.x_P, found.y_P).statistic), 4),
        "cautions": sorted({caution.code for caution in drawn.cautions}),
    }


def maps(table: RunTable) -> dict[str, Any]:
    """All maps between the three corpora, by kind."""
    own = {name: Series(name, f"{name}/loss") for name in NAMES}
    others = [(a, b) for a in NAMES for b in NAMES if a != b]

    def found(source: Series, target: Series, by: tuple[str, ...]) -> dict[str, Any]:
        return attempt(lambda: map_between(table, source, target, by))

    return {
        "train_to_train": {f"{a} -> {b}": found(own[a], own[b], ("N", "D")) for a, b in others},
        "train_to_test": {
            f"{a} -> {b} of the same models": found(own[a], Series(a, f"{b}/loss"), ("run",)) for a, b in others
        },
        "test_to_test": {
            f"{t} of models of {a} -> of {b}": found(Series(a, f"{t}/loss"), Series(b, f"{t}/loss"), ("N", "D"))
            for a, b in others
            for t in NAMES
            if a < b
        },
    }  # fmt: skip


FEWEST = 7
"""Runs for a law of three parameters: with fewer its residuals, and so its intervals, vanish."""


def frontier(rows: RunTable) -> npt.NDArray[np.int64]:
    """Runs that no run of at most their compute beats."""
    order = np.argsort(rows["C"], kind="stable")
    lowest = np.minimum.accumulate(rows["value"][order])
    return np.sort(order[rows["value"][order] <= lowest])


def frontier_to_loss(seen: RunTable, held_out: RunTable) -> dict[str, Any]:
    """FLOPs-to-loss on the frontier of the grid.

    Runs of a grid of sizes and tokens share no compute, so each is the best of its own budget: ``flops_to_loss``, made
    for isoFLOP designs, is fitted to all of them, good and bad alike, and is the worse for it.
    """
    best = seen.rows(frontier(seen))
    if len(best) < FEWEST:
        raise InputError(f"frontier_to_loss: {len(best)} runs on the frontier are too few for 3 parameters.")
    drawn = bootstrap(fit(form_named("power_offset"), {"x": best["C"]}, best["value"]), RESAMPLES)
    found = Interval(*(float(each[0]) for each in drawn.predict({"x": held_out["C"]})), 0.95)
    actual = float(held_out["value"][0])
    return {
        "predicted": numbers(found),
        "actual": round(actual, 5),
        "error_percent": round(100 * (found.value / actual - 1), 3),
        "inside": bool(actual in found),
        "fitted_to": len(best),
        "cautions": sorted({caution.code for caution in (*drawn.fitted.cautions, *drawn.cautions)}),
    }


def told(found: PredictionTable) -> dict[str, Any]:
    """The one held-out run by every method."""
    rows = {
        row.method: {
            "predicted": numbers(row.predicted),
            "actual": round(row.actual, 5),
            "error_percent": round(100 * row.error, 3),
            "inside": bool(row.actual in row.predicted) if np.isfinite(row.predicted.low) else None,
            "fitted_to": row.fitted_to,
            "cautions": sorted({caution.code for caution in row.cautions}),
        }
        for row in found.rows
    }
    return {**rows, **{name: {"not_possible": why} for name, why in found.unavailable.items()}}


def predictions(table: RunTable) -> dict[str, Any]:
    """The largest run of every corpus from all others, and from those of smaller N and D alike."""
    N, D = table["N"], table["D"]
    largest = (N.max() == N) & (D.max() == D)
    fits = {"from_all_other_runs": ~largest, "from_smaller_N_and_D": (N.max() > N) & (D.max() > D)}
    targets = {
        **{f"{a} -> {b}": (a, Series(b, f"{b}/loss")) for a in NAMES for b in NAMES if a != b},
        **{
            f"{a} -> {b} of the same models": (a, Series(a, f"{b}/loss"))
            for a in NAMES
            for b in NAMES
            if a != b
        },
    }

    def found(seen: Any, a: str, target: Series) -> dict[str, Any]:
        part, mask = table.rows(seen | largest), seen[seen | largest]
        by_method = told(
            predict_held_out(part, Series(a, f"{a}/loss"), target, train=mask, resamples=RESAMPLES)
        )
        seen_rows, held_out = target.of(part.rows(mask)), target.of(part.rows(~mask))
        return {**by_method, "frontier_to_loss": attempt(lambda: frontier_to_loss(seen_rows, held_out))}

    return {
        name: {key: attempt(partial(found, seen, *pair)) for key, pair in targets.items()}
        for name, seen in fits.items()
    }


METHODS = ("loss_to_loss", "identity", "own_law", "flops_to_loss", "frontier_to_loss")


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """Errors and coverage of every method over its different predictions, for the two kinds of target."""
    table: dict[str, Any] = {}
    for fitted, pairs in found.items():
        for kind in ("own_loss", "other_loss"):
            chosen = [
                each for name, each in pairs.items() if ("same models" in name) == (kind == "other_loss")
            ]
            for method in METHODS:
                rows = [each[method] for each in chosen if "error_percent" in each.get(method, {})]
                rows = [row for at, row in enumerate(rows) if row not in rows[:at]]  # own laws know no source
                if rows:
                    errors = np.abs([row["error_percent"] for row in rows])
                    inside = [row["inside"] for row in rows if row["inside"] is not None]
                    table.setdefault(fitted, {}).setdefault(kind, {})[method] = {
                        "targets": len(rows),
                        "not_possible": sum("not_possible" in each.get(method, {}) for each in chosen),
                        "mean_error_percent": round(float(errors.mean()), 3),
                        "worst_error_percent": round(float(errors.max()), 3),
                        "inside": f"{sum(inside)} of {len(inside)}" if inside else None,
                    }
    return table


def noise(table: RunTable) -> dict[str, Any]:
    """What another seed changes: the standard deviation of the ln loss of equal runs."""
    found = {}
    for name in NAMES:
        rows = Series(name, f"{name}/loss").of(table)
        loss: dict[tuple[float, float], dict[int, float]] = {}
        for n, d, seed, value in zip(*(rows[key].tolist() for key in ("N", "D", "seed", "value"))):
            loss.setdefault((n, d), {})[int(seed)] = value
        gaps = np.array([np.log(both[1] / both[0]) for both in loss.values() if len(both) == 2])
        found[name] = {
            "pairs": len(gaps),
            "sd_ln_loss": round(float(np.sqrt(np.mean(gaps**2) / 2)), 5),
            "largest_gap_ln": round(float(np.abs(gaps).max()), 5),
        }
    return found


def cost(out: Path) -> dict[str, Any] | None:
    """Minutes of all runs by the clock, as each was trained, if their folders are still there."""
    runs = [RunDirectory.open(path.parent) for path in out.glob(f"**/{RUN}")]
    if not runs:
        return None
    minutes = sum(run.config["wall_time_s"] for run in runs) / 60
    return {"runs": len(runs), "minutes_of_single_runs": round(minutes, 1)}


def analyse(runs: Path, out: Path) -> None:
    """Everything from the table of runs, which is kept beside the record."""
    import pyarrow as pa
    from pyarrow import csv

    whole = read_run_table(runs, FURTHER).last()
    table = whole.where(seed=0)
    predicted = predictions(table)
    results = {
        "runs": len(whole.names("run")),
        "cost": cost(out),
        "grids": {name: grid_of(table, name) for name in NAMES},
        "between_seeds": noise(whole),
        "laws": {
            name: {
                "chinchilla": law_of(table, name, "chinchilla"),
                "kaplan_offset": law_of(table, name, "kaplan_offset"),
                "chinchilla_without_embeddings": law_of(table, name, "chinchilla", "non_embedding"),
            }
            for name in NAMES
        },
        "maps": maps(table),
        "predictions": predicted,
        "summary": summary(predicted),
    }
    path = write_record("scaling_sweep", CLAIM, results, seeds=[0, 1])
    columns = pa.table({name: column.tolist() for name, column in whole.columns.items()})
    csv.write_csv(columns, path.with_suffix(".csv"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=CLAIM)
    parser.add_argument("step", nargs="?", choices=("both", "sweep", "analyse"), default="both")
    parser.add_argument("--out", type=Path, default=Path("runs/scaling_sweep"), help="folder of the runs")
    parser.add_argument("--runs", type=Path, help="table of runs; by default that of the folder")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    if given.step != "analyse":
        sweep(given.out, given.workers)
    if given.step != "sweep":
        analyse(given.runs or given.out / TABLE, given.out)
