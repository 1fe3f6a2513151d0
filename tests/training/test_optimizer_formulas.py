"""The seven optimizers of studies: updates as their papers print them, and a convex problem that all of them solve."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from training.isolation import using_threads
from training.optim import make_optimizer, optimizer_names, starting_lr

SEVEN = ("adamw", "sgd", "adafactor", "lion", "signum", "shampoo", "soap")
Floats = npt.NDArray[np.float64]

LR = 0.03
RANDOM = np.random.default_rng(5)
START, GRADIENTS = RANDOM.normal(size=(4, 3)), RANDOM.normal(size=(4, 4, 3))


def weights_after(name: str, gradients: Floats = GRADIENTS, start: Floats = START, **options: Any) -> Floats:
    weight = torch.nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = make_optimizer(name, [weight], LR, options.pop("weight_decay", 0.0), options)
    for gradient in gradients:
        weight.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
    return weight.detach().numpy()


def test_all_seven_are_there() -> None:
    assert set(SEVEN) <= set(optimizer_names())


def test_sgd() -> None:
    w, v = START.copy(), np.zeros_like(START)
    for g in GRADIENTS:
        v = 0.9 * v + g + 0.1 * w
        w = w - LR * v
    assert weights_after("sgd", weight_decay=0.1) == pytest.approx(w, rel=1e-12)


def test_adamw() -> None:
    """Loshchilov and Hutter 2019, algorithm 2."""
    w, m, v = START.copy(), np.zeros_like(START), np.zeros_like(START)
    for t, g in enumerate(GRADIENTS, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        w = w - LR * (m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8) + 0.1 * w)
    assert weights_after("adamw", weight_decay=0.1) == pytest.approx(w, rel=1e-12)


def test_lion() -> None:
    """Chen et al. 2023, algorithm 2."""
    w, m = START.copy(), np.zeros_like(START)
    for g in GRADIENTS:
        w = w - LR * (np.sign(0.9 * m + 0.1 * g) + 0.1 * w)
        m = 0.99 * m + 0.01 * g
    assert weights_after("lion", weight_decay=0.1) == pytest.approx(w, rel=1e-12)


def test_signum() -> None:
    """Bernstein et al. 2018, algorithm 2; without momentum, SignSGD."""
    w, m = START.copy(), np.zeros_like(START)
    for g in GRADIENTS:
        m = 0.9 * m + 0.1 * g
        w = w - LR * np.sign(m)
    assert weights_after("signum") == pytest.approx(w, rel=1e-12)
    assert weights_after("SignSGD") == pytest.approx(w, rel=1e-12)
    plain = START - LR * np.sign(GRADIENTS).sum(axis=0)
    assert weights_after("signum", momentum=0.0) == pytest.approx(plain, rel=1e-12)


def root(matrix: Floats, power: float) -> Floats:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors @ np.diag(values**power) @ vectors.T)


def test_shampoo() -> None:
    """Gupta et al. 2018, algorithm 1: W - lr L^-1/4 G R^-1/4, with L and R the sums of G G' and G' G."""
    w, left, right = START.copy(), 1e-6 * np.eye(4), 1e-6 * np.eye(3)
    for g in GRADIENTS:
        left, right = left + g @ g.T, right + g.T @ g
        w = w - LR * root(left, -0.25) @ g @ root(right, -0.25)
    assert weights_after("shampoo") == pytest.approx(w, rel=1e-6)


def test_soap() -> None:
    """Vyas et al. 2024, algorithm 3, between two changes of the basis; the first gradient only makes the basis."""
    start, gradients = RANDOM.normal(size=(4, 4)), RANDOM.normal(size=(3, 4, 4))
    first = gradients[0]
    left, right = (np.linalg.eigh(each)[1] for each in (first @ first.T, first.T @ first))
    w, m, v = start.copy(), np.zeros((4, 4)), np.zeros((4, 4))
    for t, g in enumerate(gradients[1:], 1):
        m, v = 0.95 * m + 0.05 * g, 0.95 * v + 0.05 * (left.T @ g @ right) ** 2
        step = (left.T @ (m / (1 - 0.95**t)) @ right) / np.sqrt(v / (1 - 0.95**t))
        w = w - LR * left @ step @ right.T
    assert weights_after("soap", gradients, start) == pytest.approx(w, rel=1e-6)


@pytest.mark.parametrize("name", SEVEN)
def test_a_convex_problem_is_solved_from_the_starting_learning_rate(name: str) -> None:
    """Multinomial regression with planted weights, from random ones, since steps of Adafactor are relative to them."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(200, 6, generator=generator)
    labels = (inputs @ torch.randn(6, 3, generator=generator)).argmax(dim=1)
    weight = torch.nn.Parameter(torch.randn(3, 6, generator=generator) / 6**0.5)
    optimizer = make_optimizer(name, [weight], starting_lr(name, 0.05))
    losses = []
    with using_threads(1):
        for _ in range(300):
            loss = torch.nn.functional.cross_entropy(inputs @ weight.T, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[-1] < losses[0] / 3


def test_where_searches_start() -> None:
    starts = {name: starting_lr(name, 5e-3) for name in (*SEVEN, "SignSGD", "Lion", "adam")}
    assert starts == {
        "adamw": 5e-3, "sgd": 0.1, "adafactor": 0.01, "lion": 5e-4, "signum": 5e-4, "shampoo": 0.1, "soap": 5e-3,
        "SignSGD": 5e-4, "Lion": 5e-4, "adam": 5e-3,
    }  # fmt: skip
