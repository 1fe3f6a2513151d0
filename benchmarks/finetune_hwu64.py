"""Claim: our loop and ``transformers.Trainer`` with the callback give the same kind of score table for MiniLM on HWU64.

Fine-tuning MiniLM on the 18 domains of HWU64 with equal settings: two seeds of our loop, and a run of the
Trainer with ``DynamicsCallback``, which starts from the initial weights of our first seed and takes its own order.
Per score, the Spearman correlation between our loop and the Trainer (mean over our seeds) stands beside that between
the two seeds: the recorders agree if the first is not below the second.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.record import data_file, write_record
from scoring.examples import Examples
from scoring.models import build_model
from scoring.run import score
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
    """Three trainings, three tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=0, help="a part of the data, to try the script")
    arguments = parser.parse_args()
    examples = Examples.load(data_file("hwu64/hwu64.parquet"), text="text", label="domain", split="train")
    test = examples.other_split("test")
    if arguments.rows:
        examples, test = examples.take(np.arange(arguments.rows)), test.take(np.arange(200))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = train(
            examples, "minilm", out=folder / "ours", evaluate=test, epochs=EPOCHS, batch_size=BATCH, lr=LR,
            weight_decay=0.01, seeds=[0, 1], record=True, clean_every="1 epoch", checkpoint_every=None,
            evaluate_every=None, progress=True,
        )  # fmt: skip
        accuracy = {
            f"ours, seed {run.config['seed']}": next(
                value for key, value in run.summary()["metrics"].items() if key.endswith("/accuracy")
            )
            for run in ours
        }
        accuracy["Trainer, seed 0"] = run_trainer(examples, test, folder / "hf", seed=0)
        tables = {
            label: score(examples, SCORERS, path)
            for label, path in (
                ("ours 0", ours[0].path),
                ("ours 1", ours[1].path),
                ("trainer", folder / "hf"),
            )
        }
    rows = []
    for column in tables["ours 0"].scores:
        values = {label: table.column(column) for label, table in tables.items()}
        rows.append(
            {
                "score": column,
                "two seeds of our loop": float(spearmanr(values["ours 0"], values["ours 1"]).statistic),
                "our loop, Trainer": float(
                    np.mean([spearmanr(values[f"ours {i}"], values["trainer"]).statistic for i in (0, 1)])
                ),
            }
        )
        print(rows[-1], flush=True)
    recipe = {"batch_size": BATCH, "lr": LR, "epochs": EPOCHS, "schedule": "cosine", "optimizer": "adamw"}
    results = {"rows": len(examples), "recipe": recipe, "test_accuracy": accuracy, "spearman": rows}
    write_record("finetune_hwu64", __doc__.splitlines()[0], results, seeds=[0, 1])


if __name__ == "__main__":
    main()
