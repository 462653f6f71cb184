"""Finds what has to have a bound: patterns, caches, and readers of foreign documents, each by its file and name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.trees import tree_of

PACKAGE = Path(__file__).parents[2] / "intellirouter"
_READERS = {
    "yaml",
    "jsonschema",
    "jinja2",
    "tomli",
    "tomlkit",
    "re2",
    "csv",
    "zipfile",
    "html.parser",
    "xml",
    "pickle",
}
_CACHES = {"lru_cache", "cache", "OrderedDict", "BoundedMap", "cached"}


def found() -> set[str]:
    """`kind file[:name]` of everything."""
    return {
        thing
        for file in sorted(PACKAGE.rglob("*.py"))
        for thing in _things(str(file.relative_to(PACKAGE)), tree_of(file))
    }


def patterns() -> dict[str, str]:
    """The text of every pattern that stands in the source, by `file:line`."""
    return {
        f"{file.relative_to(PACKAGE)}:{node.lineno}": text
        for file in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(tree_of(file))
        if _is_pattern(node) and isinstance(node, ast.Call)
        if node.args and (text := written(node.args[0], tree_of(file))) is not None
    }


def written(node: ast.expr, module: ast.Module) -> str | None:
    """The text that stands there, put together of the module's own constants where it is; None where it is known at run time alone."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            texts = [written(part, module) for part in parts]
            return None if None in texts else "".join(filter(None, texts))
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            return written(value, module)
        case ast.Name(id=name) if name.isupper():
            kept = [
                each.value for each in module.body if isinstance(each, ast.Assign) and _assigned(each) == name
            ]
            return written(kept[0], module) if len(kept) == 1 else None
    return None


def _is_pattern(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr != "escape"
    )


def _things(file: str, tree: ast.Module) -> Iterator[str]:
    owners: dict[ast.AST, str] = {}
    for node in ast.walk(tree):
        name = _assigned(node)
        if name:
            owners.update(dict.fromkeys(ast.walk(node), name))
    for node in ast.walk(tree):
        if _is_pattern(node) and isinstance(node, ast.Call):
            yield f"pattern {file}:{owners.get(node, _literal(node))}"
        elif isinstance(node, ast.Call) and _called(node) in _CACHES and node in owners:
            yield f"cache {file}:{owners[node]}"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from (
                f"cache {file}:{node.name}" for mark in node.decorator_list if _called(mark) in _CACHES
            )
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (f"reader {file}:{name}" for name in _imported(node))


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    for name in names:
        root = name if name in _READERS else name.partition(".")[0]
        if root in _READERS:
            yield root


def _assigned(node: ast.AST) -> str:
    target = (
        node.targets[0]
        if isinstance(node, ast.Assign)
        else node.target
        if isinstance(node, ast.AnnAssign)
        else None
    )
    if isinstance(target, ast.Name):
        return target.id
    return target.attr if isinstance(target, ast.Attribute) else ""


def _literal(call: ast.Call) -> str:
    first = call.args[0] if call.args else None
    return ast.unparse(first)[:40] if first is not None else "?"


def _called(node: ast.AST) -> str:
    func = node.func if isinstance(node, ast.Call) else node
    if isinstance(func, ast.Subscript):
        func = func.value
    if isinstance(func, ast.Name):
        return func.id
    if isinstance(func, ast.Attribute):
        return func.attr
    return ""
