"""score() from run directories: sweeps, recordings, several runs, held-out examples, class orders, loop orders."""

import random
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from references.small_runs import DIGITS, train_small

from scoring.checkpoints import RunDirectory
from scoring.dynamics import Dynamics, Recorded
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.inference import forward_logits
from scoring.run import score
from scoring.sources.runs import RunSource
from scoring.table import ScoreTable
from selection.subset import Subset
from training.recorder import Recorder
from training.run import train

POINTWISE = "el2n,loss,entropy,margin,el2n@mean,loss@epoch=1"
CLEAN = f"{POINTWISE},forgetting,correctness,variability"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seeds with checkpoints, presentations and clean passes at every epoch."""
    out = tmp_path_factory.mktemp("runs") / "mlp"
    train_small(out, seeds=[0, 1, 2], record=True)
    return out


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that recorded nothing."""
    out = tmp_path_factory.mktemp("plain")
    train_small(out)
    return out


def close(one: ScoreTable, two: ScoreTable, tolerance: float = 1e-6) -> None:
    assert one.names == two.names
    assert one.ids.tolist() == two.ids.tolist()
    for name in one.names:
        np.testing.assert_allclose(
            one.column(name), two.column(name), atol=tolerance, rtol=tolerance, err_msg=name
        )


def by_hand(run: RunDirectory, checkpoint: int, examples: Examples = DIGITS) -> np.ndarray:
    """Logits of a checkpoint, one forward pass over everything."""
    model = run.load(run.checkpoints()[checkpoint], examples)
    prepared = model.inputs.prepare(examples)
    ((_, logits),) = forward_logits(model, prepared, [np.arange(len(examples))], torch.device("cpu"))
    return logits.double().numpy()


def softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def test_a_sweep_over_checkpoints_is_the_definition(plain: Path) -> None:
    table = score(DIGITS, "el2n,el2n@mean,loss@epoch=2,forgetting", plain)
    run = RunDirectory.open(plain / "seed-0")
    gold = np.eye(10)[DIGITS.labels]
    probs = [softmax(by_hand(run, checkpoint)) for checkpoint in range(3)]
    el2n = np.array([np.linalg.norm(p - gold, axis=1) for p in probs])
    right = np.array([p.argmax(axis=1) == DIGITS.labels for p in probs])
    # EL2N is read early in training: the checkpoint nearest to a tenth of it.
    np.testing.assert_allclose(table.column("el2n"), el2n[0], atol=1e-6)
    np.testing.assert_allclose(table.column("el2n@mean"), el2n.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(
        table.column("loss@epoch=2"), -np.log(probs[1][np.arange(200), DIGITS.labels]), atol=1e-5
    )
    events = (right[:-1] & ~right[1:]).sum(axis=0)
    seen = np.where(right.any(axis=0), events, table.column("forgetting"))
    np.testing.assert_array_equal(table.column("forgetting"), seen)
    assert [c["step"] for c in table.columns["el2n@mean"]["checkpoints"]] == [7, 14, 21]
    assert table.columns["forgetting"]["view"] == "clean"


def test_checkpoints_and_recorded_clean_passes_agree(runs: Path) -> None:
    options = {"view": "clean", "per_run": True}
    swept = score(DIGITS, CLEAN, runs, signals="checkpoints", **options)
    recorded = score(DIGITS, CLEAN, runs, signals="recorded", **options)
    close(swept, recorded)
    auto = score(DIGITS, CLEAN, runs, **options)
    for name in auto.names:
        np.testing.assert_array_equal(auto.column(name), recorded.column(name))
    where = [c["where"] for c in auto.columns["el2n@mean"]["checkpoints"][:3]]
    assert where == [f"dynamics/evaluations/step-{step:08}.parquet" for step in (7, 14, 21)]


def test_several_runs_are_mean_standard_error_and_count(runs: Path) -> None:
    table = score(DIGITS, "el2n,loss@mean,aum", runs, per_run=True)
    singles = [score(DIGITS, "el2n,loss@mean,aum", runs / f"seed-{seed}") for seed in range(3)]
    for name in ("el2n", "loss@mean", "aum"):
        values = np.array([single.column(name) for single in singles])
        np.testing.assert_allclose(table.column(name), values.mean(axis=0), rtol=1e-12)
        se = values.std(axis=0, ddof=1) / np.sqrt(3)
        np.testing.assert_allclose(table.column(f"{name}.se"), se, rtol=1e-9, atol=1e-15)
        assert (table.column(f"{name}.runs") == 3).all()
        for seed in range(3):
            np.testing.assert_array_equal(table.column(f"{name}.run{seed}"), values[seed])
        assert f"{name}.se" not in singles[0].names
    assert table.info["runs"] == ["seed-0", "seed-1", "seed-2"]


def test_runs_of_one_name_in_different_folders_stay_apart(runs: Path, plain: Path, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(runs)
    (tmp_path / "b").symlink_to(plain)
    source = RunSource(tmp_path, DIGITS)
    assert source.runs == ["a/seed-0", "a/seed-1", "a/seed-2", "b/seed-0"]
    table = score(DIGITS, "loss", source)
    losses = [
        score(DIGITS, "loss", place).column("loss")
        for place in (*(runs / f"seed-{s}" for s in range(3)), plain)
    ]
    np.testing.assert_allclose(table.column("loss"), np.mean(losses, axis=0), rtol=1e-12)
    assert (table.column("loss.runs") == 4).all()


@pytest.mark.parametrize("signals", ["checkpoints", "recorded"])
def test_both_loop_orders_blocks_and_row_orders_give_the_same(runs: Path, signals: str) -> None:
    reference = score(DIGITS, CLEAN, runs, signals=signals, view="clean")
    for options in ({"order": "data"}, {"block_rows": 37}, {"block_rows": 64, "order": "data"}):
        close(reference, score(DIGITS, CLEAN, runs, signals=signals, view="clean", **options))
    reverse = np.arange(200)[::-1]
    turned = score(DIGITS.take(reverse), CLEAN, runs, signals=signals, view="clean")
    assert turned.ids.tolist() == reference.ids[::-1].tolist()
    for name in reference.names:
        np.testing.assert_allclose(turned.column(name)[::-1], reference.column(name), atol=1e-6, err_msg=name)


def test_an_epoch_that_did_not_end_presents_some_examples(tmp_path: Path) -> None:
    train_small(tmp_path, epochs=None, steps=9, record=True)
    names = "aum,forgetting,correctness,loss@mean"
    reference = score(DIGITS, names, tmp_path, view="presentation")
    first, last = Dynamics(tmp_path / "seed-0").presentations()
    assert (first.rows, last.rows) == (200, 64)
    margins = [values(recorded) for recorded in (first, last)]
    by_hand = [np.mean([m[i] for m in margins if i in m]) for i in DIGITS.ids]
    np.testing.assert_allclose(reference.column("aum"), by_hand, atol=1e-6)
    for options in ({"order": "data"}, {"block_rows": 3}, {"block_rows": 3, "order": "data"}):
        close(reference, score(DIGITS, names, tmp_path, view="presentation", **options))


def values(recorded: Recorded) -> dict[str, float]:
    """Logit margin of every presented id."""
    ids, fields = recorded.read()
    gold = np.eye(10, dtype=bool)[DIGITS.labels[DIGITS.rows_of(ids)]]
    others = np.where(gold, -np.inf, fields["logits"]).max(axis=1)
    return dict(zip(ids, fields["logits"][gold] - others))


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_the_batch_size_does_not_matter(plain: Path, batch_size: int) -> None:
    close(score(DIGITS, POINTWISE, plain), score(DIGITS, POINTWISE, plain, batch_size=batch_size))


def test_global_state_is_left_alone(runs: Path) -> None:
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    score(DIGITS, f"{CLEAN},random", runs, signals="checkpoints", order="data")
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    assert before[:2] == after[:2] and torch.equal(before[2], after[2])
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_each_scorer_takes_the_view_of_its_definition_or_the_other_one(runs: Path, plain: Path) -> None:
    table = score(DIGITS, "aum,el2n", runs / "seed-0")
    assert table.columns["aum"]["view"] == "presentation"
    assert table.columns["el2n"]["view"] == "clean"
    assert score(DIGITS, "aum", plain).columns["aum"]["view"] == "clean"
    forced = score(DIGITS, "aum,el2n@last", runs / "seed-0", view="presentation")
    assert {forced.columns[name]["view"] for name in forced.scores} == {"presentation"}
    # The presentations of the last epoch come before its updates, the clean pass after them.
    clean = score(DIGITS, "el2n@last", runs / "seed-0").column("el2n@last")
    assert np.abs(forced.column("el2n@last") - clean).max() > 1e-3


def test_what_a_run_lacks_is_one_sentence(runs: Path, plain: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"scorer 'aum' needs .*, but seed-0 has no presentation signals\.$"):
        score(DIGITS, "aum", plain, view="presentation")
    with pytest.raises(InputError, match=r"seed-0 has no clean signals"):
        score(DIGITS, "el2n", plain, signals="recorded", view="clean")
    with pytest.raises(InputError, match=r"signals must be one of .*Did you mean 'recorded'"):
        score(DIGITS, "el2n", plain, signals="record")
    with pytest.raises(InputError, match="examples are needed"):
        score(None, "el2n", plain)
    with pytest.raises(
        InputError, match=r"199 that are not there: .*; score .* with signals='checkpoints'\.$"
    ):
        score(DIGITS.take([7]), "el2n", runs)
    assert len(score(DIGITS.take([7]), "el2n", runs, signals="checkpoints")) == 1
    (tmp_path / "mix").mkdir()
    (tmp_path / "mix" / "one").symlink_to(runs)
    (tmp_path / "mix" / "two").symlink_to(plain)
    with pytest.raises(
        InputError, match="'aum' would mix clean and presentation signals, because two/seed-0 lacks"
    ):
        score(DIGITS, "aum", tmp_path / "mix")
    assert len(score(DIGITS, "aum", tmp_path / "mix", view="clean")) == 200


def test_examples_held_out_for_evaluation_are_not_scored(tmp_path: Path) -> None:
    (run,) = train_small(tmp_path, evaluate=0.2, record=True)
    ids, role = run.held_out() or pytest.fail("nothing held out")
    assert 38 <= len(ids) <= 42 and role == "evaluation"
    for signals in ("checkpoints", "recorded"):
        table = score(DIGITS, "el2n,aum", tmp_path, signals=signals)
        assert len(table) == 200 - len(ids) and not set(ids) & set(table.ids)
        assert np.isfinite(table.column("el2n")).all() and np.isfinite(table.column("aum")).all()
        assert table.info["held_out"] == len(ids)
    with pytest.raises(InputError, match="every example was held out by every run"):
        score(DIGITS.take(DIGITS.rows_of(ids)), "el2n", tmp_path, signals="checkpoints")


def test_a_run_on_a_subset_scores_all_examples_in_the_clean_view(tmp_path: Path) -> None:
    kept = DIGITS.ids[::2]
    train_small(tmp_path, subset=Subset.from_ids(kept), record=True)
    swept = score(DIGITS, "loss,loss@mean", tmp_path, signals="checkpoints")
    recorded = score(DIGITS, "loss,loss@mean", tmp_path)
    assert len(recorded) == 200
    close(swept, recorded)
    # Presentations exist for the examples that were presented, and for no others.
    aum = score(DIGITS, "aum", tmp_path)
    assert np.isfinite(aum.column("aum")[::2]).all() and np.isnan(aum.column("aum")[1::2]).all()


def renamed(examples: Examples, order: list[int]) -> Examples:
    """The same examples with their classes counted in another order."""
    names = [examples.label_names[k] for k in order]
    labels = np.array(examples.label_names)[examples.labels]
    pixels = np.stack(examples.images(np.arange(len(examples))))
    return Examples.from_arrays(pixels, labels, ids=examples.ids, label_names=names)


@pytest.mark.parametrize("signals", ["checkpoints", "recorded"])
def test_classes_are_matched_by_name(runs: Path, signals: str) -> None:
    other = renamed(DIGITS, [3, 1, 4, 0, 5, 9, 2, 6, 8, 7])
    assert other.label_names[:3] == ("3", "1", "4")
    options = {"signals": signals, "view": "clean"}
    # One run: where several disagree, the vote goes to the lower class index.
    names = f"{CLEAN},consensus_label"
    here, there = (score(e, names, runs / "seed-0", **options) for e in (DIGITS, other))
    for name in here.scores:
        if name != "consensus_label":
            np.testing.assert_allclose(there.column(name), here.column(name), atol=1e-6, err_msg=name)
    # A class index of the table means the name at that place of its own examples.
    said = [
        [e.label_names[int(k)] for k in t.column("consensus_label")]
        for e, t in ((DIGITS, here), (other, there))
    ]
    assert said[0] == said[1]


@pytest.mark.parametrize("keep", ["logits", "summary"])
def test_outputs_without_a_class_stay_in_the_softmax_in_any_order(tmp_path: Path, keep: str) -> None:
    """A network may have more outputs than there are classes; another order of classes must not lose them."""
    generator = torch.Generator().manual_seed(0)
    logits_TNC = torch.randn(3, 200, 13, generator=generator)
    with Recorder(tmp_path, DIGITS, keep=keep) as recorder:  # type: ignore[arg-type]
        for step, logits_NC in enumerate(logits_TNC):
            recorder.record(DIGITS.ids, logits_NC, step)
    gold_T1N1 = torch.from_numpy(DIGITS.labels)[None, :, None].expand(3, -1, 1)
    losses_TN = -logits_TNC.double().log_softmax(dim=2).gather(2, gold_T1N1)[..., 0].numpy()
    right_N = (logits_TNC.argmax(dim=2).numpy() == DIGITS.labels).sum(axis=0)
    other = renamed(DIGITS, [3, 1, 4, 0, 5, 9, 2, 6, 8, 7])
    for examples in (DIGITS, other):
        table = score(examples, "loss@mean,correctness,consensus_label", tmp_path)
        np.testing.assert_allclose(table.column("loss@mean"), losses_TN.mean(axis=0), atol=1e-6)
        np.testing.assert_array_equal(table.column("correctness"), right_N)
        nameless = logits_TNC[-1].argmax(dim=1).numpy() > 9
        assert nameless.any()
        assert ((table.column("consensus_label") > 9) == nameless).all()


@pytest.mark.parametrize("signals", ["checkpoints", "recorded"])
def test_unknown_classes_are_refused(runs: Path, signals: str) -> None:
    pixels = np.stack(DIGITS.images(np.arange(200)))
    labels = np.array([*DIGITS.label_names[:9], "nine"])[DIGITS.labels]
    strange = Examples.from_arrays(pixels, labels, ids=DIGITS.ids)
    with pytest.raises(
        InputError, match=r"labels must be classes of the (model in|run) .*, got 'nine'; it knows '0'"
    ):
        score(strange, "el2n", runs, signals=signals)


def test_recordings_belong_to_the_contents_under_their_ids(tmp_path: Path) -> None:
    """Two splits may both count their rows from 0; another order or a larger set is no other content."""
    rng = np.random.default_rng(0)
    x, y, ids = rng.normal(size=(40, 5)), np.arange(40) % 2, np.arange(40)
    examples = Examples.load({"x": x, "y": y, "id": ids}, features="x", label="y", id="id")
    train_small(tmp_path / "runs", examples.take(np.arange(30)), "linear", record=True)
    order = rng.permutation(40)
    same = Examples.load({"x": x[order], "y": y[order], "id": ids[order]}, features="x", label="y", id="id")
    relabelled = Examples.load({"x": x, "y": 1 - y, "id": ids}, features="x", label="y", id="id")
    others = Examples.load({"x": x + 1, "y": y, "id": ids}, features="x", label="y", id="id")
    for good in (same, relabelled):
        table = score(good, "el2n@mean", tmp_path / "runs", signals="recorded")
        np.testing.assert_array_equal(np.isnan(table.column("el2n@mean")), table.ids >= 30)
    with pytest.raises(InputError, match="holds other contents under the same ids"):
        score(others, "el2n@mean", tmp_path / "runs", signals="recorded")


def test_recorded_losses_belong_to_their_labels(tmp_path: Path) -> None:
    train_small(tmp_path, record="summary")
    close(
        score(DIGITS, "loss,margin:logit,correctness", tmp_path, view="clean"),
        score(DIGITS, "loss,margin:logit,correctness", tmp_path, view="clean", signals="checkpoints"),
    )
    other = DIGITS.with_labels((DIGITS.labels + 1) % 10)
    with pytest.raises(
        InputError, match=r"whose losses .* recorded, got fingerprint .*; score its checkpoints"
    ):
        score(other, "loss", tmp_path)
    assert len(score(other, "loss", tmp_path, signals="checkpoints")) == 200
    with pytest.raises(
        InputError, match=r"scorer 'el2n' needs .*logits.*, but seed-0 has clean signals without logits"
    ):
        score(DIGITS, "el2n", tmp_path, signals="recorded")
    both = score(DIGITS, "el2n@last,loss", tmp_path)  # what was not recorded comes from the checkpoints
    alone = score(DIGITS, "el2n@last", tmp_path, signals="checkpoints")
    np.testing.assert_allclose(both.column("el2n@last"), alone.column("el2n@last"), rtol=1e-6)


def tiny_network(examples: Examples) -> torch.nn.Module:
    """What ``module:function`` names in the next test."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, examples.num_classes))


def test_a_model_of_the_users_own_code_must_be_named_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_nets.py").write_text(
        "import torch\n"
        "def make(examples):\n"
        "    with torch.random.fork_rng():\n"
        "        torch.manual_seed(3)\n"
        "        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, examples.num_classes))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    (named,) = train_small(tmp_path / "named", model="my_nets:make")
    (given,) = train_small(tmp_path / "given", model=tiny_network(DIGITS))
    assert named.config["learning_rate"] == given.config["learning_rate"] == 1e-3
    with pytest.raises(
        InputError, match="custom model 'my_nets:make', which is never executed from a file; pass it"
    ):
        score(DIGITS, "el2n", named.path)
    tables = [
        score(DIGITS, POINTWISE, named.path, model="my_nets:make"),
        score(DIGITS, POINTWISE, named.path, model=tiny_network),
        score(DIGITS, POINTWISE, given.path, model=tiny_network(DIGITS)),
    ]
    close(tables[0], tables[1])
    close(tables[0], tables[2])
    with pytest.raises(InputError, match=r"weights in .* do not fit"):
        score(
            DIGITS, "el2n", given.path, model=torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 9))
        )


def test_texts_in_length_buckets_score_as_one_by_one(tmp_path: Path) -> None:
    lengths = np.random.default_rng(0).integers(1, 40, 60)
    texts = [" ".join(f"word{(i * k) % 23}" for k in range(n)) for i, n in enumerate(lengths)]
    data = Examples.from_arrays(texts, np.arange(60) % 3)
    train(data, "small-bert", out=tmp_path, steps=3, model_options={"width": 32}, evaluate=False)
    naive = score(data, POINTWISE.replace(",loss@epoch=1", ""), tmp_path, batch_size=1)
    bucketed = score(data, naive.scores, tmp_path, batch_size=16, max_tokens=200)
    close(naive, bucketed)


def test_a_broken_image_stops_the_job_by_name_and_loses_no_piece(tmp_path: Path) -> None:
    def encoded(row: int) -> bytes:
        buffer = BytesIO()
        Image.fromarray(DIGITS.images([row])[0][..., 0]).save(buffer, "png")
        return buffer.getvalue()

    pixels = [encoded(row) for row in range(48)]
    data = {"image": pixels, "label": DIGITS.labels[:48], "id": [f"pic-{row}" for row in range(48)]}
    train_small(tmp_path / "run", Examples.load(data, id="id"), epochs=1)
    broken = Examples.load({**data, "image": [*pixels[:40], b"torn", *pixels[41:]]}, id="id")
    out = tmp_path / "s.parquet"
    for _ in range(2):  # the same again when the call is repeated
        with pytest.raises(
            InputError, match=r"the image of id 'pic-40' cannot be decoded .*; mend the file or"
        ):
            score(broken, "loss", tmp_path / "run", out=out, block_rows=16)
        pieces = sorted(path.name for path in (tmp_path / "s.parquet.parts").glob("block-*"))
        assert pieces == ["block-00000.run-000.parquet", "block-00001.run-000.parquet"] and not out.exists()
    rest = np.delete(np.arange(48), 40)
    whole = score(broken.take(rest), "loss", tmp_path / "run", out=out, overwrite=True)
    expected = score(Examples.load(data, id="id"), "loss", tmp_path / "run")
    np.testing.assert_allclose(whole.column("loss"), expected.column("loss")[rest], atol=1e-6)
