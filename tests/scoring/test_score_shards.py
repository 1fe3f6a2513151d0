"""Scoring of sharded data: the values of ``score``, the same bytes on every engine, and nothing lost on the way."""

import json
import os
import shutil
import signal
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from references.sharded_worlds import LABELS, contents, corpus, jsonl, rows, trained, write_shard

import scoring.sharded.origin as origin
import scoring.sharded.worker as worker
from scoring.checkpoints import RunDirectory
from scoring.data.shards import find_shards
from scoring.engines.processes import Processes
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.run import score
from scoring.score_shards import score_shards
from scoring.sharded.duplicates import IdHashes
from scoring.sources.loaded_models import LoadedModels
from scoring.table import ScoreTable
from training.run import train

SCORERS = "el2n,entropy,loss@mean,forgetting"


def run(data: Any, out: Path, **options: Any) -> ScoreTable:
    given = {"id": "key", "piece_rows": 8, **options}
    scorers = given.pop("scorers", SCORERS)
    source = given.pop("source", None) or trained()
    return ScoreTable.read(score_shards(data, scorers, source, out=out, **given))


def whole(
    records: list[dict[str, Any]], ids: list[str], scorers: str = SCORERS, source: Any = None
) -> ScoreTable:
    """The same rows scored at once, in memory."""
    examples = Examples.from_arrays(
        [r["text"] for r in records], [r["label"] for r in records], ids=ids, label_names=LABELS
    )
    return score(examples, scorers, source or trained(), view="clean", signals="checkpoints")


