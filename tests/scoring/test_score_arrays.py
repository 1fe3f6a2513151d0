"""score() on arrays that the user already has, through the public API."""

import numpy as np
import pytest
import torch
from references.scored_arrays import arrays, columns_equal

from scoring import ArraySource, Examples, InputError, ScoreTable, score
from scoring.sources.arrays import load_array

NAMES = "el2n,loss,aum,forgetting,entropy,margin,self_confidence(adjust=true)"


@pytest.fixture
def data():
    return arrays(runs=2, steps=3, rows=20)


def softmax(logits):
    return torch.softmax(torch.as_tensor(logits), dim=-1).numpy()


class TestShapes:
    def test_one_matrix(self, data):
        logits, labels = data
        table = score(None, NAMES, ArraySource(labels, logits=logits[0, 0]))
        assert len(table) == 20 and table.ids.tolist() == list(range(20))
        assert table.scores == NAMES.split(",")
        assert not [name for name in table.names if name.endswith((".se", ".runs"))]
        assert table.column("label").tolist() == labels.tolist()

    def test_axes_of_length_one_change_nothing(self, data):
        logits, labels = data
        plain = score(None, NAMES, ArraySource(labels, logits=logits[0, 0]))
        for more in (logits[0, :1], logits[:1, :1]):
            assert columns_equal(plain, score(None, NAMES, ArraySource(labels, logits=more)))

    def test_time_and_runs(self, data):
        logits, labels = data
        table = score(None, NAMES, ArraySource(labels, logits=logits), per_run=True)
        for run in range(2):
            alone = score(None, NAMES, ArraySource(labels, logits=logits[run]))
            for name in NAMES.split(","):
                np.testing.assert_array_equal(table.column(f"{name}.run{run}"), alone.column(name))
        assert (table.column("el2n.runs") == 2).all() and np.isfinite(table.column("el2n.se")).all()
        assert table.info["runs"] == ["run0", "run1"]

    def test_last_and_first_checkpoint(self, data):
        logits, labels = data
        table = score(None, "loss,loss@first,loss@epoch=2,loss@step=2", ArraySource(labels, logits=logits[0]))
        for name, t in (("loss", 2), ("loss@first", 0), ("loss@epoch=2", 1), ("loss@step=2", 1)):
            alone = score(None, "loss", ArraySource(labels, logits=logits[0, t]))
            np.testing.assert_array_equal(table.column(name), alone.column("loss"))

    @pytest.mark.parametrize("kind", [np.float16, np.float32, np.int32, list, torch.as_tensor])
    def test_kinds_of_numbers(self, data, kind):
        logits, labels = np.round(data[0][0, 0]), data[1]
        given = logits.tolist() if kind is list else kind(logits) if kind is torch.as_tensor else None
        source = ArraySource(
            labels.astype(np.float64), logits=logits.astype(kind) if given is None else given
        )
        assert columns_equal(
            score(None, NAMES, source), score(None, NAMES, ArraySource(labels, logits=logits))
        )


class TestProbabilities:
    def test_give_the_scores_of_their_logits(self, data):
        logits, labels = data
        names = [*NAMES.split(","), "margin:logit", "confidence_weighted_entropy"]
        ours = score(None, names, ArraySource(labels, probs=softmax(logits)))
        theirs = score(None, names, ArraySource(labels, logits=logits))
        for name in names:
            np.testing.assert_allclose(ours.column(name), theirs.column(name), rtol=1e-8, atol=1e-12)

    def test_rounded_ones_are_renormalised(self):
        probs = np.array([[0.3333, 0.3333, 0.3333], [1.0005, -0.0005, 0.0]])
        table = score(None, "confidence,entropy,loss", ArraySource([0, 1], probs=probs))
        np.testing.assert_allclose(table.column("confidence"), [1 / 3, 0], atol=1e-12)
        assert table.column("entropy")[0] == pytest.approx(np.log(3))
        assert table.column("loss")[1] == pytest.approx(744.44, abs=0.01)

    def test_zero_and_one(self):
        probs = np.array([[1.0, 0.0, 0.0]] * 2)
        names = ["loss", "el2n", "margin", "aum", "entropy", "confidence"]
        table = score(None, names, ArraySource([0, 1], probs=probs))
        assert all(np.isfinite(table.column(name)).all() for name in names)
        np.testing.assert_allclose(table.column("el2n"), [0, np.sqrt(2)], atol=1e-300)
        np.testing.assert_allclose(table.column("confidence"), [1, 0], atol=1e-300)

    @pytest.mark.parametrize(
        ("row", "sentence"),
        [
            ([0.5, 0.6], r"got 'row 1 \(probs\[0,0\]\): min 0\.5, max 0\.6, sum 1\.1'"),
            ([-0.5, 1.5], r"min -0\.5, max 1\.5, sum 1"),
            ([3.0, -1.0], r"min -1, max 3, sum 2"),
            ([np.inf, 0.0], r"min 0, max inf, sum inf"),
        ],
    )
    def test_others_are_refused(self, row, sentence):
        with pytest.raises(
            InputError, match=r"probs must be probabilities in \[0, 1\] that sum to 1, "
        ) as error:
            score(None, "loss", ArraySource([0, 0], probs=[[0.5, 0.5], row]))
        assert error.match(sentence)

    def test_nan_is_a_missing_prediction(self):
        table = score(None, "loss,forgetting", ArraySource([0, 0], probs=[[[np.nan, 1.0], [0.5, 0.5]]] * 2))
        assert np.isnan(table.column("loss")).tolist() == [True, False]
        assert np.isnan(table.column("forgetting")).tolist() == [True, False]


