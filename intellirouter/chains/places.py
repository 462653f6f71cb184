"""Templates that only name values: text, and places such as `{{ name }}` or `{{ steps.draft.text }}` in it.

Nearly every prompt is one. Its meaning is Jinja's, but it needs no code made for it: that costs a third of a millisecond
and six kilobytes per template, too much for ten thousand prompts that are each used now and then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from jinja2 import Environment, StrictUndefined

_PLACE = re.compile(r"\{\{\s*([a-z_]\w*(?:\.[a-z_]\w*)*)\s*\}\}", re.ASCII | re.IGNORECASE)
_SYNTAX = re.compile(r"\{[{%#]|\r")
"""What Jinja would see in the text between places: its own marks, and line ends that it rewrites."""
_RESERVED = frozenset(
    "and caller else false if in is kwargs loop none not or recursive self super true varargs".split()
)


class Places:
    """Such a template, ready to be filled in. Has the `generate` of a compiled Jinja template."""

    __slots__ = ("_environment", "_paths", "_texts")

    def __init__(self, environment: Environment, texts: list[str], paths: list[tuple[str, ...]]) -> None:
        self._environment = environment
        self._texts = texts
        self._paths = paths

    def generate(self, **names: Any) -> Iterator[str]:
        """The pieces of the text. Raises `jinja2.UndefinedError` for a value that is not there."""
        environment = self._environment
        finalize = environment.finalize or str
        yield self._texts[0]
        for path, text in zip(self._paths, self._texts[1:], strict=True):
            value = names[path[0]] if path[0] in names else StrictUndefined(name=path[0])
            for attribute in path[1:]:
                value = environment.getattr(value, attribute)
            yield str(finalize(value))
            yield text

    def references(self, *owners: str) -> tuple[set[str], list[set[str]]]:
        """The names that are read, and what of each owner is read as `owner.X`."""
        of = [{path[1] for path in self._paths if path[0] == owner and len(path) > 1} for owner in owners]
        return {path[0] for path in self._paths}, of


def places(environment: Environment, source: str) -> Places | None:
    """The template, or None where `source` holds more than text and places."""
    pieces = _PLACE.split(source)
    texts, paths = pieces[::2], [tuple(path.split(".")) for path in pieces[1::2]]
    if any(_SYNTAX.search(text) for text in texts) or any(text.endswith("{") for text in texts[:-1]):
        return None
    if any(part.lower() in _RESERVED for path in paths for part in path):
        return None
    return Places(environment, texts, paths)
