"""Small examples of every kind, and what every model is checked with."""

import json
from pathlib import Path

import numpy as np
import torch

from scoring.examples import Examples
from scoring.models import Model, load_model

DIGITS = Examples.load("digits").take(np.arange(120))
SENTENCES = [
    "wake me up at seven",
    "what is the weather",
    "",
    "play some jazz music please",
    "zqxv 42",
    "is it going to rain tomorrow in the town where my mother lives",
]
TEXTS = Examples.from_arrays(
    [f"{text} {number}" if text else "" for number in range(6) for text in SENTENCES],
    np.array(["alarm", "weather", "other", "music", "other", "weather"] * 6),
)
PAIRS = Examples.load(
    {
        "text": [f"a man number {n} sleeps" for n in range(12)],
        "text_pair": [f"the man {n} is awake" for n in range(12)],
        "label": np.arange(12) % 3,
    }
)
FEATURES = Examples.from_arrays(np.random.default_rng(0).normal(3.0, 2.0, (60, 7)), np.arange(60) % 3)


def logits_of(model: Model, examples: Examples, batch_size: int = 16) -> torch.Tensor:
    prepared = model.inputs.prepare(examples)
    model.module.eval()
    with torch.inference_mode():
        parts = [
            model.logits(prepared.batch(np.arange(start, min(start + batch_size, len(examples)))))
            for start in range(0, len(examples), batch_size)
        ]
    return torch.cat(parts)


def reloaded(built: Model, folder: Path, **keywords: object) -> Model:
    built.save(folder / "step")
    built.save_assets(folder)
    return load_model(folder, folder / "step", json.loads(json.dumps(built.spec)), **keywords)  # type: ignore[arg-type]
