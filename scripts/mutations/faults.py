"""Small faults that a person might write, as changes of one node of a syntax tree.

A comparison turned round, a bound off by one, `and` for `or`, a condition negated, a number changed, a statement left out, a
result dropped. A small number becomes the next one, as where somebody counts wrongly; one of two digits and more gets a zero too
many, as where somebody types or takes another unit (that 600 letters are kept and not 601 is nothing anybody relies on); an
exponent (`1 << 20`, `10**9`) is one more, which is a multiple of what it makes already. Left out is only what shows in no
behaviour, or in nothing but time, and can be told from the text:

- annotations and docstrings, but for what is called in an annotation (`Field(ge=1)` is a bound of the product);
- calls of `log`, `gc` and `sleep`, and what stands in them; conditions of which nothing but such calls depends;
- `slots=`, `frozen=`, `kw_only=`, `strict=` (of `zip`) and `usedforsecurity=`: what the type checker holds, or a hint;
- numbers that only say how long something waits, by their name (`timeout=`, `DEADLINE`, `retry_after=`, …) or in a
  `ClientTimeout(…)`: no test may depend on a machine's speed; and how much of a value the message of a raised error quotes;
- `return False` as `return None`, in a function that is annotated to give a bool.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Container, Iterator

TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
SIGNS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
}
HELD_BY_TYPES = frozenset({"slots", "frozen", "kw_only", "usedforsecurity"})
WAITS = re.compile(
    r"(^|_)(timeout|deadline|patience|pause|grace|delay|backoff|seconds|every|interval|retry_after)s?(_|$)",
    re.I,
)
MANY = 10
"""From here on a number is changed by a zero."""


def change(node: ast.AST, exponents: Container[int] = ()) -> tuple[str, ast.AST] | None:
    """What is done to this node, and the node in its place; nothing where there is no fault to make.

    `exponents`: see there.
    """
    new = copy.copy(node)
    match new:
        case ast.Compare() if type(new.ops[0]) in TURNED:
            was = type(new.ops[0])
            new.ops = [TURNED[was](), *new.ops[1:]]
            return f"{was.__name__} becomes {TURNED[was].__name__}", new
        case ast.BoolOp():
            was_and = isinstance(new.op, ast.And)
            new.op = ast.Or() if was_and else ast.And()
            return "and becomes or" if was_and else "or becomes and", new
        case ast.BinOp() if type(new.op) in SIGNS and not _of_text(new):
            sign = type(new.op)
            new.op = SIGNS[sign]()
            return f"{sign.__name__} becomes {SIGNS[sign].__name__}", new
        case ast.If() | ast.While() | ast.IfExp():
            new.test = ast.UnaryOp(ast.Not(), new.test)
            return "the condition is negated", new
        case ast.Constant(value=bool() | int() | float() as value):
            if isinstance(value, bool):
                new.value = not value
            else:
                new.value = value * 10 if value >= MANY and id(node) not in exponents else value + 1
            return f"{value!r} becomes {new.value!r}", new
        case ast.Return(value=ast.expr() as value) if not _is(value, None):
            new.value = ast.Constant(None)
            return "the result is dropped", new
        case ast.Expr(value=ast.Call() | ast.Await()):
            return f"left out: {ast.unparse(node)[:60]}", ast.Pass()
    return None


def exponents(tree: ast.Module) -> set[int]:
    """The ids of the numbers by which something is shifted or raised."""
    return {
        id(node.right)
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.LShift, ast.RShift, ast.Pow))
    }


def _of_text(node: ast.BinOp) -> bool:
    return any(
        isinstance(side, (ast.JoinedStr, ast.List, ast.Tuple))
        or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in (node.left, node.right)
    )


def _is(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def quiet(tree: ast.Module) -> set[int]:
    """The ids of the nodes that are left out; see above."""
    left: set[int] = set()
    for node in ast.walk(tree):
        for shut in _shut(node):
            left.update(id(inner) for inner in ast.walk(shut))
        for annotation in _annotations(node):
            called = {
                id(one)
                for call in ast.walk(annotation)
                if isinstance(call, ast.Call)
                for one in ast.walk(call)
            }
            left.update(id(inner) for inner in ast.walk(annotation) if id(inner) not in called)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and _named(node.returns) == "bool":
            left.update(
                id(inner)
                for inner in ast.walk(node)
                if isinstance(inner, ast.Return) and _is(inner.value, False)
            )
        left.update(id(number) for number in _waits(node))
    return left


def _shut(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Expr):
        if _tells(node):
            yield node
    elif isinstance(node, ast.If) and not node.orelse and all(_tells(one) for one in node.body):
        if not any(isinstance(one, (ast.NamedExpr, ast.Await)) for one in ast.walk(node.test)):
            yield node
    elif isinstance(node, ast.keyword):
        if node.arg in HELD_BY_TYPES:
            yield node
    elif isinstance(node, ast.Call) and _named(node.func) == "zip":
        yield from (keyword for keyword in node.keywords if keyword.arg == "strict")
    elif isinstance(node, ast.Raise) and node.exc is not None:
        yield from (one for one in ast.walk(node.exc) if isinstance(one, ast.Slice))


def _tells(node: ast.stmt) -> bool:
    """Whether it is nothing but a call that shows in no behaviour."""
    if not isinstance(node, ast.Expr):
        return False
    value = node.value.value if isinstance(node.value, ast.Await) else node.value
    return isinstance(value, ast.Call) and (
        ast.unparse(value.func).startswith(("log.", "_log.", "gc."))
        or ast.unparse(value.func) in ("asyncio.sleep", "time.sleep")
    )


def _annotations(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.AnnAssign):
        yield node.annotation
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield from (
            one.annotation for one in ast.walk(node.args) if isinstance(one, ast.arg) and one.annotation
        )
        if node.returns:
            yield node.returns


def _waits(node: ast.AST) -> Iterator[ast.AST]:
    """The numbers of a keyword, a constant or a default that is named for a time to wait."""
    if isinstance(node, ast.Call) and _named(node.func) == "ClientTimeout":
        for keyword in node.keywords:
            yield from _numbers(keyword.value)
    elif (
        (isinstance(node, ast.keyword) and node.arg and WAITS.search(node.arg))
        or (isinstance(node, ast.Assign) and WAITS.search(_named(node.targets[0])))
        or (isinstance(node, ast.AnnAssign) and node.value and WAITS.search(_named(node.target)))
    ):
        yield from _numbers(node.value)


def _numbers(value: ast.expr) -> Iterator[ast.AST]:
    if isinstance(value, (ast.Constant, ast.BinOp)):
        yield from (one for one in ast.walk(value) if not _is(one, True) and not _is(one, False))


def _named(node: ast.AST | None) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
