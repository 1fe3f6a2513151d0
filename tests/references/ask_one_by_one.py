"""Ask-LLM the slow way: one prompt, no padding, one pass per token of every spelling."""

import math
from typing import Any

import numpy as np
import torch

WORDS = {"yes": ("yes", "Yes", "YES"), "no": ("no", "No", "NO")}


def ask(model: Any, tokenizer: Any, text: str, chat: bool = False) -> tuple[float, float]:
    """ln of the probability of yes and of no as the beginning of the answer, summed over their spellings."""
    if chat:
        message = [{"role": "user", "content": text}]
        text = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=not chat)["input_ids"]
    return _log(model, ids, spellings(tokenizer, "yes")), _log(model, ids, spellings(tokenizer, "no"))


def spellings(tokenizer: Any, answer: str) -> list[list[int]]:
    """Of a byte-level tokenizer: the tokens that are the word, else the bytes of each spelling."""
    words = [blank + word for blank in ("", " ") for word in WORDS[answer]]
    written = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in words]
    single = [tokens for tokens in written if len(tokens) == 1]
    return single or written


def _log(model: Any, ids: list[int], spelled: list[list[int]]) -> float:
    total = 0.0
    for tokens in spelled:
        joint = 1.0
        for k, token in enumerate(tokens):
            joint *= float(np.exp(_next(model, ids, tokens[:k])[token]))
        total += joint
    return math.log(total)


def _next(model: Any, ids: list[int], begun: list[int]) -> Any:
    with torch.no_grad():
        if model.config.is_encoder_decoder:
            start = model.config.decoder_start_token_id
            decoder = torch.tensor([[start, *begun]])
            logits = model(input_ids=torch.tensor([ids]), decoder_input_ids=decoder).logits[0, -1]
        else:
            logits = model(input_ids=torch.tensor([[*ids, *begun]])).logits[0, -1]
    values = logits.double().numpy()
    return values - values.max() - np.log(np.exp(values - values.max()).sum())