class TestValues:
    @pytest.mark.parametrize("ending", [".parquet", ".jsonl.gz", ".arrow"])
    def test_values_are_those_of_all_rows_at_once(self, tmp_path: Path, ending: str) -> None:
        records = corpus(tmp_path / "in", ending)
        found = run(tmp_path / "in", tmp_path / "out")
        expected = whole(records, [r["key"] for r in records])
        assert found.ids.tolist() == expected.ids.tolist()
        assert found.names == [*expected.names, "bytes"]
        for name in expected.names:
            np.testing.assert_allclose(found.column(name), expected.column(name), rtol=1e-6, atol=1e-7)
            assert found.columns[name] == expected.columns[name]
        assert found.column("bytes").tolist() == [len(r["text"].encode()) for r in records]
        assert found.fingerprint == expected.fingerprint
        assert found.info["coverage"] == 1.0
        assert (found.info["num_examples"], found.info["dead_letters"]) == (61, 0)

    def test_one_sidecar_per_shard_in_its_order(self, tmp_path: Path) -> None:
        corpus(tmp_path / "in")
        run(tmp_path / "in", tmp_path / "out")
        for shard in find_shards(tmp_path / "in").shards:
            part = ScoreTable.read(tmp_path / "out" / shard.sidecar)
            assert part.ids.tolist() == pq.read_table(shard.place).column("key").to_pylist()
            assert part.info["shard"] == shard.name
        joined = ScoreTable.concat(
            [ScoreTable.read(tmp_path / "out" / s.sidecar) for s in find_shards(tmp_path / "in").shards]
        )
        assert joined.table.equals(ScoreTable.read(tmp_path / "out").table)
        assert not (tmp_path / "out.parts").exists()

    def test_ids_without_a_column_are_shard_and_row(self, tmp_path: Path) -> None:
        write_shard(tmp_path / "in" / "x" / "a.jsonl", [{"text": "sun", "label": "south"}] * 3)
        (tmp_path / "in" / "b.jsonl").write_bytes(jsonl([b"", {"text": "ice", "label": "north"}, b"torn"]))
        table = run(tmp_path / "in", tmp_path / "out", id=None)
        assert table.ids.tolist() == ["b.jsonl:1", *(f"x/a.jsonl:{row}" for row in range(3))]
        assert len(set(table.column("el2n").tolist()[1:])) == 1

    def test_without_labels(self, tmp_path: Path) -> None:
        records = corpus(tmp_path / "in")
        table = run(tmp_path / "in", tmp_path / "out", scorers="entropy", label=False)
        assert table.names == ["entropy", "bytes"]
        expected = whole(records, [r["key"] for r in records], "entropy")
        np.testing.assert_allclose(table.column("entropy"), expected.column("entropy"), rtol=1e-6)
        with pytest.raises(InputError, match="needs labels"):
            run(tmp_path / "in", tmp_path / "other", scorers="el2n", label=False)

    def test_a_shard_that_lacks_a_class_numbers_the_others_alike(self, tmp_path: Path) -> None:
        write_shard(tmp_path / "in" / "a.parquet", [r for r in rows(20) if r["label"] != "north"])
        write_shard(tmp_path / "in" / "b.parquet", rows(20, seed=1))
        table = run(tmp_path / "in", tmp_path / "out")
        names = {r["key"]: r["label"] for r in (*rows(20), *rows(20, seed=1))}
        assert [LABELS[int(k)] for k in table.column("label")] == [names[key] for key in table.ids.tolist()]

    def test_several_runs(self, tmp_path: Path) -> None:
        records = corpus(tmp_path / "in")
        examples = Examples.from_arrays(
            [r["text"] for r in records], [r["label"] for r in records], label_names=LABELS
        )
        train(examples, "linear", out=tmp_path / "runs", seeds=[0, 1], epochs=1, evaluate=False,
              model_options={"buckets": 64})  # fmt: skip
        table = run(tmp_path / "in", tmp_path / "out", source=tmp_path / "runs", scorers="el2n", per_run=True)
        expected = whole(records, [r["key"] for r in records], "el2n", tmp_path / "runs")
        assert {"el2n.se", "el2n.runs", "el2n.run0", "el2n.run1"} <= set(table.names)
        np.testing.assert_allclose(table.column("el2n.se"), expected.column("el2n.se"), rtol=1e-5, atol=1e-7)

    def test_rows_that_a_run_held_out_are_not_scored(self, tmp_path: Path) -> None:
        records = corpus(tmp_path / "in")
        ids = [r["key"] for r in records]
        examples = Examples.from_arrays(
            [r["text"] for r in records], [r["label"] for r in records], ids=ids, label_names=LABELS
        )
        train(examples, "linear", out=tmp_path / "run", epochs=1, evaluate=0.3, model_options={"buckets": 64})
        held_out = RunDirectory.open(tmp_path / "run" / "seed-0").held_out()
        assert held_out is not None
        table = run(tmp_path / "in", tmp_path / "out", source=tmp_path / "run", scorers="el2n", piece_rows=2)
        assert set(table.ids.tolist()) == set(ids) - set(held_out[0].tolist())
        assert table.info["held_out"] == len(held_out[0])

    def test_gradient_scores_with_a_kept_model(self, tmp_path: Path) -> None:
        records = corpus(tmp_path / "in")
        table = run(tmp_path / "in", tmp_path / "out", scorers="grand@last,el2n@last")
        expected = whole(records, [r["key"] for r in records], "grand@last,el2n@last")
        for name in expected.scores:
            np.testing.assert_allclose(table.column(name), expected.column(name), rtol=1e-5, atol=1e-6)

    def test_reference_losses(self, tmp_path: Path) -> None:
        records = corpus(tmp_path / "in")
        source, other = trained(), trained(epochs=1)
        table = run(tmp_path / "in", tmp_path / "out", scorers="reducible_loss", reference=other)
        examples = Examples.from_arrays([r["text"] for r in records], [r["label"] for r in records],
                                        ids=[r["key"] for r in records], label_names=LABELS)  # fmt: skip
        expected = score(examples, "reducible_loss", source, reference=other, signals="checkpoints")
        np.testing.assert_allclose(
            table.column("reducible_loss"), expected.column("reducible_loss"), atol=1e-6
        )

    def test_features_and_images(self, tmp_path: Path) -> None:
        from PIL import Image

        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(30, 4)), [f"c{k % 2}" for k in range(30)]
        train(Examples.from_arrays(x, y), "linear", out=tmp_path / "vectors", epochs=1, evaluate=False)
        records = [{"x": each.tolist(), "y": label} for each, label in zip(x, y)]
        records[3]["x"], records[4]["x"], records[5]["x"] = [1.0], None, [0.0, 1e300, 0.0, 0.0]
        write_shard(tmp_path / "v" / "a.jsonl", records[:10])
        write_shard(tmp_path / "v" / "b.jsonl", records[10:])
        table = run(tmp_path / "v", tmp_path / "out", source=tmp_path / "vectors", scorers="el2n", id=None)
        assert len(table) == 27
        assert [letter["row"] for letter in letters(tmp_path / "out")] == [3, 4, 5]
        pictures = rng.integers(0, 256, (12, 6, 6), dtype=np.uint8)
        train(
            Examples.from_arrays(pictures, y[:12]),
            "linear",
            out=tmp_path / "pixels",
            epochs=1,
            evaluate=False,
        )
        encoded = []
        for picture in pictures:
            Image.fromarray(picture).save(held := BytesIO(), "PNG")
            encoded.append(held.getvalue())
        encoded[2], encoded[7] = b"no picture", encoded[7][:40]
        (tmp_path / "i").mkdir()
        pq.write_table(pa.table({"image": encoded, "label": y[:12]}), tmp_path / "i" / "a.parquet")
        table = run(tmp_path / "i", tmp_path / "images", source=tmp_path / "pixels", scorers="el2n", id=None)
        expected = score(Examples.from_arrays(pictures, y[:12]), "el2n", tmp_path / "pixels").column("el2n")
        np.testing.assert_allclose(table.column("el2n"), np.delete(expected, [2, 7]), rtol=1e-6)
        assert [letter["row"] for letter in letters(tmp_path / "images")] == [2, 7]
        assert "cannot be decoded" in letters(tmp_path / "images")[0]["error"]


