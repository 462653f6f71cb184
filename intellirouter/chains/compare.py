"""What differs between two definitions, by the places of their steps: a step that moved is not one that is gone."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

MAX_CHANGES = 1_000
MAX_LINES = 200
"""Lines of a text that are compared one by one; of a longer one the whole is shown."""
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One place. `old` and `new` are what stands there before and after; a `moved` step stands elsewhere in its body."""

    path: str
    kind: Literal["added", "removed", "changed", "moved"]
    old: Any = None
    new: Any = None

    def shown(self) -> dict[str, Any]:
        """As plain data: `from` is not there where something was added, `to` not where it was removed."""
        told: dict[str, Any] = {"path": self.path, "kind": self.kind}
        if self.kind != "added":
            told["from"] = self.old
        if self.kind != "removed":
            told["to"] = self.new
        return told


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Every difference, at most `MAX_CHANGES`, in the order of the definition."""
    found = []
    for change in _between(old, new, ""):
        found.append(change)
        if len(found) == MAX_CHANGES:
            break
    return found


def told(found: Iterable[Change]) -> str:
    """Differences as a text, with the lines that go after `-` and those that come after `+`."""
    lines: list[str] = []
    for change in found:
        lines.append(f"{change.path}: {change.kind}")
        if change.kind == "moved":
            continue
        old = [] if change.kind == "added" else _lines(change.old)
        new = [] if change.kind == "removed" else _lines(change.new)
        if old and new and max(len(old), len(new)) <= MAX_LINES:
            lines += [f"  {line}" for line in difflib.ndiff(old, new) if not line.startswith(("?", "  "))]
        else:
            lines += [f"  - {line}" for line in old] + [f"  + {line}" for line in new]
    return "\n".join(lines)


def _between(old: Any, new: Any, path: str) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _keys(old, new, path)
    elif (before := _by_id(old)) is not None and (after := _by_id(new)) is not None:
        yield from _keys(before, after, path)
        kept = [name for name in before if name in after]
        now = [name for name in after if name in before]
        yield from (
            Change(_at(path, name), "moved") for name, other in zip(now, kept, strict=True) if name != other
        )
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from _one(
                old[index] if index < len(old) else _ABSENT,
                new[index] if index < len(new) else _ABSENT,
                f"{path}[{index}]",
            )
    elif old != new or type(old) is not type(new):
        yield Change(path, "changed", old, new)


def _keys(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Change]:
    for key in (*old, *(key for key in new if key not in old)):
        yield from _one(old.get(key, _ABSENT), new.get(key, _ABSENT), _at(path, key))


def _one(old: Any, new: Any, path: str) -> Iterator[Change]:
    if old is _ABSENT:
        yield Change(path, "added", None, new)
    elif new is _ABSENT:
        yield Change(path, "removed", old, None)
    else:
        yield from _between(old, new, path)


def _at(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _by_id(value: Any) -> dict[str, Any] | None:
    """A body of steps by their ids; None where it is none."""
    if not isinstance(value, list) or not all(isinstance(each, dict) and "id" in each for each in value):
        return None
    found = {str(each["id"]): each for each in value}
    return found if value and len(found) == len(value) else None


def _lines(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.splitlines() or [""]
    return json.dumps(value, ensure_ascii=False, indent=2).splitlines()
