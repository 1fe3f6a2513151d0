"""Language models in memory: one copy, whatever is asked of it."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

import torch

from scoring.inference import PRECISIONS
from scoring.networks import huggingface

_loaded: WeakValueDictionary[tuple[object, ...], Any] = WeakValueDictionary()
"""Networks that somebody uses; they go with their last user."""


def loaded_network(
    folder: str, digest: str, device: torch.device, precision: str, trust_remote_code: bool
) -> Any:
    """The network of a folder or hub name whose weights have that digest, in evaluation mode; it is not trained."""
    key = (folder, digest, str(device), precision, trust_remote_code)
    network: Any = _loaded.get(key)
    if network is None:
        network = huggingface.load_language_model(
            folder, dtype=PRECISIONS[precision], trust_remote_code=trust_remote_code
        )
        _loaded[key] = network = network.requires_grad_(False).to(device)
    return network
