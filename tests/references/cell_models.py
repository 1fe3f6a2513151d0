"""Models for grids of cells that workers import by their place; most fail at their third update."""

import os
import signal

from torch import Tensor, nn

from scoring.examples import Examples


class Fails(nn.Module):
    """A linear model with something that happens on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += self.training
        logits: Tensor = self.layer(x.float().flatten(1))
        return self.act(logits) if self.seen == 3 else logits

    def act(self, logits: Tensor) -> Tensor:
        raise RuntimeError("a bug of mine")


class Diverges(Fails):
    def act(self, logits: Tensor) -> Tensor:
        return logits * float("inf")


class NoMemory(Fails):
    def act(self, logits: Tensor) -> Tensor:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")


class KillsItsProcess(Fails):
    """As the system does when memory is short."""

    def act(self, logits: Tensor) -> Tensor:
        os.kill(os.getpid(), signal.SIGKILL)
        return logits


def diverging(_: Examples) -> nn.Module:
    return Diverges()


def failing(_: Examples) -> nn.Module:
    return Fails()


def hungry(_: Examples) -> nn.Module:
    return NoMemory()


def killing(_: Examples) -> nn.Module:
    return KillsItsProcess()


def narrow(_: Examples) -> nn.Module:
    return nn.Linear(3, 10)


def few_classes(_: Examples) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 7))
