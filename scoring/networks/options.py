"""Options of the models that tamis builds itself: names, defaults, allowed values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scoring.errors import bad_value, unknown_name

Options = dict[str, Any]


@dataclass(frozen=True)
class Option:
    """One option; the type of ``default`` is the type of the value (a tuple holds integers).

    ``least`` bounds numbers from below, ``length`` is the exact length of a tuple (0: any length from ``shortest``).
    ``None`` as default stands for "decided from the data" of a tuple.
    """

    default: Any
    least: float = 0
    choices: tuple[str, ...] = ()
    length: int = 0
    shortest: int = 1

    def read(self, name: str, owner: str, given: Any) -> Any:
        """The value as this option's type, or the error sentence."""
        if self.choices:
            if given not in self.choices:
                raise unknown_name(name, owner, str(given), self.choices)
            return given
        if isinstance(self.default, bool):
            if not isinstance(given, bool):
                raise bad_value(name, owner, given, "true or false")
            return given
        if isinstance(self.default, int | float):
            whole = isinstance(self.default, int)
            number = isinstance(given, int | float) and not isinstance(given, bool) and given >= self.least
            if not number or (whole and int(given) != given):
                raise bad_value(
                    name, owner, given, f"{'an integer' if whole else 'a number'} >= {self.least}"
                )
            return int(given) if whole else float(given)
        return self._read_tuple(name, owner, given)

    def _read_tuple(self, name: str, owner: str, given: Any) -> tuple[int, ...] | None:
        if given is None and self.default is None:
            return None
        values = [given] if isinstance(given, int) else given
        valid = isinstance(values, Sequence) and not isinstance(values, str)
        valid = valid and all(
            isinstance(v, int) and not isinstance(v, bool) and v >= self.least for v in values
        )
        if not valid or (len(values) != self.length if self.length else len(values) < self.shortest):
            size = str(self.length) if self.length else f"{self.shortest} or more"
            raise bad_value(name, owner, given, f"{size} integers >= {self.least}")
        return tuple(values)


_BAG = {
    "analyzer": Option("word", choices=("word", "char", "char_wb")),
    "ngrams": Option(None, least=1, length=2),
    "buckets": Option(2**18, least=2),
    "sublinear_tf": Option(True),
}
_IMAGE = {"image_size": Option(None, least=1, length=2)}
_HIDDEN = {"hidden": Option((64,), least=1)}
_MAX_LENGTH = {"max_length": Option(256, least=4)}

OPTIONS: Mapping[str, Mapping[str, Mapping[str, Option]]] = {
    "linear": {"text": _BAG, "image": _IMAGE, "features": {}},
    "mlp": {
        # every bucket costs a row of the first layer, so the wider model has fewer of them
        "text": {**_HIDDEN, **_BAG, "buckets": Option(2**16, least=2)},
        "image": {**_HIDDEN, **_IMAGE},
        "features": _HIDDEN,
    },
    "cnn": {"image": {"channels": Option((32, 64, 128), least=1), "depth": Option(2, least=1), **_IMAGE}},
    "small-bert": {
        "text": {
            "layers": Option(2, least=1),
            "width": Option(128, least=2),
            "heads": Option(2, least=1),
            "dropout": Option(0.1),
            "vocabulary": Option(8192, least=16),
            **_MAX_LENGTH,
        }
    },
    "small-resnet": {
        "image": {
            "widths": Option((32, 64, 128), least=1),
            "depths": Option((1, 1, 1), least=1),
            **_IMAGE,
        }
    },
    "small-vit": {
        "image": {
            "layers": Option(4, least=1),
            "width": Option(128, least=2),
            "heads": Option(4, least=1),
            "dropout": Option(0.0),
            "patch": Option(0, least=0),
            **_IMAGE,
        }
    },
    "minilm": {"text": _MAX_LENGTH},
}
"""name -> kind of examples -> options. A name without a kind cannot read such examples."""

PRETRAINED_OPTIONS: Mapping[str, Mapping[str, Option]] = {"text": _MAX_LENGTH, "image": {}}
"""The same for any Hugging Face model."""


LEARNING_RATES: Mapping[tuple[str, str], float] = {
    ("linear", "features"): 5e-3,
    ("linear", "image"): 5e-3,
    ("mlp", "features"): 5e-3,
    ("mlp", "image"): 5e-3,
    ("linear", "text"): 0.05,  # inputs of norm 1 spread over hundreds of terms need long steps
    ("mlp", "text"): 3e-3,
    ("cnn", "image"): 3e-3,
    ("minilm", "text"): 1e-4,
}
"""Of AdamW with a decaying schedule, where 1e-3 (5e-5 for pretrained weights) is not a good start."""


def learning_rate(name: str, kind: str) -> float:
    """A learning rate of AdamW at which the model trains well on small data sets."""
    return LEARNING_RATES.get((name, kind), 1e-3 if name in OPTIONS else 5e-5)


def read_options(owner: str, table: Mapping[str, Option], given: Mapping[str, Any] | None) -> Options:
    """Every option of ``table`` with its given or default value; unknown names and wrong values are errors."""
    given = given or {}
    for name in given:
        if name not in table:
            if not table:
                raise bad_value("options", f"model {owner}", dict(given), "empty (this model has none)")
            raise unknown_name("option", f"model {owner}", name, table)
    return {
        name: option.read(name, f"model {owner}", given[name]) if name in given else option.default
        for name, option in table.items()
    }


def options_of(name: str, kind: str, given: Mapping[str, Any] | None) -> Options:
    """The resolved options of one of our names for examples of ``kind``; a kind it cannot read is an error."""
    kinds = OPTIONS[name]
    if kind not in kinds:
        able = sorted(other for other in OPTIONS if kind in OPTIONS[other])
        raise bad_value("model", "build_model", name, f"a model for {kind} examples ({', '.join(able)})")
    return read_options(name, kinds[kind], given)


DESCRIPTIONS: Mapping[str, str] = {
    "linear": "softmax regression on pixels, features or hashed TF-IDF of words",
    "mlp": "multi-layer perceptron on the same",
    "cnn": "3x3 convolutions with batch normalisation",
    "small-bert": "a 2-layer BERT with a WordPiece vocabulary trained on the data",
    "small-resnet": "a 3-stage ResNet",
    "small-vit": "a 4-layer vision transformer",
    "minilm": "all-MiniLM-L6-v2 with a new head, from the extra text-embeddings",
}


def describe_models() -> list[dict[str, Any]]:
    """One row per name: what it is, the kinds of examples that it reads, its options with their defaults."""
    return [
        {
            "name": name,
            "doc": DESCRIPTIONS[name],
            "reads": sorted(kinds),
            "options": {key: option.default for kind in kinds.values() for key, option in kind.items()},
        }
        for name, kinds in OPTIONS.items()
    ]
