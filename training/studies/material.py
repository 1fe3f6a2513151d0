"""The data of a study of classifiers: variants with what was planted in them, and the test examples apart from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any

import numpy as np

from scoring.errors import InputError, bad_value, name_some, unknown_name
from scoring.examples import Examples
from scoring.hashing import combine, digest, fingerprint, hash_ids
from training.cell_data import DataRequest
from training.interventions.intervention import Intervened
from training.job import make_job

OWNER = "study"
LEAKED = ("error", "drop", "keep")


@dataclass(frozen=True)
class Material:
    """The data of a study: variants by name, and what they are judged on."""

    variants: Mapping[str, Intervened]
    test: Examples
    split: str
    """What the test examples are called in tables."""
    groups: Mapping[str, Sequence[str]]

    @cached_property
    def grouped(self) -> dict[str, str]:
        """By column, a digest of which test example is in which group: the test data's fingerprint does not tell."""
        return {
            name: fingerprint(combine(hash_ids(self.test.ids), hash_ids(list(values))))
            for name, values in self.groups.items()
        }

    @cached_property
    def planted(self) -> dict[str, str]:
        """By variant, a digest of which rows are planted: what is said of the kept ones depends on it."""
        return {
            name: fingerprint(hash_ids(each.examples.ids[each.planted_N]))
            for name, each in self.variants.items()
        }


def load(data: Examples | DataRequest) -> Examples:
    """The examples, with labels."""
    examples = data.load() if isinstance(data, DataRequest) else data
    if examples.labels is None:
        raise InputError(
            f"{OWNER}: data must have labels, and {examples.name} has none; name the label column."
        )
    return examples


def apart(
    examples: Examples, test: Examples | DataRequest | str | float | None
) -> tuple[Examples, Examples, str]:
    """The examples that may be chosen, the test examples and their name.

    ``test`` is a split of the data, other examples with the same classes (a file may lack some), or a fraction of every
    class to hold out.
    """
    if isinstance(test, DataRequest):  # which may lack a rare class
        given: Examples | str | float | None = Examples.load(
            test.source, **{"label_names": examples.label_names, **test.options}
        )
    else:
        given = test
    if isinstance(given, Examples):
        if given.labels is None or given.label_names != examples.label_names:
            classes = given.label_names if given.labels is not None else "no labels"
            raise bad_value("test", OWNER, classes, f"labelled with the classes {examples.label_names}")
        if len(given) == 0:
            raise InputError(f"{OWNER}: the test data {given.name} hold no examples.")
    job = make_job(examples, given, None, False)
    if job.evaluation is None or job.evaluation_name is None:
        raise bad_value("test", OWNER, test, "given, since the data have no test split")
    return examples.take(job.rows) if len(job.held_out) else examples, job.evaluation, job.evaluation_name


def without_leaks(examples: Examples, test: Examples, leaked: str, what: str = "examples") -> Examples:
    """Examples without those whose input is a test example's, or as ``leaked`` says.

    Raises:
        InputError: There are such examples, and ``leaked`` is ``error``.
    """
    if leaked == "keep":
        return examples
    hashes = examples.content_hashes(np.arange(len(examples)))
    leaks = np.isin(hashes, test.content_hashes(np.arange(len(test))))
    if not leaks.any():
        return examples
    if leaked == "drop":
        return examples.take(np.flatnonzero(~leaks))
    raise InputError(
        f"{OWNER}: {int(leaks.sum()):,} of {len(examples):,} {what} have an input that is in the test data too: "
        f"{name_some(examples.ids[leaks].tolist())}; leaked: drop leaves them out, leaked: keep keeps them."
    )


def check_added(variants: Mapping[str, Intervened], test: Examples) -> None:
    """Refuse variants that add rows from elsewhere whose input is a test example's."""
    tested = test.content_hashes(np.arange(len(test)))
    for name, each in variants.items():
        assert each.origin_N is not None
        added = np.flatnonzero(each.origin_N < 0)
        leaks = added[np.isin(each.examples.content_hashes(added), tested)]
        if len(leaks):
            raise InputError(
                f"{OWNER}: variant {name} adds {len(leaks):,} rows whose input is in the test data too: "
                f"{name_some(each.examples.ids[leaks].tolist())}; take other data, or leaked: keep keeps them."
            )


def values_of(examples: Examples, column: str) -> list[str]:
    """A side column as text, one value per example."""
    if column not in examples.columns:
        raise unknown_name("groups", OWNER, column, examples.columns)
    read = examples.table.read(column, examples.table_rows(np.arange(len(examples))))
    values = read.tolist() if isinstance(read, np.ndarray) else read.to_pylist()
    return [str(value) for value in values]


def identity(value: Any) -> Any:
    """What tells data, interventions and options apart, as JSON: examples by their fingerprint, arrays by content."""
    if isinstance(value, Examples):
        return value.fingerprint
    if isinstance(value, np.ndarray):
        return [str(value.dtype), list(value.shape), digest(np.ascontiguousarray(value).tobytes()).hex()]
    if isinstance(value, Mapping):
        return {str(key): identity(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [identity(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, *(identity(getattr(value, each.name)) for each in fields(value))]
    return value if isinstance(value, str | int | float | bool | None) else repr(value)
