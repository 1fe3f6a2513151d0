"""The table of costs against what scoring really does: passes are counted, bytes measured."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from references.run_world import ROWS, request, world

from scoring import backward, collected, sweep
from scoring.catalog import make_scorer, parse_scorer, scorer_names
from scoring.checkpoints import RunDirectory
from scoring.meaning import GOOD_FOR, MEANINGS
from scoring.needs import OF_DOCUMENTS
from scoring.recommend import UNITS, cost_of, costs
from scoring.run import score
from scoring.scorer import CollectiveScorer

COSTS = {row["name"]: row for row in costs()}
EVERY = pytest.mark.parametrize("name", [n for n in sorted(COSTS) if not make_scorer(n).needs & OF_DOCUMENTS])
INPUTS, CLASSES, HIDDEN = 6, 3, 8
SIZES = {"C": CLASSES, "D": HIDDEN, "L": INPUTS + HIDDEN, "I": INPUTS, "T": 4}

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")


def row_of(name: str) -> dict[str, Any]:
    """The row of a catalogue entry as the small world can compute it."""
    return cost_of(name, parse_scorer(request(name))[1])


def storage(text: str) -> int:
    """``16 + 16 I`` in this world."""
    total = 0
    for term in text.split(" + "):
        count, *units = term.split(" ")
        total += int(count) * int(np.prod([SIZES[unit] for unit in units]))
    return total


class Counted:
    """Forward passes of all rows, backward passes, checkpoints, and bytes kept, while one entry is scored."""

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.forward, self.backward, self.loaded, self.formed = 0, 0, set(), False
        self.state = 0
        load, grad, block = RunDirectory.load, torch.autograd.grad, sweep.sweep_block
        form = backward.PerExampleGradients.gradients

        def counting_load(run: RunDirectory, checkpoint: Any, *more: Any, **options: Any) -> Any:
            model = load(run, checkpoint, *more, **options)
            if run.path.is_relative_to(world().one):
                self.loaded.add(checkpoint.step)
                model.module.register_forward_hook(self.see)
            return model

        def counting_grad(*arguments: Any, **options: Any) -> Any:
            self.backward += 1
            return grad(*arguments, **options)

        def counting_block(*arguments: Any) -> Any:
            values, seen, used = block(*arguments)
            self.state = max(self.state, used)
            return values, seen, used

        def forming(engine: Any, names: Any = None) -> Any:
            self.formed = True
            return form(engine, names)

        monkeypatch.setattr(RunDirectory, "load", counting_load)
        monkeypatch.setattr(torch.autograd, "grad", counting_grad)
        monkeypatch.setattr(sweep, "sweep_block", counting_block)
        monkeypatch.setattr(backward.PerExampleGradients, "gradients", forming)
        monkeypatch.setattr(backward.BackwardPass, "_pieces", lambda self, prepared, labels, rows: [rows])
        # the target costs passes of its own: here it is read, and then forgotten
        monkeypatch.setattr(backward.BackwardPass, "target", self.uncounted(backward.BackwardPass.target))
        monkeypatch.setattr(collected, "_target", self.uncounted(collected._target))
        needs = make_scorer(name).needs
        score(
            world().examples,
            [request(name)],
            world().one,
            cache=folder,
            view="clean",
            **world().options(needs),
        )
        if isinstance(make_scorer(name), CollectiveScorer):
            kept = list(folder.glob("*/layer-*.npy"))
            self.state = sum(np.load(path, mmap_mode="r").nbytes for path in kept)

    def see(self, module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> None:
        self.forward += len(output) == ROWS

    def uncounted(self, function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            before = self.forward, self.backward, self.formed
            result = function(*arguments)
            self.forward, self.backward, self.formed = before
            return result

        return call


@EVERY
def test_a_row_is_what_scoring_does(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row, found = row_of(name), Counted(name, monkeypatch, tmp_path)
    checkpoints = {"one": 1, "all": 4}[row["checkpoints"]]
    assert len(found.loaded) == checkpoints
    assert found.forward == row["forward"] * checkpoints
    assert found.backward == row["backward"] * checkpoints
    assert found.formed == row["formed"]
    if "adam" in repr(make_scorer(name)):
        assert "Adam's moments" in row["others"]
    scratch = {"sum": 8}.get(row["checkpoints"], 0)
    assert found.state + scratch == storage(row["storage"]) * ROWS
    assert row["bytes"] is None or row["bytes"] * ROWS == found.state


@EVERY
def test_recorded_means_that_no_checkpoint_is_needed(name: str) -> None:
    row = COSTS[name]
    needs = make_scorer(name).needs
    options = {"signals": "recorded", **world().options(needs)}
    if row["recorded"]:
        score(world().examples, [request(name)], world().recorded, **options)
    else:
        options.pop("target", None)
        if "target" in needs:
            options["target"] = world().target
        with pytest.raises(ValueError, match=r"it has to be computed from checkpoints\.$"):
            score(world().examples, [request(name)], world().recorded, **options)


def test_every_scorer_has_a_row_and_every_meaning_a_purpose() -> None:
    assert sorted(COSTS) == scorer_names()
    assert set(GOOD_FOR) == set(MEANINGS)
    for row in COSTS.values():
        assert row["good_for"] == GOOD_FOR[row["meaning"]]
        assert set(row["storage"].replace("+", " ").split()) - set(UNITS) <= {
            word for word in row["storage"].split() if word.isdigit()
        }


def test_what_others_are_needed() -> None:
    assert COSTS["pvi"]["others"] == ["null runs"]
    assert COSTS["reducible_loss"]["others"] == ["reference runs"]
    assert COSTS["memorization"]["others"] == ["runs on subsets"]
    assert COSTS["less"]["others"] == ["target", "Adam's moments"]
    assert cost_of("less", make_scorer("less", {"adam": False}))["others"] == ["target"]
    assert COSTS["el2n"]["others"] == []


def test_the_catalogue_alone_loads_no_torch() -> None:
    code = "import sys, scoring.recommend; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
