"""Real runs of ``transformers.Trainer`` with the callback: a small BERT from scratch on a few dozen sentences."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DataCollatorWithPadding,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from scoring.checkpoints import RunDirectory
from scoring.dynamics import Dynamics
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.networks.text_inputs import TokenInputs
from training.trainer_callback import ROW, DynamicsCallback

SENTENCES = """
0 The goalkeeper saved two penalties in the last minute of the match
0 She ran the marathon in under three hours despite the rain
0 Their striker scored twice before half time
0 The coach said the team needs rest before the final
0 A record crowd watched the cup tie on Saturday
0 He broke the national swimming record by a tenth of a second
0 The referee sent off the captain for a late tackle
0 Injury keeps the champion out of the tennis open
1 The central bank raised interest rates by a quarter point
1 Shares of the carmaker fell after weak quarterly sales
1 Oil prices climbed as exporters agreed to cut output
1 The company will lay off a tenth of its staff
1 Inflation slowed for the third month in a row
1 Investors sold bonds ahead of the budget speech
1 The merger creates the largest grocer in the country
1 Exports of steel rose sharply in March
2 Astronomers found a planet that circles two stars
2 The vaccine cut infections by half in the trial
2 A new telescope will map the southern sky
2 Researchers grew nerve cells from skin samples
2 The probe sent back pictures of the comet
2 Warm seas bleached corals along the whole reef
2 Physicists measured the mass of the neutrino again
2 Fossils show the bird could fly across the strait
""".strip().splitlines()
TEXTS = [line[2:] for line in SENTENCES]
LABELS = [int(line[0]) for line in SENTENCES]
N, C, BATCH = len(TEXTS), 3, 5


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    words = sorted({word for text in TEXTS for word in text.lower().split()})
    vocabulary = {word: place for place, word in enumerate(["[PAD]", "[UNK]", *words])}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    plain.normalizer = normalizers.Lowercase()
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="[PAD]", unk_token="[UNK]")


@pytest.fixture
def examples() -> Examples:
    return Examples.from_arrays(TEXTS, LABELS, ids=[f"s{i}" for i in range(N)])


def dataset(tokenizer: Any, rows: list[int] | None = None, **columns: Any) -> Dataset:
    rows = list(range(N)) if rows is None else rows
    encoded = tokenizer([TEXTS[row] for row in rows])["input_ids"]
    return Dataset.from_dict({"input_ids": encoded, "label": [LABELS[row] for row in rows], **columns})


def model(dropout: float = 0.1) -> BertForSequenceClassification:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=300, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, num_labels=C, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
    )  # fmt: skip
    return BertForSequenceClassification(config)


def arguments(folder: Path, **options: Any) -> TrainingArguments:
    given = {
        "num_train_epochs": 3, "per_device_train_batch_size": BATCH, "learning_rate": 1e-2, "report_to": "none",
        "save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True, "use_cpu": True, "seed": 3,
    }  # fmt: skip
    return TrainingArguments(output_dir=str(folder), **{**given, **options})


def trainer(
    network: Any, args: TrainingArguments, data: Any, tokenizer: Any, *callbacks: Any, **options: Any
) -> Trainer:
    return Trainer(
        model=network, args=args, train_dataset=data, processing_class=tokenizer, callbacks=list(callbacks),
        data_collator=DataCollatorWithPadding(tokenizer), **options,
    )  # fmt: skip


class Steps(TrainerCallback):
    """An independent witness: the logits of the training forward passes, in order, through a hook."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.seen: list[np.ndarray] = []
        network.classifier.register_forward_hook(
            lambda module, _, out: self.seen.append(out.detach().numpy().copy()) if module.training else None
        )


