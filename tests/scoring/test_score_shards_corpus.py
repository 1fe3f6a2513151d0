"""score_shards of documents: the values of ``score``, looks at all shards, nothing paid twice, costs and warnings."""

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from references.document_world import ALSO_OF_DOCUMENTS, ENTRIES, ON_PAIRS, REQUESTS, document_world
from references.looking_scorers import FromTheMiddle, Outlying
from references.sharded_worlds import contents, corpus, jsonl, trained, write_shard

import scoring.sharded.collective as collective
import scoring.sharded.looks as looks
import scoring.sharded.origin as origin
import scoring.sharded.worker as worker
from scoring.catalog import make_scorer
from scoring.corpus.providers import PROVIDERS
from scoring.engines.processes import Processes
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.run import score
from scoring.score_shards import score_shards
from scoring.sources import corpus as corpus_source
from scoring.table import ScoreTable

SIZES = {"a/first": 33, "b": 0, "c": 9, "d": 22}
NAMES = [*ENTRIES, *ALSO_OF_DOCUMENTS]
EVERY = [pytest.param(name, marks=[pytest.mark.slow] if ":" in name else []) for name in NAMES]
QUIET = pytest.mark.filterwarnings("ignore:.*:UserWarning")


def write(place: Path, examples: Examples) -> None:
    """Four shards of one size each, one of them empty."""
    texts, start = examples.texts(np.arange(len(examples))), 0
    for name, rows in SIZES.items():
        part = slice(start, start + rows)
        data: dict[str, Any] = {"key": pa.array(examples.ids[part].tolist(), pa.string())}
        if examples.has_pairs:
            data["prompt"] = pa.array([pair[0] for pair in texts[part]], pa.string())
            data["response"] = pa.array([pair[1] for pair in texts[part]], pa.string())
        else:
            data["text"] = pa.array(texts[part], pa.string())
        path = place / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(data), path)
        start += rows
    assert start == len(examples)


def run(data: Path, out: Path, scorers: Any, **options: Any) -> ScoreTable:
    given = {"id": "key", "piece_rows": 10, "tokens": False, **options}
    return ScoreTable.read(score_shards(data, scorers, None, out=out, **given))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write(tmp_path / "in", document_world().examples)
    return tmp_path / "in"


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Embeddings are shares of letters, and every document that they are computed of is listed in this file."""
    monkeypatch.setitem(PROVIDERS, "embeddings", "references.looking_scorers:LetterShares")  # type: ignore[arg-type]
    monkeypatch.setattr(corpus_source, "CHUNK_ROWS", 4)
    return tmp_path / "log"


class TestValues:
    @QUIET
    @pytest.mark.parametrize("name", EVERY)
    def test_values_are_those_of_all_rows_at_once(self, name: str, tmp_path: Path) -> None:
        world = document_world()
        examples = world.pairs if name in ON_PAIRS else world.examples
        write(tmp_path / "in", examples)
        options = dict(world.options)
        if "target_documents" in make_scorer(name).needs:
            options["target"] = world.target
        columns = {"text": "prompt", "text_pair": "response"} if name in ON_PAIRS else {}
        request = REQUESTS.get(name, name)
        found = run(tmp_path / "in", tmp_path / "out", [request], **options, **columns)
        expected = score(examples, [request], **options)
        assert found.ids.tolist() == expected.ids.tolist()
        assert found.names == [*expected.names, "bytes"]
        for column in expected.names:
            np.testing.assert_allclose(
                found.column(column), expected.column(column), rtol=2e-5, atol=1e-6, err_msg=column
            )
            here, there = dict(found.columns[column]), dict(expected.columns[column])
            assert here.pop("summary", {}) == pytest.approx(there.pop("summary", {}), rel=1e-4, nan_ok=True)
            assert here == there
        assert found.info["runs"] == [] and found.fingerprint == expected.fingerprint

    @QUIET
    def test_whole_numbers_are_exact_after_two_looks(self, data: Path, tmp_path: Path) -> None:
        found = run(data, tmp_path / "out", Outlying())
        expected = score(document_world().examples, Outlying())
        assert found.column("outlying").tolist() == expected.column("outlying").tolist()
        assert found.columns["outlying"] == expected.columns["outlying"]

    def test_runs_whose_scorers_look_first(self, tmp_path: Path) -> None:
        """Class means over all shards, at both checkpoints, of two runs' worth of passes."""
        records = corpus(tmp_path / "in")
        scorers = "self_confidence(adjust=true)@mean,normalized_margin(adjust=true)@last,el2n@last"
        path = score_shards(tmp_path / "in", scorers, trained(), out=tmp_path / "out", id="key", piece_rows=8)
        found = ScoreTable.read(path)
        examples = Examples.from_arrays(
            [r["text"] for r in records], [r["label"] for r in records], ids=[r["key"] for r in records]
        )
        expected = score(examples, scorers, trained(), view="clean", signals="checkpoints")
        for name in expected.scores:
            np.testing.assert_allclose(found.column(name), expected.column(name), rtol=1e-6, atol=1e-9)
            assert found.columns[name] == expected.columns[name]
        assert not (tmp_path / "out.costs.json").exists()

    def test_labels_are_read_if_they_are_named(self, tmp_path: Path) -> None:
        corpus(tmp_path / "in")
        assert "label" not in run(tmp_path / "in", tmp_path / "out", "length").names
        with pytest.raises(InputError, match="label_names must be given"):
            run(tmp_path / "in", tmp_path / "b", "length", label="label")
        names = ["north", "south", "west"]
        table = run(tmp_path / "in", tmp_path / "c", "length", label="label", label_names=names)
        assert set(table.column("label").tolist()) == {0, 1, 2}

    def test_rows_that_fail_are_letters_in_looks_and_scores(self, tmp_path: Path) -> None:
        good = [{"text": "x" * k} for k in range(1, 9)]
        lines = [*good[:5], b"{torn", {"text": None}, *good[5:]]
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "a.jsonl").write_bytes(jsonl(lines))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = run(tmp_path / "in", tmp_path / "out", Outlying(), id=None, piece_rows=3)
            expected = score(Examples.from_arrays([r["text"] for r in good]), Outlying())
        assert table.column("outlying").tolist() == expected.column("outlying").tolist()
        assert table.ids.tolist() == [f"a.jsonl:{row}" for row in (0, 1, 2, 3, 4, 7, 8, 9)]
        assert table.info["dead_letters"] == 2

    def test_tokens_of_the_language_model(self, data: Path, tmp_path: Path) -> None:
        """A byte-level tokenizer: as many tokens as bytes, but where special tokens are spelled out (row 9)."""
        lm = document_world().options["lm"]
        table = run(data, tmp_path / "out", "length(unit=bytes)", lm=lm, tokens=True)
        rows = np.arange(64) != 9
        assert table.column("tokens")[rows].tolist() == table.column("bytes")[rows].tolist()
        with pytest.raises(InputError, match="tokens need text and a model"):
            run(data, tmp_path / "other", "length", tokens=True)

    def test_target_from_a_path(self, data: Path, tmp_path: Path) -> None:
        write_shard(tmp_path / "target.jsonl", [{"text": "the sea was calm and old"}, {"text": "two men"}])
        table = run(data, tmp_path / "out", "dsir", target=tmp_path / "target.jsonl")
        target = Examples.load(str(tmp_path / "target.jsonl"))
        expected = score(document_world().examples, "dsir", target=target).column("dsir")
        np.testing.assert_allclose(table.column("dsir"), expected, rtol=1e-9)


class TestReviews:
    def test_summary_and_warnings_are_of_all_shards_and_told_once(self, data: Path, tmp_path: Path) -> None:
        with pytest.warns(UserWarning) as caught:
            table = run(data, tmp_path / "out", Outlying())
        largest = table.column("outlying").max()
        assert sorted(str(each.message) for each in caught) == [
            "outlying: only for tests.", f"outlying: the largest of 64 is {largest:.3f}."
        ]  # fmt: skip
        assert table.columns["outlying"]["summary"] == {"rows": 64.0, "max_score": largest}
        part = ScoreTable.read(tmp_path / "out" / "c.parquet")
        assert "summary" not in part.columns["outlying"]


class TestCosts:
    def test_costs_of_all_shards_stand_beside_the_table(self, data: Path, tmp_path: Path, log: Path) -> None:
        run(data, tmp_path / "out", FromTheMiddle(), encoder=str(log))
        costs = json.loads((tmp_path / "out.costs.json").read_bytes())
        spent = costs["signals"]["Embeddings(encoder='')"]
        texts = document_world().examples.texts(np.arange(64))
        assert (spent["documents"], spent["tokens"]) == (64, sum(len(text.encode()) for text in texts))
        assert spent["seconds"] > 0
        manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
        assert costs["request"] == manifest["info"]["request"]

    def test_a_look_and_the_scores_compute_a_document_once(
        self, data: Path, tmp_path: Path, log: Path
    ) -> None:
        table = run(data, tmp_path / "out", FromTheMiddle(), encoder=str(log))
        assert sorted(log.read_text().split()) == sorted(document_world().examples.ids.tolist())
        expected = score(document_world().examples, FromTheMiddle(), encoder=str(log))
        np.testing.assert_allclose(
            table.column("from_the_middle"), expected.column("from_the_middle"), rtol=1e-9
        )
        assert not (tmp_path / "out.parts").exists()


