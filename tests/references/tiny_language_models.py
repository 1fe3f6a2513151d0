"""Untrained language models of a few thousand parameters, saved as Hugging Face folders; no download."""

from pathlib import Path

import torch


def save_tokenizer(folder: Path, **special: str) -> int:
    """A byte-level tokenizer: every byte is a token, then the special ones; how many there are."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    fast = Tokenizer(models.BPE(vocab={letter: k for k, letter in enumerate(alphabet)}, merges=[]))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=fast, **special)
    tokenizer.save_pretrained(folder)
    return len(tokenizer)


def save_llama(folder: Path, seed: int = 0, positions: int = 64) -> Path:
    """A Llama with one layer, begin and end tokens and no padding token."""
    from transformers import LlamaConfig, LlamaForCausalLM

    size = save_tokenizer(folder, bos_token="<s>", eos_token="</s>")
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=positions,
        bos_token_id=256,
        eos_token_id=257,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder
