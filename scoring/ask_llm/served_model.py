"""Which model a server has, by its list of models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scoring.ask_llm.connection import Away, Connection, Refused
from scoring.ask_llm.retries import FIRST_ATTEMPTS
from scoring.errors import InputError, name_some, unknown_name


@dataclass(frozen=True)
class ServedModel:
    """A model of a server: its name there, tokens that it reads, and how many parameters it has; None if not known."""

    name: str
    context: int | None = None
    parameters: int | None = None


def find_model(server: Connection, name: str) -> ServedModel:
    """The model of that name, or the only one; a server that keeps no list is believed to have it.

    Raises:
        InputError: There is none, or there are several and no name.
    """
    try:
        listed = server.get("models", attempts=FIRST_ATTEMPTS)
    except Away as failure:
        if name and failure.status == 500:
            return ServedModel(name)
        raise
    except Refused as refusal:
        if name:
            return ServedModel(name)
        raise InputError(
            f"ask_llm: the server at {server.base} does not list its models ({refusal}); name one with llm_name "
            "(--llm-name), or correct the address, which usually ends with /v1."
        ) from None
    known: dict[str, Any] = {}
    entries = listed.get("data") if isinstance(listed, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and "id" in entry:
            known[str(entry["id"])] = entry
    if not known:
        raise InputError(f"ask_llm: the server at {server.base} has no model.")
    if not name and len(known) > 1:
        raise InputError(
            f"ask_llm: the server at {server.base} has {len(known)} models ({name_some(sorted(known), 8)}); choose one "
            "with llm_name (--llm-name)."
        )
    if name and name not in known:
        raise unknown_name("llm_name", "ask_llm", name, known)
    name = name or next(iter(known))
    return ServedModel(name, _context(server, known[name]), _number(_meta(known[name]).get("n_params")))


def _context(server: Connection, entry: dict[str, Any]) -> int | None:
    """vLLM, SGLang and new versions of llama.cpp say it in the list; older ones of llama.cpp beside it.

    What a model was trained for is the last resort: a server may have room for less.
    """
    context = _number(entry.get("max_model_len")) or _number(_meta(entry).get("n_ctx"))
    if context is not None or not _meta(entry):
        return context
    try:
        properties = server.get("../props", attempts=FIRST_ATTEMPTS)
        return _number(properties["default_generation_settings"]["n_ctx"])
    except (Refused, InputError, KeyError, TypeError):
        return _number(_meta(entry).get("n_ctx_train"))


def _meta(entry: dict[str, Any]) -> dict[str, Any]:
    meta = entry.get("meta")
    return meta if isinstance(meta, dict) else {}


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and value > 0 else None