def letters(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "dead_letters.jsonl").read_bytes().splitlines()]


class TestDeadLetters:
    def broken(self, place: Path) -> None:
        lines: list[Any] = [
            *rows(10),
            b"{torn",
            {"key": "no text", "label": "west"},
            {"text": "sun", "label": "south"},
            {"key": "no label", "text": "ice"},
            {"key": "five", "text": 5, "label": "west"},
        ]
        place.mkdir()
        (place / "a.jsonl").write_bytes(jsonl(lines))
        write_shard(place / "b.jsonl", rows(6, seed=1))

    def test_rows_that_fail_are_listed_and_absent(self, tmp_path: Path) -> None:
        self.broken(tmp_path / "in")
        table = run(tmp_path / "in", tmp_path / "out")
        assert len(table) == 16
        found = letters(tmp_path / "out")
        assert [(each["shard"], each["row"], each["id"]) for each in found] == [
            ("a.jsonl", 10, None), ("a.jsonl", 11, "no text"), ("a.jsonl", 12, None), ("a.jsonl", 13, "no label"),
            ("a.jsonl", 14, None),
        ]  # fmt: skip
        assert [each["error"] for each in found[1:]] == [
            "text column 'text' is null", "id column 'key' is null", "label column 'label' is null",
            "column 'text' must hold a text, got 5",
        ]  # fmt: skip
        assert table.info["dead_letters"] == 5
        assert table.info["coverage"] == 16 / 21

    @pytest.mark.parametrize("most", [4, 0.2, 0])
    def test_more_than_may_fail(self, tmp_path: Path, most: float) -> None:
        self.broken(tmp_path / "in")
        with pytest.raises(InputError, match=r"rows may fail.*row 10: the line is not JSON"):
            run(tmp_path / "in", tmp_path / "out", max_failures=most)
        assert not (tmp_path / "out").exists()

    def test_a_raised_limit_goes_on_with_the_work_that_is_done(self, tmp_path: Path) -> None:
        self.broken(tmp_path / "in")
        with pytest.raises(InputError, match="raise max_failures"):
            run(tmp_path / "in", tmp_path / "out", max_failures=0.0)
        run(tmp_path / "in", tmp_path / "out", max_failures=5)
        run(tmp_path / "in", tmp_path / "whole", max_failures=1.0)
        assert contents(tmp_path / "out") == contents(tmp_path / "whole")
        with pytest.raises(InputError, match="at most 4 of 21 rows may fail, and 5 did when"):
            run(tmp_path / "in", tmp_path / "out", max_failures=4)

    @pytest.mark.parametrize("most", [5, 0.24, 1.0])
    def test_as_many_as_may_fail(self, tmp_path: Path, most: float) -> None:
        self.broken(tmp_path / "in")
        assert len(run(tmp_path / "in", tmp_path / "out", max_failures=most)) == 16

    def test_by_default_a_hundred_rows_or_a_thousandth(self, tmp_path: Path) -> None:
        good = [{"text": "sun"}] * 10
        for failed, fits in ((100, True), (101, False)):
            place = tmp_path / str(failed)
            place.mkdir()
            (place / "a.jsonl").write_bytes(jsonl([*good, *[b"{"] * failed]))
            if fits:
                assert len(run(place, tmp_path / f"{failed}.out", scorers="entropy", id=None)) == 10
            else:
                with pytest.raises(InputError, match="at most 100 of 111 rows may fail, and 101 did"):
                    run(place, tmp_path / f"{failed}.out", scorers="entropy", id=None)

    def test_a_shard_without_a_good_row_has_an_empty_sidecar(self, tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "a.jsonl").write_bytes(b"{\n\n")
        (tmp_path / "in" / "b.jsonl").write_bytes(b"")
        write_shard(tmp_path / "in" / "c.jsonl", rows(5))
        table = run(tmp_path / "in", tmp_path / "out")
        assert len(table) == 5
        schemas = [pq.read_schema(tmp_path / "out" / f"{n}.jsonl.parquet").remove_metadata() for n in "abc"]
        assert schemas[0] == schemas[1] == schemas[2]
        assert len(ScoreTable.read(tmp_path / "out" / "a.jsonl.parquet")) == 0
        with pytest.raises(InputError, match="at least one row that can be read"):
            run(tmp_path / "in" / "a.jsonl", tmp_path / "other")


