"""Pretraining of tiny models: what is counted, what is learned, and that an interruption leaves no trace."""

import math
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from references.small_runs import contents

from scoring.checkpoints import RunDirectory
from scoring.errors import InputError
from scoring.progress import Advance
from training.loop import TrainingDiverged
from training.optim import schedule_factor
from training.pretraining import run as pretraining
from training.pretraining.corpus import Corpus, make_corpus
from training.pretraining.decoder import Decoder, Shape, learning_rate, shape_of_width
from training.pretraining.held_out import HeldOut, held_out_losses, sequences
from training.pretraining.loop import PretrainLoop
from training.pretraining.run import pretrain

ROOT = Path(__file__).resolve().parents[2]
WORDS = ("the", "cat", "saw", "a", "dog", "and", "ran", "home", "fast", "then", "slept")


def sentences(count: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(8, 30))) + "." for _ in range(count)]


CORPUS, OUT = make_corpus("words", sentences(300)).split()
TEXT = HeldOut.of(OUT, 2_000)
SMALL: dict[str, Any] = {"width": 16, "tokens": 4_000, "length": 32, "batch_tokens": 128, "device": "cpu"}


def small(out: Path, corpus: Corpus = CORPUS, **given: Any) -> RunDirectory:
    return pretrain(corpus, {"words": TEXT}, out=out, **{**SMALL, **given})


def weights(run: RunDirectory) -> bytes:
    return (run.checkpoints()[-1].path / "model.safetensors").read_bytes()


@pytest.mark.parametrize("width", [8, 24, 32, 48, 88, 128])
@pytest.mark.parametrize("tied", [True, False])
def test_parameters_and_flops_against_the_module(width: int, tied: bool) -> None:
    by_rule = shape_of_width(width, 257)
    shape = Shape(width, by_rule.depth, by_rule.heads, by_rule.mlp, 257, tied)
    module = Decoder(shape, 32, 0).module
    assert shape.parameters == sum(each.numel() for each in module.parameters())
    embeddings = sum(p.numel() for n, p in module.named_parameters() if "embed" in n or "lm_head" in n)
    assert shape.non_embedding == shape.parameters - embeddings

    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    tokens = torch.zeros(2, 32, dtype=torch.long)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(input_ids=tokens).logits.sum().backward()
    # transformers multiplies positions with frequencies, the fourth-rank products of rotary embeddings: left out.
    assert counter.get_total_flops() / tokens.numel() == pytest.approx(shape.flops_per_token(32), rel=2e-3)


def test_six_n_is_the_cost_but_for_attention_and_norms() -> None:
    shape = shape_of_width(64, 257)
    assert shape.depth == 4 and shape.heads == 8 and shape.mlp == 168
    norms = (2 * shape.depth + 1) * shape.width
    assert shape.flops_per_token(0) == 6 * (shape.parameters - norms)
    assert shape.flops_per_token(128) - shape.flops_per_token(0) == 12 * shape.depth * shape.width * 128


