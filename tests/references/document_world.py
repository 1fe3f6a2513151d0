"""A small corpus with every kind of oddity, and what each scorer of documents is given in it."""

import functools
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from references.tiny_arpa import ARPA
from references.tiny_language_models import save_llama
from references.tiny_regression_head import save_head

from scoring.catalog import SCORERS, make_scorer
from scoring.examples import Examples
from scoring.needs import OF_DOCUMENTS

ENTRIES = [
    n
    for n in sorted(SCORERS)
    if make_scorer(n).needs & OF_DOCUMENTS and (n != "perplexity:ccnet" or find_spec("kenlm"))
]
"""Scorers of documents."""

ALSO_OF_DOCUMENTS: list[str] = ["loss", "reducible_loss"]
"""Scorers of runs that a corpus gives signals for, too."""

_TEMPORARY = tempfile.TemporaryDirectory(prefix="tamis-documents-", ignore_cleanup_errors=True)

REQUESTS: dict[str, str] = {
    "density:sachdeva2024": "density:sachdeva2024(rows=50,buckets=500)",
    "density:sketch": "density:sketch(rows=200)",
    "quality_classifier:fineweb-edu": f"quality_classifier:fineweb-edu(model={_TEMPORARY.name}/head)",
    "quality_classifier:regression": (
        f"quality_classifier:regression(model={_TEMPORARY.name}/head,max_tokens=12,windows=mean)"
    ),
    "perplexity:ccnet": f"perplexity:ccnet(model={_TEMPORARY.name}/lm.arpa)",
    "perplexity:qurating": "perplexity:qurating(window=64)",
}
"""Name -> request with options that suit the small world, where the bare name does not."""

ON_PAIRS: set[str] = {"ifd", "ifd:loss", "perplexity:data-juicer", "perplexity:response"}
"""Names that read a prompt and a response."""

MAY_BE_NAN: set[str] = {
    "concept_frequency",
    "dsir",
    "dsir:length-normalized",
    "ifd",
    "ifd:loss",
    "loss",
    "ngram_perplexity",
    "ngram_perplexity:corpus",
    "perplexity",
    "perplexity:ccnet",
    "perplexity:data-juicer",
    "perplexity:qurating",
    "perplexity:response",
    "perplexity:sachdeva2024",
    "quality_classifier",
    "quality_classifier:fineweb-edu",
    "quality_classifier:regression",
    "reducible_loss",
}
"""Names whose score is NaN for documents without text, as their docstrings say."""

SEA = "the sea was calm and a small boat lay by the old stone wall while two men sold fresh fish to people"
WORDS = SEA.split()
ODD = [
    "",
    " ",
    "\n\n",
    "word",
    "word",
    "a" * 700,
    "Zürich über naïve 北京 🙂",
    "1 2 3 4 5",
    "###\nyes\n###",
    "<s></s>",
]
ROWS = 64


@dataclass(frozen=True)
class DocumentWorld:
    """The corpus, the same as pairs, a target with good and bad documents, and folders of models."""

    examples: Examples
    pairs: Examples
    target: Examples
    options: dict[str, Any]


def documents(rows: int, seed: int = 0) -> list[str]:
    """Random sentences of 3 to 60 words."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=rng.integers(3, 60))).capitalize() + "." for _ in range(rows)]


@functools.cache
def document_world() -> DocumentWorld:
    """Made once; its models lie in a folder that goes with the process."""
    folder = Path(_TEMPORARY.name)
    save_head(folder / "head")
    (folder / "lm.arpa").write_text(ARPA)
    texts = [*ODD, *documents(ROWS - len(ODD))]
    ids = [f"doc-{k}" for k in range(ROWS)]
    good = documents(12, seed=1)
    bad = [" ".join(np.random.default_rng(k).choice(list("xyzq#"), 30)) for k in range(12)]
    return DocumentWorld(
        Examples.from_arrays(texts, ids=ids, name="corpus"),
        Examples.load(
            {"prompt": texts[::-1], "response": texts, "id": ids},
            text="prompt",
            text_pair="response",
            id="id",
        ),
        Examples.load({"text": [*good, *bad], "quality": [1] * 12 + [0] * 12}, text="text", label="quality"),
        {
            "encoder": "hashed",
            "lm": save_llama(folder / "lm"),
            "reference": save_llama(folder / "reference", seed=1),
            "llm": save_llama(folder / "llm", positions=1024, words=("yes", "no")),
        },
    )
