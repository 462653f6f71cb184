"""YAML read as JSON with comments: no aliases (a "billion laughs" needs them), no tags that make objects, keys are strings.

One pass over libyaml's events, so that nothing is built before it is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from intellirouter.bounds.fuel import burn
from intellirouter.errors import InvalidRequest

MAX_DEPTH = 60
MAX_NODES = 200_000
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_EVENT = 40  # units of work that one event costs

Path = tuple[str | int, ...]


class BadYaml(InvalidRequest):
    """The text is no YAML, or holds what is not taken. `line` is 1-based, 0 where it is not known."""

    code = "bad_yaml"

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class Read:
    """The data of a text, the line of each path in it, and the paths of keys that stand twice."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    twice: list[Path] = field(default_factory=list)


Scalar = Callable[[str, bool], Any]
"""A scalar's text to its value; the second is true where it stands without quotes."""


def read(text: str, scalar: Scalar) -> Read:
    """The first document of the text. Raises `BadYaml`."""
    found = Read()
    try:
        events = _checked(yaml.parse(text, Loader=_LOADER))
        for event in events:
            if isinstance(event, yaml.NodeEvent):
                found.data = _node(event, events, (), found, scalar)
                break
        for event in events:  # what follows is looked at too: a second document is a mistake, not silence
            if isinstance(event, yaml.NodeEvent):
                raise BadYaml("There is more than one YAML document in this text.", _line(event))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise BadYaml(f"This is not valid YAML: {error.problem}.", mark.line + 1 if mark else 0) from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise BadYaml("This cannot be read: it holds characters that YAML does not allow.") from error
    return found


def _checked(events: Iterator[yaml.Event]) -> Iterator[yaml.Event]:
    """The events, counted, without aliases."""
    depth = 0
    for number, event in enumerate(events):
        burn(_EVENT)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise BadYaml("Anchors and aliases are not allowed here.", _line(event))
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise BadYaml(f"Nested more than {MAX_DEPTH} deep.", _line(event))
        if number > MAX_NODES:
            raise BadYaml(f"More than {MAX_NODES:,} values.", _line(event))
        yield event


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return mark.line + 1 if mark else 0


def _node(event: yaml.Event, events: Iterator[yaml.Event], path: Path, found: Read, scalar: Scalar) -> Any:
    found.lines.setdefault(path, _line(event))
    if isinstance(event, yaml.MappingStartEvent):
        mapping: dict[str, Any] = {}
        for key_event in events:
            if isinstance(key_event, yaml.MappingEndEvent):
                break
            if not isinstance(key_event, yaml.ScalarEvent):
                raise BadYaml("A key must be a word, not a list or a table.", _line(key_event))
            key = str(key_event.value)
            inner = (*path, key)
            if key in mapping:
                found.twice.append(inner)
            found.lines[inner] = _line(key_event)
            mapping[key] = _node(next(events), events, inner, found, scalar)
        return mapping
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Any] = []
        for item in events:
            if isinstance(item, yaml.SequenceEndEvent):
                break
            items.append(_node(item, events, (*path, len(items)), found, scalar))
        return items
    if not isinstance(event, yaml.ScalarEvent):
        raise BadYaml("This cannot be read.", _line(event))
    return scalar(str(event.value), not event.style)