class TestRefused:
    @pytest.mark.parametrize("scorer", ["prediction_depth", "trak", "prototypes"])
    def test_scorers_that_compare_all_rows(self, tmp_path: Path, scorer: str) -> None:
        corpus(tmp_path / "in")
        with pytest.raises(InputError, match=f"{scorer}.*compares all rows"):
            run(tmp_path / "in", tmp_path / "out", scorers=scorer)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"order": "rows"}, "order must be one of"),
            ({"piece_rows": 0}, "piece_rows must be at least 1"),
            ({"max_failures": 1.5}, "max_failures must be"),
            ({"max_failures": True}, "max_failures must be"),
            ({"signals": "recorded"}, "option must be one of"),
            ({"tokens": True}, "a model with a tokenizer"),
            ({"text": "texts"}, "text must be one of"),
            ({"label_names": ["a", "b"]}, "label must be one of a, b, got 'north'"),
        ],
    )
    def test_options(self, tmp_path: Path, options: dict[str, Any], message: str) -> None:
        corpus(tmp_path / "in")
        with pytest.raises(InputError, match=message):
            run(tmp_path / "in", tmp_path / "out", **options)

    def test_ids_that_two_shards_share(self, tmp_path: Path) -> None:
        write_shard(tmp_path / "in" / "a.parquet", rows(20))
        write_shard(tmp_path / "in" / "b.parquet", [*rows(20, seed=1), rows(20)[7]])
        with pytest.raises(
            InputError, match=r"more than once: 'k0-7' \(the first in a.parquet and b.parquet\)"
        ):
            run(tmp_path / "in", tmp_path / "out")

    def test_ids_that_two_rows_of_a_shard_share(self, tmp_path: Path) -> None:
        write_shard(tmp_path / "in" / "a.parquet", [*rows(100), rows(20)[3]])
        with pytest.raises(InputError, match="more than once: 'k0-3'"):
            run(tmp_path / "in", tmp_path / "out")

    def test_equal_hashes_of_different_ids_are_no_duplicates(self, tmp_path: Path) -> None:
        (tmp_path / "hashes").mkdir()
        for name in ("a.parquet", "b.parquet"):
            np.save(tmp_path / "hashes" / f"{name}.npy", np.array([5, 2**64 - 1], dtype=np.uint64))
            write_shard(tmp_path / "table" / name, [{"id": f"{name}-{k}"} for k in range(2)])
        checker = IdHashes(tmp_path / "hashes", tmp_path / "table")
        assert [b["high"] for b in checker.buckets(3 << 24)][-1] == 2**64 - 1
        for bucket in checker.buckets(3 << 24):
            checker.check(bucket)

    def test_what_is_no_score_table_is_not_replaced(self, tmp_path: Path) -> None:
        corpus(tmp_path / "in")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.txt").write_text("years of work")
        for overwrite in (False, True):
            with pytest.raises(InputError, match="is something else"):
                run(tmp_path / "in", tmp_path / "out", overwrite=overwrite)
        assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"


