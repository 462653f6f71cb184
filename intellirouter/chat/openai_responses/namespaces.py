"""Functions under a namespace, as agents of this dialect offer them.

No other dialect has namespaces, so the canonical name of such a function is `namespace__name`; what a client or a vendor
of this dialect reads has the two apart again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from intellirouter.chat.fields import Json
from intellirouter.chat.model import Tool


def joined(namespace: str, name: str) -> str:
    """The canonical name."""
    return f"{namespace}__{name}"


def namespaces_of(tools: Iterable[Tool]) -> dict[str, str]:
    """Canonical names to their namespace, of the functions that have one."""
    return {tool.name: tool.namespace[0] for tool in tools if tool.namespace is not None}


def parted(item: Json, namespaces: Mapping[str, str]) -> Json:
    """A call with its namespace and its name in it."""
    name = item.get("name")
    namespace = namespaces.get(name) if isinstance(name, str) else None
    if namespace is None:
        return item
    return {**item, "namespace": namespace, "name": _short(item["name"], namespace)}


def grouped(tools: Iterable[tuple[Tool, Json]]) -> list[Json]:
    """Tools as this dialect writes them, those of a namespace inside it."""
    groups: dict[str, Json] = {}
    encoded: list[Json] = []
    for tool, written in tools:
        if tool.namespace is None:
            encoded.append(written)
            continue
        namespace, description = tool.namespace
        if namespace not in groups:
            groups[namespace] = {
                "type": "namespace",
                "name": namespace,
                "description": description,
                "tools": [],
            }
            encoded.append(groups[namespace])
        groups[namespace]["tools"].append({**written, "name": _short(tool.name, namespace)})
    return encoded


def _short(name: str, namespace: str) -> str:
    return name.removeprefix(f"{namespace}__")
