"""Models that a request tells the vendor's side to ask in place of the one it names: a gateway behind us reads such fields.

A key that lists its models is held to them there too. Sources: OpenRouter, "Model Fallbacks" (`models`) and "Presets" (`preset`); LiteLLM's
proxy, "Fallbacks" (`fallbacks`, `context_window_fallbacks`, `content_policy_fallbacks`); Vercel's AI Gateway, "Model fallbacks"
(`providerOptions.gateway.models`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from intellirouter.errors import InvalidRequest
from intellirouter.inference.permission import denied
from intellirouter.security.caller import Caller

MOST = 1_000
"""Values that such fields may hold: each name is looked for in the key's list, on the event loop."""
_LISTS = ("models", "fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


def check_told(extra: Mapping[str, Any], caller: Caller, providers: Collection[str]) -> None:
    """Raises `PermissionDenied` for a model that the caller may not use, under the vendor's name of it or one of the `providers`' here."""
    if not caller.models or not extra:
        return
    for field, name in _told(extra):
        if not caller.may_use(name, *(f"{provider}/{name}" for provider in providers)):
            raise denied(name, field)


def _told(extra: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The fields that name models, with each of the names.

    LiteLLM takes names, objects of lists by the model that failed, and objects with a `model`: requests that are written over this one,
    which may name further models as it does.
    """
    left = MOST
    found = _fields(extra)
    while found:
        field, value = found.pop()
        if isinstance(value, str):
            yield field, value
        elif isinstance(value, dict) and "model" in value:
            found += [(field, value["model"]), *((field, inner) for _, inner in _fields(value))]
        elif isinstance(value, list | dict):
            left -= len(value)
            if left < 0:
                raise InvalidRequest(f"'{field}' holds more than {MOST:,} values.", param=field)
            found += [(field, inner) for inner in (value.values() if isinstance(value, dict) else value)]


def _fields(request: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found = [(field, request[field]) for field in _LISTS if field in request]
    if (preset := request.get("preset")) is not None:
        found.append(("preset", f"@preset/{preset}"))
    options = request.get("providerOptions")
    gateway = options.get("gateway") if isinstance(options, dict) else None
    if isinstance(gateway, dict) and "models" in gateway:
        found.append(("providerOptions.gateway.models", gateway["models"]))
    return found
