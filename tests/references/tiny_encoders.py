"""Untrained encoders of a few thousand parameters, saved as Hugging Face folders, and encoding one text at a time."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from references.tiny_language_models import save_tokenizer
from torch.nn import functional

TEXTS = [
    "",
    "  \n",
    "The sea was calm.",
    "the sea was calm",
    "Zürich über naïve 北京 🙂",
    "one two three four five six seven eight nine ten " * 8,
    "a",
    "<s></s> [CLS] ### yes",
]


def save_bert(folder: Path, seed: int = 0, positions: int = 48) -> Path:
    """A BERT of two layers, over words of the texts and single letters."""
    from transformers import BertConfig, BertModel, BertTokenizer

    letters = sorted({c for text in TEXTS for c in text.lower() if not c.isspace()})
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "sea", "was", "calm", "query", ":"]
    vocabulary = dict.fromkeys([*words, *letters, *(f"##{letter}" for letter in letters)])
    BertTokenizer(
        vocab={token: k for k, token in enumerate(vocabulary)}, model_max_length=512
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=24, max_position_embeddings=positions,
    )  # fmt: skip
    _save(BertModel, config, folder, seed)
    return folder


def save_t5(folder: Path) -> Path:
    """An encoder-decoder over bytes."""
    from transformers import T5Config, T5ForConditionalGeneration

    size = save_tokenizer(folder, eos_token="</s>", pad_token="<pad>")
    config = T5Config(
        vocab_size=size, d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2, pad_token_id=size - 1,
        eos_token_id=256, decoder_start_token_id=size - 1,
    )  # fmt: skip
    _save(T5ForConditionalGeneration, config, folder, 0)
    return folder


def save_bart(folder: Path) -> Path:
    """Another encoder-decoder over bytes, of which transformers has no encoder alone."""
    from transformers import BartConfig, BartModel

    size = save_tokenizer(folder, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    config = BartConfig(
        vocab_size=size, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=24, max_position_embeddings=64,
        pad_token_id=size - 1, bos_token_id=256, eos_token_id=257, decoder_start_token_id=257,
    )  # fmt: skip
    _save(BartModel, config, folder, 0)
    return folder


def save_vit(folder: Path, classifier: bool = False) -> Path:
    """A ViT on 16 x 16 images with patches of 8, and its processor; as a classifier it has no pooler."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor, ViTModel

    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, image_size=16, patch_size=8
    )  # fmt: skip
    _save(ViTForImageClassification if classifier else ViTModel, config, folder, 0)
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder


def save_clip(folder: Path) -> Path:
    """A CLIP with a projection to 12 numbers, with tokenizer and image processor."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    size = save_tokenizer(folder, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    config = CLIPConfig(
        text_config={**small, "vocab_size": size, "projection_dim": 12},
        vision_config={**small, "image_size": 16, "patch_size": 8, "projection_dim": 12},
        projection_dim=12,
    )
    _save(CLIPModel, config, folder, 0)
    CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}).save_pretrained(
        folder
    )
    return folder


def save_resnet(folder: Path) -> Path:
    """A convolutional network: its states are a map."""
    from transformers import ConvNextImageProcessor, ResNetConfig, ResNetModel

    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic")
    _save(ResNetModel, config, folder, 0)
    ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=1.0).save_pretrained(folder)
    return folder


def save_modules(
    folder: Path, modules: dict[str, dict[str, Any]], about: dict[str, Any] | None = None
) -> Path:
    """Make a model folder one of sentence-transformers, in the files of its version 2."""
    listed = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    for k, (kind, config) in enumerate(modules.items(), start=1):
        path = f"{k}_{kind}"
        listed.append(
            {"idx": k, "name": str(k), "path": path, "type": f"sentence_transformers.models.{kind}"}
        )
        (folder / path).mkdir()
        (folder / path / "config.json").write_text(json.dumps(config))
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "sentence_bert_config.json").write_text(json.dumps(about or {}))
    return folder


def _save(kind: Any, config: Any, folder: Path, seed: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        kind(config).save_pretrained(folder)


def states_of(
    folder: Path, text: str, *, most: int | None = None, layer: int = -1
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """States of all tokens of one text, (T, D), by transformers alone, nothing padded."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    model = model.get_encoder() if model.config.is_encoder_decoder else model
    given = tokenizer(text, truncation=most is not None, max_length=most, return_tensors="pt")
    with torch.no_grad():
        output = model(
            input_ids=given["input_ids"], attention_mask=given["attention_mask"], output_hidden_states=True
        )
    return np.asarray(output.hidden_states[layer][0])


def pooled(states_TD: np.ndarray[Any, Any], pooling: str) -> np.ndarray[Any, Any]:
    """One way to pool, as its name says, in float64."""
    states_TD = states_TD.astype(np.float64)
    tokens = len(states_TD)
    if pooling == "weighted_mean":
        counts = np.arange(1, tokens + 1)
        return sum(count * state for count, state in zip(counts, states_TD)) / counts.sum()
    ways = {
        "mean": states_TD.mean(axis=0),
        "cls": states_TD[0],
        "last": states_TD[-1],
        "max": states_TD.max(axis=0),
        "mean_sqrt_len": states_TD.sum(axis=0) / tokens**0.5,
    }
    return ways[pooling]


def unit(vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Of norm 1."""
    return np.asarray(functional.normalize(torch.as_tensor(vector), dim=-1))
