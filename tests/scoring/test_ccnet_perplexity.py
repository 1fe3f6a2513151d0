"""KenLM's probabilities and CCNet's formula, by hand from a model of a few lines."""

from pathlib import Path

import numpy as np
import pytest
from references.tiny_arpa import ARPA

from scoring.examples import Examples
from scoring.run import score


@pytest.fixture
def arpa(tmp_path: Path) -> Path:
    pytest.importorskip("kenlm")
    path = tmp_path / "lm.arpa"
    path.write_text(ARPA)
    return path


def test_by_hand(arpa: Path) -> None:
    texts = ["sea calm", "calm sea\nsea", "boat", "", " \n "]
    request = f"perplexity:ccnet(model={arpa})"
    table = score(Examples.from_arrays(texts, ids=list(range(5))), [request])
    first = -0.1 - 0.4 - 0.9
    second = (-0.3 - 0.7) + (-0.5) + (-0.2 - 0.9) + (-0.1) + (-0.2 - 0.9)
    third = -0.3 - 1.0 - 0.9
    expected = [10 ** (-first / 3), 10 ** (-second / 5), 10 ** (-third / 2), np.nan, np.nan]
    np.testing.assert_allclose(table.column(request), expected, rtol=1e-5)
    assert table.column(f"{request}.words").tolist() == [2, 3, 1, 0, 0]


def test_pieces(arpa: Path, tmp_path: Path) -> None:
    """Pieces of SentencePiece are the words."""
    sentencepiece = pytest.importorskip("sentencepiece")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["sea calm sea calm"] * 20), model_prefix=str(tmp_path / "sp"), vocab_size=10,
        model_type="char", minloglevel=9,
    )  # fmt: skip
    request = f"perplexity:ccnet(model={arpa},sentencepiece={tmp_path}/sp.model)"
    table = score(Examples.from_arrays(["sea calm"], ids=[0]), [request])
    assert table.column(f"{request}.words")[0] == len("_sea_calm")


def test_refusals(arpa: Path, tmp_path: Path) -> None:
    examples = Examples.from_arrays(["sea"], ids=[0])
    with pytest.raises(ValueError, match=r"model must be an \.arpa or binary file of KenLM"):
        score(examples, ["perplexity:ccnet"])
    (tmp_path / "x.arpa").write_text("no model")
    with pytest.raises(ValueError, match="does not load as a model of KenLM"):
        score(examples, [f"perplexity:ccnet(model={tmp_path}/x.arpa)"])
    with pytest.raises(ValueError, match="sentencepiece must be the file"):
        score(examples, [f"perplexity:ccnet(model={arpa},sentencepiece=nowhere)"])


def test_without_kenlm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "kenlm", None)
    with pytest.raises(ImportError, match=r"pip install 'tamis\[kenlm\]'"):
        score(Examples.from_arrays(["sea"], ids=[0]), ["perplexity:ccnet(model=absent.arpa)"])
