"""Claim: our loop and ``transformers.Trainer`` with the callback give the same kind of score table for MiniLM on HWU64.

Fine-tuning MiniLM on the 18 domains of HWU64 with equal settings: some seeds of our loop, and some of the Trainer with
``DynamicsCallback``. Per score, the Spearman correlations between a run of ours and a run of the Trainer stand beside
those between two runs of ours and between two runs of the Trainer: the recorders agree if they are alike.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.record import data_file, write_record
from scoring.examples import Examples
from scoring.hashing import hash64
from scoring.models import build_model
from scoring.run import score
from scoring.table import ScoreTable
from training.run import train
from training.trainer_callback import DynamicsCallback

SCORERS = (
    "el2n@mean,loss@mean,entropy@mean,margin@mean,aum,forgetting,iteration_learned,correctness,mean_confidence,"
    "variability"
)
BATCH, LR, EPOCHS = 32, 1e-4, 2


def run_trainer(examples: Examples, test: Examples, out: Path, seed: int) -> float:
    """Fine-tune with the Trainer, recording; gives test accuracy."""
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    model = build_model("minilm", examples, seed=seed)
    tokenizer = model.inputs.tokenizer  # type: ignore[attr-defined]

    def tokenize(rows: dict[str, Any]) -> Any:
        return tokenizer(rows["text"], truncation=True, max_length=256)

    def prepared(data: Examples) -> Any:
        return data.to_dataset().map(tokenize, batched=True).rename_column("label", "labels")

    callback = DynamicsCallback(examples, out=out, clean_every="1 epoch")
    arguments = TrainingArguments(
        output_dir=str(out.parent / "trainer"), num_train_epochs=EPOCHS, per_device_train_batch_size=BATCH,
        per_device_eval_batch_size=256, learning_rate=LR, weight_decay=0.01, max_grad_norm=0.0,
        lr_scheduler_type="cosine", seed=seed, save_strategy="no", report_to=[], disable_tqdm=True,
        logging_strategy="no", use_cpu=True,
    )  # fmt: skip
    trainer = Trainer(
        model=model.module, args=arguments, train_dataset=callback.track(prepared(examples)),
        data_collator=DataCollatorWithPadding(tokenizer), processing_class=tokenizer, callbacks=[callback],
    )  # fmt: skip
    trainer.train()
    predictions = trainer.predict(prepared(test)).predictions
    return float((predictions.argmax(axis=1) == test.labels).mean())


def main() -> None:
    """Train, score, correlate."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=2, help="of our loop, and of the Trainer")
    parser.add_argument(
        "--rows", type=int, default=0, help="a part of the training data, chosen by hash of the id"
    )
    arguments = parser.parse_args()
    examples = Examples.load(data_file("hwu64/hwu64.parquet"), text="text", label="domain", split="train")
    test = examples.other_split("test")
    if arguments.rows:
        examples = examples.take(np.sort(np.argsort(hash64(0, examples.ids))[: arguments.rows]))
    seeds = {"ours": range(arguments.seeds), "Trainer": range(100, 100 + arguments.seeds)}
    accuracy: dict[str, list[float]] = {"ours": [], "Trainer": []}
    tables: dict[str, list[ScoreTable]] = {"ours": [], "Trainer": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = train(
            examples, "minilm", out=folder / "ours", evaluate=test, epochs=EPOCHS, batch_size=BATCH, lr=LR,
            weight_decay=0.01, seeds=seeds["ours"], record=True, clean_every="1 epoch", checkpoint_every=None,
            evaluate_every=None, progress=True,
        )  # fmt: skip
        for run in runs:
            metrics = run.summary()["metrics"]
            accuracy["ours"].append(next(v for key, v in metrics.items() if key.endswith("/accuracy")))
            tables["ours"].append(score(examples, SCORERS, run.path))
        for seed in seeds["Trainer"]:
            accuracy["Trainer"].append(run_trainer(examples, test, folder / f"hf-{seed}", seed))
            tables["Trainer"].append(score(examples, SCORERS, folder / f"hf-{seed}"))
    rows = []
    for column in tables["ours"][0].scores:
        values = {who: [table.column(column) for table in found] for who, found in tables.items()}
        pairs = {
            "ours, ours": list(combinations(values["ours"], 2)),
            "Trainer, Trainer": list(combinations(values["Trainer"], 2)),
            "ours, Trainer": list(product(values["ours"], values["Trainer"])),
        }
        found = {name: [float(spearmanr(a, b).statistic) for a, b in both] for name, both in pairs.items()}
        rows.append(
            {"score": column, **{name: [round(value, 4) for value in both] for name, both in found.items()}}
        )
        print(column, {name: round(float(np.mean(both)), 4) for name, both in found.items()}, flush=True)
    recipe = {"batch_size": BATCH, "lr": LR, "epochs": EPOCHS, "schedule": "cosine", "optimizer": "adamw"}
    results = {"rows": len(examples), "recipe": recipe, "test_accuracy": accuracy, "spearman": rows}
    write_record(
        "finetune_hwu64", __doc__.splitlines()[0], results, seeds=[s for both in seeds.values() for s in both]
    )


if __name__ == "__main__":
    main()
