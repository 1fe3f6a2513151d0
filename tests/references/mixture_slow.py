"""A Mixtral one token and one expert at a time, in float64, from its weights alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def rms(x: Array, weight: Array) -> Array:
    return weight * x / np.sqrt(np.mean(x * x) + 1e-6)


def turned(x: Array, place: int) -> Array:
    """Rotary positions (Su et al. 2021), halves paired."""
    half = len(x) // 2
    angle = place / 10_000 ** (np.arange(half) / half)
    a, b = x[:half], x[half:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)])


def experts_of(x: Array, w: Mapping[str, Array], layer: str, active: int) -> tuple[Array, Array, list[int]]:
    """Output of the block for one token, the router's probabilities, and the experts it went to."""
    logits = w[f"{layer}.mlp.gate.weight"] @ x
    p = np.exp(logits - logits.max())
    p /= p.sum()
    best = sorted(range(len(p)), key=lambda expert: -p[expert])[:active]
    out = np.zeros_like(x)
    for expert in best:
        gate_up = w[f"{layer}.mlp.experts.gate_up_proj"][expert] @ x
        gate, up = np.split(gate_up, 2)
        hidden = gate / (1 + np.exp(-gate)) * up
        out += p[expert] / sum(p[e] for e in best) * (w[f"{layer}.mlp.experts.down_proj"][expert] @ hidden)
    return out, p, best


def logits_and_balance(
    w: Mapping[str, Array], tokens: list[int], heads: int, active: int
) -> tuple[Array, float]:
    """Logits (T, V), and the load-balancing loss: experts x sum over them of share of tokens x mean probability."""
    depth = len({name.split(".")[2] for name in w if name.startswith("model.layers.")})
    x = [w["model.embed_tokens.weight"][token] for token in tokens]
    probabilities: list[Array] = []
    went: list[int] = []
    for number in range(depth):
        layer = f"model.layers.{number}"
        normed = [rms(each, w[f"{layer}.input_layernorm.weight"]) for each in x]
        q, k, v = (
            [(w[f"{layer}.self_attn.{n}_proj.weight"] @ each).reshape(heads, -1) for each in normed]
            for n in "qkv"
        )
        for t in range(len(tokens)):
            parts = []
            for head in range(heads):
                s = [
                    turned(q[t][head], t) @ turned(k[u][head], u) / np.sqrt(q[t].shape[1])
                    for u in range(t + 1)
                ]
                a = np.exp(np.array(s) - max(s))
                parts.append(sum(a[u] / a.sum() * v[u][head] for u in range(t + 1)))
            x[t] = x[t] + w[f"{layer}.self_attn.o_proj.weight"] @ np.concatenate(parts)
        for t in range(len(tokens)):
            out, p, best = experts_of(
                rms(x[t], w[f"{layer}.post_attention_layernorm.weight"]), w, layer, active
            )
            x[t] = x[t] + out
            probabilities.append(p)
            went += best
    logits = np.array([w["model.embed_tokens.weight"] @ rms(each, w["model.norm.weight"]) for each in x])
    mean = np.mean(probabilities, axis=0)
    share = np.bincount(went, minlength=len(mean)) / len(probabilities)
    return logits, float(len(mean) * np.sum(share * mean))
