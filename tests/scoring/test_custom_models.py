"""Models of the user: networks, functions that make them, and Hugging Face folders."""

import numpy as np
import pytest
import torch
from references.model_checks import DIGITS, FEATURES, PAIRS, TEXTS, logits_of, reloaded
from torch import nn

from scoring.errors import InputError
from scoring.examples import Examples
from scoring.models import build_model, load_hf_folder, load_model, match_classes


class Viewer(nn.Module):
    """A user's network: an input of its own name, weights used twice."""

    def __init__(self, width: int = 64, classes: int = 10) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = self.first
        self.head = nn.Linear(width, classes)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        hidden = self.first(picture.view(len(picture), -1))
        return self.head(self.second(hidden.relu()))


def make_viewer(examples: Examples) -> nn.Module:
    return Viewer(int(np.prod(examples.input_shape)), examples.num_classes)


def test_a_users_network_is_copied_and_comes_back_only_with_model(tmp_path):
    network = Viewer()
    model = build_model(network, DIGITS)
    assert model.module is not network
    logits = logits_of(model, DIGITS)
    assert torch.equal(logits_of(reloaded(model, tmp_path, model=Viewer()), DIGITS), logits)
    with pytest.raises(
        InputError, match="custom model 'Viewer', which is never executed from a file; pass it again"
    ):
        load_model(tmp_path, tmp_path / "step", model.spec)
    with pytest.raises(InputError, match=r"the weights in .* do not fit model 'Viewer'"):
        load_model(tmp_path, tmp_path / "step", model.spec, model=Viewer(width=32))


def test_a_function_by_name_is_called_with_the_examples(tmp_path, monkeypatch):
    (tmp_path / "user_networks.py").write_text(
        "from torch import nn\n"
        "def make(examples):\n"
        "    return nn.Linear(examples.input_shape[0], examples.num_classes)\n"
        "def wrong(examples):\n"
        "    return 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    model = build_model("user_networks:make", FEATURES, seed=1)
    assert build_model("user_networks:make", FEATURES, seed=1).hash() == model.hash()
    assert model.spec["name"] == "user_networks:make"
    with pytest.raises(InputError, match="never executed from a file"):
        reloaded(model, tmp_path / "run")
    again = reloaded(model, tmp_path / "run", model="user_networks:make", examples=FEATURES)
    assert torch.equal(logits_of(again, FEATURES), logits_of(model, FEATURES))
    with pytest.raises(InputError, match="pass them too, as examples="):
        reloaded(model, tmp_path / "run", model="user_networks:make")
    with pytest.raises(InputError, match=r"must return a torch.nn.Module, got int"):
        build_model("user_networks:wrong", FEATURES)
    with pytest.raises(InputError, match="'user_networks:nothing' cannot be imported"):
        build_model("user_networks:nothing", FEATURES)
    assert build_model(make_viewer, DIGITS).spec["name"] == "make_viewer"


def test_a_users_text_network_brings_its_tokenizer(tmp_path):
    bert = build_model("small-bert", TEXTS, options={"width": 32})
    with pytest.raises(
        InputError, match="must carry its Hugging Face tokenizer as the attribute 'tokenizer'"
    ):
        build_model(bert.module, TEXTS)
    bert.module.tokenizer = bert.inputs.tokenizer
    model = build_model(bert.module, TEXTS)
    logits = logits_of(model, TEXTS)
    assert torch.equal(logits, logits_of(bert, TEXTS))
    again = reloaded(model, tmp_path, model=bert.module)
    assert torch.equal(logits_of(again, TEXTS), logits)


def test_a_hugging_face_folder_is_fine_tuned_with_a_new_head(tmp_path):
    bert = build_model("small-bert", TEXTS, options={"width": 32})
    bert.save(tmp_path / "bert", dtype="float16")
    bert.inputs.save(tmp_path / "bert")
    model = build_model(str(tmp_path / "bert"), PAIRS, seed=1)
    assert {p.dtype for p in model.module.parameters()} == {torch.float32}
    assert model.module.config.id2label == dict(enumerate(PAIRS.label_names))
    assert build_model(str(tmp_path / "bert"), PAIRS, seed=1).hash() == model.hash()
    assert build_model(str(tmp_path / "bert"), PAIRS, seed=2).hash() != model.hash()
    logits = logits_of(model, PAIRS)
    assert torch.equal(logits_of(reloaded(model, tmp_path / "run"), PAIRS), logits)
    with pytest.raises(InputError, match="examples must be pairs of texts, got 'single texts'"):
        model.inputs.prepare(TEXTS)


def test_a_hugging_face_image_folder_uses_its_processor(tmp_path):
    rng = np.random.default_rng(0)
    colour = Examples.from_arrays(rng.integers(0, 256, (6, 16, 16, 3), dtype=np.uint8), np.arange(6) % 2)
    vit = build_model("small-vit", colour, options={"layers": 1, "width": 32, "image_size": (16, 16)})
    vit.save(tmp_path / "vit")
    vit.inputs.save(tmp_path / "vit")
    plain = load_hf_folder(tmp_path / "vit", colour)
    assert (logits_of(plain, colour) - logits_of(vit, colour)).abs().max() < 1e-5
    # other sizes and grey images go through the processor's own resize rule
    model = build_model(str(tmp_path / "vit"), DIGITS)
    assert model.inputs.prepare(DIGITS).batch(np.arange(3))["pixel_values"].shape == (3, 3, 16, 16)
    logits = logits_of(model, DIGITS)
    assert torch.equal(logits_of(reloaded(model, tmp_path / "run"), DIGITS), logits)


def test_plain_folder_classes_come_from_id2label(tmp_path):
    bert = build_model("small-bert", TEXTS, options={"width": 32})
    bert.save(tmp_path)
    with pytest.raises(InputError, match="holds no tokenizer"):
        load_hf_folder(tmp_path)
    bert.inputs.save(tmp_path)
    logits = logits_of(bert, TEXTS)
    assert load_hf_folder(tmp_path).label_names == TEXTS.label_names
    names = ("Weather", "other", "music", "ALARM")
    other = Examples.from_arrays(TEXTS.texts(np.arange(4)), np.array(names), label_names=names)
    permuted = logits_of(load_hf_folder(tmp_path, other), other)
    order = [TEXTS.label_names.index(name.lower()) for name in names]
    assert (permuted - logits[:4][:, order]).abs().max() < 1e-5
    with pytest.raises(InputError, match="are not the 3 classes of the examples"):
        load_hf_folder(tmp_path, PAIRS.take([0]))
    with pytest.raises(InputError, match="examples must be text examples, got 'image'"):
        load_hf_folder(tmp_path, DIGITS)


def test_classes_without_names_match_by_number():
    assert match_classes(["LABEL_0", "LABEL_1"], ["neg", "pos"], "m") == [0, 1]
    assert match_classes(["neg", "pos"], ["0", "1"], "m") == [0, 1]
    assert match_classes(["b", "a"], ["A", "B"], "m") == [1, 0]
    with pytest.raises(InputError, match="load the examples with label_names= in the model's words"):
        match_classes(["b", "c"], ["a", "b"], "m")
