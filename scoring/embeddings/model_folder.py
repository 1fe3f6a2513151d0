"""Folders of models: where they are, what they are of, and a digest of all that decides their vectors."""

from __future__ import annotations

import hashlib
from pathlib import Path

from scoring.errors import InputError, unknown_name
from scoring.file_digests import file_digest
from scoring.networks.huggingface import load_config, minilm_folder, quiet

WEIGHTS = (".safetensors", ".bin")
SETTINGS = (".json", ".txt", ".model")
NOT_OF_THE_MODEL = ("optimizer.", "scheduler.", "training_args.", "trainer_state.", "state.json")
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
TEXT_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "tokenizer.model", "spiece.model")


def model_folder(name: str, choices: str, trust_remote_code: bool = False) -> Path:
    """The folder of ``minilm``, of a path, or of a hub name, which is downloaded (safetensors weights only).

    Raises:
        InputError: Neither a folder with a model nor a name of the hub; ``choices`` says what there is.
    """
    if name == "minilm":
        return minilm_folder()
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
            raise InputError(
                f"encoder {name!r} must be a folder with a model (config.json) or a run directory (run.json), "
                "and holds neither."
            )
        return folder
    if "/" not in name or name.count("/") > 1 or name.startswith((".", "/", "~")):
        if "/" in name:
            raise FileNotFoundError(f"encoder: no folder at {name!r}.")
        raise unknown_name(
            "encoder", "score", name, ["minilm", "hashed", "a folder", "owner/name of the hub"]
        )
    return _from_hub(name, trust_remote_code)


def is_of_images(folder: Path) -> bool:
    """Whether the model reads images: it has an image processor, and no tokenizer unless it reads both."""
    if not any((folder / file).is_file() for file in PROCESSORS):
        return False
    return not any((folder / file).is_file() for file in TEXT_FILES) or hasattr(
        load_config(folder), "vision_config"
    )


def folder_digest(folder: Path) -> str:
    """Hex digest of weights, configuration, tokenizer or processor, and of the modules in folders below."""
    state = hashlib.blake2b(digest_size=16)
    for file in sorted([*folder.glob("*"), *folder.glob("*_*/*")]):
        kept = file.suffix in (*WEIGHTS, *SETTINGS) and not file.name.startswith(NOT_OF_THE_MODEL)
        if kept and file.is_file():
            state.update(f"{file.relative_to(folder).as_posix()}:{file_digest(file)};".encode())
    return state.hexdigest()


def _from_hub(name: str, trust_remote_code: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted = ["*.json", "*.txt", "*.model", "*.safetensors", *(["*.py"] if trust_remote_code else [])]
    try:
        with quiet():
            return Path(
                snapshot_download(name, allow_patterns=wanted, ignore_patterns=["onnx/*", "openvino/*"])
            )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = " ".join(str(error).split()).split(". ")[0].rstrip(".")[:300]
        raise InputError(
            f"encoder {name!r} is no folder, and the Hugging Face hub gave no model of that name: {reason}."
        ) from None
