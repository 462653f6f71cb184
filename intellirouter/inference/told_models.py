"""Models that a request tells the vendor's side to ask in place of the one it names: a gateway behind us reads such fields.

A key that lists its models is held to them there too. Sources: OpenRouter, "Model Fallbacks" (`models`) and "Presets" (`preset`); LiteLLM's
proxy, "Fallbacks" (`fallbacks`, `context_window_fallbacks`, `content_policy_fallbacks`); Vercel's AI Gateway, "Model fallbacks"
(`providerOptions.gateway.models`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from intellirouter.inference.permission import denied
from intellirouter.security.caller import Caller

_LISTS = ("models", "fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
_DEEPEST = 8


def check_told(extra: Mapping[str, Any], caller: Caller, providers: Collection[str]) -> None:
    """Raises `PermissionDenied` for a model that the caller may not use, under the vendor's name of it or one of the `providers`' here."""
    if not caller.models:
        return
    for field, name in _told(extra):
        if not caller.may_use(name, *(f"{provider}/{name}" for provider in providers)):
            raise denied(name, field)


def _told(extra: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field in _LISTS:
        if field in extra:
            yield from ((field, name) for name in _names(extra[field]))
    if (preset := extra.get("preset")) is not None:
        yield "preset", f"@preset/{preset}"
    gateway = extra.get("providerOptions")
    gateway = gateway.get("gateway") if isinstance(gateway, dict) else None
    if isinstance(gateway, dict) and "models" in gateway:
        yield from (("providerOptions.gateway.models", name) for name in _names(gateway["models"]))


def _names(value: Any, left: int = _DEEPEST) -> Iterator[str]:
    """Every text in it: LiteLLM takes names, objects with a `model`, and objects of lists by the model that failed."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and "model" in value:
        yield from _names(value["model"], left - 1)
    elif isinstance(value, list | dict) and left:
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _names(inner, left - 1)
