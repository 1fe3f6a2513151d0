"""Regression heads: the output of transformers itself, windows, clipping, and models that do not serve."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from references.tiny_encoders import TEXTS, save_bert
from references.tiny_regression_head import save_head
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from scoring.examples import Examples
from scoring.run import score
from scoring.scorers.quality_regression import QualityRegression
from scoring.table import ScoreTable

LONG = TEXTS[5]
pytestmark = pytest.mark.filterwarnings("ignore:.*of the documents were judged:UserWarning")


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_head(tmp_path_factory.mktemp("head"))


def plain(folder: Path, text: str, most: int = 48, start: int = 0) -> tuple[float, int]:
    """Output for some of a text's tokens, by transformers alone, and how many tokens were read."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"][start : start + most - 2]
    whole = torch.tensor([[tokenizer.cls_token_id, *ids, tokenizer.sep_token_id]])
    with torch.inference_mode():
        output = AutoModelForSequenceClassification.from_pretrained(folder).eval()(input_ids=whole).logits
    return float(output), whole.shape[1]


def scored(head: Path, texts: list[str] = TEXTS, **options: Any) -> ScoreTable:
    scorer = QualityRegression(model=str(head), **options)
    table = score(Examples.from_arrays(texts, ids=[str(k) for k in range(len(texts))]), scorer)
    (name,) = [each for each in table.names if not each.endswith(".truncated")]
    assert name.startswith("quality_classifier:regression(model=")
    return table.rename({name: "q", f"{name}.truncated": "q.truncated"})


@pytest.mark.parametrize("most", [48, 12])
def test_the_first_tokens_are_read(head: Path, most: int) -> None:
    table = scored(head, max_tokens=most)
    expected = [plain(head, text, most)[0] if text.strip() else np.nan for text in TEXTS]
    np.testing.assert_allclose(table.column("q"), expected, atol=1e-4)
    tokenizer = AutoTokenizer.from_pretrained(head)
    beyond = [len(tokenizer(text)["input_ids"]) > most for text in TEXTS]
    np.testing.assert_array_equal(table.column("q.truncated"), beyond)
    assert 0 < sum(beyond) < len(TEXTS)


def test_mean_of_windows(head: Path) -> None:
    tokens = len(AutoTokenizer.from_pretrained(head)(LONG, add_special_tokens=False)["input_ids"])
    parts = [plain(head, LONG, 12, start) for start in range(0, tokens, 10)]
    expected = sum(value * read for value, read in parts) / sum(read for _, read in parts)
    table = scored(head, max_tokens=12, windows="mean")
    np.testing.assert_allclose(table.column("q")[5], expected, atol=1e-4)
    assert len(parts) > 3 and not table.column("q.truncated").any()


def test_clip(head: Path) -> None:
    raw, clipped = scored(head).column("q"), scored(head, clip=True).column("q")
    np.testing.assert_array_equal(clipped, np.clip(raw, 0, 5))
    assert (raw[2:] < 0).any() or (raw[2:] > 5).any()


def test_documents_judged_by_their_heads_are_told(head: Path) -> None:
    with pytest.warns(UserWarning, match="100% of the documents were judged by their first 12 tokens"):
        table = scored(head, [LONG, LONG + " more"], max_tokens=12)
    assert table.columns["q"]["summary"] == {"truncated": 1.0}


def test_models_that_do_not_serve(tmp_path: Path) -> None:
    examples = Examples.from_arrays(["a text"])
    for folder in (save_bert(tmp_path / "encoder"), save_head(tmp_path / "classifier", outputs=3)):
        with pytest.raises(ValueError, match="sequence classification with one output"):
            score(examples, QualityRegression(model=str(folder)))
    with pytest.raises(ValueError, match="model must be given"):
        score(examples, "quality_classifier:regression")
    with pytest.raises(ValueError, match="fineweb-edu-classifier"):  # no network here
        score(examples, "quality_classifier:fineweb-edu")


@pytest.mark.parametrize("options", [{"windows": "last"}, {"max_tokens": 2}])
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        QualityRegression(**options)