class TestResuming:
    @QUIET
    @pytest.mark.parametrize("stage", ["look", "merge", "score", "together", "add"])
    def test_a_killed_job_goes_on_to_the_same_bytes_and_pays_nothing_twice(
        self, stage: str, data: Path, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scorers = [FromTheMiddle(), "minhash_duplicates", Outlying()]
        run(data, tmp_path / "whole", scorers, encoder=str(log))
        log.unlink()
        module, name = {
            "look": (looks, "_sums"),
            "merge": (looks, "_write"),
            "score": (worker, "score_piece"),
            "together": (collective, "_save"),
            "add": (collective, "_order"),
        }[stage]
        real, calls = getattr(module, name), iter(range(10**6))

        def torn(*arguments: Any) -> Any:
            if next(calls) == {"look": 3, "merge": 4, "score": 2, "together": 1, "add": 1}[stage]:
                raise KeyboardInterrupt
            return real(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(module, name, torn)
            with pytest.raises(KeyboardInterrupt):
                run(data, tmp_path / "out", scorers, encoder=str(log))
        assert not (tmp_path / "out").exists()
        for known in (looks._fitted, origin._corpora):
            known.clear()  # as in a new process
        run(data, tmp_path / "out", scorers, encoder=str(log))
        assert contents(tmp_path / "out") == contents(tmp_path / "whole")
        assert sorted(log.read_text().split()) == sorted(document_world().examples.ids.tolist())
        assert not (tmp_path / "out.parts").exists()

    def test_a_chunk_that_is_computed_is_not_paid_again_inside_a_piece(
        self, data: Path, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read, calls = corpus_source.CorpusSource._signals, iter(range(10**6))

        def torn(*arguments: Any) -> Any:
            if next(calls) == 2:
                raise KeyboardInterrupt
            return read(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(corpus_source.CorpusSource, "_signals", torn)
            with pytest.raises(KeyboardInterrupt):
                run(data, tmp_path / "out", FromTheMiddle(), encoder=str(log))
        assert len(log.read_text().split()) == 8
        run(data, tmp_path / "out", FromTheMiddle(), encoder=str(log))
        assert len(log.read_text().split()) == 64

    @QUIET
    def test_other_options_are_refused(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(*_: Any) -> None:
            raise OSError("no space left")

        with monkeypatch.context() as patch:
            patch.setattr(looks, "merge_look", fails)
            patch.setattr("scoring.score_shards.merge_look", fails)
            with pytest.raises(OSError, match="no space left"):
                run(data, tmp_path / "out", [Outlying(), "length"])
        for scorers, options in (
            ([Outlying(), "length(unit=bytes)"], {}),
            ([Outlying(), "length"], {"batch_tokens": 5}),
            ([Outlying(), "length"], {"piece_rows": 3}),
        ):
            with pytest.raises(InputError, match="unfinished work of a different call"):
                run(data, tmp_path / "out", scorers, **options)
        run(data, tmp_path / "out", [Outlying(), "length"])
        with pytest.raises(InputError, match="holds another score table"):
            run(data, tmp_path / "out", "length")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"batch_size": 3}, "option must be one of"),
            ({"scorers": "el2n"}, "el2n.*reads labels, logits"),
            ({"scorers": "dsir"}, "give them as target"),
            ({"text": "words"}, "text must be one of"),
        ],
    )
    def test_what_is_wrong_shows_before_anything_is_written(
        self, data: Path, tmp_path: Path, options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(InputError, match=message):
            run(data, tmp_path / "out", options.pop("scorers", "length"), **options)
        assert not (tmp_path / "out.parts").exists()


@QUIET
class TestEngines:
    def test_processes_and_slices_give_the_same_bytes(self, data: Path, tmp_path: Path) -> None:
        scorers = [Outlying(), "dsir", "minhash_duplicates"]
        target = str(tmp_path / "target.jsonl")
        write_shard(Path(target), [{"text": "the sea was calm and old"}, {"text": "two men"}])
        run(data, tmp_path / "one", scorers, target=target)
        engine = Processes(2)
        run(data, tmp_path / "two", scorers, target=target, engine=engine)
        engine.close()
        assert contents(tmp_path / "two") == contents(tmp_path / "one")
        code = (
            "import sys, warnings; from pathlib import Path; warnings.simplefilter('ignore');"
            "from references.looking_scorers import Outlying;"
            "from scoring.score_shards import score_shards; from scoring.engines.slices import Slice;"
            "i, data, target, out = sys.argv[1:];"
            "score_shards(data, [Outlying(), 'dsir', 'minhash_duplicates'], out=out, id='key', piece_rows=10,"
            "tokens=False, target=target, engine=Slice(int(i), 2, Path(out + '.slices'), patience=60))"
        )
        here = {"cwd": Path(__file__).parents[1]}
        slices = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(i), str(data), target, str(tmp_path / "three")], **here
            )
            for i in range(2)
        ]
        assert [each.wait(120) for each in slices] == [0, 0]
        assert contents(tmp_path / "three") == contents(tmp_path / "one")
        assert not (tmp_path / "three.parts").exists()
