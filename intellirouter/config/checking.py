"""From raw values to settings, with every problem in one round.

What one check refuses would hide what the next one says: a misspelt key the wrong strategy, a wrong hash the unknown
target. So whatever is refused is left out of a draft, the rest is checked again, and a rule is not asked about what is
already known to be wrong.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from intellirouter.config.rules import Finding
from intellirouter.config.schema.settings import Settings

KeyPath = tuple[str | int, ...]
Rule = Callable[[Settings], Iterable[Finding]]

MOST_ROUNDS = 50
MOST_PLACES = 6
"""Tables that are named to who wrote a key into another one. What more of them know (`enabled`) says nothing."""
_QUOTED = re.compile(r"'([^']*)'")
_PLAIN = {
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "path_type": "must be a path",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "tuple_type": "must be a list: [ … ]",
}
_NUMBERS = ("int_parsing", "float_parsing")
_WITH_UNIT = re.compile(r"\s*[$€£]?\s*[-+]?[\d.,_]+\s*[A-Za-z%$€£/]*\s*")
_FOLLOWS = ("missing", "too_short")
"""What pydantic says of a table from which something was left out."""


class Fault(NamedTuple):
    """What is wrong at a path of the raw values, and what to do."""

    path: KeyPath
    message: str
    advice: str = ""


def check(
    raw: dict[str, Any],
    rules: Sequence[Rule],
    known: Iterable[KeyPath] = (),
    beside: Sequence[Rule] = (),
) -> tuple[Settings | None, list[Fault]]:
    """What holds of the settings, and every fault: they hold as a whole where there is none. None where nothing can be said.

    `known` are paths of which a fault is already told; the rules `beside` are no fault by themselves, and told with others.
    """
    draft, faults, told = _Draft(raw), list[Fault](), list(known)
    for path in told:
        draft.leave_out(path)
    for _ in range(MOST_ROUNDS):
        try:
            settings = Settings.model_validate(draft.values())
            break
        except ValidationError as failure:
            errors = _by_path(draft, failure.errors(include_url=False))
        whole = [
            path
            for path, same in errors.items()
            if same[0]["type"] not in _FOLLOWS and not draft.lacks_part_of(path)
        ]
        for path in whole:  # first: a list of wrong items is also said to be too short
            draft.leave_out(path)
        for path, same in errors.items():
            if path in whole or not draft.lacks(path):
                faults.append(_explain(path, same))
                told.append(path)
            if path not in whole:
                draft.leave_out(path)
    else:
        return None, faults
    found = [finding for rule in rules for finding in rule(settings)]
    if found or told:
        found.extend(finding for rule in beside for finding in rule(settings))
    if found:
        for path, message in found:
            place = draft.original(path)
            if not any(_related(place, other) for other in told) and not draft.mentions_lost(message):
                faults.append(Fault(place, message))
    return settings, faults


class _Draft:
    """The raw values without what was left out, with the paths of the original."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self._raw = raw
        self._left_out: set[KeyPath] = set()
        self._lost: set[str] = set()

    def values(self) -> dict[str, Any]:
        """What is left."""
        kept: dict[str, Any] = self._kept(self._raw, ())
        return kept

    def _kept(self, node: Any, path: KeyPath) -> Any:
        if isinstance(node, dict):
            return {
                key: self._kept(value, (*path, key))
                for key, value in node.items()
                if (*path, key) not in self._left_out
            }
        if isinstance(node, list):
            return [
                self._kept(value, (*path, index))
                for index, value in enumerate(node)
                if (*path, index) not in self._left_out
            ]
        return node

    def original(self, path: KeyPath) -> KeyPath:
        """The path in the file of a path in what is left, as far as it leads into given values."""
        found: KeyPath = ()
        node: Any = self._raw
        for part in path:
            place: str | int | None = part
            if isinstance(node, list) and isinstance(part, int):
                left = [index for index in range(len(node)) if (*found, index) not in self._left_out]
                place = next(iter(left[part:]), None)
            if place is None:
                break
            found = (*found, place)
            node = _at(node, place)
        return found

    def given(self, path: KeyPath) -> KeyPath:
        """Of an error's location, the part that names something in the file: pydantic adds the names of types."""
        found: KeyPath = ()
        node: Any = self._raw
        for part in path:
            if not _holds(node, part):
                break
            found, node = (*found, part), _at(node, part)
        return found

    def leave_out(self, path: KeyPath) -> None:
        """Leave out what stands at `path`; a table that needs it goes too."""
        while path and path in self._left_out:  # was left out already and is missed: the table goes
            path = path[:-1]
        node: Any = self._raw
        for part in path[:-1]:
            node = _at(node, part)
        if path and _holds(node, path[-1]):
            self._left_out.add(path)
            self._note_names(node, path[-1])
        elif len(path) > 1:
            self.leave_out(path[:-1])

    def _note_names(self, parent: Any, part: str | int) -> None:
        """The names of a left-out table: others may refer to them."""
        entry = _at(parent, part)
        if isinstance(entry, dict):
            names = [entry.get("name"), *(entry.get("aliases") or ())]
            self._lost.update(name for name in names if isinstance(name, str))

    def mentions_lost(self, message: str) -> bool:
        """Whether a rule misses only what was left out for another fault."""
        named = _QUOTED.search(message)
        return named is not None and not self._lost.isdisjoint((named[1], named[1].partition("/")[0]))

    def lacks_part_of(self, path: KeyPath) -> bool:
        """Whether something inside it was left out: what is said of the rest may follow from that."""
        return any(len(gone) > len(path) and _related(path, gone) for gone in self._left_out)

    def lacks(self, path: KeyPath) -> bool:
        """Whether something was left out there."""
        return any(_related(path, gone) for gone in self._left_out)