def test_weights_belong_to_seed_and_name() -> None:
    state = torch.get_rng_state()
    one, two, other = (Decoder(shape_of_width(16, 257), 32, seed).module for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    pairs = [*zip(one.parameters(), two.parameters(), other.parameters())]
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert all(not torch.equal(a, c) for a, _, c in pairs if a.dim() > 1)


@pytest.mark.parametrize("width", [8, 32, 88])
def test_the_first_loss_is_near_that_of_knowing_nothing(width: int) -> None:
    model = Decoder(shape_of_width(width, 257), 32, 0)
    loss = held_out_losses(model, TEXT, 32, torch.device("cpu"))["loss"]
    assert math.log(257) - 0.1 < loss < math.log(257) + 0.8


def test_losses_by_the_slow_way() -> None:
    model = Decoder(shape_of_width(16, 257), 32, 0)
    total = 0.0
    for start in range(0, len(TEXT.tokens) - 1, 32):
        piece = torch.from_numpy(TEXT.tokens[start : start + 33])
        with torch.no_grad():
            log_p = torch.log_softmax(model.logits(piece[None, :-1])[0].double(), -1)
        total -= float(log_p.gather(1, piece[1:, None]).sum())
    found = held_out_losses(model, TEXT, 32, torch.device("cpu"))
    assert found["loss"] == pytest.approx(total / (len(TEXT.tokens) - 1), rel=1e-6)
    assert found["loss_per_byte"] == pytest.approx(total / TEXT.bytes, rel=1e-6)


@pytest.mark.parametrize("tokens", [128, 129, 1_000, 4_000])
def test_the_budget_is_met_exactly(tokens: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[int, int]] = []
    update = PretrainLoop.update

    def noting(self: PretrainLoop, start: int, end: int) -> torch.Tensor:
        _, targets = sequences(self.stream.window(start, end + 1), self.settings.length)
        assert int((targets >= 0).sum()) == end - start
        read.append((start, end))
        return update(self, start, end)

    monkeypatch.setattr(PretrainLoop, "update", noting)
    told: list[int] = []

    def advancing(*_: Any) -> Any:
        from contextlib import nullcontext

        advance: Advance = told.append
        return nullcontext(advance)

    monkeypatch.setattr(pretraining, "show", advancing)
    run = small(tmp_path / "run", tokens=tokens)
    assert read[0][0] == 0 and read[-1][1] == tokens == sum(told)
    assert all(a[1] == b[0] for a, b in pairwise(read))
    assert run.config["tokens"] == tokens and run.config["steps"] == math.ceil(tokens / 128)


def test_the_run_directory(tmp_path: Path) -> None:
    other = HeldOut.of(make_corpus("digits", [str(k) for k in range(300)]), 500)
    run = pretrain(
        CORPUS, {"words": TEXT, "digits": other}, out=tmp_path / "r", **SMALL, evaluate_at=(0.25, 0.5)
    )
    about = run.config
    assert run.status == "finished" and about["num_parameters"] == shape_of_width(16, 257).parameters
    assert about["flops"] == 4_000 * shape_of_width(16, 257).flops_per_token(32)
    assert about["epochs"] == 4_000 / len(CORPUS.tokens) and about["unique_tokens"] == 4_000
    assert about["learning_rate"] == learning_rate(16)
    metrics = run.metrics().to_pylist()
    steps = {(row["split"], row["name"]): [] for row in metrics}
    for row in metrics:
        steps[row["split"], row["name"]].append(row["step"])
    assert steps["digits", "loss"] == steps["words", "loss_per_byte"] == [8, 16, 32]
    assert steps["train", "loss"][-1] == 32 and len(steps["train", "loss"]) == 32
    from transformers import LlamaForCausalLM

    loaded = LlamaForCausalLM.from_pretrained(run.checkpoints()[-1].path)
    model = Decoder(shape_of_width(16, 257), 32, 0)
    model.module = loaded
    last = run.summary()["metrics"]["words/loss"]
    assert held_out_losses(model, TEXT, 32, torch.device("cpu"))["loss"] == pytest.approx(last, rel=1e-6)


def test_losses_fall_and_a_tiny_text_is_learned_by_heart(tmp_path: Path) -> None:
    run = small(tmp_path / "words", tokens=30_000)
    losses = [row["value"] for row in run.metrics().to_pylist() if row["split"] == "train"]
    assert losses[0] > math.log(257) - 0.1 and losses[-1] < 1.5
    tiny = make_corpus("tiny", ["to be or not to be, that is the question: "])
    run = small(tmp_path / "tiny", tiny, tokens=20_000, width=32)
    # Not 0: a sequence begins anywhere, and its first letters say little of where.
    assert run.summary()["metrics"]["train/loss"] < 0.15
    assert run.config["unique_tokens"] == 43 and run.config["epochs"] == 20_000 / 43


def test_equal_calls_give_equal_bytes_and_the_order_of_the_data_plays_no_part(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    turned = CORPUS.take(np.arange(len(CORPUS))[::-1])
    runs = [small(tmp_path / "a"), small(tmp_path / "b", turned), small(tmp_path / "c", seed=1)]
    assert torch.equal(torch.get_rng_state(), state)
    assert weights(runs[0]) == weights(runs[1]) != weights(runs[2])
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_finished_run_is_not_repeated_and_another_call_is_refused(tmp_path: Path) -> None:
    small(tmp_path / "r")
    before = (tmp_path / "r" / "run.json").read_bytes()
    small(tmp_path / "r")
    assert (tmp_path / "r" / "run.json").read_bytes() == before
    with pytest.raises(InputError, match=r"pretrain: out .* a different call .*tokens 4000 there, 5000 here"):
        small(tmp_path / "r", tokens=5_000)
    with pytest.raises(InputError, match="other data"):
        small(tmp_path / "r", CORPUS.take(np.arange(50)))


def test_ctrl_c_and_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(tmp_path / "whole")
    update = PretrainLoop.update

    def interrupted(self: PretrainLoop, start: int, end: int) -> torch.Tensor:
        if start == 128 * 11:
            os.kill(os.getpid(), signal.SIGINT)
        return update(self, start, end)

    monkeypatch.setattr(PretrainLoop, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        small(tmp_path / "stopped")
    assert [path.name for path in (tmp_path / "stopped").glob("resume-*")] == ["resume-00000012"]
    monkeypatch.undo()
    small(tmp_path / "stopped")
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


KILLER = """
import os, signal, sys, threading, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_pretraining import small
out = Path(sys.argv[1])

def kill():
    while not any(out.glob("resume-*")):
        time.sleep(0.002)
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=kill, daemon=True).start()
small(out, tokens=40_000, resume_seconds=0.01)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_kill_minus_nine_and_resume(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLER, str(tmp_path / "killed"), str(Path(__file__).parent)],
        env=environment, capture_output=True, text=True, timeout=300, check=False, cwd=Path.cwd(),
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert any((tmp_path / "killed").glob("resume-*"))
    small(tmp_path / "killed", tokens=40_000)
    small(tmp_path / "whole", tokens=40_000)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_schedules_end_where_they_should() -> None:
    cosine = [schedule_factor("cosine", step, 100, 10, 0.1) for step in range(101)]
    assert max(cosine) == cosine[9] == 1.0 and cosine[100] == pytest.approx(0.1)
    assert cosine[55] == pytest.approx(0.55)
    wsd = [schedule_factor("wsd", step, 100, 10, 0.1) for step in range(101)]
    assert wsd[9:81] == [1.0] * 72 and wsd[90] == pytest.approx(0.55) and wsd[100] == pytest.approx(0.1)


def test_a_diverging_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match=r"pretrain: the .* at step"):
        small(tmp_path / "r", lr=1e30, clip=None, warmup=0)
    assert RunDirectory.open(tmp_path / "r").status == "diverged"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tokens": 0}, "tokens must be a whole number of at least 1, got 0"),
        ({"batch_tokens": 100}, r"batch_tokens must be a multiple of length \(32\), got 100"),
        ({"width": 20}, "width must be a multiple of 8, got 20"),
        ({"width": None}, "give either width or shape"),
        ({"schedule": "cosin"}, "Did you mean 'cosine'"),
        ({"final_lr": 2}, "final_lr must be a fraction from 0 to 1"),
        ({"evaluate_at": [1.0]}, "evaluate_at must be fractions between 0 and 1"),
        ({"optimizer": "sgd"}, "give lr with optimizer 'sgd'"),
        ({"learning_rate": 1}, "option must be one of .* got 'learning_rate'"),
        ({"threads": 0}, "threads must be a whole number of at least 1"),
        ({"width": None, "shape": Shape(16, 1, 2, 40, 10)}, "shape must be of a vocabulary of 257"),
    ],
)
def test_errors_for_users(given: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        small(tmp_path / "r", **given)
    assert not (tmp_path / "r").exists()


def test_held_out_text_of_another_tokenizer(tmp_path: Path) -> None:
    foreign = HeldOut("x", TEXT.tokens, TEXT.bytes, "3-0 another")
    with pytest.raises(InputError, match="must have one tokenizer"):
        pretrain(CORPUS, {"x": foreign}, out=tmp_path / "r", **SMALL)
