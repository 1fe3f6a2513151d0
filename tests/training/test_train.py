"""train(): the loop against an obvious one, what a run directory holds, and what is refused."""

import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import f1_score

import training
from scoring.checkpoints import RunDirectory
from scoring.dynamics import Dynamics
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.hashing import derive_seed, hash64, hash_ids
from scoring.models import build_model, load_model
from selection.subset import Subset
from training.augment import flip_crop
from training.evaluate import evaluate_model, macro_f1
from training.run import TrainingDiverged, train
from training.settings import Settings


@pytest.fixture(scope="module")
def digits() -> Examples:
    return Examples.load("digits")


@pytest.fixture(scope="module")
def few(digits: Examples) -> Examples:
    return digits.take(np.arange(0, 1200, 4))


def weights(run: RunDirectory) -> dict[str, torch.Tensor]:
    return load_file(run.checkpoints()[-1].path / "model.safetensors")


def close(first: RunDirectory, second: RunDirectory) -> bool:
    one, two = weights(first), weights(second)
    return all(torch.allclose(one[name], two[name], rtol=1e-4, atol=1e-6) for name in one)


def equal(first: RunDirectory, second: RunDirectory) -> bool:
    one, two = weights(first), weights(second)
    return all(torch.equal(one[name], two[name]) for name in one)


# What it computes


def obvious(
    examples: Examples, rows: np.ndarray, weight: np.ndarray, seed: int, steps: int, batch: int
) -> torch.nn.Module:
    """Plain SGD with momentum: every epoch in hash order, the mean of weighted losses over each batch."""
    model = build_model("mlp", examples.take(rows), seed=seed)
    inputs = model.inputs.prepare(examples, rows).batch(np.arange(len(rows)))
    labels = torch.from_numpy(examples.labels[rows])
    optimizer = torch.optim.SGD(model.module.parameters(), lr=0.1, momentum=0.9)
    hashes = hash_ids(examples.ids[rows]).view(np.int64)
    per_epoch = -(-len(rows) // batch)
    for step in range(steps):
        epoch, within = divmod(step, per_epoch)
        order = np.argsort(hash64(derive_seed("order", seed, epoch), hashes))
        chosen = torch.from_numpy(order[within * batch : (within + 1) * batch])
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * 0.5 * (1 + math.cos(math.pi * step / steps))
        logits = model.logits({name: value[chosen] for name, value in inputs.items()})
        losses = torch.nn.functional.cross_entropy(logits, labels[chosen], reduction="none")
        mean_weight = float(np.mean(weight))
        loss = (losses * torch.from_numpy(weight).float()[chosen]).mean() / mean_weight
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.module


@pytest.mark.parametrize(("seed", "batch", "steps"), [(0, 64, 12), (3, 37, 20)])
def test_equals_an_obvious_loop(few: Examples, tmp_path: Path, seed: int, batch: int, steps: int) -> None:
    rows = np.arange(0, 300, 2)
    weight = np.linspace(0.0, 3.0, len(rows))
    subset = Subset.from_ids(few.ids[rows], weight)
    [run] = train(
        few, "mlp", out=tmp_path, subset=subset, seeds=[seed], batch_size=batch, steps=steps, optimizer="sgd"
    )
    expected = obvious(few, rows, weight, seed, steps, batch).state_dict()
    for name, value in weights(run).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6)
    assert run.config["learning_rate"] == 0.1
    assert run.config["epochs"] == steps / math.ceil(150 / batch)


def test_accumulation_is_one_large_batch(few: Examples, tmp_path: Path) -> None:
    subset = Subset.from_ids(few.ids, np.linspace(0.5, 2, 300))
    whole, parts = (
        train(few, "mlp", out=tmp_path / str(k), subset=subset, epochs=3, accumulate=k, clip=1.0)[0]
        for k in (1, 5)
    )
    assert close(whole, parts) and not equal(whole, parts)


