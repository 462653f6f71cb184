"""Settings made at run time, on top of the file: which ones may be, and how one is laid on the other.

An overlay has the form of the file. A table is merged key by key; of a list of tables that have names (providers, models) the one of
the same name is replaced and a new one added; any other value takes the place of the file's. Only what a reload applies at once can
be set so (`reload_table.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from intellirouter.config.reload_table import APPLIES_NOW, WAITS
from intellirouter.config.schema.settings import Settings
from intellirouter.config.shown import MASK
from intellirouter.config.sources.places import secret_places
from intellirouter.config.sources.reference import scheme_of

SECTIONS = ("model_registry", "router", "limits", "budgets", "features")
_WHERE = ("kind", "endpoint", "options")
"""What says of a provider where it is."""
Overlay = dict[str, Any]


def problems_of(overlay: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Dotted path and reason of what cannot be set at run time."""
    for section, given in overlay.items():
        if section not in SECTIONS:
            yield section, f"is set in the file, not at run time. At run time: {', '.join(SECTIONS)}."
        elif not isinstance(given, dict):
            yield section, "must be a table."
        else:
            yield from _waiting(given, section)


def _waiting(table: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        key = f"{path}.{name}"
        if key in APPLIES_NOW:
            continue
        if isinstance(value, dict) and any(known.startswith(f"{key}.") for known in APPLIES_NOW):
            yield from _waiting(value, key)
        elif any(key == known or key.startswith(f"{known}.") for known in WAITS):
            yield key, "waits for a restart: set it in the file."
        # what is no key at all is told by whoever checks the whole


def laid_on(raw: dict[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """The raw values of a file with the overlay on top; neither is changed."""
    merged = deepcopy(raw)
    _merge(merged, overlay)
    return merged


def _merge(base: dict[str, Any], top: Mapping[str, Any]) -> None:
    for name, value in top.items():
        below = base.get(name)
        if isinstance(value, Mapping) and isinstance(below, dict):
            _merge(below, value)
        elif _named(value) and _named(below):
            base[name] = _by_name(below, value)
        else:
            base[name] = deepcopy(value)


def _named(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and "name" in one for one in value)
    )


def _by_name(below: Any, top: Any) -> list[dict[str, Any]]:
    new = {one["name"]: deepcopy(one) for one in top}
    kept = [new.pop(one["name"], one) for one in below]
    return [*kept, *new.values()]


def masked(overlay: Mapping[str, Any]) -> Overlay:
    """For people: secrets masked, places of secrets as they are."""
    shown = deepcopy(dict(overlay))
    for _, container, key in list(secret_places(shown, Settings)):
        value = container[key]
        if isinstance(value, str) and value and not _is_place(value):
            container[key] = MASK
    return shown


def unmasked(given: Mapping[str, Any], known: Mapping[str, Any]) -> Overlay:
    """What somebody sends back who was shown masks: a masked secret is the one that `known` has there, under the same name.

    Of a provider that is elsewhere now it is none: whoever may not see a key could have it sent to an address of their own.
    """
    whole = deepcopy(dict(given))
    before = {
        _place(known, path): (container[key], _whereabouts(known, path))
        for path, container, key in secret_places(dict(known), Settings)
    }
    for path, container, key in list(secret_places(whole, Settings)):
        if container[key] == MASK:
            secret, where = before.get(_place(whole, path), (MASK, []))
            container[key] = secret if where == _whereabouts(whole, path) else MASK
    return whole


def _whereabouts(root: Mapping[str, Any], path: tuple[str | int, ...]) -> list[Any]:
    """Where the secret at this path is sent, as far as tables on the way to it say."""
    found: list[Any] = []
    node: Any = root
    for part in path:
        node = node[part]
        if isinstance(node, dict):
            found += [node.get(key) for key in _WHERE]
    return found


def places_named(overlay: Mapping[str, Any]) -> list[Any]:
    """Every place of a secret that these settings name, for what, and where what is read there would be sent."""
    found: list[Any] = [
        (_place(overlay, path), container[key], _whereabouts(overlay, path))
        for path, container, key in secret_places(dict(overlay), Settings)
        if scheme_of(container[key])
    ]
    registry = overlay.get("model_registry")
    providers = registry.get("providers") if isinstance(registry, dict) else None
    for one in providers if isinstance(providers, list) else ():
        if isinstance(one, dict) and one.get("api_key_env"):
            found += [(one.get("name"), one["api_key_env"], [one.get(key) for key in _WHERE])]
    return found


def masks_left(overlay: Mapping[str, Any]) -> list[str]:
    """Where a mask stands in place of a secret that nobody knows."""
    return [
        ".".join(map(str, path))
        for path, container, key in secret_places(dict(overlay), Settings)
        if container[key] == MASK
    ]


def _place(root: Mapping[str, Any], path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The path with the names of named tables in place of their numbers."""
    found: list[str | int] = []
    node: Any = root
    for part in path:
        node = node[part]
        found.append(
            node["name"] if isinstance(part, int) and isinstance(node, dict) and "name" in node else part
        )
    return tuple(found)


def _is_place(value: str) -> bool:
    return value.startswith(("vault://", "aws-sm://", "aws-ssm://", "env:", "file:", "credential:"))
