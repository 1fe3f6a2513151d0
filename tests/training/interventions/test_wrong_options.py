"""Options that a study file may get wrong: one sentence each, never a traceback."""

import numpy as np
import pytest

from scoring.errors import InputError
from scoring.examples import Examples
from training.interventions.catalog import read_interventions
from training.interventions.intervention import intervene


@pytest.fixture(scope="module")
def examples():
    rng = np.random.default_rng(0)
    return Examples.load(
        {"features": rng.normal(size=(12, 2)), "label": np.arange(12) % 3, "id": np.arange(12)}
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"uniform_noise": "10%"}, "rate must be a number from 0 to 1, got '10%'"),
        ({"uniform_noise": True}, "rate must be"),
        ("uniform_noise", "uniform_noise needs 'rate'"),
        ({"shuffle_noise": [0.1]}, "rate must be"),
        ({"class_noise": "abc"}, "matrix must be rows of numbers"),
        ({"class_noise": [["a"]]}, "matrix must be rows of numbers"),
        ({"asymmetric_noise": {"rate": 0.1, "flips": ["0"]}}, "flips must be classes by class"),
        ({"labels_from": 3}, "column must be one of"),
        ({"imbalance": {"factor": 10, "profile": "step", "minority": "a"}}, "minority must be a number"),
        ({"imbalance": {"shares": [1]}}, "shares must be shares by class"),
        ({"imbalance": {"factor": 2, "order": 3}}, "order must be a list of class names"),
        ({"duplicates": {"share": 0.2, "classes": 3}}, "classes must be a list of class names"),
        ({"off_domain": 3}, "data must be a source"),
        ({"instance_noise": {"rate": 0.1, "folds": "a"}}, "folds must be a whole number"),
    ],
)  # fmt: skip
def test_wrong_options_are_one_sentence(examples, given, said):
    with pytest.raises(InputError, match=said):
        intervene(examples, read_interventions([given]))