class TestEngines:
    def test_processes_give_the_same_bytes(self, tmp_path: Path) -> None:
        corpus(tmp_path / "in", ".jsonl.zst")
        run(tmp_path / "in", tmp_path / "one")
        engine = Processes(2)
        run(tmp_path / "in", tmp_path / "two", engine=engine)
        engine.close()
        assert contents(tmp_path / "one") == contents(tmp_path / "two")

    def test_slices_give_the_same_bytes(self, tmp_path: Path) -> None:
        corpus(tmp_path / "in")
        run(tmp_path / "in", tmp_path / "one")
        code = (
            "import sys; from pathlib import Path; from scoring.score_shards import score_shards;"
            "from scoring.engines.slices import Slice; i, data, source, out = sys.argv[1:];"
            f"score_shards(data, {SCORERS!r}, source, out=out, id='key', piece_rows=8,"
            "engine=Slice(int(i), 2, Path(out + '.slices')))"
        )
        arguments = [str(tmp_path / "in"), str(trained()), str(tmp_path / "two")]
        slices = [subprocess.Popen([sys.executable, "-c", code, str(i), *arguments]) for i in range(2)]
        assert [each.wait(120) for each in slices] == [0, 0]
        assert contents(tmp_path / "one") == contents(tmp_path / "two")
        assert not (tmp_path / "two.parts").exists()

    def test_the_order_of_tasks_changes_nothing(self, tmp_path: Path) -> None:
        class Backwards:
            def map(self, function: Any, tasks: Any, *, what: str, gpus: float = 0) -> Any:
                for index in reversed(range(len(tasks))):
                    yield index, function(tasks[index])

        corpus(tmp_path / "in")
        run(tmp_path / "in", tmp_path / "one")
        run(tmp_path / "in", tmp_path / "two", engine=Backwards())
        assert contents(tmp_path / "one") == contents(tmp_path / "two")

    def test_a_checkpoint_is_loaded_once_for_all_pieces(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        corpus(tmp_path / "in")
        loads: list[str] = []
        load = RunDirectory.load

        def counted(self: RunDirectory, checkpoint: Any, *arguments: Any, **options: Any) -> Any:
            loads.append(checkpoint.path.name)
            return load(self, checkpoint, *arguments, **options)

        monkeypatch.setattr(RunDirectory, "load", counted)
        monkeypatch.setattr(origin, "_models", LoadedModels())
        run(tmp_path / "in", tmp_path / "out", scorers="loss@mean,el2n@last")
        assert len(loads) == len(set(loads)) == 2


class TestResuming:
    def test_a_killed_job_continues_inside_the_shard(self, tmp_path: Path) -> None:
        write_shard(tmp_path / "in" / "a.jsonl", rows(160))
        write_shard(tmp_path / "in" / "b.jsonl", rows(40, seed=1))
        run(tmp_path / "in", tmp_path / "whole")
        code = (
            "import sys, os, signal; import scoring.sharded.worker as worker;"
            "from scoring.score_shards import score_shards; real, count = worker._score_piece, [0];\n"
            "def dying(*a):\n"
            "    count[0] += 1\n"
            "    if count[0] > 11: os.kill(os.getpid(), signal.SIGKILL)\n"
            "    return real(*a)\n"
            "worker._score_piece = dying\n"
            f"score_shards(sys.argv[1], {SCORERS!r}, sys.argv[2], out=sys.argv[3], id='key', piece_rows=8)"
        )
        out = tmp_path / "out"
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "in"), str(trained()), str(out)])
        assert done.returncode == -signal.SIGKILL
        assert not out.exists()
        pieces = sorted((tmp_path / "out.parts" / "pieces" / "a.jsonl.parquet").glob("[0-9]*.parquet"))
        assert len(pieces) == 11
        times = [path.stat().st_mtime_ns for path in pieces]
        scored: list[int] = []
        with pytest.MonkeyPatch.context() as patch:
            real = worker._score_piece

            def counted(job: Any, shard: Any, batch: Any, path: Path) -> int:
                scored.append(batch.start)
                assert [each.stat().st_mtime_ns for each in pieces if each.exists()] in (times, [])
                return real(job, shard, batch, path)

            patch.setattr(worker, "_score_piece", counted)
            run(tmp_path / "in", out)
        assert scored == [*range(88, 160, 8), *range(0, 40, 8)]
        assert contents(out) == contents(tmp_path / "whole")

    def test_another_call_is_refused(self, tmp_path: Path) -> None:
        corpus(tmp_path / "in")
        run(tmp_path / "in", tmp_path / "out")
        before = contents(tmp_path / "out")
        run(tmp_path / "in", tmp_path / "out")
        for options in ({"scorers": "el2n"}, {"piece_rows": 9}, {"id": None}):
            with pytest.raises(InputError, match="holds another score table"):
                run(tmp_path / "in", tmp_path / "out", **options)
        assert contents(tmp_path / "out") == before
        run(tmp_path / "in", tmp_path / "out", scorers="el2n", overwrite=True)
        assert ScoreTable.read(tmp_path / "out").scores == ["el2n"]

    def test_data_that_changed_are_refused(self, tmp_path: Path) -> None:
        corpus(tmp_path / "in", ".jsonl")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(worker, "_assemble", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
            with pytest.raises(OSError, match="no space left"):
                run(tmp_path / "in", tmp_path / "out")
        write_shard(tmp_path / "in" / "b.jsonl", rows(12, seed=5))
        with pytest.raises(InputError, match="data that have changed since"):
            run(tmp_path / "in", tmp_path / "out")
        run(tmp_path / "in", tmp_path / "out", overwrite=True)
        assert "k5-0" in ScoreTable.read(tmp_path / "out").ids.tolist()

    def test_weights_that_changed_are_refused(self, tmp_path: Path) -> None:
        corpus(tmp_path / "in")
        shutil.copytree(trained(), tmp_path / "run")
        run(tmp_path / "in", tmp_path / "out", source=tmp_path / "run")
        for checkpoint, other in zip(sorted((tmp_path / "run" / "seed-0" / "checkpoints").iterdir()),
                                     sorted((trained(epochs=3) / "seed-0" / "checkpoints").iterdir())):  # fmt: skip
            shutil.copyfile(other / "model.safetensors", checkpoint / "model.safetensors")
        with pytest.raises(InputError, match="holds another score table"):
            run(tmp_path / "in", tmp_path / "out", source=tmp_path / "run")

    def test_a_shard_that_changes_while_it_is_scored_stops_the_job(self, tmp_path: Path) -> None:
        corpus(tmp_path / "in", ".jsonl")
        real = worker._score_piece

        def changing(job: Any, shard: Any, batch: Any, path: Path) -> int:
            os.utime(shard.place, ns=(1, 1))
            return real(job, shard, batch, path)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(worker, "_score_piece", changing)
            with pytest.raises(InputError, match="changed while the job ran"):
                run(tmp_path / "in", tmp_path / "out")


class TestTokens:
    def test_tokens_are_counted_whole(self, tmp_path: Path) -> None:
        records = corpus(tmp_path / "in")
        records[0]["text"] = " ".join(["snow"] * 40)
        write_shard(tmp_path / "in" / "a" / "x.parquet", records[:20])
        examples = Examples.from_arrays(
            [r["text"] for r in records], [r["label"] for r in records], label_names=LABELS
        )
        train(examples, "small-bert", out=tmp_path / "run", epochs=1, evaluate=False,
              model_options={"width": 8, "layers": 1, "heads": 1, "vocabulary": 64, "max_length": 8})  # fmt: skip
        table = run(tmp_path / "in", tmp_path / "out", source=tmp_path / "run", scorers="entropy")
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(
            tmp_path / "run" / "seed-0" / "assets", local_files_only=True
        )
        expected = [len(tokenizer(r["text"], add_special_tokens=False)["input_ids"]) for r in records]
        assert table.column("tokens").tolist() == expected
        assert expected[0] >= 40
        assert table.columns["tokens"]["role"] == "side"
        without = run(
            tmp_path / "in", tmp_path / "less", source=tmp_path / "run", scorers="entropy", tokens=False
        )
        assert "tokens" not in without.names


class TestRealData:
    def test_corpora_are_scored_in_shards(self, tmp_path: Path, data_dir: Path) -> None:
        """Real documents of six corpora, which share no column but text, as JSONL shards; against one score()."""
        texts = {}
        for name in ("brown", "wikitext2_valid_test", "tinyshakespeare"):
            texts[name] = (
                pq.read_table(data_dir / "corpora" / f"{name}.parquet").column("text").to_pylist()[:120]
            )
            write_shard(tmp_path / "in" / f"{name}.jsonl.gz", [{"text": text} for text in texts[name]])
        table = run(tmp_path / "in", tmp_path / "out", scorers="entropy", id=None, piece_rows=50)
        flat = [text for name in sorted(texts) for text in texts[name]]
        ids = [f"{name}.jsonl.gz:{row}" for name in sorted(texts) for row in range(len(texts[name]))]
        expected = score(Examples.from_arrays(flat, ids=ids), "entropy", trained())
        assert table.ids.tolist() == ids
        np.testing.assert_allclose(table.column("entropy"), expected.column("entropy"), rtol=1e-5, atol=1e-7)
        assert table.column("bytes").tolist() == [len(text.encode()) for text in flat]

    def test_labelled_news(self, tmp_path: Path, data_dir: Path) -> None:
        table = pq.read_table(data_dir / "ag_news" / "ag_news_10k.parquet").slice(0, 2000)
        for number in range(4):
            part = table.slice(number * 500, 500)
            (tmp_path / "in").mkdir(exist_ok=True)
            pq.write_table(part, tmp_path / "in" / f"{number}.parquet", row_group_size=128)
        examples = Examples.load(table, text="text", label="label")
        train(examples.take(np.arange(500)), "linear", out=tmp_path / "run", epochs=2, evaluate=False)
        found = run(tmp_path / "in", tmp_path / "out", source=tmp_path / "run", scorers="el2n,entropy", id=None,
                    piece_rows=200)  # fmt: skip
        expected = score(examples, "el2n,entropy", tmp_path / "run", signals="checkpoints")
        for name in ("el2n", "entropy"):
            np.testing.assert_allclose(found.column(name), expected.column(name), rtol=1e-5, atol=1e-6)
        assert found.info["label_names"] == list(examples.label_names)
