"""Untrained language models of a few thousand parameters, saved as Hugging Face folders; no download."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch


def save_tokenizer(folder: Path, words: Sequence[str] = (), **attributes: Any) -> int:
    """A byte-level tokenizer: every byte is a token, then the ``words``, then the special ones; how many there are."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = list(dict.fromkeys((word[:k], word[k]) for word in words for k in range(1, len(word))))
    vocabulary = [*alphabet, *(left + right for left, right in merges)]
    fast = Tokenizer(models.BPE(vocab={token: k for k, token in enumerate(vocabulary)}, merges=merges))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=fast, **attributes)
    tokenizer.save_pretrained(folder)
    return len(tokenizer)


def token_ids(folder: Path, *tokens: str) -> list[int]:
    """The numbers of tokens."""
    from transformers import AutoTokenizer

    found: list[int] = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids(list(tokens))
    return found


def save_llama(
    folder: Path, seed: int = 0, positions: int = 64, words: Sequence[str] = (), **attributes: Any
) -> Path:
    """A Llama with one layer, begin and end tokens and no padding token, unless ``attributes`` of the tokenizer say."""
    from transformers import LlamaConfig, LlamaForCausalLM

    size = save_tokenizer(folder, words, bos_token="<s>", eos_token="</s>", **attributes)
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=positions,
    )
    config.bos_token_id, config.eos_token_id = token_ids(folder, "<s>", "</s>")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def save_t5(folder: Path, seed: int = 0) -> Path:
    """A T5 with one layer on each side, whose first decoder token is the padding token."""
    from transformers import T5Config, T5ForConditionalGeneration

    size = save_tokenizer(folder, ("yes", "no"), pad_token="<pad>", eos_token="</s>")
    config = T5Config(
        vocab_size=size,
        d_model=32,
        d_kv=16,
        d_ff=48,
        num_layers=1,
        num_heads=2,
        pad_token_id=size - 1,
        eos_token_id=size - 2,
        decoder_start_token_id=size - 1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def save_gpt2(folder: Path, seed: int = 0, positions: int = 1024) -> Path:
    """A GPT-2 with one layer, which numbers positions, so that padding on the left would shift them."""
    from transformers import GPT2Config, GPT2LMHeadModel

    size = save_tokenizer(folder, ("yes", "no"), eos_token="<|endoftext|>")
    config = GPT2Config(
        vocab_size=size,
        n_embd=32,
        n_layer=1,
        n_head=2,
        n_positions=positions,
        bos_token_id=size - 1,
        eos_token_id=size - 1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = GPT2LMHeadModel(config)
        with torch.no_grad():
            model.transformer.wpe.weight.mul_(50)  # at 0.02 a shift would hardly show
        model.save_pretrained(folder)
    return folder