def test_a_real_run_records_all_presentations_and_clean_passes(
    tmp_path: Path, tokenizer: Any, examples: Examples
) -> None:
    network = model()
    witness = Steps(network)
    callback = DynamicsCallback(examples, tmp_path / "run", clean_every="1 epoch")
    data = callback.track(dataset(tokenizer))
    run = trainer(
        network, arguments(tmp_path, eval_strategy="epoch"), data, tokenizer, callback,
        eval_dataset=dataset(tokenizer),
    )  # fmt: skip
    assert "forward" in network.__dict__
    run.train()
    assert "forward" not in network.__dict__

    dynamics = Dynamics(tmp_path / "run")
    found = dynamics.presentations()
    assert [(recorded.step, recorded.epoch) for recorded in found] == [(0, 0.0), (5, 1.0), (10, 2.0)]
    recorded_rows = []
    for recorded in found:
        ids, fields = recorded.read()
        assert ids.tolist() == examples.ids.tolist()
        steps, _ = recorded.read_times()
        for step in range(int(steps.min()), int(steps.max()) + 1):
            recorded_rows.append(fields["logits"][steps == step])
    # Evaluation during the training is no presentation; within a batch the file is sorted by example.
    assert (
        [len(rows) for rows in recorded_rows] == [len(rows) for rows in witness.seen] == [5, 5, 5, 5, 4] * 3
    )
    for ours, theirs in zip(recorded_rows, witness.seen):
        np.testing.assert_array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])

    clean = dynamics.evaluations()
    assert [(recorded.step, recorded.epoch) for recorded in clean] == [(5, 1.0), (10, 2.0), (15, 3.0)]
    ids, fields = clean[-1].read()
    assert ids.tolist() == examples.ids.tolist()
    truth = run.predict(dataset(tokenizer)).predictions
    np.testing.assert_allclose(fields["logits"], truth, atol=1e-5)

    directory = RunDirectory.open(tmp_path / "run")
    assert directory.status == "finished"
    assert directory.config["model"]["name"] == "BertForSequenceClassification"
    assert directory.config["config"]["trainer"]["learning_rate"] == 1e-2
    assert directory.config["data"]["fingerprint"] == examples.fingerprint
    assert directory.config["steps"] == 15 and directory.config["epochs"] == 3
    json.dumps(directory.config)


def test_without_dropout_and_learning_rate_both_views_agree(
    tmp_path: Path, tokenizer: Any, examples: Examples
) -> None:
    callback = DynamicsCallback(examples, tmp_path / "run")
    args = arguments(tmp_path, learning_rate=0.0, num_train_epochs=2)
    trainer(model(dropout=0.0), args, callback.track(dataset(tokenizer)), tokenizer, callback).train()
    dynamics = Dynamics(tmp_path / "run")
    assert len(dynamics.presentations()) == len(dynamics.evaluations()) == 2
    for seen, clean in zip(dynamics.presentations(), dynamics.evaluations()):
        np.testing.assert_allclose(seen.read()[1]["logits"], clean.read()[1]["logits"], atol=1e-5)


def test_with_dropout_the_presentation_is_the_train_mode_output(
    tmp_path: Path, tokenizer: Any, examples: Examples
) -> None:
    callback = DynamicsCallback(examples, tmp_path / "run")
    args = arguments(tmp_path, learning_rate=0.0, num_train_epochs=1)
    trainer(model(dropout=0.5), args, callback.track(dataset(tokenizer)), tokenizer, callback).train()
    dynamics = Dynamics(tmp_path / "run")
    difference = (
        dynamics.presentations()[0].read()[1]["logits"] - dynamics.evaluations()[0].read()[1]["logits"]
    )
    assert np.abs(difference).max(axis=1).min() > 1e-4


@pytest.mark.parametrize("accumulation", [1, 2])
def test_training_is_the_same_with_and_without(
    tmp_path: Path, tokenizer: Any, examples: Examples, accumulation: int
) -> None:
    args = {"gradient_accumulation_steps": accumulation}
    plain = model()
    trainer(plain, arguments(tmp_path / "a", **args), dataset(tokenizer), tokenizer).train()
    recorded = model()
    callback = DynamicsCallback(examples, tmp_path / "run", clean_every="2 steps")
    data = callback.track(dataset(tokenizer))
    trainer(recorded, arguments(tmp_path / "b", **args), data, tokenizer, callback).train()
    for one, two in zip(plain.parameters(), recorded.parameters()):
        assert torch.equal(one, two)
    found = Dynamics(tmp_path / "run")
    assert [recorded.rows for recorded in found.presentations()] == [N] * 3
    updates = 5 if accumulation == 1 else 3
    steps = [step for recorded in found.presentations() for step in sorted(set(recorded.read_times()[0]))]
    assert steps == list(range(3 * updates))
    wanted = sorted({*range(2, 3 * updates + 1, 2), 3 * updates})
    assert [recorded.step for recorded in found.evaluations()] == wanted


def test_bfloat16_autocast_around_the_wrapper(tmp_path: Path, tokenizer: Any, examples: Examples) -> None:
    callback = DynamicsCallback(examples, tmp_path / "run")
    data = callback.track(dataset(tokenizer))
    network = model()
    run = trainer(network, arguments(tmp_path, bf16=True, num_train_epochs=1), data, tokenizer, callback)
    run.train()
    found = Dynamics(tmp_path / "run")
    assert [len(found.presentations()), len(found.evaluations())] == [1, 1]
    np.testing.assert_allclose(
        found.evaluations()[0].read()[1]["logits"], run.predict(dataset(tokenizer)).predictions, atol=1e-2
    )
    with pytest.raises(InputError, match="run is finished"):
        run.train()


def test_an_interrupted_training_can_be_started_anew(
    tmp_path: Path, tokenizer: Any, examples: Examples
) -> None:
    class Stop(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            raise KeyboardInterrupt

    network = model()
    for more in ([Stop()], []):
        callback = DynamicsCallback(examples, tmp_path / "run")
        run = trainer(
            network, arguments(tmp_path), callback.track(dataset(tokenizer)), tokenizer, callback, *more
        )
        if more:
            with pytest.raises(KeyboardInterrupt):
                run.train()
        else:
            run.train()
    assert [recorded.rows for recorded in Dynamics(tmp_path / "run").presentations()] == [N] * 3
    assert "forward" not in network.__dict__


def test_two_callbacks_on_one_model_are_an_error(tmp_path: Path, tokenizer: Any, examples: Examples) -> None:
    callbacks = [DynamicsCallback(examples, tmp_path / name) for name in "ab"]
    data = callbacks[0].track(dataset(tokenizer))
    with pytest.raises(InputError, match="must hold one DynamicsCallback for a model"):
        trainer(model(), arguments(tmp_path), data, tokenizer, *callbacks).train()


def test_resuming_gives_the_same_files(tmp_path: Path, tokenizer: Any, examples: Examples) -> None:
    class Stop(TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == 8:
                raise KeyboardInterrupt

    def train(out: Path, *more: Any, **options: Any) -> None:
        callback = DynamicsCallback(examples, out / "run", clean_every="4 steps")
        args = arguments(out / "trainer", save_strategy="steps", save_steps=4)
        data = callback.track(dataset(tokenizer))
        trainer(model(), args, data, tokenizer, callback, *more).train(**options)

    def contents(out: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((out / "run").rglob("*.parquet"))}

    train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", Stop())
    train(tmp_path / "killed", resume_from_checkpoint=True)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert len(contents(tmp_path / "whole")) == 3 + 4


def test_rows_join_by_id_in_any_order_and_number(tmp_path: Path, tokenizer: Any, examples: Examples) -> None:
    rows = [7, 3, 11, 20, 19, 2]
    callback = DynamicsCallback(examples, tmp_path / "run")
    tracked = callback.track(dataset(tokenizer, rows, id=[f"s{row}" for row in rows]))
    assert tracked[ROW][:] == rows
    args = arguments(tmp_path, num_train_epochs=1)
    trainer(model(), args, tracked, tokenizer, callback).train()
    for recorded in (*Dynamics(tmp_path / "run").presentations(), *Dynamics(tmp_path / "run").evaluations()):
        assert recorded.read()[0].tolist() == [f"s{row}" for row in sorted(rows)]
    key = callback.track(dataset(tokenizer, rows, key=[f"s{row}" for row in rows]), id_column="key")
    assert key[ROW][:] == rows


def test_wrong_data_is_one_sentence(tmp_path: Path, tokenizer: Any, examples: Examples) -> None:
    callback = DynamicsCallback(examples, tmp_path / "run")
    with pytest.raises(InputError, match="or the 24 rows of the examples in their order, got 3 rows"):
        callback.track(dataset(tokenizer, [0, 1, 2]))
    with pytest.raises(InputError, match="1 of 24 ids are not in arrays: 'x'"):
        callback.track(dataset(tokenizer, id=["x", *(f"s{row}" for row in range(1, N))]))
    with pytest.raises(InputError, match="'label' differs in 24 of 24 rows"):
        callback.track(dataset(tokenizer, [*range(8, 24), *range(8)]))
    with pytest.raises(InputError, match=r"must be a datasets\.Dataset, got 'list'"):
        callback.track([1, 2])
    with pytest.raises(InputError, match="id_column must be one of input_ids, label, got 'nr'"):
        callback.track(dataset(tokenizer), id_column="nr")
    with pytest.raises(InputError, match="clean_every must be like '1 epoch'"):
        DynamicsCallback(examples, tmp_path / "run", clean_every="often")
    run = trainer(model(), arguments(tmp_path), dataset(tokenizer), tokenizer, callback)
    with pytest.raises(InputError, match=r"train_dataset must be callback\.track\(dataset\)"):
        run.train()


def test_without_clean_passes(tmp_path: Path, tokenizer: Any, examples: Examples) -> None:
    callback = DynamicsCallback(examples, tmp_path / "run", clean_every="never", keep="summary")
    args = arguments(tmp_path, num_train_epochs=1, max_steps=3)
    trainer(model(), args, callback.track(dataset(tokenizer)), tokenizer, callback).train()
    found = Dynamics(tmp_path / "run")
    assert found.evaluations() == [] and [recorded.rows for recorded in found.presentations()] == [15]
    assert "losses" in found.presentations()[0].stored


def test_clean_passes_over_given_inputs(tmp_path: Path, tokenizer: Any, examples: Examples) -> None:
    def clean(out: Path, inputs: TokenInputs | None, rows: list[int]) -> list[tuple[list[str], np.ndarray]]:
        callback = DynamicsCallback(examples, out, inputs=inputs)
        data = callback.track(dataset(tokenizer, rows, id=[f"s{row}" for row in rows]))
        trainer(model(), arguments(tmp_path), data, tokenizer, callback).train()
        read = [recorded.read() for recorded in Dynamics(out).evaluations()]
        return [(ids.tolist(), fields["logits"]) for ids, fields in read]

    some = list(range(0, N, 2))
    inputs = TokenInputs(tokenizer, max_length=32, token_types=False)
    for (ids, tracked), (all_ids, given) in zip(
        clean(tmp_path / "a", None, some), clean(tmp_path / "b", inputs, some)
    ):
        assert ids == [f"s{row}" for row in some] and all_ids == examples.ids.tolist()
        np.testing.assert_allclose(tracked, given[some], atol=1e-5)


def test_a_transform_needs_inputs_for_clean_passes(
    tmp_path: Path, tokenizer: Any, examples: Examples
) -> None:
    def shorten(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return {**batch, "input_ids": [tokens[:3] for tokens in batch["input_ids"]]}

    for inputs in (None, TokenInputs(tokenizer, max_length=32, token_types=False)):
        callback = DynamicsCallback(examples, tmp_path / f"run-{inputs is None}", inputs=inputs)
        data = callback.track(dataset(tokenizer)).with_transform(shorten)
        args = arguments(tmp_path, num_train_epochs=1)
        run = trainer(model(), args, data, tokenizer, callback)
        if inputs is None:
            with pytest.raises(
                InputError, match="inputs must be given for clean passes when the training data has"
            ):
                run.train()
        else:
            run.train()
    found = Dynamics(tmp_path / "run-False")
    assert [recorded.rows for recorded in (*found.presentations(), *found.evaluations())] == [N, N]
