"""The contract battery for every entry of the catalogue that reads more than logits: gradients, representations, other
runs. All from real runs of a small network; what an entry must be given follows from its ``needs``.

Values of the same example from differently cut batches agree to 1e-5: forward and backward passes are float32, and
their matrix products round by their shape.
"""

import functools
import random
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from references.run_world import ROWS, World, request, world

from scoring.catalog import SCORERS, make_scorer
from scoring.checkpoints import RunDirectory
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.needs import OF_CHECKPOINTS, OF_DOCUMENTS, Representations, kind_of, provided
from scoring.plan import HINTS
from scoring.run import score
from scoring.scorer import CollectiveScorer, TrajectoryScorer
from scoring.sources.checkpoint_sweep import CheckpointSweep
from scoring.table import ScoreTable

OF_LOGITS = provided(frozenset({"logits", "labels"}))
OF_RUNS = [name for name in sorted(SCORERS) if not make_scorer(name).needs & OF_DOCUMENTS]
NAMES = [name for name in OF_RUNS if not make_scorer(name).needs <= OF_LOGITS]
ENTRIES = list({make_scorer(name): name for name in reversed(NAMES)}.values())[::-1]
"""One name per scorer: an alias makes an equal object."""
KINDS = OF_CHECKPOINTS
COLLECTIVE = [name for name in ENTRIES if isinstance(make_scorer(name), CollectiveScorer)]
EVERY = pytest.mark.parametrize("name", ENTRIES)
CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-7}

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*:UserWarning"
)  # the caveats of scorers, tested with each of them


def needs(name: str) -> frozenset[str]:
    return make_scorer(name).needs


def of_labels(name: str) -> bool:
    """Whether it reads the labels, itself or in what it asks for."""
    return bool(needs(name) - {"trained", "logits", "predictions", "entropies", Representations.kind})


def scored(name: str, where: World | None = None, **options: Any) -> ScoreTable:
    """One entry, given what it needs, from the two runs."""
    here = where or world()
    source = options.pop("source", here.runs)
    examples = options.pop("examples", here.examples)
    return score(examples, [request(name)], source, **{**here.options(needs(name)), **options})


