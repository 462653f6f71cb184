"""JSON Schema (draft 2020-12) of strangers: nothing is fetched, patterns run in linear time, and the work is counted.

The library's defaults follow a `$ref` over the network, search patterns with Python's `re`, compare every item with every
other for `uniqueItems`, and know no end to schemas that name one another. Each keyword burns fuel before it is applied
(`keywords.py`), and what only the network could answer is refused when the schema is given.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urljoin

import msgspec

from intellirouter.bounds.fuel import FULL, OutOfFuel, at_most
from intellirouter.bounds.kept import BoundedMap
from intellirouter.bounds.patterns import BadPattern, ecma
from intellirouter.bounds.values import TooLarge, weight
from intellirouter.errors import InvalidRequest

if TYPE_CHECKING:
    from intellirouter.bounds.keywords import Error

MAX_WEIGHT = 256_000
"""Of one schema."""
MAX_DEPTH = 64


class BadSchema(InvalidRequest):
    """A JSON Schema does not hold, refers to something outside of itself, or needs more than is allowed."""

    code = "bad_schema"


@cache
def _keywords() -> Any:
    return importlib.import_module("intellirouter.bounds.keywords")


class Schema:
    """A schema that holds, ready to judge values."""

    __slots__ = ("_judge", "_plain")

    def __init__(self, plain: Mapping[str, Any] | bool, judge: Any = None) -> None:
        self._plain, self._judge = plain, judge

    def complaint(self, value: Any) -> str | None:
        """What in the value does not hold, in one line; None when all does.

        Raises `BadSchema` for a reference that leads nowhere, `OutOfFuel` and `TooLarge` for more than can be judged.
        """
        with _readable(), at_most(FULL):
            weight(value)
            error = _keywords().worst(self._validator(), value)
        if error is None:
            return None
        where = "/".join(str(step) for step in error.absolute_path)
        return f"{where or 'the whole'}: {error.message[:300]}"

    def errors(self, value: Any, most: int) -> list[Error]:
        """The first `most` of everything that is wrong. Raises as `complaint`."""
        found = []
        with _readable(), at_most(FULL):
            for error in self._validator().iter_errors(value):
                found.append(error)
                if len(found) == most:
                    break
        return found

    def _validator(self) -> Any:
        if self._judge is None:
            self._judge = _keywords().validator(self._plain)
        return self._judge


class _readable:  # noqa: N801  a context, used as a verb
    """What the library raises, in our words."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and _keywords().leads_nowhere(error):
            raise BadSchema(
                f"The schema has a '$ref' that leads nowhere in it: {str(error)[:200]}."
            ) from error
        if isinstance(error, RecursionError):
            raise BadSchema("The schema or the value is nested too deeply, or refers to itself.") from error


_made: BoundedMap[bytes, Schema] = BoundedMap(entries=256, weight=4_000_000)


def schema(document: Any) -> Schema:
    """The schema of a stranger's document. Raises `BadSchema` that says what is wrong and where."""
    if not isinstance(document, Mapping | bool):
        raise BadSchema("A JSON Schema is an object, or true or false.")
    try:
        size = weight(document, MAX_WEIGHT, MAX_DEPTH)
    except TooLarge as cause:
        raise BadSchema(
            f"A JSON Schema holds at most {MAX_WEIGHT:,} characters, {MAX_DEPTH} deep."
        ) from cause
    key = msgspec.json.encode(document)
    found = _made.get(key)
    if found is None:
        found = _build(document)
        _made.put(key, found, 4 * size)
    return found


def trusted(document: Mapping[str, Any]) -> Schema:
    """A schema of our own, whose work is counted like any."""
    return Schema(_without_dialect(document))


def _build(document: Any) -> Schema:
    _look_through(document)
    plain = _without_dialect(document)
    with _readable(), at_most(FULL):
        try:
            wrong = _keywords().worst(_keywords().META, plain)
        except OutOfFuel as cause:
            raise BadSchema("The JSON Schema is too large to be checked.") from cause
    if wrong is not None:
        raise BadSchema(f"This is no JSON Schema: {_place(wrong.absolute_path)}: {str(wrong.message)[:200]}.")
    validator = _keywords().validator(plain)
    if isinstance(plain, dict) and len(ids := list(_all(plain, "$id"))) <= ("$id" in plain):
        del ids
        for path, reference in _all(plain, "$ref"):
            _leads_somewhere(validator, path, reference)
    return Schema(plain, validator)


def _leads_somewhere(validator: Any, path: tuple[Any, ...], reference: str) -> None:
    try:
        validator._resolver.lookup(reference)  # noqa: SLF001  the library keeps it private and has no other way to ask
    except Exception as cause:
        if not _keywords().leads_nowhere(cause):
            raise
        raise BadSchema(f"{_place(path)}: '{reference[:100]}' leads nowhere in this schema.") from cause


def _without_dialect(document: Any) -> Any:
    """Without `$schema` at its root: by it the library would choose a validator that counts nothing."""
    if not isinstance(document, Mapping):
        return document
    return {name: value for name, value in document.items() if name != "$schema"}


def _look_through(document: Any) -> None:
    """Refuse what would leave the document: references, dialects, and patterns that are not linear."""
    known = {urldefrag(name).url for _, name in _all(document, "$id")} | {""}
    root = document.get("$id", "") if isinstance(document, Mapping) else ""
    root = root if isinstance(root, str) else ""
    for word in ("$ref", "$dynamicRef"):
        for path, reference in _all(document, word):
            address = urldefrag(reference).url
            if address not in known and urldefrag(urljoin(root, reference)).url not in known:
                raise BadSchema(
                    f"{_place(path)}: '{reference[:100]}' is not in this schema, and nothing is fetched: put it under "
                    "$defs and refer to it as '#/$defs/…'."
                )
    for path, _ in _all(document, "$schema"):
        if len(path) > 1:
            raise BadSchema(f"{_place(path)}: a dialect can be named at the root only.")
    patterned = any(True for _ in _named(document, "patternProperties"))
    for path, value in _named(document, "pattern"):
        if isinstance(value, str):
            _compiles(path, value)
    for path, value in _named(document, "patternProperties"):
        for text in value if isinstance(value, Mapping) else ():
            _compiles(path, text)
    if patterned and any(True for _ in _named(document, "unevaluatedProperties")):
        raise BadSchema("'unevaluatedProperties' together with 'patternProperties' is not supported.")


def _compiles(path: tuple[Any, ...], text: str) -> None:
    try:
        ecma(text)
    except BadPattern as cause:
        raise BadSchema(f"{_place(path)}: {cause.message}") from cause


def _all(document: Any, word: str) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Every text under that name, wherever it stands."""
    return ((path, value) for path, value in _named(document, word) if isinstance(value, str))


def _named(document: Any, word: str) -> Iterator[tuple[tuple[Any, ...], Any]]:
    stack: list[tuple[tuple[Any, ...], Any]] = [((), document)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, Mapping):
            for name, inner in value.items():
                if name == word:
                    yield (*path, name), inner
                stack.append(((*path, name), inner))
        elif isinstance(value, list | tuple):
            stack.extend(((*path, number), inner) for number, inner in enumerate(value))


def _place(path: Any) -> str:
    return "/".join(str(step)[:64] for step in path) or "the schema"
