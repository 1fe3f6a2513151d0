"""Online selection: rules against obvious twins, and a loop that stays the same where nothing is left out."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pyarrow import parquet
from references.small_runs import contents, weights

from scoring.checkpoints import RunDirectory
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.hashing import hash64
from scoring.run import score
from scoring.table import ScoreTable
from training.interventions.noisy_labels import flip_labels
from training.online.catalog import RULES, make_rule
from training.online.chosen import CHOSEN, chosen_rows, distinct_rows, shares
from training.online.request import OnlineSelection
from training.online.rule import Candidates
from training.reference_model import train_reference
from training.run import train
from training.studies.paired import paired_difference

EXAMPLES = Examples.load("digits").take(np.arange(210))
SETTINGS: dict[str, Any] = {
    "batch_size": 16, "evaluate": False, "checkpoint_every": None, "device": "cpu", "optimizer": "sgd", "lr": 0.05
}  # fmt: skip


class Net(torch.nn.Module):
    """With all that a forward pass could leave behind: batch statistics, dropout."""

    def __init__(self, at: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.layer, self.norm = torch.nn.Linear(64, 10), torch.nn.BatchNorm1d(10)
        self.drop, self.at, self.seen = torch.nn.Dropout(0.2), at, 0

    def __deepcopy__(self, memo: dict[int, Any]) -> "Net":
        return Net(self.at)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += self.training
        if self.training and self.seen == self.at:
            signal.raise_signal(signal.SIGINT)
        logits: torch.Tensor = self.norm(self.layer(self.drop(x.flatten(1))))
        return logits


def irreducible(examples: Examples, values: Any = None) -> ScoreTable:
    assert examples.labels is not None
    column = (examples.labels % 3) / 10 if values is None else values
    return ScoreTable.from_columns(examples.ids, {"loss": column}, {"loss": "hard"})


def selection(
    rule: str, keep: float = 0.25, examples: Examples = EXAMPLES, **options: Any
) -> OnlineSelection:
    reads: dict[str, Any] = (
        {"scores": irreducible(examples), "by": "loss"} if rule == "reducible_loss" else {}
    )
    return OnlineSelection(rule=rule, keep=keep, options=options, **reads)


def fit(
    out: Path, online: OnlineSelection | None, examples: Examples = EXAMPLES, **given: Any
) -> RunDirectory:
    model = given.pop("model", None) or Net(given.pop("at", 0))
    length = {} if "steps" in given else {"epochs": 2}
    [run] = train(examples, model, out=out, online=online, **{**SETTINGS, **length, **given})
    return run


def candidates(seed: int = 0, count: int = 40, classes: int = 4) -> Candidates:
    random = np.random.default_rng(seed)
    return Candidates(
        random.integers(0, classes, count), hash64(seed, np.arange(count)), seed,
        random.normal(size=(count, classes)) * 3, random.uniform(0, 2, count),
    )  # fmt: skip


# Rules


@pytest.mark.parametrize("seed", range(5))
def test_values_are_those_of_the_definitions(seed: int) -> None:
    given = candidates(seed)
    assert given.logits_LC is not None and given.irreducible_L is not None
    for at, (logits, label) in enumerate(zip(given.logits_LC, given.labels_L)):
        probs = np.exp(logits) / np.exp(logits).sum()
        target = np.eye(4)[label]
        expected = {
            "highest_loss": -np.log(probs[label]),
            "lowest_loss": np.log(probs[label]),
            "reducible_loss": -np.log(probs[label]) - given.irreducible_L[at],
            "gradient_norm": np.linalg.norm(probs - target),
            "entropy": -sum(p * np.log(p) for p in probs),
            "random": 0.0,
        }
        for name, value in expected.items():
            assert make_rule(name).values(given)[at] == pytest.approx(value, rel=1e-12, abs=1e-12)


def test_a_certain_prediction_has_no_entropy_and_no_nan() -> None:
    sure = Candidates(
        np.zeros(2, dtype=np.int64), hash64(0, np.arange(2)), 0, np.array([[0.0, -5e3], [5e3, 0]])
    )
    assert make_rule("entropy").values(sure).tolist() == [0, 0]
    assert make_rule("selective_backprop", {"beta": 500}).values(sure).max() < 0


def test_strata_have_their_shares() -> None:
    labels_L = np.repeat([0, 1, 2, 3], [50, 29, 20, 1])
    taken = np.zeros(4)
    for seed in range(400):
        given = Candidates(labels_L, hash64(seed, np.arange(100)), seed)
        chosen = np.lexsort((given.hashes_L, -make_rule("stratified").values(given)))[:20]
        counts = np.bincount(labels_L[chosen], minlength=4)
        # The common cut is where a fifth is taken, up to what rounding in four classes moves it.
        assert np.abs(counts - [10, 5.8, 4, 0.2]).max() <= 2
        taken += counts
    # Also the class with a single row: 0.2 of 400 with a standard deviation of 8.
    assert np.abs(taken / 400 - [10, 5.8, 4, 0.2]).max() < 0.1


def test_selective_backprop_takes_in_proportion() -> None:
    losses = np.array([0.1, 0.5, 1.0, 2.0])
    logits = np.stack([np.log(np.expm1(losses)), np.zeros(4)], axis=1)
    first = np.zeros(4)
    for seed in range(4000):
        given = Candidates(np.ones(4, dtype=np.int64), hash64(seed, np.arange(4)), seed, logits)
        assert given.losses_L == pytest.approx(losses)
        first[make_rule("selective_backprop", {"beta": 2}).values(given).argmax()] += 1
    weights_L = (np.arange(1, 5) / 4) ** 2
    assert first / 4000 == pytest.approx(weights_L / weights_L.sum(), abs=0.025)  # 3 standard deviations


# In the loop


@pytest.mark.parametrize("rule", ["random", "highest_loss", "reducible_loss"])
def test_keeping_everything_is_ordinary_training(rule: str, tmp_path: Path) -> None:
    plain = fit(tmp_path / "plain", None)
    whole = fit(tmp_path / "whole", selection(rule, keep=1))
    assert weights(plain) == weights(whole)
    assert plain.config["steps"] == whole.config["steps"] and "online" not in plain.config
    assert "online" not in plain.config["request"]


def test_draws_cover_the_data_and_the_rest_is_small(tmp_path: Path) -> None:
    run = fit(tmp_path, selection("highest_loss", keep=0.25))
    # 210 rows in draws of 64, 64, 64 and 18, of which 16, 16, 16 and round(4.5) = 4 are trained on.
    assert run.config["steps"] == 8 and run.config["epochs"] == 2
    about = run.config["online"]
    assert about["candidates"] == 420 and about["trained_on"] == 104
    rows, epochs = chosen_rows(run.path, EXAMPLES)
    assert np.bincount(epochs).tolist() == [52, 52]
    assert all(len(set(rows[epochs == epoch])) == 52 for epoch in (0, 1))
    assert distinct_rows(run.path) == len(set(rows))
    assert EXAMPLES.labels is not None
    by_class = shares(run.path, EXAMPLES, EXAMPLES.labels, 10)
    assert by_class[0] == pytest.approx(np.bincount(EXAMPLES.labels[rows[epochs == 0]], minlength=10) / 52)


def test_the_highest_are_taken_and_ties_go_by_hash(tmp_path: Path) -> None:
    values = np.repeat(
        [0.0, 9.0], [20, len(EXAMPLES) - 20]
    )  # 20 rows with reducible losses far above the others
    online = OnlineSelection(
        rule="reducible_loss", keep=20 / 210, scores=irreducible(EXAMPLES, values), by="loss"
    )
    run = fit(tmp_path / "high", online, steps=1, batch_size=20)
    assert set(chosen_rows(run.path, EXAMPLES)[0]) == set(range(20))
    one = fit(tmp_path / "one", selection("random", keep=0.1), steps=1)
    two = fit(tmp_path / "two", selection("random", keep=0.1), steps=1, seeds=[1])
    assert set(chosen_rows(one.path, EXAMPLES)[0]) != set(chosen_rows(two.path, EXAMPLES)[0])


@pytest.mark.parametrize("rule", sorted(RULES))
def test_the_order_of_rows_plays_no_part(rule: str, tmp_path: Path) -> None:
    turned = EXAMPLES.take(np.arange(len(EXAMPLES))[::-1])
    one = fit(tmp_path / "one", selection(rule), model="linear")
    two = fit(tmp_path / "two", selection(rule, examples=turned), turned, model="linear")
    # The network's input statistics are sums over rows, whose last bit may differ.
    assert parquet.read_table(one.path / CHOSEN) == parquet.read_table(two.path / CHOSEN)


def test_an_interrupted_run_ends_with_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole = fit(tmp_path / "whole", selection("selective_backprop"))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for at in (2, 3):
            with pytest.raises(KeyboardInterrupt):
                fit(tmp_path / "cut", selection("selective_backprop"), at=at)
    finally:
        signal.signal(signal.SIGINT, before)
    cut = fit(tmp_path / "cut", selection("selective_backprop"))
    assert whole.config["online"]["candidates"] == cut.config["online"]["candidates"] == 420
    one, two = contents(tmp_path / "whole"), contents(tmp_path / "cut")
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []


def test_choosing_is_paid_for(tmp_path: Path) -> None:
    free = fit(tmp_path / "free", selection("random"), model="linear")
    paid = fit(tmp_path / "paid", selection("highest_loss"), model="linear")
    forward = 2 * 64 * 10  # a product and a sum per weight
    assert (
        free.config["flops"] == 2 * forward * 104
    )  # the backward pass of one layer needs no gradient of its input
    assert free.config["online"]["flops"] == 0
    assert paid.config["online"]["flops"] == forward * 420
    assert paid.config["flops"] == free.config["flops"] + forward * 420


def test_text_is_counted_in_padded_tokens(tmp_path: Path) -> None:
    texts = [" ".join(["word"] * (1 + row % 7)) for row in range(40)]
    data = {"text": texts, "label": ["ab"[row % 2] for row in range(40)]}
    examples = Examples.load(data, text="text", label="label")
    options = {"layers": 1, "width": 8, "heads": 1, "vocabulary": 16}
    run = fit(
        tmp_path, selection("highest_loss", keep=0.5), examples, model="small-bert", model_options=options, epochs=1,
        batch_size=8,
    )  # fmt: skip
    assert run.config["flops_unit"] == "padded token"
    # Batches of 8 of similar length: no token less than there are, and few more.
    tokens = sum(len(text.split()) + 2 for text in texts)
    assert tokens <= run.config["online"]["units"] < 1.3 * tokens


def test_one_row_and_one_draw(tmp_path: Path) -> None:
    run = fit(tmp_path, selection("highest_loss", keep=0.5), EXAMPLES.take([0]), epochs=3, model="linear")
    assert run.config["online"]["trained_on"] == 3 and run.config["online"]["candidates"] == 3


def test_mistakes(tmp_path: Path) -> None:
    for keep in (0, -0.1, 1.5, float("nan"), "half"):
        with pytest.raises(InputError, match="keep must be a share above 0"):
            OnlineSelection(rule="random", keep=keep)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"rule must be one of .* Did you mean 'highest_loss'\?"):
        OnlineSelection(rule="highestloss")
    with pytest.raises(InputError, match="rule entropy has no options, got 'beta'"):
        OnlineSelection(rule="entropy", options={"beta": 2})
    with pytest.raises(InputError, match="beta must be a positive number"):
        OnlineSelection(rule="selective_backprop", options={"beta": 0})
    with pytest.raises(InputError, match="needs the loss of every example under a reference model"):
        OnlineSelection(rule="reducible_loss")
    with pytest.raises(InputError, match="reads no scores"):
        OnlineSelection(rule="entropy", by="loss")
    missing = np.where(np.arange(len(EXAMPLES)) == 3, np.nan, 1.0)
    online = OnlineSelection(rule="reducible_loss", scores=irreducible(EXAMPLES, missing), by="loss")
    with pytest.raises(InputError, match="'loss' must be finite, and is not for 1 examples"):
        fit(tmp_path / "nan", online)
    other = OnlineSelection(rule="reducible_loss", scores=irreducible(EXAMPLES.take([0, 1])), by="loss")
    with pytest.raises(InputError, match="ids must be in"):
        fit(tmp_path / "other", other)
    with pytest.raises(InputError, match="record must be False with online selection"):
        fit(tmp_path / "record", selection("random"), record=True)
    fit(tmp_path / "run", selection("highest_loss"))
    with pytest.raises(InputError, match="another online selection"):
        fit(tmp_path / "run", selection("lowest_loss"))


@pytest.mark.slow
def test_high_losses_are_wrong_labels_and_reducible_ones_are_not(tmp_path: Path) -> None:
    """Digits with 10 % wrong labels, 5 seeds (Mindermann et al. 2022 find the same on larger data)."""
    noisy = flip_labels(Examples.load("digits"), 0.1, 0)
    recipe: dict[str, Any] = {"optimizer": "sgd", "lr": 0.1, "batch_size": 32, "device": "cpu"}
    train_reference(noisy.examples, "mlp", out=tmp_path / "reference", seeds=[1000], epochs=10, **recipe)
    table = score(noisy.examples, "loss", tmp_path / "reference")
    accuracy: dict[str, list[float]] = {}
    planted: dict[str, list[float]] = {}
    for rule in ("random", "highest_loss", "reducible_loss"):
        reads: dict[str, Any] = {"scores": table, "by": "loss"} if rule == "reducible_loss" else {}
        online = OnlineSelection(rule=rule, keep=0.1, **reads)
        runs = train(
            noisy.examples, "mlp", out=tmp_path / rule, seeds=range(5), steps=300, online=online, evaluate="test",
            checkpoint_every=None, evaluate_every=None, **recipe,
        )  # fmt: skip
        accuracy[rule] = [
            row["value"] for run in runs for row in run.metrics().to_pylist() if row["name"] == "accuracy"
        ]
        planted[rule] = [
            float(noisy.flipped[chosen_rows(run.path, noisy.examples)[0]].mean()) for run in runs
        ]
    for better, worse in (("random", "highest_loss"), ("reducible_loss", "highest_loss")):
        assert paired_difference(accuracy[better], accuracy[worse]).low > 0.03
    assert paired_difference(planted["highest_loss"], planted["random"]).low > 0.2
    assert paired_difference(planted["random"], planted["reducible_loss"]).low > 0.02
