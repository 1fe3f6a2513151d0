"""How a run of a study of classifiers is judged, and what the run table says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from scoring.batching import plan_batches
from scoring.checkpoints import RunDirectory
from scoring.examples import Examples
from scoring.files import atomic_file
from scoring.inference import forward_logits, pick_device
from training.measures.classification import Measure, classification_measures
from training.studies.study import EVALUATIONS

BATCH = 256


def evaluate_run(
    run: RunDirectory,
    examples: Examples,
    test: Examples,
    split: str,
    groups: Mapping[str, Sequence[str]],
    trained_on: Sequence[Measure],
    *,
    model: Any = None,
    device: str = "auto",
    trust_remote_code: bool = False,
    keep_weights: bool = False,
) -> None:
    """Write the evaluations of a finished run: of its last checkpoint on the test examples, and of what it trained on.

    ``examples`` are those it trained on; ``model`` is given where it is code of the user's own. The weights go unless
    they are kept.
    """
    net = run.load(run.checkpoints()[-1], examples, model=model, trust_remote_code=trust_remote_code)
    where = pick_device(device)
    net.module.to(where)
    prepared = net.inputs.prepare(test)
    logits_NC = np.empty((len(test), test.num_classes))
    batches = plan_batches(prepared.lengths, BATCH, 16_384)
    for rows, logits_BC in forward_logits(net, prepared, batches, where, run.config["precision"]):
        logits_NC[rows] = logits_BC.double().numpy()
    assert test.labels is not None
    found = classification_measures(logits_NC, test.labels, test.label_names, groups)
    write_evaluations(run.path / EVALUATIONS, {split: found, "train": trained_on})
    if not keep_weights:
        for each in run.checkpoints():
            for file in each.path.glob("*.safetensors"):
                file.unlink()


def write_evaluations(path: Path, measures: Mapping[str, Sequence[Measure]]) -> None:
    """The measures of every split: the last file of a run."""
    rows = [
        {"split": split, "group": each.group, "metric": each.metric, "value": each.value}
        for split, found in measures.items()
        for each in found
    ]
    schema = pa.schema(
        {"split": pa.string(), "group": pa.string(), "metric": pa.string(), "value": pa.float64()}
    )
    with atomic_file(path) as temporary:
        parquet.write_table(pa.Table.from_pylist(rows, schema=schema), temporary)


def run_rows(run: RunDirectory) -> list[Mapping[str, Any]]:
    """Columns ``table.RUN`` and ``table.VALUE`` of a run: evaluations during training, and all measures at the end."""
    config = run.config
    steps, seen = config["steps"], config["epochs"] * config["data"]["trained_on"]
    fixed = {
        "N": float(config["num_parameters"]), "U": float(config["data"]["trained_on"]), "epochs": config["epochs"],
        "steps": steps, "wall_time_s": config["wall_time_s"],
    }  # fmt: skip

    def at(step: int) -> dict[str, Any]:
        share, flops = step / steps, config["flops"]
        return {**fixed, "step": step, "D": seen * share, "C": None if flops is None else flops * share}

    rows: list[Mapping[str, Any]] = [
        {**at(row["step"]), "split": row["split"], "group": "", "metric": row["name"], "value": row["value"]}
        for row in run.metrics().to_pylist()
        if row["split"] == "train" or row["step"] < steps
    ]
    at_end = parquet.read_table(run.path / EVALUATIONS).to_pylist()
    return rows + [{**at(steps), **row} for row in at_end]
