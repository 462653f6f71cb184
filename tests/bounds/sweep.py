"""Finds what has to have a bound: patterns, caches, and readers of foreign documents, each by its file and name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "intellirouter"
_READERS = {"yaml", "jsonschema", "jinja2", "tomli", "tomlkit", "re2", "csv", "zipfile", "html.parser", "xml", "pickle"}
_CACHES = {"lru_cache", "cache", "OrderedDict", "BoundedMap", "cached"}


def found() -> set[str]:
    """`kind file[:name]` of everything."""
    return {
        thing
        for file in sorted(PACKAGE.rglob("*.py"))
        for thing in _things(str(file.relative_to(PACKAGE)), ast.parse(file.read_text(encoding="utf-8")))
    }


def _things(file: str, tree: ast.Module) -> Iterator[str]:
    owners: dict[ast.AST, str] = {}
    for node in ast.walk(tree):
        name = _assigned(node)
        if name:
            owners.update(dict.fromkeys(ast.walk(node), name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if isinstance(node.func.value, ast.Name) and node.func.value.id == "re" and node.func.attr != "escape":
                yield f"pattern {file}:{owners.get(node, _literal(node))}"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for mark in node.decorator_list:
                if _called(mark) in _CACHES:
                    yield f"cache {file}:{node.name}"
        if isinstance(node, ast.Call) and _called(node) in _CACHES and node in owners:
            yield f"cache {file}:{owners[node]}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            for name in names:
                root = name if name in _READERS else name.partition(".")[0]
                if root in _READERS:
                    yield f"reader {file}:{root}"


def _assigned(node: ast.AST) -> str:
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target if isinstance(node, ast.AnnAssign) else None
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
