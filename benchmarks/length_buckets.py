"""Claim: batches of similar length score real text several times faster than naive padding, with equal scores.

Side by side on the same prepared texts and the same network: length-sorted batches with a token budget (what ``score``
does), batches in the given order padded to their longest text, and every text padded to the model's maximum.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from benchmarks.record import data_file, ratio, side_by_side, write_record
from scoring.batching import plan_batches
from scoring.examples import Examples
from scoring.inference import forward_logits, pick_device
from scoring.models import build_model

CASES = {
    "small-bert on sst2": ("small-bert", "sst2/sst2_phrases.parquet", "all", 8192),
    "small-bert on ag_news": ("small-bert", "ag_news/ag_news_10k.parquet", "test", 4096),
}


def main() -> None:
    """Measure on phrases and on news."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    results = {}
    for case, (name, file, split, count) in CASES.items():
        examples = Examples.load(data_file(file), text="text", label="label", split=split)
        rows = np.random.default_rng(0).permutation(len(examples))[:count]
        examples = examples.take(np.sort(rows))
        model = build_model(name, examples)
        model.module.to(device)
        prepared = model.inputs.prepare(examples)
        lengths = np.asarray(prepared.lengths)
        plans = {
            "length-sorted": plan_batches(lengths, 256, 16_384),
            "naive batches of 32": plan_batches(lengths, 32, sort=False),
            "naive batches of 64": plan_batches(lengths, 64, sort=False),
        }
        logits = {plan: np.empty((len(examples), examples.num_classes), np.float32) for plan in plans}

        def forward(plan: str) -> None:
            for positions, values in forward_logits(model, prepared, plans[plan], device):
                logits[plan][positions] = values.numpy()

        seconds = side_by_side({plan: (lambda p=plan: forward(p)) for plan in plans}, arguments.repeats)
        padded = {p: int(sum(lengths[b].max() * len(b) for b in batches)) for p, batches in plans.items()}
        results[case] = {
            "rows": len(examples),
            "device": str(device),
            "tokens": int(lengths.sum()),
            "padded / real tokens": {plan: n / int(lengths.sum()) for plan, n in padded.items()},
            "seconds": seconds,
            **{
                f"{plan} / length-sorted": ratio(seconds[plan], seconds["length-sorted"])
                for plan in list(plans)[1:]
            },
            "largest difference of logits": max(
                float(np.abs(logits[plan] - logits["length-sorted"]).max()) for plan in plans
            ),
        }
        print(case, results[case], flush=True)
    write_record("length_buckets", __doc__.splitlines()[0], results, seeds=[0])


if __name__ == "__main__":
    torch.set_float32_matmul_precision("highest")
    main()
