"""Which column is what: names that are usual for text, images, features and labels, in a fixed order.

Guessing never depends on the order of rows or columns: an earlier tier wins over a later one, and two columns
of the same tier are an error that names both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scoring.data.columns import NUMBERS, Columns, Flavor
from scoring.errors import InputError, unknown_name

Kind = Literal["text", "image", "features"]
OWNER = "Examples.load"

TEXT_TIERS = (
    ("text",),
    (
        "sentence",
        "utterance",
        "document",
        "content",
        "review",
        "question",
        "query",
        "tweet",
        "comment",
        "title",
    ),
)
PAIRS = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("text", "text_pair"),
)
IMAGE_TIERS = (
    ("image", "img", "images"),
    ("image_jpeg", "image_png", "image_bytes", "image_path", "jpg", "png", "picture", "photo"),
)
FEATURE_TIERS = (("features", "x", "X"), ("feature", "embedding", "embeddings", "vector", "data", "inputs"))
LABEL_TIERS = (
    ("label", "labels"),
    ("y", "target", "targets", "class", "category"),
    ("intent", "domain", "topic", "sentiment", "gold_label", "fine_label", "coarse_label"),
)
NOT_INPUTS = frozenset({"id", "ids", "idx", "index", "uid", "guid", "split", "fold", "orig_index"})


@dataclass(frozen=True)
class Schema:
    """The columns of a dataset that tamis reads."""

    kind: Kind
    inputs: tuple[str, ...]
    label: str | None
    id: str | None


def choose(
    columns: Columns,
    *,
    text: str | None = None,
    text_pair: str | None = None,
    image: str | None = None,
    features: str | Sequence[str] | None = None,
    label: str | Literal[False] | None = None,
    id: str | None = None,
) -> Schema:
    """The schema from what the user named, and usual names for the rest.

    Raises:
        InputError: if a named column is missing or of the wrong type, or a guess is ambiguous or impossible.
    """
    listed = [features] if isinstance(features, str) else list(features or [])
    named = [("text", text), ("text_pair", text_pair), ("image", image), ("label", label or None), ("id", id)]
    for parameter, name in [*named, *(("features", each) for each in listed)]:
        if name is not None and name not in columns.names:
            raise unknown_name(parameter, OWNER, name, columns.names)
    given = [which for which, on in (("text", text), ("image", image), ("features", listed)) if on]
    if len(given) > 1:
        raise InputError(f"{OWNER}: give one of text, image and features, got {' and '.join(given)}.")
    if text_pair and not text:
        raise InputError(f"{OWNER}: text_pair {text_pair!r} needs text, the column of the first sentence.")
    chosen_label = _guess_label(columns, {text, text_pair, image, id, *listed}) if label is None else label
    taken: set[object] = {chosen_label, id}
    kind, inputs = _named_inputs(text, text_pair, image, listed) or _guess_inputs(columns, taken)
    _check_flavors(columns, kind, inputs)
    return Schema(kind, inputs, chosen_label or None, id)


def _named_inputs(
    text: str | None, text_pair: str | None, image: str | None, features: Sequence[str]
) -> tuple[Kind, tuple[str, ...]] | None:
    if text:
        return "text", (text, text_pair) if text_pair else (text,)
    if image:
        return "image", (image,)
    return ("features", tuple(features)) if features else None


def _guess_inputs(columns: Columns, taken: set[object]) -> tuple[Kind, tuple[str, ...]]:
    free = [name for name in columns.names if name not in taken]
    flavors = {name: columns.flavor(name) for name in free}
    found: dict[Kind, tuple[str, ...]] = {}
    # A column called text that is empty or mixes types is the one that was meant; the check says what is wrong.
    strings = {name for name in free if flavors[name] in ("string", "null", "mixed")}
    pair = next((pair for pair in PAIRS if strings.issuperset(pair)), None)
    if pair:
        found["text"] = pair
    elif text := _tiered("text", TEXT_TIERS, strings):
        found["text"] = (text,)
    pictures = {n for n in free if flavors[n] in ("image", "bytes", "string", "array")} - {
        *found.get("text", ())
    }
    if image := _tiered("image", IMAGE_TIERS, pictures):
        found["image"] = (image,)
    numeric = {n for n in free if flavors[n] in ("vector", "array", "image")} - {*found.get("image", ())}
    if features := _tiered("features", FEATURE_TIERS, numeric):
        # A stack of pictures under a neutral name such as x is a set of images.
        found["features" if flavors[features] == "vector" else "image"] = (features,)
    if not found:
        found = _only_choice(free, flavors)
    if len(found) == 1:
        return next(iter(found.items()))
    choices = ", ".join(f"{kind}={names[0]!r}" for kind, names in found.items())
    if choices:
        raise InputError(f"{OWNER}: the inputs could be any of {choices}; pass the one that you mean.")
    told = ", ".join(f"{name} ({columns.flavor(name)})" for name in columns.names) or "none"
    raise InputError(
        f"{OWNER}: pass text=, image= or features= to say which column is the input; columns: {told}."
    )


def _only_choice(free: Sequence[str], flavors: dict[str, Flavor]) -> dict[Kind, tuple[str, ...]]:
    """No usual name: the only text, image or vector column, or all columns of a table of plain numbers."""
    rest = [name for name in free if name not in NOT_INPUTS and not name.startswith("Unnamed:")]
    for kind, wanted in (("image", ("image",)), ("features", ("vector",)), ("text", ("string",))):
        names = [name for name in rest if flavors[name] in wanted]
        if len(names) == 1:
            return {kind: (names[0],)}  # type: ignore[dict-item]
    if rest and all(flavors[name] in NUMBERS for name in rest):
        return {"features": tuple(sorted(rest))}
    return {}


_LABELS: tuple[Flavor, ...] = (*NUMBERS, "string", "null", "mixed")


def _guess_label(columns: Columns, taken: set[str | None]) -> str | None:
    free = {n for n in columns.names if n not in taken and columns.flavor(n) in _LABELS}
    # The plainest names count whatever they hold, so that labels of a wrong type are an error and not left out.
    plain = {name for name in columns.names if name in LABEL_TIERS[0]} - taken
    label = _tiered("label", LABEL_TIERS, free | plain)
    if label is None:
        alike = {name for name in free if "label" in name.lower() and not name.lower().endswith("_name")}
        label = _tiered("label", (tuple(sorted(alike)),), free)
    return label


def _tiered(parameter: str, tiers: Sequence[Sequence[str]], names: set[str]) -> str | None:
    """The first tier with a name among ``names``; several of one tier are an error."""
    for tier in tiers:
        found = [name for name in tier if name in names]
        if len(found) > 1:
            choices = " and ".join(repr(name) for name in found)
            none = " (or label=False for none)" if parameter == "label" else ""
            raise InputError(
                f"{OWNER}: {parameter} could be {choices}; pass {parameter}= the one that you mean{none}."
            )
        if found:
            return found[0]
    return None


_FITTING: dict[Kind, tuple[Flavor, ...]] = {
    "text": ("string", "null"),
    "image": ("image", "bytes", "string", "array"),
    "features": (*NUMBERS, "vector", "array"),
}


def _check_flavors(columns: Columns, kind: Kind, inputs: Sequence[str]) -> None:
    needs = {"text": "strings", "image": "pictures (arrays, bytes or paths)", "features": "numbers"}[kind]
    for name in inputs:
        flavor = columns.flavor(name)
        if flavor == "mixed":
            raise InputError(f"{OWNER}: {kind} column {name!r} must hold one type of value, got a mix.")
        if flavor not in _FITTING[kind]:
            raise InputError(
                f"{OWNER}: {kind} column {name!r} must hold {needs}, it holds values of type {flavor}."
            )