@functools.cache
def together(how: str = "") -> ScoreTable:
    """All entries in one call, in one of several ways that must not matter."""
    here, options = world(), dict(WAYS[how])
    examples = here.examples.take(options.pop("rows", np.arange(ROWS)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return score(examples, [request(name) for name in ENTRIES], here.runs, **here.all_options, **options)


ORDER = np.random.default_rng(5).permutation(ROWS)
WAYS: dict[str, dict[str, Any]] = {
    "": {},
    "rows": {"rows": ORDER},
    "batch of 1": {"batch_size": 1},
    "batch of 7": {"batch_size": 7},
    "blocks": {"block_rows": 13},
    "data": {"order": "data"},
}


def columns_of(table: ScoreTable, name: str) -> list[str]:
    """The score and everything beside it."""
    own = request(name)
    others = [request(entry) for entry in ENTRIES if request(entry).startswith(own) and entry != name]
    return [
        column
        for column in table.names
        if (column == own or column.startswith(f"{own}.")) and not any(column.startswith(o) for o in others)
    ]


def assert_same(
    found: ScoreTable, expected: ScoreTable, name: str, order: np.ndarray | None = None, **close: Any
) -> None:
    names = columns_of(expected, name)
    assert names and set(names) <= set(found.names)
    for column in names:
        values = expected.column(column) if order is None else expected.column(column)[order]
        np.testing.assert_allclose(found.column(column), values, **(close or CLOSE), err_msg=column)


def states() -> tuple[Any, ...]:
    """Global random state of torch, numpy and Python."""
    numpy_state = np.random.get_state()  # noqa: NPY002
    return torch.get_rng_state().tolist(), numpy_state[1].tolist(), numpy_state[2:], random.getstate()  # type: ignore[union-attr, index]


@EVERY
class TestValues:
    def test_float64_and_finite(self, name: str) -> None:
        """In this world every run has what a score needs, so nothing is missing."""
        table = together()
        for column in columns_of(table, name):
            kind = np.int32 if column.endswith(".runs") else np.float64
            assert table.to_arrow().column(column).to_numpy().dtype == kind, column
        assert np.isfinite(table.column(request(name))).all()
        assert (table.column(f"{request(name)}.runs") == 2).all()
        assert len(np.unique(table.column(request(name)))) > 1

    def test_company_of_other_scorers(self, name: str) -> None:
        assert_same(scored(name), together(), name, rtol=1e-12, atol=0)

    def test_order_of_rows(self, name: str) -> None:
        assert_same(together("rows"), together(), name, ORDER)

    @pytest.mark.parametrize("how", ["batch of 1", "batch of 7", "blocks", "data"])
    def test_batches_blocks_and_loop_order(self, name: str, how: str) -> None:
        assert_same(together(how), together(), name)

    def test_twice_the_same_and_random_state_untouched(self, name: str) -> None:
        before = states()
        table = scored(name)
        assert states() == before
        torch.manual_seed(7)
        np.random.seed(7)  # noqa: NPY002
        random.seed(7)
        again = scored(name)
        for column in columns_of(table, name):
            np.testing.assert_array_equal(again.column(column), table.column(column))

    def test_per_run_columns_combine(self, name: str) -> None:
        table, scorer = scored(name, per_run=True), make_scorer(name)
        own = request(name)
        values = torch.from_numpy(np.stack([table.column(f"{own}.run{run}") for run in (0, 1)]))
        if type(scorer).combine in (TrajectoryScorer.combine, CollectiveScorer.combine):
            combined = scorer.over_runs(values, torch.ones_like(values, dtype=torch.bool))
            np.testing.assert_array_equal(table.column(own), combined.numpy())
        assert np.isfinite(values.numpy()).all() or "trained" in needs(name)  # then some runs have no say

    def test_networks_are_left_as_they_were(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also a network in training mode: its mode, what is trainable, weights, statistics and hooks."""
        kept: list[tuple[torch.nn.Module, dict[str, Any]]] = []
        load = RunDirectory.load

        def remembering(self: RunDirectory, *arguments: Any, **options: Any) -> Any:
            model = load(self, *arguments, **options)
            model.module.train()
            kept.append((model.module, picture(model.module)))
            return model

        monkeypatch.setattr(RunDirectory, "load", remembering)
        assert_same(scored(name), together(), name)
        assert kept
        for module, before in kept:
            assert picture(module) == before


def picture(module: torch.nn.Module) -> dict[str, Any]:
    """All that a score might have changed."""
    return {
        "modes": [part.training for part in module.modules()],
        "trainable": {name: p.requires_grad for name, p in module.named_parameters()},
        "gradients": {name: p.grad for name, p in module.named_parameters()},
        "values": {name: value.numpy().tobytes() for name, value in module.state_dict().items()},
        "hooks": [
            len(part._forward_hooks) + len(part._forward_pre_hooks) + len(part._backward_hooks)
            for part in module.modules()
        ],
    }


@EVERY
class TestEdges:
    def test_one_row(self, name: str) -> None:
        """A single example has a value, or NaN where a score compares it with others."""
        table = scored(name, examples=world().examples.take([4]))
        value = table.column(request(name))[0]
        if isinstance(make_scorer(name), CollectiveScorer):
            assert np.isnan(value) or np.isfinite(value)
        else:
            assert value == pytest.approx(together().column(request(name))[4], rel=1e-5, abs=1e-7)

    def test_a_class_without_examples(self, name: str) -> None:
        rows = np.flatnonzero(world().examples.labels != 1)
        table = scored(name, examples=world().examples.take(rows))
        assert np.isfinite(table.column(request(name))).all()
        if name not in COLLECTIVE:
            assert_same(table, together(), name, rows)

    def test_cross_fitted_runs(self, name: str) -> None:
        """Examples are scored by the fold that left them out; what compares them needs one model."""
        options = {"source": world().folds}
        if name in COLLECTIVE:
            with pytest.raises(
                InputError, match=r"needs one model for all examples, .* is cross-fitted; .*\.$"
            ):
                scored(name, **options)
        elif make_scorer(name).caveat:  # there is no checkpoint of the start
            with pytest.raises(InputError, match=r"^score: .* untrained .*\.$"):
                scored(name, **options)
        elif name == "memorization":  # nobody trained on what it scores
            with pytest.warns(UserWarning, match=r"memorization: every value is NaN, .*`tamis retrain`"):
                assert np.isnan(scored(name, **options).column(request(name))).all()
        else:
            assert np.isfinite(scored(name, **options).column(request(name))).all()

    def test_out_of_fold_is_out_of_fold(self, name: str) -> None:
        """A fold's rows have the values that its own run gives to them alone."""
        if name in COLLECTIVE or make_scorer(name).caveat or "trained" in needs(name):
            pytest.skip("compares examples, reads the start, or is about who trained on what")
        values = scored(name, source=world().folds).column(request(name))
        for fold in sorted(world().folds.glob("seed-0/fold-*")):
            own, role = RunDirectory.open(fold).held_out() or ([], "")
            assert role == "fold"
            rows = world().examples.rows_of(list(own))
            alone = scored(name, source=as_plain_run(fold), examples=world().examples.take(rows))
            np.testing.assert_allclose(alone.column(request(name)), values[rows], **CLOSE)


@functools.cache
def as_plain_run(fold: Path) -> Path:
    """A copy of a fold that does not say it is one."""
    import json
    import shutil

    copy = fold.parents[2] / f"plain-{fold.name}"
    shutil.copytree(fold, copy)
    (copy / "held_out.parquet").unlink()
    config = json.loads((copy / "run.json").read_text())
    del config["fold"]
    (copy / "run.json").write_text(json.dumps(config))
    return copy


@EVERY
class TestWhatIsMissing:
    def test_other_data_and_runs(self, name: str) -> None:
        for kind, option in (
            ("target", "target"),
            ("reference_losses", "reference"),
            ("null_losses", "null"),
        ):
            if kind not in needs(name):
                continue
            given = {key: value for key, value in world().options(needs(name)).items() if key != option}
            sentence = (
                rf"^score: scorer '{re.escape(request(name))}' needs .*{kind}.* without .*; {HINTS[kind]}\.$"
            )
            with pytest.raises(InputError, match=sentence):
                score(world().examples, [request(name)], world().runs, **given)

    def test_recordings_hold_no_gradients(self, name: str) -> None:
        if not needs(name) & KINDS:
            pytest.skip("needs no checkpoints")
        hint = HINTS["gradient_norms"]
        for source, what in ((world().recorded, "clean signals without"), (world().runs, "no clean signals")):
            sentence = rf"^score: scorer '{re.escape(request(name))}' needs .* has {what} .*; {hint}\.$"
            with pytest.raises(InputError, match=sentence):
                scored(name, source=source, signals="recorded")

    def test_recordings_are_enough_where_they_are(self, name: str) -> None:
        if needs(name) & KINDS:
            pytest.skip("needs checkpoints")
        recorded = scored(name, source=world().recorded, signals="recorded")
        swept = scored(name, source=world().recorded, signals="checkpoints")
        np.testing.assert_allclose(
            recorded.column(request(name)), swept.column(request(name)), rtol=1e-4, atol=1e-6
        )

    def test_labels(self, name: str) -> None:
        if of_labels(name):
            with pytest.raises(InputError, match=r"^score: scorer .* needs .* without .*labels[^.]*\.$"):
                score(unlabelled(), [request(name)], world().runs)
        else:
            assert_same(scored(name, examples=unlabelled()), together(), name)


@functools.cache
def unlabelled() -> Examples:
    examples = world().examples
    columns = {"id": examples.ids, "features": examples.features(np.arange(ROWS))}
    return Examples.load(columns, id="id", features="features", label=False)


class Killed(Exception):
    pass


class Counter:
    """Batches that go through a network; the job is killed after ``most``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.most, self.batches = 10**9, 0
        batches = CheckpointSweep._batches

        def counting(sweep: CheckpointSweep, *arguments: Any) -> Iterator[Any]:
            for batch in batches(sweep, *arguments):
                self.batches += 1
                if self.batches > self.most:
                    raise Killed
                yield batch

        monkeypatch.setattr(CheckpointSweep, "_batches", counting)


@EVERY
class TestInterruption:
    def test_resumes_to_the_same_bytes(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Killed at the first, a middle and the last batch; what was finished is not computed again."""
        monkeypatch.setattr("scoring.collected.ROWS_PER_PIECE", 16)
        counter = Counter(monkeypatch)
        options = {"batch_size": 8, "block_rows": 16}
        scored(name, out=tmp_path / "whole.parquet", **options)
        total = counter.batches
        for most in (1, total // 2, total - 1):
            out = tmp_path / "cut.parquet"
            counter.batches, counter.most = 0, most
            with pytest.raises(Killed):
                scored(name, out=out, **options)
            counter.batches, counter.most = 0, 10**9
            scored(name, out=out, **options)
            assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
            if most == total - 1 and total > 12:
                assert counter.batches < total / 2 + 1
            out.unlink()
            assert [path.name for path in tmp_path.iterdir()] == ["whole.parquet"]


@pytest.mark.parametrize("name", COLLECTIVE)
class TestCache:
    def test_is_reused(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        counter = Counter(monkeypatch)
        first = scored(name, cache=tmp_path)
        assert counter.batches > 0
        counter.batches = 0
        again = scored(name, cache=tmp_path)
        assert counter.batches == 0
        for column in columns_of(first, name):
            np.testing.assert_array_equal(again.column(column), first.column(column))
        assert_same(first, together(), name, rtol=1e-12, atol=0)

    @pytest.mark.parametrize("what", ["weights", "examples", "labels", "options", "target"])
    def test_is_not_reused_for_something_else(
        self, name: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        here = world()
        options: dict[str, Any] = {}
        wanted = request(name)
        if what == "weights":
            options["source"] = here.one
        elif what == "examples":
            options["examples"] = here.examples.take(np.arange(ROWS - 5))
        elif what == "labels":
            options["examples"] = here.examples.with_labels((here.examples.labels + 1) % 3)
        elif what == "target":
            if "target" not in needs(name):
                pytest.skip("has no target")
            options["target"] = here.target.take(np.arange(6))
        elif "dim" not in wanted:
            pytest.skip("has no options of what it reads")
        else:
            wanted = wanted.replace("dim=16", "dim=16,seed=3")
        scored(name, cache=tmp_path)
        counter = Counter(monkeypatch)
        given = {"examples": here.examples, "source": here.runs, **here.options(needs(name)), **options}
        cached = score(given.pop("examples"), [wanted], given.pop("source"), cache=tmp_path, **given)
        assert counter.batches > 0
        given = {"examples": here.examples, "source": here.runs, **here.options(needs(name)), **options}
        fresh = score(given.pop("examples"), [wanted], given.pop("source"), **given)
        np.testing.assert_array_equal(cached.column(wanted), fresh.column(wanted))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "model"), [("text", "linear"), ("text", "mlp"), ("image", "cnn")])
@EVERY
class TestOtherKindsOfExamples:
    def test_finite_whatever_the_batches_and_the_order(self, name: str, kind: str, model: str) -> None:
        here = world(kind, model)
        if needs(name) & {Representations.kind} and model == "linear":
            with pytest.raises(
                InputError, match=r"^representations: model 'linear' has no torch.nn.Linear .*\.$"
            ):
                scored(name, here)
            return
        table = scored(name, here)
        assert np.isfinite(table.column(request(name))).all()
        moved = scored(name, here, examples=here.examples.take(ORDER), batch_size=7)
        assert_same(moved, table, name, ORDER, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in ENTRIES if make_scorer(name).caveat])
def test_caveats_are_told(name: str) -> None:
    with pytest.warns(UserWarning, match=re.escape(f"{request(name)}: {make_scorer(name).caveat}.")):
        scored(name)


def test_a_source_that_cuts_its_batches_differently_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """State as large as the inputs is kept batch by batch."""
    read = CheckpointSweep.read

    def uneven(self: CheckpointSweep, sweep: Any, *arguments: Any) -> Iterator[Any]:
        self.batch_size = 5 + sweep.step
        yield from read(self, sweep, *arguments)

    monkeypatch.setattr(CheckpointSweep, "read", uneven)
    with pytest.raises(AssertionError, match="must cut its batches alike"):
        scored("vog")
    assert_same(scored("tracin"), together(), "tracin")


def test_aliases_are_the_same_scorer() -> None:
    assert {"grand:paul2021", "vog:agarwal2022"} <= set(NAMES) - set(ENTRIES)
    assert {make_scorer(name) for name in NAMES} == {make_scorer(name) for name in ENTRIES}


def test_every_kind_of_need_is_in_the_battery() -> None:
    """What this file is generic in: a new kind must be given by the world of runs."""
    assert {kind for name in ENTRIES for kind in needs(name)} >= KINDS | (set(HINTS) - OF_DOCUMENTS)
    assert {kind_of(need) for name in ENTRIES for need in make_scorer(name).reads} >= OF_CHECKPOINTS
