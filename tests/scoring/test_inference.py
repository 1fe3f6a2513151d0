"""The forward pass: rows stay with their logits, modes and devices are handled, bad names are sentences."""

import numpy as np
import pytest
import torch
from torch import nn

from scoring.batching import plan_batches
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.inference import autocast, evaluation_mode, forward_logits, pick_device
from scoring.models import build_model

TEXTS = Examples.from_arrays([f"{'very ' * (n % 7)}short text {n}" for n in range(30)], np.arange(30) % 3)
CPU = torch.device("cpu")


def collected(model, prepared, batches, **keywords):
    logits = torch.full((len(prepared), model.num_classes), torch.nan)
    for rows, part in forward_logits(model, prepared, batches, CPU, **keywords):
        assert part.dtype == torch.float32
        logits[rows] = part
    return logits


def test_bucketed_logits_equal_one_by_one():
    model = build_model("small-bert", TEXTS, options={"width": 32})
    prepared = model.inputs.prepare(TEXTS)
    alone = collected(model, prepared, [np.array([row]) for row in range(30)])
    assert alone.isfinite().all()
    for plan in (plan_batches(prepared.lengths, 8), plan_batches(prepared.lengths, 64, max_tokens=40)):
        assert (collected(model, prepared, plan) - alone).abs().max() < 1e-5


def test_dropout_is_off_and_modes_come_back():
    model = build_model("small-bert", TEXTS, options={"width": 32, "dropout": 0.5})
    prepared = model.inputs.prepare(TEXTS)
    model.module.classifier.eval()
    plan = plan_batches(prepared.lengths, 16)
    assert torch.equal(collected(model, prepared, plan), collected(model, prepared, plan))
    assert model.module.training
    assert not model.module.classifier.training


def test_modes_come_back_after_an_error():
    network = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(3))
    network[1].eval()
    with pytest.raises(RuntimeError), evaluation_mode(network):
        assert not network.training
        raise RuntimeError
    assert network.training
    assert network[0].training
    assert not network[1].training


def test_bfloat16_autocast_is_close_and_comes_back_in_float32():
    model = build_model("mlp", TEXTS, options={"buckets": 2**10})
    prepared = model.inputs.prepare(TEXTS)
    plan = plan_batches(prepared.lengths, 16)
    exact, rough = collected(model, prepared, plan), collected(model, prepared, plan, precision="bfloat16")
    assert 0 < (exact - rough).abs().max() < 0.02


def test_names_of_devices_and_precisions_are_checked():
    assert pick_device("cpu") == CPU
    assert pick_device().type in {"cpu", "cuda", "mps"}
    with pytest.raises(InputError, match="device must be one of auto, cpu, cuda, mps, got 'gpu'"):
        pick_device("gpu")
    with pytest.raises(InputError, match=r"precision must be one of .*, got 'float8'"):
        autocast(CPU, "float8")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="device must be a device of this machine"):
            pick_device("cuda")


def test_interleaved_passes_leave_inference_mode_and_gradients_to_the_caller():
    model = build_model("mlp", TEXTS, options={"buckets": 2**10})
    prepared = model.inputs.prepare(TEXTS)
    plan = plan_batches(prepared.lengths, 16)
    for _ in zip(*(forward_logits(model, prepared, plan, CPU) for _ in range(2)), strict=True):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    abandoned = forward_logits(model, prepared, plan, CPU)
    next(abandoned)
    assert not torch.is_inference_mode_enabled()