def test_row_order_plays_no_part(few: Examples, tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(300)
    one, two = (
        train(data, "mlp", out=tmp_path / name, epochs=2, evaluate=0.2)[0]
        for name, data in (("one", few), ("two", few.take(order)))
    )
    assert equal(one, two)
    one_values, two_values = (run.metrics()["value"].to_numpy() for run in (one, two))
    assert np.allclose(one_values, two_values, rtol=1e-6)
    assert one.config["request"] == two.config["request"]


def test_fixed_steps_whatever_the_subset(few: Examples, tmp_path: Path) -> None:
    for keep in (300, 30):
        subset = Subset.from_ids(few.ids[:keep])
        [run] = train(few, "linear", out=tmp_path / str(keep), subset=subset, steps=25)
        assert run.config["steps"] == run.checkpoints()[-1].step == 25
        assert run.config["epochs"] == 25 / math.ceil(keep / 64)


def test_default_recipe_on_digits(digits: Examples, tmp_path: Path) -> None:
    runs = train(digits, "mlp", epochs=20, seeds=range(2), record=True, out=tmp_path)
    found = [run.summary()["metrics"]["test/accuracy"] for run in runs]
    assert min(found) >= 0.965
    assert not equal(*runs)
    assert [c.step for c in runs[0].checkpoints()] == [19 * epoch for epoch in range(1, 21)]
    assert len(Dynamics(runs[0].path).presentations()) == len(Dynamics(runs[0].path).evaluations()) == 20
    model = load_model(runs[0].path, runs[0].checkpoints()[-1].path, runs[0].config["model"])
    test = digits.other_split("test")
    logits = model.logits(model.inputs.prepare(test).batch(np.arange(len(test))))
    assert float((logits.argmax(1).numpy() == test.labels).mean()) == found[0]


def test_text_with_a_bag_of_words(tmp_path: Path) -> None:
    texts = [f"{'good fine' if i % 2 else 'bad poor'} thing number {i}" for i in range(80)]
    examples = Examples.from_arrays(texts, ["pos" if i % 2 else "neg" for i in range(80)])
    [run] = train(examples, "linear", out=tmp_path, epochs=5, evaluate=0.25)
    assert run.summary()["metrics"]["held_out/accuracy"] == 1.0


def test_custom_module_and_dropout_are_deterministic(few: Examples, tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(64, 10))
    start = {name: value.clone() for name, value in net.state_dict().items()}
    one, two = (train(few, net, out=tmp_path / name, epochs=2, augment="flip-crop")[0] for name in "ab")
    assert equal(one, two)
    assert all(torch.equal(value, start[name]) for name, value in net.state_dict().items())
    assert one.config["learning_rate"] == 1e-3


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision(few: Examples, tmp_path: Path, precision: str) -> None:
    [run] = train(few, "mlp", out=tmp_path, epochs=10, precision=precision)
    assert run.summary()["metrics"]["test/accuracy"] > 0.8
    assert run.config["precision"] == precision
    assert all(value.dtype == torch.float32 for value in weights(run).values())


def test_global_random_state_and_settings_are_left_alone(few: Examples, tmp_path: Path) -> None:
    torch.manual_seed(11)
    np.random.seed(11)  # noqa: NPY002
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    mode, filled = torch.get_deterministic_debug_mode(), torch.utils.deterministic.fill_uninitialized_memory
    train(few, "mlp", out=tmp_path, epochs=1, record=True)
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002
    assert torch.get_deterministic_debug_mode() == mode
    assert torch.utils.deterministic.fill_uninitialized_memory == filled


# What it writes


def test_run_json(few: Examples, tmp_path: Path) -> None:
    [run] = train(few, "linear", out=tmp_path, epochs=2, evaluate=0.1, seeds=[7])
    assert run.path == tmp_path / "seed-7"
    config = json.loads((run.path / "run.json").read_text())
    assert config["status"] == "finished" and config["seed"] == 7 and config["fold"] is None
    assert config["data"]["fingerprint"] == few.fingerprint and config["data"]["rows"] == 300
    assert config["subset"] is None and config["device"] in ("cpu", "cuda", "mps")
    assert config["num_parameters"] == 650 and config["steps"] == 10 and config["epochs"] == 2
    assert config["versions"]["torch"] == torch.__version__ and config["tamis_version"]
    # Forward and gradient of the weights, 2 operations per weight each; nothing flows back into the pixels.
    assert config["flops"] == 4 * 640 * 270 * 2 and "per example" in config["flops_method"]
    assert 0 < config["wall_time_s"] < 60


def test_flops_of_attention_count_per_padded_token(tmp_path: Path) -> None:
    texts = [f"word{i % 7} and word{i % 11} make {i}" for i in range(40)]
    examples = Examples.from_arrays(texts, [i % 2 for i in range(40)])
    options = {"layers": 1, "width": 16, "heads": 2, "vocabulary": 60}
    [run] = train(examples, "small-bert", out=tmp_path, epochs=1, model_options=options)
    assert run.config["flops_unit"] == "padded token"
    # Twelve matrices of width x width per layer and token; three passes of two operations; attention comes on top.
    assert run.config["flops_per_unit"] > 12 * 16 * 16 * 6


def test_metrics_and_cadences(few: Examples, tmp_path: Path) -> None:
    [run] = train(
        few, "linear", out=tmp_path, epochs=4, evaluate_every="2 epochs", checkpoint_every="8 steps",
        save_optimizer=True, schedule="linear", lr=0.5,
    )  # fmt: skip
    table = run.metrics()
    assert table.column_names == ["step", "epoch", "split", "name", "value"]
    train_loss = table.filter(pc.field("split") == "train").to_pylist()
    assert [(row["step"], row["epoch"], row["name"]) for row in train_loss] == [
        (10, 2, "loss"),
        (20, 4, "loss"),
    ]
    assert train_loss[0]["value"] > train_loss[1]["value"]
    test = table.filter(pc.field("split") == "test")
    assert sorted(set(test["name"].to_pylist())) == ["accuracy", "loss", "macro_f1"]
    checkpoints = run.checkpoints()
    assert [c.step for c in checkpoints] == [8, 16, 20]
    assert [c.epoch for c in checkpoints] == [1.6, 3.2, 4.0]
    assert np.allclose([c.learning_rate for c in checkpoints], [0.5 * (1 - s / 20) for s in (7, 15, 19)])
    assert (checkpoints[0].path / "optimizer.safetensors").exists()


def test_automatic_cadence_is_at_most_twenty(few: Examples) -> None:
    assert Settings(epochs=20).cadence("checkpoint_every", 1200).number == 1
    assert Settings(epochs=200).cadence("checkpoint_every", 1200).number == 10
    assert Settings(steps=1100).cadence("evaluate_every", 120).number == 28  # 550 epochs of 2 steps


def test_a_fraction_is_held_out_of_every_class(digits: Examples, tmp_path: Path) -> None:
    subset = Subset.from_ids(digits.ids[:600])
    [run] = train(digits, "linear", out=tmp_path, epochs=2, evaluate=0.25, subset=subset, record=True)
    found = run.held_out()
    assert found is not None
    ids, role = found
    rows = digits.rows_of(ids)
    assert role == "evaluation"
    assert (abs(np.bincount(digits.labels[rows]) - np.bincount(digits.labels) / 4) <= 0.5).all()
    dropped = int(np.isin(subset.ids, ids).sum())
    assert dropped > 0 and run.config["subset"]["held_out"] == dropped
    assert run.config["data"]["trained_on"] == 600 - dropped
    for part in Dynamics(run.path).presentations():
        seen, _ = part.read()
        assert len(seen) == 600 - dropped and not np.isin(seen, ids).any()


def test_evaluation_data(few: Examples, digits: Examples, tmp_path: Path) -> None:
    test = digits.other_split("test")
    named, given, nothing = (
        train(few, "linear", out=tmp_path / str(i), epochs=1, evaluate=evaluate)[0].summary()["metrics"]
        for i, evaluate in enumerate(["test", test, False])
    )
    assert named == given and named.keys() == {"train/loss", "test/accuracy", "test/loss", "test/macro_f1"}
    assert nothing.keys() == {"train/loss"}


def test_evaluating_a_model(few: Examples, digits: Examples, tmp_path: Path) -> None:
    [run] = train(few, "linear", out=tmp_path, epochs=2)
    model = run.load(run.checkpoints()[-1], few)
    test = digits.other_split("test")
    found = evaluate_model(model, test, batch_size=100)
    told = run.summary()["metrics"]
    assert {f"test/{name}": pytest.approx(value) for name, value in found.items()}.items() <= told.items()
    with pytest.raises(InputError, match="evaluate_model: examples must be labelled with the classes"):
        evaluate_model(model, Examples.from_arrays(np.zeros((2, 8, 8, 1), dtype=np.uint8), [0, 1]))
    with pytest.raises(InputError, match="evaluate_model: there are no examples"):
        evaluate_model(model, test.take(np.arange(0)))


def test_public_names_are_not_hidden_by_modules() -> None:
    for name in training.__all__:
        for _ in range(2):  # importing a module sets it as an attribute of its package
            assert not isinstance(getattr(training, name), ModuleType)


def test_macro_f1_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    for classes in (2, 3, 7):
        gold, guess = generator.integers(0, classes, (2, 50))
        guess[guess == 1] = 0
        assert macro_f1(gold, guess) == pytest.approx(f1_score(gold, guess, average="macro", zero_division=0))
    assert macro_f1(np.array([0, 0]), np.array([0, 0])) == 1.0


def test_flip_crop_moves_whole_images() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        images = torch.rand(64, 3, 16, 24)
        moved = flip_crop(images)
        assert moved.shape == images.shape and moved.is_contiguous()
        padded = torch.nn.functional.pad(images, (3, 3, 2, 2))
        shifts, flips = set(), 0
        for before, after in zip(padded, moved):
            places = [
                (y, x, flip)
                for y in range(5)
                for x in range(7)
                for flip in (False, True)
                if torch.equal(after.flip(2) if flip else after, before[:, y : y + 16, x : x + 24])
            ]
            assert len(places) == 1
            shifts.add(places[0][:2])
            flips += places[0][2]
        assert len(shifts) > 20 and 16 < flips < 48
        last = flip_crop(images.contiguous(memory_format=torch.channels_last))
        assert last.is_contiguous(memory_format=torch.channels_last)


# The same call again, and another one


def test_finished_runs_are_not_repeated(few: Examples, tmp_path: Path) -> None:
    [first] = train(few, "linear", out=tmp_path, epochs=1, seeds=[0])
    stamp = (first.path / "run.json").stat().st_mtime_ns
    runs = train(few, "linear", out=tmp_path, epochs=1, seeds=np.arange(2), device="cpu", resume_seconds=1)
    assert [run.path.name for run in runs] == ["seed-0", "seed-1"]
    assert (first.path / "run.json").stat().st_mtime_ns == stamp
    assert equal(runs[1], train(few, "linear", out=tmp_path / "other", epochs=1, seeds=[1])[0])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"epochs": 2}, "epochs 1 there, 2 here"),
        ({"model_options": {"hidden": (32,)}}, "model"),
        ({"evaluate": 0.5}, "evaluation"),
        ({"subset": True}, "subset"),
        ({"examples": 5}, "data"),
    ],
)
def test_another_call_is_refused(few: Examples, tmp_path: Path, change: dict[str, Any], told: str) -> None:
    change = dict(change)
    train(few, "mlp", out=tmp_path, epochs=1)
    rows = np.arange(change.pop("examples", 300))
    if "subset" in change:
        change["subset"] = Subset.from_ids(few.ids[:50])
    with pytest.raises(InputError, match="holds a run of a different call") as caught:
        train(few.take(rows), "mlp", out=tmp_path, **{"epochs": 1, **change})
    assert told in str(caught.value)


