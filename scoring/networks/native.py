"""linear, mlp and cnn: from examples to a network that knows the statistics of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from scoring.networks.architectures import BagClassifier, VectorClassifier, native_network
from scoring.networks.input_statistics import feature_statistics, fit_standardize, pixel_statistics
from scoring.networks.inputs import FeatureInputs, Inputs, PixelInputs
from scoring.networks.options import Options, options_of

if TYPE_CHECKING:
    from scoring.examples import Examples


def build_native(
    name: str, examples: Examples, given: Mapping[str, Any] | None
) -> tuple[nn.Module, Inputs, Options]:
    """The network, fitted to the inputs (not to the labels) of the examples; its inputs; the resolved options."""
    options = options_of(name, examples.kind, given)
    classes = examples.num_classes
    if examples.kind == "text":
        from scoring.networks.text_inputs import BagInputs

        bags = BagInputs.from_options(options, pairs=examples.has_pairs)
        options["ngrams"] = bags.ngrams
        network = native_network(name, "text", (), classes, options)
        assert isinstance(network, BagClassifier)
        network.idf.copy_(torch.from_numpy(bags.fit(examples)))
        return network, bags, options
    if examples.kind == "features":
        network = native_network(name, "features", examples.input_shape, classes, options)
        assert isinstance(network, VectorClassifier)
        fit_standardize(network.inputs, feature_statistics(examples))
        return network, FeatureInputs(examples.input_shape[0]), options
    pixels = pixel_inputs(examples, options, channels_last=name == "cnn")
    network = native_network(name, "image", pixels.shape, classes, options)
    assert isinstance(network, VectorClassifier)
    fit_standardize(network.inputs, pixel_statistics(examples, pixels))
    return network, pixels, options


def pixel_inputs(examples: Examples, options: Options, *, channels_last: bool) -> PixelInputs:
    """Images at the size of the option ``image_size``, else at the size that all images must have."""
    shape = examples.input_shape
    size = options.get("image_size")
    return PixelInputs((*(size or shape[:2]), shape[2]), resize=size is not None, channels_last=channels_last)
