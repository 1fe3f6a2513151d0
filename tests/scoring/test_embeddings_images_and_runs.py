"""Vectors of images by networks with a processor, and of examples by runs."""

import numpy as np
import pytest
import torch
from references.model_checks import FEATURES, TEXTS
from references.small_runs import DIGITS, train_small
from references.tiny_encoders import save_clip, save_resnet, save_vit

from scoring.corpus.documents import Documents
from scoring.embeddings.encoder import Encoded, Running
from scoring.embeddings.opening import open_encoder
from scoring.embeddings.texts import embed_texts
from scoring.embeddings.write import embed
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.representations import LayerOutputs

IMAGES = Examples.from_arrays(
    np.random.default_rng(0).integers(0, 256, size=(10, 20, 24, 3), dtype=np.uint8), ids=np.arange(10)
)


def encoded(name: str, examples: Examples, rows=None, **running) -> Encoded:
    rows = np.arange(len(examples)) if rows is None else rows
    return open_encoder(name, Running(**running)).encode(Documents(examples, rows))


def output_of(folder, **keywords):
    """What transformers makes of all images."""
    from transformers import AutoImageProcessor, AutoModel

    model = AutoModel.from_pretrained(folder).eval()
    pixels = AutoImageProcessor.from_pretrained(folder)(
        images=IMAGES.images(np.arange(10)), return_tensors="pt", input_data_format="channels_last"
    )["pixel_values"]
    with torch.no_grad():
        return model, pixels, keywords.get("call", lambda m, p: m(pixel_values=p))(model, pixels)


def test_a_pooler_with_weights_is_used_else_the_mean_of_patches(tmp_path) -> None:
    whole, classifier = save_vit(tmp_path / "vit"), save_vit(tmp_path / "classifier", classifier=True)
    _, _, output = output_of(whole)
    found = encoded(str(whole), IMAGES)
    np.testing.assert_allclose(found.vectors_BD, output.pooler_output, atol=1e-5)
    patches = output.last_hidden_state[:, 1:].mean(dim=1)
    np.testing.assert_allclose(encoded(f"{whole}(pooling=mean)", IMAGES).vectors_BD, patches, atol=1e-5)
    cls = output.last_hidden_state[:, 0]
    np.testing.assert_allclose(encoded(f"{whole}(pooling=cls)", IMAGES).vectors_BD, cls, atol=1e-5)
    unit = torch.nn.functional.normalize(patches, dim=1)
    np.testing.assert_allclose(
        encoded(f"{whole}(pooling=mean,normalize=true)", IMAGES).vectors_BD, unit, atol=1e-5
    )
    _, _, other = output_of(classifier)
    expected = other.last_hidden_state[:, 1:].mean(dim=1)
    np.testing.assert_allclose(encoded(str(classifier), IMAGES).vectors_BD, expected, atol=1e-5)
    with pytest.raises(InputError, match="needs a pooler with weights"):
        encoded(f"{classifier}(pooling=pooled)", IMAGES)
    # 5 tokens (4 patches): projections, attention and MLP of one layer, patches, pooler
    tokens, width = 5, 16
    layer = 2 * tokens * (4 * width**2 + 2 * width * 24) + 2 * 2 * tokens**2 * width
    assert found.flops == 10 * (layer + 2 * 4 * 8 * 8 * 3 * width + 2 * width**2)


def test_other_image_networks_and_order(tmp_path) -> None:
    clip, resnet = save_clip(tmp_path / "clip"), save_resnet(tmp_path / "resnet")
    _, _, features = output_of(clip, call=lambda m, p: m.get_image_features(pixel_values=p))
    features = getattr(features, "pooler_output", features)
    found = encoded(str(clip), IMAGES).vectors_BD
    assert found.shape == (10, 12)
    np.testing.assert_allclose(found, features, atol=1e-5)
    model, pixels, _ = output_of(clip, call=lambda m, p: None)
    with torch.no_grad():
        states = model.vision_model(pixel_values=pixels).last_hidden_state[:, 1:].mean(dim=1)
    np.testing.assert_allclose(encoded(f"{clip}(pooling=mean)", IMAGES).vectors_BD, states, atol=1e-5)
    _, _, maps = output_of(resnet)
    np.testing.assert_allclose(
        encoded(str(resnet), IMAGES).vectors_BD, maps.pooler_output.flatten(1), atol=1e-5
    )
    means = maps.last_hidden_state.mean(dim=(2, 3))
    np.testing.assert_allclose(encoded(f"{resnet}(pooling=mean)", IMAGES).vectors_BD, means, atol=1e-5)
    turned = encoded(str(clip), IMAGES, np.array([7, 2])).vectors_BD
    np.testing.assert_allclose(turned, found[[7, 2]], atol=1e-5)