class TestBadInputs:
    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ({}, r"^score: give either logits or probs, exactly one of the two\.$"),
            ({"logits": np.ones((2, 2)), "probs": np.ones((2, 2))}, "exactly one of the two"),
            (
                {"logits": np.ones(3)},
                r"logits must be numbers of shape \(N,C\), .*got 'float64 of shape \(3,\)'",
            ),
            ({"logits": np.ones((1,) * 5)}, r"logits must be numbers of shape"),
            ({"probs": [["a", "b"]]}, r"probs must be numbers of shape .*got '<U1 of shape"),
            ({"logits": np.ones((2, 2), dtype=complex)}, r"got 'complex128 of shape"),
            ({"logits": np.array([[1, None]], dtype=object)}, r"got 'object of shape \(1, 2\)'"),
            (
                {"logits": [[1, 2], [3]]},
                r"logits must be a rectangular array, got 'rows of different lengths'",
            ),
            ({"logits": np.ones((0, 3))}, r"logits must be at least one row and two classes, got \(0, 3\)"),
            ({"logits": np.ones((3, 1))}, "at least one row and two classes"),
            ({"logits": np.ones((0, 3, 2))}, "at least one row and two classes"),
            ({"logits": np.ones((2, 2)), "view": "cleen"}, r"view must be one of .*Did you mean 'clean'\?"),
        ],
    )
    def test_outputs(self, arguments, sentence):
        with pytest.raises(InputError, match=sentence):
            ArraySource(None, **arguments)

    @pytest.mark.parametrize(
        ("labels", "sentence"),
        [
            ([0, 1, 3, 9], r"labels must be class indices from 0 to 2, got '3 in row 2'\."),
            ([0, -1, 0, 0], r"got '-1 in row 1'"),
            ([0, 1, 2], r"labels must be class indices of shape \(4,\), got 'int64 of shape \(3,\)'"),
            ([[0], [1], [2], [0]], r"got 'int64 of shape \(4, 1\)'"),
            ([0, 1, 1.5, 2], "got 'float64 of shape"),
            ([0, 1, np.nan, 2], "got 'float64 of shape"),
            ([0, 1, np.inf, 2], "got 'float64 of shape"),
            (["a", "b", "a", "b"], "got '<U1 of shape"),
            ([True, False, True, False], "got 'bool of shape"),
            (np.array([0, 1, 2, 0], dtype=object), "got 'object of shape"),
        ],
    )
    def test_labels(self, labels, sentence):
        with pytest.raises(InputError, match=sentence):
            ArraySource(labels, logits=np.ones((4, 3)))

    @pytest.mark.parametrize(
        ("ids", "sentence"),
        [
            ([1, 2], r"ids must be one id per row, shape \(3,\), got 'shape \(2,\)'"),
            ([0.5, 1.5, 2.5], r"ids must be integers or strings, got 'float64 values'"),
            (np.array(["a", 1, None], dtype=object), r"ids must be integers or strings, got 'object values'"),
            ([7, 7, 8], r"ids must be unique, got 1 more than once: 7"),
            (["x", "y", "x"], r"ids must be unique, got 1 more than once: 'x'"),
        ],
    )
    def test_ids(self, ids, sentence):
        with pytest.raises(InputError, match=sentence):
            ArraySource([0, 1, 0], logits=np.ones((3, 2)), ids=ids)  # before any work is done

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"order": "rows"}, r"order must be one of checkpoints, data, got 'rows'"),
            ({"view": "train"}, r"view must be one of clean, presentation, got 'train'"),
            ({"block_rows": 0}, r"block_rows must be at least 1, got 0"),
            ({"per_runs": True}, r"got 'per_runs'\. Did you mean 'per_run'\?"),
            ({"view": "presentation"}, r"'loss' needs losses, but run0 has no presentation signals"),
        ],
    )
    def test_options(self, options, sentence):
        with pytest.raises(InputError, match=sentence):
            score(None, "loss", ArraySource([0, 1], logits=np.eye(2)), **options)

    def test_a_path_needs_examples(self, tmp_path):
        with pytest.raises(InputError, match="examples are needed to score from runs"):
            score(None, "loss", tmp_path)


