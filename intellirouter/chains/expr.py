"""Expressions and templates: Jinja2 in its immutable sandbox, cut down further to plain JSON values.

What a template may hold is a list of allowed syntax, not of forbidden words: no calls, assignments, macros or
includes, no nested `for`. An attribute is a key of an object, never Python's, so there is nothing to escape through.
`null.x` is `null` (a step that was skipped is `null`); a name that does not exist is an error. Everything that can
grow is capped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from intellirouter.chains.places import places
from intellirouter.errors import InvalidRequest

MAX_OUTPUT = 1_000_000
MAX_NODES = 2_000
MAX_JOINED = 64

_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Name, nodes.Getattr, nodes.Getitem,
    nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Slice, nodes.Filter, nodes.Test, nodes.CondExpr,
    nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub,
    nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Concat, nodes.Keyword,
)  # fmt: skip
_FILTERS = frozenset(
    "default d length count lower upper trim first last round int float string sum min max sort unique map select reject "
    "selectattr rejectattr title capitalize list abs reverse dictsort truncate".split()
)


class BadExpression(InvalidRequest):
    """An expression or template does not compile, fails, or outgrows its caps."""

    code = "bad_expression"


class _Sandbox(ImmutableSandboxedEnvironment):
    """Attributes are keys; arithmetic is for numbers."""

    intercepted_binops = frozenset({"*", "+", "%"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
        self.globals.clear()
        self.filters = {name: self.filters[name] for name in _FILTERS}
        self.filters.update(join=_join, replace=_replace, tojson=_tojson)

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if obj is None:
            return None
        if isinstance(obj, dict):
            return obj[argument] if argument in obj else self.undefined(obj=obj, name=argument)
        if (
            isinstance(obj, list | str | tuple)
            and isinstance(argument, int | slice)
            and not isinstance(argument, bool)
        ):
            try:
                return obj[argument]
            except IndexError:
                return self.undefined(obj=obj, name=str(argument))
        if isinstance(obj, LoopContext) and argument in ("index", "index0", "first", "last", "length"):
            return getattr(obj, argument)
        return self.undefined(obj=obj, name=str(argument)[:100])

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        both = (left, right)
        if operator == "+" and (
            all(isinstance(v, str) for v in both) or all(isinstance(v, list) for v in both)
        ):
            if len(left) + len(right) > MAX_OUTPUT:
                raise BadExpression(f"An expression grew past {MAX_OUTPUT:,}.")
            return left + right
        if not all(isinstance(value, int | float) and abs(value) < 1e30 for value in both):
            raise BadExpression(f"'{operator}' works on numbers below 1e30 here.")
        return super().call_binop(context, operator, left, right)


def _bounded(pieces: Iterable[str]) -> str:
    kept, size = [], 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_OUTPUT:
            raise BadExpression(f"A template's text grew past {MAX_OUTPUT:,} characters.")
        kept.append(piece)
    return "".join(kept)


def _join(values: Iterable[Any], separator: str = "") -> str:
    return _bounded(
        piece for n, value in enumerate(values) for piece in ((separator,) if n else ()) + (_text(value),)
    )


def _replace(text: str, old: str, new: str) -> str:
    if not old:
        raise BadExpression("'replace' needs something to look for.")
    return _bounded(
        piece for n, part in enumerate(str(text).split(old)) for piece in ((new,) if n else ()) + (part,)
    )


def _text(value: Any) -> str:
    return (
        value if isinstance(value, str) else _tojson(value) if isinstance(value, dict | list) else str(value)
    )


def _tojson(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_ENVIRONMENT = _Sandbox()
_ENVIRONMENT.finalize = lambda value: (
    "" if value is None else _text(value) if isinstance(value, dict | list) else value
)


def _check(source: str) -> nodes.Template:
    """The syntax tree of a template that holds nothing but what is allowed. Raises `BadExpression`."""
    tree = _ENVIRONMENT.parse(source)
    count = joined = 0
    for node in tree.find_all(nodes.Node):
        count += 1
        joined += len(node.nodes) if isinstance(node, nodes.Concat) else 0
        if not isinstance(node, _ALLOWED):
            raise BadExpression(f"'{type(node).__name__.lower()}' is not allowed in an expression.")
        if isinstance(node, nodes.For) and (node.recursive or node.find(nodes.For) is not None):
            raise BadExpression("A 'for' inside a 'for' is not allowed; use a map step.")
        if isinstance(node, nodes.Filter) and node.name not in _ENVIRONMENT.filters:
            raise BadExpression(
                f"There is no filter '{node.name}'. Filters: {', '.join(sorted(_ENVIRONMENT.filters))}."
            )
    if count > MAX_NODES or joined > MAX_JOINED:
        raise BadExpression("The expression is too long.")
    return tree


@contextmanager
def _reading(source: str) -> Iterator[None]:
    try:
        yield
    except TemplateSyntaxError as error:
        raise BadExpression(f"'{source[:80]}': {error.message}") from error
    except (TemplateError, RecursionError) as error:
        raise BadExpression(f"'{source[:80]}' cannot be read.") from error


@lru_cache(maxsize=4_096)
def compile_expression(source: str) -> Callable[..., Any]:
    """A compiled expression. Raises `BadExpression`."""
    with _reading(source):
        _check("{{ (" + source + ") }}")
        return _ENVIRONMENT.compile_expression(source, undefined_to_none=False)


@lru_cache(maxsize=16_384)
def compile_template(source: str) -> Any:
    """A compiled template. Raises `BadExpression`."""
    with _reading(source):
        return places(_ENVIRONMENT, source) or _ENVIRONMENT.from_string(_check(source))


def check_template(source: str) -> None:
    """Raises `BadExpression` where `source` is no template; cheaper than compiling it."""
    with _reading(source):
        if "{" in source and places(_ENVIRONMENT, source) is None:
            _check(source)


def evaluate(source: str, names: Mapping[str, Any]) -> Any:
    """The plain JSON value of an expression. Raises `BadExpression`."""
    return _guard(source, lambda: _json(compile_expression(source)(**names)))


def render(source: str, names: Mapping[str, Any]) -> str:
    """The text of a template. Raises `BadExpression`."""
    if "{" not in source:
        return source
    return _guard(source, lambda: _bounded(compile_template(source).generate(**names)))  # type: ignore[no-any-return]


def render_all(value: Any, names: Mapping[str, Any]) -> Any:
    """`value` with every string in it rendered."""
    if isinstance(value, str):
        return render(value, names)
    if isinstance(value, dict):
        return {key: render_all(inner, names) for key, inner in value.items()}
    return [render_all(inner, names) for inner in value] if isinstance(value, list) else value


def evaluate_all(value: Any, names: Mapping[str, Any]) -> Any:
    """`value` with every string in it taken as an expression."""
    if isinstance(value, str):
        return evaluate(value, names)
    if isinstance(value, dict):
        return {key: evaluate_all(inner, names) for key, inner in value.items()}
    return [evaluate_all(inner, names) for inner in value] if isinstance(value, list) else value


def _guard(source: str, work: Callable[[], Any]) -> Any:
    try:
        return work()
    except UndefinedError as error:
        raise BadExpression(f"'{source[:80]}': {str(error.message)[:200]}.") from error
    except (TemplateError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise BadExpression(f"'{source[:80]}' fails: {type(error).__name__}.") from error


def _json(value: Any) -> Any:
    if isinstance(value, StrictUndefined):
        str(value)  # raises `UndefinedError` with what is missing
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, dict):
        return {str(key): _json(inner) for key, inner in value.items()}
    if isinstance(value, Iterable):
        return [_json(inner) for inner in value]
    raise BadExpression("An expression gave something that is not a plain JSON value.")


def references(source: str) -> tuple[set[str], set[str]]:
    """The names a template reads, and the steps it reads as `steps.X`. Raises `BadExpression`."""
    compile_template(source)
    tree = _ENVIRONMENT.parse(source)
    own = {name.name for loop in tree.find_all(nodes.For) for name in _targets(loop.target)}
    names = {name.name for name in tree.find_all(nodes.Name)} - own - {"loop"}
    steps = {
        getattr(node, "attr", None) or getattr(getattr(node, "arg", None), "value", None)
        for node in tree.find_all((nodes.Getattr, nodes.Getitem))
        if isinstance(node, nodes.Getattr | nodes.Getitem)
        and isinstance(node.node, nodes.Name)
        and node.node.name == "steps"
    }
    return names, {step for step in steps if isinstance(step, str)}


def _targets(target: nodes.Node) -> Iterable[nodes.Name]:
    return (target,) if isinstance(target, nodes.Name) else target.find_all(nodes.Name)