def test_other_files_are_not_overwritten(few: Examples, tmp_path: Path) -> None:
    (tmp_path / "seed-0").mkdir()
    (tmp_path / "seed-0" / "thesis.tex").write_text("")
    with pytest.raises(InputError, match="holds other files"):
        train(few, "linear", out=tmp_path, epochs=1)


# What is refused


def test_a_loss_that_is_not_finite_stops(few: Examples, tmp_path: Path) -> None:
    with pytest.raises(
        TrainingDiverged, match=r"train: the loss became (nan|inf) at step \d+ of 50, learning"
    ):
        train(few, "mlp", out=tmp_path, epochs=10, lr=1e30, optimizer="sgd", schedule="constant")
    assert RunDirectory.open(tmp_path / "seed-0").status == "diverged"


SENTENCES: list[tuple[dict[str, Any], str]] = [
    ({"epochs": 1, "steps": 5}, "train: give epochs or steps, not both."),
    ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
    ({"batch_size": 2.5}, "batch_size must be a whole number"),
    ({"lr": -1.0}, "lr must be a positive number"),
    ({"weight_decay": -0.1}, "weight_decay must be 0 or a positive number"),
    ({"optimizer": "adamv"}, "Did you mean 'adam"),
    (
        {"optimizer": "lbfgs"},
        "optimizer 'lbfgs' cannot be used, because it evaluates the loss more than once",
    ),
    ({"optimizer_options": {"beta": 1}}, "optimizer 'adamw' does not take these options"),
    ({"schedule": "cosin"}, "Did you mean 'cosine'?"),
    ({"warmup": -0.5}, "warmup must be a fraction"),
    ({"precision": "float61"}, "Did you mean 'float16'?"),
    ({"record": "logit"}, "record must be"),
    ({"augment": "flip"}, "Did you mean 'flip-crop'?"),
    ({"checkpoint_every": "often"}, "checkpoint_every must be"),
    ({"accumulate": 65}, "accumulate must be at most batch_size (64)"),
    ({"epoch": 3}, "Did you mean 'epochs'?"),
    ({"seeds": []}, "seeds must be one or more different whole numbers"),
    ({"seeds": [1, 1]}, "seeds must be one or more different whole numbers"),
    ({"seeds": [0.5]}, "seeds must be one or more different whole numbers"),
    ({"evaluate": 1.5}, "evaluate must be Examples, the name of a split, or a fraction"),
    ({"evaluate": "tset"}, "Did you mean 'test'?"),
    ({"evaluate": "train"}, "another split than that trained on"),
    ({"device": "tpu"}, "device must be one of"),
    ({"model_options": {"hiden": 3}}, "model linear"),
    ({"subset": Subset.from_ids(["nobody"])}, "'nobody'"),
    ({"subset": Subset.from_ids(["nobody"], info={"fingerprint": "1-0"})}, "fingerprint"),
]