class TestFiles:
    def test_npy_files_are_memory_mapped(self, data, tmp_path):
        logits, labels = data
        ids = np.array([f"id-{i:02}" for i in range(20)])
        for name, array in (("logits", logits), ("labels", labels), ("ids", ids)):
            np.save(tmp_path / f"{name}.npy", array)
        source = ArraySource(
            tmp_path / "labels.npy", logits=str(tmp_path / "logits.npy"), ids=tmp_path / "ids.npy"
        )
        assert isinstance(source.values_RTNC, np.memmap)
        expected = score(None, NAMES, ArraySource(labels, logits=logits, ids=ids))
        table = score(None, NAMES, source)
        assert columns_equal(table, expected) and table.ids.tolist() == ids.tolist()

    def test_other_files(self, tmp_path):
        np.savez(tmp_path / "several.npz", np.ones(2))
        np.save(tmp_path / "objects.npy", np.array([{}, "a"], dtype=object), allow_pickle=True)
        (tmp_path / "text.npy").write_text("1,2,3")
        (tmp_path / "empty.npy").touch()
        for name in ("several.npz", "objects.npy", "text.npy", "empty.npy"):
            with pytest.raises(
                InputError, match=r"logits file '.*' must be a plain \.npy array .* is not\.$"
            ):
                load_array(tmp_path / name, "logits")
        for name in ("none.npy", "."):
            with pytest.raises(FileNotFoundError, match=r"^score: labels file '.*' does not exist\.$"):
                load_array(tmp_path / name, "labels")

    def test_pickles_are_not_executed(self, tmp_path):
        class Trap:
            def __reduce__(self):
                return (tmp_path.joinpath("sprung").touch, ())

        np.save(tmp_path / "trap.npy", np.array([Trap()], dtype=object), allow_pickle=True)
        (tmp_path / "sprung").unlink(missing_ok=True)
        with pytest.raises(InputError, match="must be a plain"):
            ArraySource(None, logits=tmp_path / "trap.npy")
        assert not (tmp_path / "sprung").exists()


class TestIdentity:
    def test_ids_name_the_rows(self, data):
        logits, labels = data
        order = np.random.default_rng(0).permutation(20)
        straight = score(None, NAMES, ArraySource(labels, logits=logits))
        mixed = score(None, NAMES, ArraySource(labels[order], logits=logits[:, :, order], ids=order))
        assert mixed.fingerprint == straight.fingerprint
        for name in NAMES.split(","):
            np.testing.assert_allclose(mixed.column(name), straight.column(name)[order], rtol=1e-12)

    @pytest.fixture
    def examples(self, data):
        features = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
        ids = np.array([f"e{i}" for i in range(20)])
        return Examples.load({"features": features, "label": data[1], "id": ids})

    def test_examples_give_ids_and_labels(self, data, examples):
        logits, labels = data
        table = score(examples, NAMES, ArraySource(logits=logits))
        assert table.ids.tolist() == examples.ids.tolist()
        assert table.fingerprint == examples.fingerprint
        assert table.column("label").tolist() == labels.tolist()
        assert columns_equal(table, score(None, NAMES, ArraySource(labels, logits=logits)))
        same = ArraySource(labels, logits=logits, ids=examples.ids)
        assert columns_equal(table, score(examples, NAMES, same))

    def test_what_does_not_belong_to_the_examples_is_refused(self, data, examples):
        logits, labels = data
        with pytest.raises(InputError, match=r"logits must be one row per example \(20\), got '19 rows'"):
            score(examples, "loss", ArraySource(logits=logits[:, :, 1:]))
        with pytest.raises(
            InputError, match=r"ids must be those of the examples, in their order, or be left out"
        ):
            score(examples, "loss", ArraySource(logits=logits, ids=examples.ids[::-1]))
        others = labels.copy()
        others[4] = (others[4] + 1) % 3
        sentence = r"labels must be those of the examples .*got 1 others, the first in row 4; .*with_labels"
        with pytest.raises(InputError, match=sentence):
            score(examples, "loss", ArraySource(others, logits=logits))
        table = score(examples.with_labels(others), "loss", ArraySource(others, logits=logits))
        assert table.column("label").tolist() == others.tolist()
        with pytest.raises(InputError, match=r"labels must be class indices from 0 to 1, got '2 in row"):
            score(examples, "loss", ArraySource(logits=logits[..., :2]))

    def test_without_labels(self, data):
        logits, _ = data
        table = score(None, "entropy,random", ArraySource(logits=logits))
        assert "label" not in table.names


