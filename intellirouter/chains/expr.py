"""Expressions and templates: Jinja2 in a sandbox of its own (`sandbox.py`), cut down further to plain JSON values.

What a template may hold is a list of allowed syntax, not of forbidden words: no calls, assignments, macros or
includes, no nested `for`. `null.x` is `null` (a step that was skipped is `null`); a name that does not exist is an error.
Everything that can grow is capped, and all work is counted: an evaluation burns at most `fuel.FULL`, or what its caller
allows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.environment import TemplateExpression
from jinja2.parser import Parser

from intellirouter.bounds.fuel import FULL, OutOfFuel, at_most, burn, tank
from intellirouter.bounds.kept import BoundedMap
from intellirouter.bounds.values import CONTAINER, MAX_DEPTH, SCALAR, TooLarge
from intellirouter.chains.places import places
from intellirouter.chains.sandbox import (
    FILTERS,
    MAX_OUTPUT,
    BadExpression,
    Sandbox,
    TooMuchWork,
    bounded,
    metered,
)

__all__ = ["MAX_OUTPUT", "BadExpression", "check_template", "evaluate", "references", "render"]

MAX_SOURCE = 1_000_000
MAX_CODE_TOKENS = 6_000
MAX_NODES = 2_000
MAX_JOINED = 64
MAX_VALUE = 4_000_000
"""Of one value that an expression gives, as `bounds.values` weighs it."""

_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Name, nodes.Getattr, nodes.Getitem,
    nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Slice, nodes.Filter, nodes.Test, nodes.CondExpr,
    nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub,
    nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Concat, nodes.Keyword,
)  # fmt: skip
_ENVIRONMENT = Sandbox()
_COMPILE = 20_000_000
"""Compiling folds constants, with work of its own; it is bounded by the size of the source."""
_compiled: BoundedMap[tuple[str, bool], Any] = BoundedMap(entries=4_096, weight=24_000_000)


def _check(tree: nodes.Template) -> nodes.Template:
    """The tree, if it holds nothing but what is allowed. Raises `BadExpression`."""
    count = joined = 0
    for node in tree.find_all(nodes.Node):
        count += 1
        joined += len(node.nodes) if isinstance(node, nodes.Concat) else 0
        if not isinstance(node, _ALLOWED):
            raise BadExpression(f"'{type(node).__name__.lower()}' is not allowed in an expression.")
        if isinstance(node, nodes.For) and (node.recursive or node.find(nodes.For) is not None):
            raise BadExpression("A 'for' inside a 'for' is not allowed; use a map step.")
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            raise BadExpression(f"There is no filter '{node.name}'. Filters: {', '.join(sorted(FILTERS))}.")
        if isinstance(node, nodes.Test) and node.name not in _ENVIRONMENT.tests:
            raise BadExpression(f"There is no test '{node.name}'.")
    if count > MAX_NODES or joined > MAX_JOINED:
        raise BadExpression("The expression is too long.")
    return tree


def _parsed(source: str, *, expression: bool = False) -> nodes.Template:
    """The checked tree of a template, or of one that prints an expression. Raises `BadExpression`."""
    if len(source) > MAX_SOURCE:
        raise BadExpression(f"A template holds at most {MAX_SOURCE:,} characters.")
    for number, _ in enumerate(
        _ENVIRONMENT.lexer.tokeniter(source, None, state="variable" if expression else None)
    ):
        if number > MAX_CODE_TOKENS:
            raise BadExpression("The expression is too long.")
    if not expression:
        return _check(_ENVIRONMENT.parse(source))
    parser = Parser(_ENVIRONMENT, source, state="variable")
    found = parser.parse_expression()
    if not parser.stream.eos:
        raise TemplateSyntaxError("chunk after expression", parser.stream.current.lineno, None, None)
    return _check(nodes.Template([nodes.Output([found], lineno=1)], lineno=1))


@contextmanager
def _reading(source: str) -> Iterator[None]:
    try:
        yield
    except TemplateSyntaxError as error:
        braces = (
            " It is an expression already: write it without {{ }}." if source.startswith("{{ ({{") else ""
        )
        raise BadExpression(f"'{source[:80]}': {str(error.message)[:200]}.{braces}") from error
    except (TemplateError, RecursionError, ValueError, ArithmeticError, TypeError) as error:
        raise BadExpression(f"'{source[:80]}' cannot be read.") from error


def compile_expression(source: str) -> Callable[..., Any]:
    """A compiled expression. Raises `BadExpression`."""
    return _made(source, _expression, expression=True)  # type: ignore[no-any-return]


def compile_template(source: str) -> Any:
    """A compiled template. Raises `BadExpression`."""
    return _made(source, _template, expression=False)


def _made(source: str, make: Callable[[str], Any], *, expression: bool) -> Any:
    key = (source, expression)
    found = _compiled.get(key)
    if found is None:
        with _reading(source), tank(_COMPILE):
            found = make(source)
        _compiled.put(key, found, 6_000 + 12 * len(source))
    return found


def _expression(source: str) -> Callable[..., Any]:
    tree = metered(_parsed(source, expression=True))
    (output,) = tree.body
    assign = nodes.Assign(nodes.Name("result", "store"), output.nodes[0], lineno=1)  # type: ignore[attr-defined]
    whole = nodes.Template([assign], lineno=1)
    whole.set_environment(_ENVIRONMENT)
    return TemplateExpression(_ENVIRONMENT.from_string(whole), undefined_to_none=False)


def _template(source: str) -> Any:
    return places(_ENVIRONMENT, source) or _ENVIRONMENT.from_string(metered(_parsed(source)))


def check_template(source: str) -> None:
    """Raises `BadExpression` where `source` is no template; cheaper than compiling it."""
    with _reading(source):
        if "{" in source and places(_ENVIRONMENT, source) is None:
            _parsed(source)


def evaluate(source: str, names: Mapping[str, Any]) -> Any:
    """The plain JSON value of an expression. Raises `BadExpression`, of it `TooMuchWork`."""
    with at_most(FULL):
        return _guard(source, lambda: plain(compile_expression(source)(**names)))


def render(source: str, names: Mapping[str, Any]) -> str:
    """The text of a template. Raises `BadExpression`, of it `TooMuchWork`."""
    if "{" not in source:
        return source
    with at_most(FULL):
        return _guard(source, lambda: bounded(compile_template(source).generate(**names)))  # type: ignore[no-any-return]


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
    except OutOfFuel as error:
        raise TooMuchWork(f"'{source[:80]}': {error.message}") from error
    except TooLarge as error:
        raise BadExpression(f"'{source[:80]}': {error.message}") from error
    except UndefinedError as error:
        what = str(error.message)[:200].replace("'dict object' has no attribute", "the object has no")
        raise BadExpression(f"'{source[:80]}': {what}.") from error
    except (TemplateError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise BadExpression(f"'{source[:80]}' fails: {type(error).__name__}.") from error


def plain(value: Any) -> Any:
    """A copy of the value as plain JSON data. Raises `BadExpression` beyond `MAX_VALUE`."""
    left = [MAX_VALUE]
    return _plain(value, left, MAX_DEPTH)


def _plain(value: Any, left: list[int], depth: int) -> Any:
    if isinstance(value, StrictUndefined):
        str(value)  # raises `UndefinedError` with what is missing
    if value is None or isinstance(value, bool | int | float | str):
        _spend(left, len(value) if isinstance(value, str) else SCALAR)
        return value
    if depth == 0:
        raise BadExpression("An expression gave a value that is nested too deeply.")
    if isinstance(value, dict):
        _spend(left, CONTAINER + sum(len(str(key)) for key in value))
        burn(len(value))
        return {str(key): _plain(inner, left, depth - 1) for key, inner in value.items()}
    if isinstance(value, Iterable):
        _spend(left, CONTAINER)
        return [_plain(inner, left, depth - 1) for inner in value]
    raise BadExpression("An expression gave something that is not a plain JSON value.")


def _spend(left: list[int], weight: int) -> None:
    burn(2)
    left[0] -= weight
    if left[0] < 0:
        raise BadExpression(f"An expression's value grew past {MAX_VALUE:,} characters.")


def references(source: str) -> tuple[set[str], set[str], set[str]]:
    """The names a template reads, the steps it reads as `steps.X`, and what it reads as `input.X`. Raises `BadExpression`."""
    with _reading(source):
        found = places(_ENVIRONMENT, source)
        if found is not None:
            names, (steps, inputs) = found.references("steps", "input")
            return names, steps, inputs
        tree = _parsed(source)
    own = {name.name for loop in tree.find_all(nodes.For) for name in _targets(loop.target)}
    names = {name.name for name in tree.find_all(nodes.Name)} - own - {"loop"}
    return names, _members(tree, "steps"), set() if "input" in own else _members(tree, "input")


def _members(tree: nodes.Template, owner: str) -> set[str]:
    found = {
        getattr(node, "attr", None) or getattr(getattr(node, "arg", None), "value", None)
        for node in tree.find_all((nodes.Getattr, nodes.Getitem))
        if isinstance(node, nodes.Getattr | nodes.Getitem)
        and isinstance(node.node, nodes.Name)
        and node.node.name == owner
    }
    return {name for name in found if isinstance(name, str)}


def _targets(target: nodes.Node) -> Iterable[nodes.Name]:
    return (target,) if isinstance(target, nodes.Name) else target.find_all(nodes.Name)
