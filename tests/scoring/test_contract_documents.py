"""The contract battery of scorers that read documents: every entry on a small corpus full of oddities."""

import functools
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from references.document_world import (
    ALSO_OF_DOCUMENTS,
    ENTRIES,
    MAY_BE_NAN,
    ON_PAIRS,
    REQUESTS,
    ROWS,
    document_world,
)

from scoring.catalog import make_scorer
from scoring.examples import Examples
from scoring.run import score
from scoring.scorer import Scorer
from scoring.sources import corpus
from scoring.sources.corpus import CorpusSource
from scoring.table import ScoreTable

NAMES = [*ENTRIES, *ALSO_OF_DOCUMENTS]
EVERY = pytest.mark.parametrize("name", NAMES)
CLOSE: dict[str, Any] = {"rtol": 2e-5, "atol": 1e-6}
ORDER = np.random.default_rng(5).permutation(ROWS)

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*:UserWarning"
)  # what scorers say of values: tested with each


def request(name: str) -> str:
    return REQUESTS.get(name, name)


def examples_of(name: str) -> Examples:
    return document_world().pairs if name in ON_PAIRS else document_world().examples


def scored(name: str, examples: Examples | None = None, **options: Any) -> ScoreTable:
    """One entry on the small corpus, or on other documents."""
    here = document_world()
    wanted = "target_documents" in make_scorer(name).needs
    given = {**here.options, **({"target": here.target} if wanted else {}), **options}
    return score(examples if examples is not None else examples_of(name), [request(name)], **given)


@functools.cache
def plain(name: str) -> ScoreTable:
    """The values that everything else is compared with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return scored(name)


def assert_same(found: ScoreTable, expected: ScoreTable, order: np.ndarray | None = None) -> None:
    assert found.names == expected.names
    for column in expected.names:
        values = expected.column(column) if order is None else expected.column(column)[order]
        np.testing.assert_allclose(found.column(column), values, **CLOSE, err_msg=column)


@EVERY
class TestValues:
    def test_every_document_has_a_value(self, name: str) -> None:
        """Also empty ones, blanks, and letters of other scripts; NaN only where the docstring says so."""
        values = plain(name).column(request(name))
        assert len(values) == ROWS and len(np.unique(values[~np.isnan(values)])) > 1
        assert name in MAY_BE_NAN or not np.isnan(values).any()
        assert not np.isnan(values[10:]).any()

    def test_order_of_rows(self, name: str) -> None:
        assert_same(scored(name, examples_of(name).take(ORDER)), plain(name), ORDER)

    def test_chunks_batches_and_blocks(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(corpus, "CHUNK_ROWS", 7)
        assert_same(scored(name, batch_tokens=100), plain(name))
        assert_same(scored(name, block_rows=13), plain(name))

    def test_global_random_state_is_not_touched(self, name: str) -> None:
        before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
        scored(name)
        assert torch.equal(before[0], torch.get_rng_state())
        assert before[1:] == (np.random.get_state()[1].tolist(), random.getstate())  # noqa: NPY002

    def test_one_document(self, name: str) -> None:
        """It is scored, or refused in one sentence."""
        try:
            table = scored(name, examples_of(name).take([20]))
        except ValueError as error:
            assert "score:" in str(error) and "\n" not in str(error)
        else:
            assert len(table.column(request(name))) == 1

    def test_equal_documents_have_equal_scores(self, name: str) -> None:
        """Rows 3 and 4 are both ``word``; what says which of two duplicates comes first is not meant."""
        if "duplicates" in name or name in ON_PAIRS:
            pytest.skip("tells duplicates apart, or the rows differ in their prompts")
        values = plain(name).column(request(name))
        np.testing.assert_allclose(values[3], values[4], **CLOSE)


@EVERY
class TestFiles:
    def test_interrupted_work_resumes_to_the_same_bytes(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(corpus, "CHUNK_ROWS", 16)
        scored(name, out=tmp_path / "whole.parquet")
        read, calls = CorpusSource._signals, iter(range(10**6))

        def torn(self: CorpusSource, *arguments: Any) -> Any:
            if next(calls) == 2:
                raise KeyboardInterrupt
            return read(self, *arguments)

        monkeypatch.setattr(CorpusSource, "_signals", torn)
        with pytest.raises(KeyboardInterrupt):
            scored(name, out=tmp_path / "torn.parquet")
        assert not (tmp_path / "torn.parquet").exists()
        scored(name, out=tmp_path / "torn.parquet")
        assert (tmp_path / "torn.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
        left = {path.name for path in tmp_path.iterdir()}
        assert left <= {f"{stem}.parquet{end}" for stem in ("whole", "torn") for end in ("", ".costs.json")}

    def test_description(self, name: str) -> None:
        about = plain(name).columns[request(name)]
        assert about["meaning"] == make_scorer(name).meaning and about["view"] == "clean"
        assert isinstance(make_scorer(name), Scorer)


def test_equal_content_is_equal_bytes(tmp_path: Path) -> None:
    for out in ("a.parquet", "b.parquet"):
        scored("length", out=tmp_path / out)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_scores_of_documents_are_not_of_arrays() -> None:
    from references.scored_arrays import arrays
    from references.scored_arrays import scored as of_arrays

    with pytest.raises(ValueError, match="score them without runs or arrays"):
        of_arrays(["length"], *arrays())