class Killed(Exception):
    """The process ends here."""


class TestOutput:
    def test_file_is_the_table(self, data, tmp_path):
        logits, labels = data
        out = tmp_path / "s.parquet"
        table = score(None, NAMES, ArraySource(labels, logits=logits), out=out)
        read = ScoreTable.read(out)
        assert columns_equal(read, table) and read.columns == table.columns and read.info == table.info
        assert [path.name for path in tmp_path.iterdir()] == ["s.parquet"]
        checkpoint = table.columns["loss"]["checkpoints"][0]
        assert checkpoint["run"] == "run0" and checkpoint["where"] == "logits[0,2]"
        assert table.columns["loss"]["steps"] == "last" and table.meaning("loss") == "hard"

    def test_the_same_call_does_nothing_again(self, data, tmp_path, monkeypatch):
        logits, labels = data
        out = tmp_path / "s.parquet"
        first = score(None, "loss", ArraySource(labels, logits=logits), out=out)
        monkeypatch.setattr(ArraySource, "read", lambda *_: pytest.fail("read again"))
        again = score(None, "loss", ArraySource(labels, logits=logits), out=out)
        assert columns_equal(first, again)

    def test_another_call_is_refused(self, data, tmp_path):
        """Also where only the labels, the order of the rows or the view is another."""
        logits, labels = data
        out = tmp_path / "s.parquet"
        score(None, "loss", ArraySource(labels, logits=logits), out=out)
        changed = logits.copy()
        changed[1, 2, 3, 0] += 1e-6
        for names, source in (
            ("loss,el2n", ArraySource(labels, logits=logits)),
            ("loss@mean", ArraySource(labels, logits=logits)),
            ("loss", ArraySource((labels + 1) % 3, logits=logits)),
            ("loss", ArraySource(labels, logits=changed)),
            ("loss", ArraySource(labels, logits=logits, ids=np.arange(20)[::-1])),
            ("loss", ArraySource(labels, logits=logits, ids=np.arange(1, 21))),
            ("loss", ArraySource(labels, logits=logits, view="presentation")),
            ("loss", ArraySource(labels, logits=logits[:1])),
        ):
            with pytest.raises(InputError, match=r"out '.*s\.parquet' holds another score table"):
                score(None, names, source, out=out)
        other = score(None, "el2n", ArraySource(labels, logits=logits), out=out, overwrite=True)
        assert columns_equal(ScoreTable.read(out), other)

    def test_an_interrupted_call_goes_on_where_it_was(self, data, tmp_path, monkeypatch):
        logits, labels = data
        out, settings = tmp_path / "s.parquet", {"block_rows": 6, "per_run": True}
        expected = score(None, NAMES, ArraySource(labels, logits=logits), **settings)
        read, left = ArraySource.read, [23]

        def dying(self, sweep, needs, rows):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return read(self, sweep, needs, rows)

        monkeypatch.setattr(ArraySource, "read", dying)
        with pytest.raises(Killed):
            score(None, NAMES, ArraySource(labels, logits=logits), out=out, **settings)
        assert not out.exists() and list(tmp_path.glob("s.parquet.parts/block-*"))
        with pytest.raises(InputError, match="holds the unfinished work of a different call"):
            score(None, "loss", ArraySource(labels, logits=logits), out=out, **settings)
        with pytest.raises(InputError, match="holds the unfinished work of a different call"):
            score(None, NAMES, ArraySource((labels + 1) % 3, logits=logits), out=out, **settings)
        left[0] = 23  # 8 pieces of 3 passes and 2 first looks are 26 reads: not enough to begin again
        table = score(None, NAMES, ArraySource(labels, logits=logits), out=out, **settings)
        assert columns_equal(table, expected)
        assert [path.name for path in tmp_path.iterdir()] == ["s.parquet"]


def test_many_rows_in_several_batches_and_blocks():
    """More rows than a batch holds, and blocks that cut across batches."""
    logits, labels = arrays(steps=2, rows=20_000)
    whole = score(None, NAMES, ArraySource(labels, logits=logits))
    cut = score(None, NAMES, ArraySource(labels, logits=logits), block_rows=9_999, order="data")
    for name in whole.names:
        np.testing.assert_allclose(cut.column(name), whole.column(name), rtol=1e-12, atol=1e-15)