@pytest.mark.parametrize(("settings", "sentence"), SENTENCES, ids=[next(iter(s)) for s, _ in SENTENCES])
def test_mistakes_are_one_sentence(
    few: Examples, tmp_path: Path, settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError) as caught:
        train(few, "linear", out=tmp_path, **settings)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "seed-0").exists()


def test_data_that_do_not_fit(few: Examples, tmp_path: Path) -> None:
    unlabelled = Examples.from_arrays(np.zeros((4, 2), dtype=np.float32))
    with pytest.raises(InputError, match="must have labels"):
        train(unlabelled, "linear", out=tmp_path)
    with pytest.raises(InputError, match="evaluate must be labelled with the classes"):
        train(few, "linear", out=tmp_path, evaluate=unlabelled)
    with pytest.raises(InputError, match=r"evaluation data .* holds no examples"):
        train(few, "linear", out=tmp_path, evaluate=few.take(np.arange(0)))
    features = Examples.from_arrays(np.eye(4, dtype=np.float32), [0, 1, 0, 1])
    with pytest.raises(InputError, match="augment must be 'none' for features examples"):
        train(features, "linear", out=tmp_path, augment="flip-crop")
    with pytest.raises(InputError, match="weights of the subset must not all be 0"):
        train(few, "linear", out=tmp_path, subset=Subset.from_ids(few.ids[:9], np.zeros(9)))
    with pytest.raises(InputError, match="nothing to train on"):
        held = stratified_ids(few)
        train(few, "linear", out=tmp_path, subset=Subset.from_ids(held), evaluate=0.5)


