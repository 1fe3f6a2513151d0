"""Models: a network together with how examples become its inputs.

    model = build_model("cnn", examples, seed=0, options={"channels": (64, 128)})
    logits_BC = model.logits(model.inputs.prepare(examples).batch(np.arange(8)))

``Model.spec`` is JSON: with a checkpoint folder and the run's assets, ``load_model`` rebuilds the model without data.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_model as load_safetensors
from safetensors.torch import save_model as save_safetensors
from torch import Tensor, nn

from scoring.class_order import nameless
from scoring.errors import InputError, bad_value, name_some, unknown_name
from scoring.hashing import derive_seed
from scoring.networks import architectures
from scoring.networks.architectures import native_network
from scoring.networks.custom import ModelLike, build_custom, custom_module, name_of
from scoring.networks.inputs import Batch, FeatureInputs, Inputs, PixelInputs, ProcessorInputs
from scoring.networks.native import build_native
from scoring.networks.options import OPTIONS, learning_rate
from scoring.networks.text_inputs import BagInputs, TokenInputs

if TYPE_CHECKING:
    from scoring.examples import Examples

WEIGHTS = "model.safetensors"
ASSETS = "assets"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Model:
    """A network, its inputs and the description from which both are rebuilt.

    Attributes:
        module: the network; call it through :meth:`logits`.
        inputs: makes examples into batches.
        spec: JSON: name, family, kind, options, num_classes, label_names, inputs.
        columns: for weights of other origin, the output column of each class; None if they are in order.
    """

    def __init__(
        self, module: nn.Module, inputs: Inputs, spec: dict[str, Any], columns: Tensor | None = None
    ) -> None:
        self.module = module
        self.inputs = inputs
        self.spec = spec
        self.columns = columns

    def __repr__(self) -> str:
        return f"Model({self.spec['name']!r}, {self.num_parameters:,} parameters, {self.num_classes} classes)"

    @property
    def num_classes(self) -> int:
        """C."""
        return int(self.spec["num_classes"])

    @property
    def label_names(self) -> tuple[str, ...]:
        """The classes in the order of the logits."""
        return tuple(self.spec["label_names"])

    @property
    def num_parameters(self) -> int:
        """How many numbers are trained; shared weights count once."""
        return sum(parameter.numel() for parameter in self.module.parameters())

    @property
    def default_learning_rate(self) -> float:
        """Of AdamW: a start that works on small data sets; custom networks get 1e-3, pretrained ones 5e-5."""
        return (
            1e-3 if self.spec["family"] == "custom" else learning_rate(self.spec["name"], self.spec["kind"])
        )

    def logits(self, batch: Batch) -> Tensor:
        """Forward pass, (B, C), in the mode (training or evaluation) that the module is in."""
        # "x" goes by position: a user's network may call its input anything
        output = self.module(batch["x"]) if "x" in batch else self.module(**batch)
        logits_BC: Tensor = output if isinstance(output, Tensor) else output.logits
        return logits_BC if self.columns is None else logits_BC[:, self.columns.to(logits_BC.device)]

    def save(self, folder: str | Path, dtype: str | None = None) -> None:
        """Write the weights into ``folder``, as ``dtype`` if given: safetensors, and config.json of HF models."""
        if dtype is not None and dtype not in DTYPES:
            raise unknown_name("dtype", "Model.save", dtype, DTYPES)
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        module = self.module
        if dtype is not None:
            module = copy.deepcopy(module).to(DTYPES[dtype])
        if self.spec["family"] == "huggingface":
            from scoring.networks.huggingface import quiet

            with quiet():
                module.save_pretrained(folder)  # type: ignore[operator]
        else:
            save_safetensors(module, str(folder / WEIGHTS))

    def save_assets(self, run_folder: str | Path) -> None:
        """Write what is the same for all checkpoints (tokenizer, image processor) into run_folder/assets."""
        assets = Path(run_folder) / ASSETS
        assets.mkdir(parents=True, exist_ok=True)
        self.inputs.save(assets)

    def hash(self) -> str:
        """Hex digest of names, types, shapes and values of all weights and buffers."""
        return hash_weights(self.module)


def hash_weights(module: torch.nn.Module) -> str:
    """Hex digest of names, types, shapes and values of all weights and buffers."""
    state = hashlib.blake2b(digest_size=16)
    for name, value in sorted(module.state_dict().items()):
        array = value.detach().cpu().contiguous()
        state.update(f"{name}:{array.dtype}:{tuple(array.shape)};".encode())
        state.update(array.flatten().view(torch.uint8).numpy())
    return state.hexdigest()


def build_model(
    name_or_object: ModelLike,
    examples: Examples,
    *,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    trust_remote_code: bool = False,
) -> Model:
    """A new model for the examples, in training mode, on the CPU.

    The weights depend on name, options, seed and the examples as a set; global random state is not touched.

    Args:
        name_or_object: ``linear``, ``mlp``, ``cnn``, ``small-bert``, ``small-resnet``, ``small-vit``, ``minilm``; a
            Hugging Face name or folder; ``"module:function"`` or a function, called with the examples, which gives a
            ``torch.nn.Module``; a ``torch.nn.Module``, which is copied.
        options: of named models, see ``scoring.networks.options``.
        trust_remote_code: lets a Hugging Face model run code from its repository.

    Raises:
        InputError: for unknown names and options, and models that cannot read such examples.
    """
    classes = examples.num_classes
    if classes < 2:
        raise bad_value("examples", "build_model", f"{classes} classes", "labelled, with 2 or more classes")
    spec: dict[str, Any] = {
        "name": name_or_object if isinstance(name_or_object, str) else name_of(name_or_object),
        "kind": examples.kind,
        "num_classes": classes,
        "label_names": list(examples.label_names),
    }
    with seeded(seed):
        spec["family"] = _family(name_or_object)
        if spec["family"] == "native":
            module, inputs, resolved = build_native(spec["name"], examples, options)
        elif spec["family"] == "custom":
            module, inputs, resolved = build_custom(name_or_object, examples, options)
        else:
            from scoring.networks.huggingface import build_huggingface

            module, inputs, resolved = build_huggingface(spec["name"], examples, options, trust_remote_code)
    spec["options"] = {
        key: list(value) if isinstance(value, tuple) else value for key, value in resolved.items()
    }
    spec["inputs"] = inputs.describe()
    return Model(module.train(), inputs, spec)


def load_model(
    run_folder: str | Path,
    checkpoint_folder: str | Path,
    spec: Mapping[str, Any],
    model: ModelLike | None = None,
    *,
    examples: Examples | None = None,
    trust_remote_code: bool = False,
) -> Model:
    """The model of a checkpoint, in evaluation mode; its logits equal the saved ones to the last bit.

    Args:
        run_folder: the run directory with the assets of all its checkpoints.
        checkpoint_folder: what ``Model.save`` wrote.
        spec: ``Model.spec``, as stored in run.json. Nothing that it names is executed.
        model: for models from ``"module:function"`` or a ``torch.nn.Module``: the same again.
        examples: only for a ``model`` that is called with examples.
        trust_remote_code: for Hugging Face models with code of their own.

    Raises:
        InputError: if ``model`` is needed, or the weights do not fit.
    """
    spec, assets, folder = dict(spec), Path(run_folder) / ASSETS, Path(checkpoint_folder)
    with seeded(0):
        if spec["family"] == "huggingface":
            from scoring.networks.huggingface import load_network

            module: nn.Module = load_network(folder, spec["kind"], trust_remote_code=trust_remote_code)
        elif spec["family"] == "native":
            shape = tuple(spec["inputs"].get("shape") or [spec["inputs"].get("width", 0)])
            module = native_network(spec["name"], spec["kind"], shape, spec["num_classes"], spec["options"])
            _load_weights(module, folder, spec["name"])
        else:
            if model is None:
                raise InputError(
                    f"load_model: this run was trained with the custom model {spec['name']!r}, which is never "
                    "executed from a file; pass it again as model=."
                )
            module = custom_module(model, examples)
            _load_weights(module, folder, spec["name"])
    inputs = read_inputs(spec["inputs"], assets, module, trust_remote_code=trust_remote_code)
    return Model(module.eval(), inputs, spec)


def load_hf_folder(
    path: str | Path,
    examples: Examples | None = None,
    *,
    tokenizer: str | Path | None = None,
    max_length: int = 512,
    label_names: Sequence[str] | None = None,
    trust_remote_code: bool = False,
) -> Model:
    """A trained classifier from a Hugging Face model folder, in evaluation mode.

    Classes are those of ``id2label`` in config.json. With ``examples`` the logits come in the order of their
    ``label_names``: matched by name, or by number where either side only has numbers.

    Args:
        path: config.json, weights, and tokenizer or image processor (these also from the folder above, where
            ``transformers.Trainer`` leaves them).
        examples: what will be scored.
        tokenizer: folder or hub name, if the tokenizer (or image processor) is elsewhere.
        max_length: tokens of a text that are read; never more than the model has positions.
        label_names: names of its outputs, where they are known and id2label has none.
        trust_remote_code: lets the model run code from its folder.

    Raises:
        InputError: if the folder is no classifier, or its classes are not those of the examples.
    """
    from scoring.networks.huggingface import read_folder

    with seeded(0):
        kind = examples.kind if examples is not None else None
        network, inputs = read_folder(Path(path), kind, tokenizer, max_length, trust_remote_code)
    module: nn.Module = network
    names = [str(name) for _, name in sorted((network.config.id2label or {}).items())]
    if label_names is not None and len(label_names) == len(names) and nameless(names):
        names = [str(name) for name in label_names]
    columns = None if examples is None else match_classes(names, examples.label_names, str(path))
    spec: dict[str, Any] = {
        "name": str(path),
        "kind": inputs.kind,
        "num_classes": len(names),
        "label_names": names if examples is None else list(examples.label_names),
        "family": "huggingface",
        "options": {},
        "inputs": inputs.describe(),
    }
    if columns == list(range(len(names))):
        columns = None
    return Model(module.eval(), inputs, spec, None if columns is None else torch.tensor(columns))


def match_classes(theirs: Sequence[str], ours: Sequence[str], owner: str) -> list[int]:
    """The output column of each of our classes, by name regardless of case; by position if one side has no names."""
    if len(theirs) == len(ours):
        lowered = [name.strip().lower() for name in theirs]
        wanted = [name.strip().lower() for name in ours]
        if len(set(lowered)) == len(lowered) and set(lowered) == set(wanted):
            return [lowered.index(name) for name in wanted]
        if nameless(theirs) or wanted == [str(index) for index in range(len(ours))]:
            return list(range(len(ours)))
    raise InputError(
        f"model {owner!r}: its {len(theirs)} classes ({name_some(theirs)}) are not the {len(ours)} classes of the "
        f"examples ({name_some(ours)}); load the examples with label_names= in the model's words."
    )


def read_inputs(
    described: Mapping[str, Any], assets: Path, module: nn.Module, *, trust_remote_code: bool = False
) -> Inputs:
    """The inputs that ``Inputs.describe`` and ``Inputs.save`` stored; custom networks bring their own tokenizer."""
    keywords = {key: value for key, value in described.items() if key != "type"}
    match described["type"]:
        case "features":
            return FeatureInputs(**keywords)
        case "pixels":
            return PixelInputs(**keywords)
        case "bags":
            return BagInputs(**keywords)
        case "tokens":
            from scoring.networks.huggingface import load_tokenizer

            tokenizer = getattr(module, "tokenizer", None) or load_tokenizer(assets, trust_remote_code)
            return TokenInputs(tokenizer, **keywords)
        case "processor":
            from scoring.networks.huggingface import load_processor

            return ProcessorInputs(load_processor(assets, trust_remote_code), **keywords)
    raise unknown_name(
        "inputs", "run.json", described["type"], ["bags", "features", "pixels", "processor", "tokens"]
    )


def _load_weights(module: nn.Module, folder: Path, name: str) -> None:
    if not (folder / WEIGHTS).is_file():
        raise FileNotFoundError(f"load_model: {folder} holds no {WEIGHTS}.")
    try:
        load_safetensors(module, str(folder / WEIGHTS))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"load_model: the weights in {folder} do not fit model {name!r}: {reason[:300]}"
        ) from None


def _family(model: ModelLike) -> str:
    """native, huggingface or custom; an unknown name is an error."""
    if not isinstance(model, str):
        return "custom"
    if model in architectures.NATIVE:
        return "native"
    if model in OPTIONS or "/" in model or Path(model).is_dir():
        return "huggingface"
    if ":" in model:
        return "custom"
    raise unknown_name("model", "build_model", model, OPTIONS)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """torch's CPU generator as if just seeded; put back afterwards. CUDA generators are left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed("init", seed))
        yield
