"""Rules of the house that the linters cannot say."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.trees import tree_of

PACKAGE = Path(__file__).parents[1] / "intellirouter"


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        yield file.relative_to(PACKAGE), tree_of(file)


def test_only_one_module_reads_the_environment() -> None:
    readers = {
        str(file)
        for file, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb")
    }
    assert readers == {"config/env.py"}


def test_our_own_modules_are_never_imported_inside_a_function() -> None:
    hidden = [
        f"{file}:{inner.lineno}"
        for file, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for inner in ast.walk(node)
        if isinstance(inner, ast.ImportFrom)
        and (inner.level or (inner.module or "").startswith("intellirouter"))
    ]
    assert not hidden


def test_every_module_says_what_it_is() -> None:
    assert not [str(file) for file, tree in modules() if not ast.get_docstring(tree)]