def _holds(node: Any, part: str | int) -> bool:
    if isinstance(node, list):
        return isinstance(part, int) and part < len(node)
    return isinstance(node, dict) and part in node


def _at(node: Any, part: str | int) -> Any:
    """What stands at a key or an index, or None."""
    return node[part] if _holds(node, part) else None


def _related(path: KeyPath, other: KeyPath) -> bool:
    """Whether one of two places lies in the other."""
    shorter = min(len(path), len(other))
    return path[:shorter] == other[:shorter]


def _by_path(draft: _Draft, errors: Iterable[ErrorDetails]) -> dict[KeyPath, list[ErrorDetails]]:
    """Errors by the place in the file they mean: each alternative of a value reports for itself."""
    found: dict[KeyPath, list[ErrorDetails]] = {}
    for error in errors:
        whole = draft.original(tuple(error["loc"]))
        place = draft.given(whole)
        if error["type"] == "missing" or not place:
            place = whole
        found.setdefault(place, []).append(error)
    return found


def _explain(path: KeyPath, errors: Sequence[ErrorDetails]) -> Fault:
    kind = errors[0]["type"]
    if kind == "extra_forbidden":
        return Fault(path, "is not a known key.", _instead(path))
    if kind == "missing":
        return Fault(path, "is required.")
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return Fault(path, f"must be a table: {_heading(path)}.")
    told = dict.fromkeys(_said(error) for error in errors)
    first, *others = told
    text = " or ".join((first, *(other.removeprefix("must be ") for other in others)))
    given = errors[0].get("input")
    if kind in _NUMBERS and isinstance(given, str) and _WITH_UNIT.fullmatch(given):
        text += ", without a unit"
    elif kind == "tuple_type" and isinstance(given, dict) and _plain_keys(path):
        text = f"must be a list of tables: each begins with [[{'.'.join(map(str, path))}]]"
    elif kind == "tuple_type" and isinstance(given, str) and given.startswith("["):  # of a variable
        text += ' with TOML inside: { name = "…" } rather than { "name": "…" }, and each bracket closed'
    return Fault(path, text + ("" if text.endswith(".") else "."))


def _instead(path: KeyPath) -> str:
    """What may have been meant by a key that the table does not know."""
    key, known = str(path[-1]), sorted(keys_at(path[:-1]))
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    sure = difflib.get_close_matches(key, known, n=1, cutoff=0.8)
    places = [] if sure else list(_tables_with(key, Settings))
    if 0 < len(places) <= MOST_PLACES:
        return f"It stands in {' or '.join(filter(None, (', '.join(places[:-1]), places[-1])))}."
    return f"Did you mean '{close[0]}'?" if close else f"Known keys: {', '.join(known)}."


def _tables_with(key: str, model: type[BaseModel], above: str = "") -> Iterator[str]:
    """The headings under which a key may stand; not those of lists and of tables whose names the operator chooses."""
    if above and key in model.model_fields:
        yield f"[{above}]"
    for name, field in model.model_fields.items():
        inner = model_in(field.annotation)
        if inner is not None and get_origin(field.annotation) not in (dict, tuple):
            yield from _tables_with(key, inner, f"{above}.{name}" if above else name)


def _plain_keys(path: KeyPath) -> bool:
    """Whether a table stands there under a heading of its own."""
    return not any(isinstance(part, int) for part in path) and any(keys_at(path))


def _heading(path: KeyPath) -> str:
    """How a table is written there. One of several has no heading that says which."""
    if any(isinstance(part, int) for part in path):
        return "{ … }" if isinstance(path[-1], int) else f"{path[-1]} = {{ … }}"
    return f"[{'.'.join(map(str, path))}] and its keys below it"


def _said(error: ErrorDetails) -> str:
    if plain := _PLAIN.get(error["type"]):
        return plain
    message = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return (message[:1].lower() + message[1:]).rstrip(".")


def keys_at(path: KeyPath) -> Iterator[str]:
    """The keys that the table at `path` knows."""
    model: type[BaseModel] = Settings
    named = False
    for part in path:
        if isinstance(part, int) or named:  # a place in a list, or a name that the operator chose
            named = False
            continue
        field = model.model_fields.get(str(part))
        inner = model_in(field.annotation) if field else None
        if field is None or inner is None:
            return
        model, named = inner, get_origin(field.annotation) is dict
    yield from model.model_fields


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The section inside `Section`, `Section | None`, `tuple[Section, ...]` or `dict[str, Section]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if (found := model_in(inner)) is not None:
            return found
    return None