def stratified_ids(examples: Examples) -> Any:
    from training.job import stratified_part

    return examples.ids[stratified_part(examples, 0.5)]


def test_subset_of_changed_data_must_be_meant(few: Examples, tmp_path: Path) -> None:
    subset = Subset.from_ids(few.ids[:100], info={"fingerprint": few.fingerprint})
    flipped = few.with_labels(9 - few.labels)
    with pytest.raises(InputError, match="fingerprint"):
        train(flipped, "linear", out=tmp_path, subset=subset)
    path = subset.write(tmp_path / "subset.parquet")
    [run] = train(flipped, "linear", out=tmp_path / "run", subset=path, steps=3, allow_changed_data=True)
    assert run.config["subset"]["rows"] == 100 and run.config["subset"]["path"] == str(path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"examples": "digits"},
            r"^train: examples must be Examples, made by Examples.load\(...\), got 'digits'",
        ),
        (
            {"subset": [1, 2]},
            r"^train: subset must be a Subset or the path of one; Subset.from_ids .* got 'list'",
        ),
        ({"seeds": 3}, r"^train: seeds must be a list, such as \[3\] or range\(3\), got 3"),
    ],
)
def test_objects_of_the_wrong_kind(
    few: Examples, tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    given: dict[str, Any] = {"examples": few, **change}
    with pytest.raises(InputError, match=sentence):
        train(given.pop("examples"), "linear", out=tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()