def test_mistakes_with_images_are_told(tmp_path) -> None:
    folder = save_vit(tmp_path)
    with pytest.raises(InputError, match="examples must be image examples, got 'text'"):
        embed_texts(["a"], str(folder))
    with pytest.raises(InputError, match="read texts, and arrays has image examples"):
        encoded("hashed", IMAGES)
    with pytest.raises(InputError, match="pooling must be one of"):
        open_encoder(f"{folder}(pooling=max)")
    with pytest.raises(InputError, match="normalize must be true or false"):
        open_encoder(f"{folder}(normalize=3)")


@pytest.mark.parametrize(
    ("examples", "model", "options"),
    [
        (DIGITS, "mlp", {"hidden": (16,)}),
        (FEATURES, "mlp", {"hidden": (8,)}),
        (TEXTS, "mlp", {"buckets": 2**8, "hidden": (12,)}),
        (TEXTS, "small-bert", {"width": 32, "vocabulary": 200}),
    ],
)
def test_runs_give_the_last_representation_of_their_last_checkpoint(
    tmp_path, examples, model, options
) -> None:
    (run,) = train_small(tmp_path / "run", examples, model, epochs=1, model_options=options)
    unlabelled = Examples.from_arrays(
        examples.texts(np.arange(len(examples))) if examples.kind == "text"
        else examples.features(np.arange(len(examples))) if examples.kind == "features"
        else np.stack(examples.images(np.arange(len(examples)))),
        ids=np.arange(len(examples)),
    )  # fmt: skip
    loaded = run.load(run.checkpoints()[-1], examples)
    batch = loaded.inputs.prepare(examples).batch(np.arange(len(examples)))
    with torch.no_grad(), LayerOutputs(loaded, "all") as outputs:
        loaded.logits(batch)
        layers = outputs.take(batch)
    found = encoded(str(run.path), unlabelled, batch_tokens=64)
    np.testing.assert_allclose(found.vectors_BD, layers[-1], atol=1e-5)
    assert found.flops is not None and found.flops > 0
    np.testing.assert_allclose(encoded(f"{run.path}(layer=0)", unlabelled).vectors_BD, layers[0], atol=1e-5)
    with pytest.raises(InputError, match="layer must be from"):
        encoded(f"{run.path}(layer=9)", unlabelled)
    other = IMAGES if examples.kind != "image" else FEATURES
    with pytest.raises(InputError, match=f"must be {examples.kind} examples, as in training"):
        encoded(str(run.path), other)
    assert embed(unlabelled, str(run.path), tmp_path / "out").width == layers[-1].shape[1]


def test_a_step_can_be_named_and_custom_models_are_refused(tmp_path) -> None:
    (run,) = train_small(tmp_path / "run", epochs=2)
    steps = [checkpoint.step for checkpoint in run.checkpoints()]
    first = encoded(f"{run.path}(step={steps[0]})", DIGITS).vectors_BD
    assert not torch.allclose(first, encoded(str(run.path), DIGITS).vectors_BD)
    with pytest.raises(InputError, match="step must be one of"):
        open_encoder(f"{run.path}(step=99999)")
    with pytest.raises(InputError, match="layer must be a whole number"):
        open_encoder(f"{run.path}(layer=last)")
    run.update(model={**run.config["model"], "family": "custom", "name": "mine:build"})
    with pytest.raises(InputError, match="got 'mine:build', which its files alone do not rebuild"):
        open_encoder(str(run.path))
