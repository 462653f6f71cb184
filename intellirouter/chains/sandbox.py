"""The Jinja environment of expressions: what a template may hold, and what each piece of work costs.

Attributes are keys of objects, never Python's, so there is nothing to escape through. Whatever grows, loops, copies or
compares burns fuel first (`bounds.fuel`): the syntax tree is rewritten so that loops, comparisons, slices and `~` go through
filters of our own, and every filter and test is wrapped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any
from urllib.parse import quote

from jinja2 import StrictUndefined, nodes
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from intellirouter.bounds.fuel import OutOfFuel, burn
from intellirouter.bounds.values import reading, weight
from intellirouter.errors import InvalidRequest

MAX_OUTPUT = 1_000_000
"""Characters of a text that an expression or template makes."""
FILTERS = frozenset(
    "default d length count lower upper trim first last round int float string sum min max sort unique map select reject "
    "selectattr rejectattr title capitalize list abs reverse dictsort truncate join replace tojson urlencode".split()
)
_ITEM = 12  # units for one item that goes through a filter
_CHARACTERS = 32  # that are read in the time of one unit
_SHALLOW = frozenset("default d length count first last round abs".split())
_SORTING = frozenset({"sort", "dictsort"})
_OF_TEXT = frozenset(
    "lower upper trim int float string replace title capitalize truncate tojson reverse urlencode".split()
)
"""Filters that take a text as one thing, not as its characters."""
_LONG_ARGUMENTS = frozenset("replace default d join select reject selectattr rejectattr map".split())
_NAMING = frozenset("select reject selectattr rejectattr map".split())
"""Filters whose first argument is a name."""
_MAX_WORD = 256  # characters of a filter's argument that is repeated for each item


class BadExpression(InvalidRequest):
    """An expression or template does not compile, fails, or outgrows its caps."""

    code = "bad_expression"


class TooMuchWork(BadExpression, OutOfFuel):
    """An expression takes more work than one evaluation may do."""

    code = "too_much_work"


class Sandbox(ImmutableSandboxedEnvironment):
    """Attributes are keys; arithmetic is for numbers."""

    intercepted_binops = frozenset({"*", "+", "-", "/", "//", "%"})

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, optimized=False
        )
        self.globals.clear()
        own: dict[str, Any] = {
            "join": _join,
            "replace": _replace,
            "tojson": tojson,
            "urlencode": _urlencode,
            "sum": _sum,
            "round": _round,
        }
        given = {name: own.get(name) or self.filters[name] for name in FILTERS}
        self.filters = {name: _metered(name, act) for name, act in given.items()}
        self.filters.update(_each=_each, _weighed=_weighed, _together=_together, _slice=_slice)
        tests: dict[str, Any] = dict(self.tests)
        self.tests = {name: _metered_test(act) for name, act in tests.items()}
        self.finalize = lambda value: (
            "" if value is None else text(value) if isinstance(value, dict | list) else value
        )

    # what Jinja asks for, by its names

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if obj is None:
            return None
        if isinstance(obj, dict):
            if isinstance(argument, list | dict):
                raise BadExpression("A key must be a text or a number.")
            return obj[argument] if argument in obj else self.undefined(obj=obj, name=argument)
        if isinstance(obj, list | str | tuple) and type(argument) is int:
            try:
                return obj[argument]
            except IndexError:
                return self.undefined(obj=obj, name=str(argument)[:100])
        if isinstance(obj, LoopContext) and argument in ("index", "index0", "first", "last", "length"):
            return getattr(obj, argument)
        return self.undefined(obj=obj, name=str(argument)[:100] if isinstance(argument, str | int) else "?")

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        both = (left, right)
        if operator == "+" and (
            all(isinstance(v, str) for v in both) or all(isinstance(v, list) for v in both)
        ):
            size = len(left) + len(right)
            if size > MAX_OUTPUT:
                raise BadExpression(f"An expression grew past {MAX_OUTPUT:,}.")
            burn(1 + size // _CHARACTERS)
            return left + right
        if not all(isinstance(value, int | float) for value in both):
            advice = " '~' joins whatever there is as text." if operator == "+" else ""
            raise BadExpression(
                f"'{operator}' cannot be done with {kind_of(left)} and {kind_of(right)}.{advice}"
            )
        if not all(abs(value) < 1e30 for value in both):
            raise BadExpression(f"'{operator}' works on numbers below 1e30 here.")
        if operator in ("/", "//", "%") and right == 0:
            raise BadExpression("It divides by zero.")
        return super().call_binop(context, operator, left, right)


class _Meter(NodeTransformer):
    """Sends what could run long through filters that count."""

    # Jinja's names

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        cost = 2 + sum(1 for part in node.body for _ in part.find_all(nodes.Node))
        node.iter = _through("_each", node.iter, nodes.Const(cost))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _through("_together", nodes.List(node.nodes, lineno=node.lineno))

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:
        self.generic_visit(node)
        node.expr = _through("_weighed", node.expr)
        for operand in node.ops:
            operand.expr = _through("_weighed", operand.expr)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        parts = (part or nodes.Const(None) for part in (node.arg.start, node.arg.stop, node.arg.step))
        return _through("_slice", node.node, *parts)


def _through(name: str, value: nodes.Node, *arguments: nodes.Node) -> nodes.Filter:
    return nodes.Filter(value, name, list(arguments), [], None, None, lineno=value.lineno)


def metered(tree: nodes.Template) -> nodes.Template:
    """The tree with every loop and copy counted. Its nodes have lines."""
    _Meter().visit(tree)
    for node in tree.find_all(nodes.Node):
        if getattr(node, "lineno", None) is None:
            node.set_lineno(1)
    return tree


def _metered(name: str, act: Callable[..., Any]) -> Callable[..., Any]:
    place = 1 if getattr(act, "jinja_pass_arg", None) is not None else 0

    @wraps(act)
    def run(*given: Any, **named: Any) -> Any:
        value, arguments = given[place], (*given[place + 1 :], *named.values())
        burn(_ITEM)
        for argument in (*arguments[: name in _NAMING], named.get("attribute")):
            _short(argument, name)
        for argument in arguments:
            if name not in _LONG_ARGUMENTS:
                _short(argument, name)
            reading(argument)
        if name not in _SHALLOW:
            reading(value)
            if isinstance(value, list | dict | tuple) or (isinstance(value, str) and name not in _OF_TEXT):
                burn(_ITEM * len(value))
                if name in _SORTING:  # in C: a comparison costs little more than what it reads
                    burn(len(value).bit_length() * (len(value) + weight(value) // _CHARACTERS))
        return _settled(act(*given, **named))

    return run


def _short(argument: Any, name: str) -> None:
    if isinstance(argument, str) and len(argument) > _MAX_WORD:
        raise BadExpression(f"An argument of '{name}' holds at most {_MAX_WORD} characters.")


def _metered_test(act: Callable[..., Any]) -> Callable[..., Any]:
    place = 1 if getattr(act, "jinja_pass_arg", None) is not None else 0

    @wraps(act)
    def run(*given: Any) -> Any:
        burn(2)
        for value in given[place:] if len(given) > place + 1 else ():
            reading(value)
        return act(*given)

    return run


def _settled(value: Any) -> Any:
    """Lists in place of iterators; texts within their bound."""
    if isinstance(value, Iterator):
        kept = []
        for item in value:
            burn(_ITEM)
            kept.append(item)
        return kept
    if isinstance(value, str) and len(value) > MAX_OUTPUT:
        raise BadExpression(f"An expression's text grew past {MAX_OUTPUT:,} characters.")
    return value


def _each(values: Any, cost: int) -> Iterator[Any]:
    for value in values:
        burn(cost)
        yield value


def _weighed(value: Any) -> Any:
    reading(value)
    return value


def _together(values: list[Any]) -> str:
    return bounded(str(value) if not isinstance(value, dict | list) else tojson(value) for value in values)


def _slice(value: Any, start: Any, stop: Any, step: Any) -> Any:
    if not isinstance(value, list | str | tuple) or not all(
        part is None or type(part) is int for part in (start, stop, step)
    ):
        raise BadExpression("Only texts and lists are cut, by whole numbers.")
    burn(1 + len(value) // _CHARACTERS)
    return value[start:stop:step]


def bounded(pieces: Iterable[str]) -> str:
    """The pieces as one text. Raises `BadExpression` beyond `MAX_OUTPUT`."""
    kept, size = [], 0
    for piece in pieces:
        size += len(piece)
        burn(1 + len(piece) // _CHARACTERS)
        if size > MAX_OUTPUT:
            raise BadExpression(f"A template's text grew past {MAX_OUTPUT:,} characters.")
        kept.append(piece)
    return "".join(kept)


def _join(values: Iterable[Any], separator: str = "") -> str:
    return bounded(
        piece for n, value in enumerate(values) for piece in ((str(separator),) if n else ()) + (text(value),)
    )


def _urlencode(value: Any) -> str:
    """As a part of an address: `a&b` as `a%26b`; an object as its query.

    Jinja's own leaves `/` as it is, so that a value would lead to another address, writes a blank of a query as `+` and `true` as
    `True`, and knows no bound.
    """
    if isinstance(value, dict):
        return bounded(
            f"{'&' if n else ''}{quote(str(key), safe='')}={quote(text(inner), safe='')}"
            for n, (key, inner) in enumerate(value.items())
        )
    return bounded((quote(text(value), safe=""),))


def kind_of(value: Any) -> str:
    """What a value is, in JSON's words."""
    if value is None:
        return "null"
    kinds = (
        (bool, "a boolean"),
        (int | float, "a number"),
        (str, "a text"),
        (dict, "an object"),
        (list | tuple, "a list"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "a value that is not there")


def _replace(value: str, old: str, new: str) -> str:
    if not old:
        raise BadExpression("'replace' needs something to look for.")
    value, old, new = str(value), str(old), str(new)
    burn(value.count(old))
    return bounded(
        piece for n, part in enumerate(value.split(old)) for piece in ((new,) if n else ()) + (part,)
    )


def _sum(values: Iterable[Any], attribute: Any = None, start: Any = 0) -> Any:
    """Of numbers, or of lists where `start` is one."""
    total = list(start) if isinstance(start, list) else start
    for value in values:
        item = value
        for part in str(attribute).split(".") if attribute is not None else ():
            item = _member(item, part)
        if isinstance(total, list) and isinstance(item, list):
            burn(len(item))
            total.extend(item)
            if len(total) > MAX_OUTPUT:
                raise BadExpression(f"An expression grew past {MAX_OUTPUT:,}.")
        elif isinstance(total, int | float) and isinstance(item, int | float) and abs(total) < 1e300:
            total += item
        else:
            raise BadExpression("'sum' adds numbers, or lists where 'start' is a list.")
    return total


def _member(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return value.get(name)
    return value[int(name)] if isinstance(value, list) and name.isdigit() and int(name) < len(value) else None


def _round(value: Any, precision: Any = 0, method: Any = "common") -> Any:
    if type(precision) is not int or not -30 <= precision <= 30:
        raise BadExpression("'round' takes a precision of -30 to 30.")
    if not isinstance(value, int | float) or abs(value) >= 1e30:
        raise BadExpression("'round' works on numbers below 1e30 here.")
    return _JINJA_ROUND(value, precision, method)


def text(value: Any) -> str:
    """As a template prints it: objects and lists as JSON."""
    return (
        value if isinstance(value, str) else tojson(value) if isinstance(value, dict | list) else str(value)
    )


def tojson(value: Any) -> str:
    """The value as JSON. Raises `BadExpression` beyond `MAX_OUTPUT`."""
    size = weight(value)
    if size > 8 * MAX_OUTPUT:
        raise BadExpression(f"An expression's text grew past {MAX_OUTPUT:,} characters.")
    burn(size // 8)
    made = json.dumps(value, ensure_ascii=False)
    if len(made) > MAX_OUTPUT:
        raise BadExpression(f"An expression's text grew past {MAX_OUTPUT:,} characters.")
    return made


_JINJA_ROUND: Any = ImmutableSandboxedEnvironment().filters["round"]
