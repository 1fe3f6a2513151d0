"""Models of a grid of cells as a user writes them: ``linear``, ``deep=mlp(hidden=[64,64])``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scoring.call_syntax import read_options, split_commas
from scoring.errors import InputError, bad_value

OWNER = "train"
LONGEST = 80
_REQUEST = re.compile(r"(?:(?P<own>[^=()\[\],]*)=)?(?P<model>[^=()]+?)\s*(?:\((?P<options>[^()]*)\))?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TAKEN = re.compile(r"(seed|fold)-\d+", re.IGNORECASE)
"""Names of the folders inside."""


@dataclass(frozen=True)
class Architecture:
    """One model of a grid.

    Attributes:
        name: that of the folder of its runs.
        model: what ``build_model`` takes: a name, ``module:function``, an ``nn.Module``, a function.
        options: of the model.
    """

    name: str
    model: Any
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """The model by its name; one that is code of the user's own by where it stands, or by what it prints."""
        if isinstance(self.model, str):
            return self.model
        where = getattr(self.model, "__qualname__", None)
        return f"{self.model.__module__}:{where}" if where else f"{type(self.model).__name__}: {self.model!r}"

    @property
    def own_code(self) -> Any:
        """The model where it is code of the user's own, which a run directory only names; else None."""
        return self.model if not isinstance(self.model, str) or ":" in self.model else None

    @property
    def identity(self) -> list[Any]:
        """What tells it from other models, as JSON: code of the user's own also by its name here, a module by weights.

        Code that is edited where it stands is not noticed.
        """
        if isinstance(self.model, str):
            return [self.model, dict(self.options)]
        from torch import nn

        from scoring.models import hash_weights

        weights = hash_weights(self.model) if isinstance(self.model, nn.Module) else None
        return [self.told, dict(self.options), self.name, weights]


def read_architectures(models: str | Iterable[str] | Mapping[str, Any]) -> list[Architecture]:
    """The models of a grid, in the order given.

    ``"linear,deep=mlp(hidden=[64,64])"``, a list of such requests, or a dictionary of own names with requests,
    ``nn.Module``s or functions; an ``Architecture`` may stand for a request. A request is ``model``,
    ``model(option=value, ...)`` or ``name=model(...)``; without a name of its own it has its text as one, in letters
    that a folder may have: ``mlp-hidden-64-64``.

    Raises:
        InputError: a text that is no request, a name that cannot be that of a folder, two models of one name.
    """
    if isinstance(models, Mapping):
        found = [_of(str(name), each) for name, each in models.items()]
    else:
        if not isinstance(models, Iterable):
            raise bad_value(
                "models", OWNER, models, "models such as linear, or a dictionary of names with models"
            )
        requests = split_commas(models) if isinstance(models, str) else list(models)
        found = [_of(None, each) for each in requests]
    if not found:
        raise bad_value("models", OWNER, models, "at least one model, such as linear,mlp")
    seen: dict[str, str] = {}
    for each in found:
        # Case alone does not tell folders apart everywhere.
        if each.name.lower() in seen:
            raise InputError(
                f"{OWNER}: models must have different names, got {seen[each.name.lower()]!r} and {each.name!r}; give "
                "one a name of its own, as in other=mlp."
            )
        seen[each.name.lower()] = each.name
    return found


def _of(name: str | None, model: Any) -> Architecture:
    """One model; ``name`` is its own name, if it stands apart from the request."""
    if isinstance(model, Architecture):
        return model if name is None else Architecture(_checked(name), model.model, model.options)
    if not isinstance(model, str):
        if name is None:
            given = type(model).__name__
            raise bad_value("models", OWNER, given, "requests as text, or a dictionary of names with models")
        return Architecture(_checked(name), model)
    found = _REQUEST.fullmatch(model.strip())
    if found is None or (name is not None and found["own"] is not None):
        allowed = "models such as linear, mlp(hidden=[64,64]) or deep=mlp(hidden=[64,64])"
        raise bad_value("models", OWNER, model, allowed)
    own = name if found["own"] is None else found["own"].strip()
    options = read_options(found["options"] or "", f"{OWNER}: model {found['model']!r}")
    return Architecture(_slug(model) if own is None else _checked(own), found["model"], options)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or _TAKEN.fullmatch(name) or len(name) > LONGEST:
        allowed = "letters, digits, '.', '_' and '-', and not like seed-0, since it is that of a folder"
        raise bad_value("the name of a model", OWNER, name, allowed)
    return name


def _slug(request: str) -> str:
    """``mlp(hidden=[64,64])`` as ``mlp-hidden-64-64``."""
    slug = re.sub(r"[^A-Za-z0-9._]+", "-", request).strip("-._")
    if not _NAME.fullmatch(slug) or len(slug) > LONGEST or _TAKEN.fullmatch(slug):
        raise bad_value("models", OWNER, request, "short, or have a name of its own, as in deep=mlp(...)")
    return slug
