"""Rules of the house that the linters cannot say."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
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


THINGS = re.compile(
    r" (?:alerts|attempts|batches|calls|channels|chunks|collections|documents|entries|files|hits|jobs|keys|messages|models"
    r"|outcomes|problems|questions|records|rows|rules|runs|steps|sums|tools|vectors|workers)\b"
)


def test_one_of_a_thing_is_not_said_to_be_several() -> None:
    """`1 models`: what commands, findings and alerts count is said by `counted`. A bound that stands in a constant is never one."""
    plurals = [
        f"{file}:{node.lineno} {ast.unparse(number.value)}{THINGS.match(words.value).group()}"  # type: ignore[union-attr]
        for file, tree in modules()
        if file.parts[0] in ("alerts", "app", "cli", "ops")
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for number, words in pairwise(node.values)
        if isinstance(number, ast.FormattedValue)
        and isinstance(words, ast.Constant)
        and THINGS.match(words.value)
        and not ast.unparse(number.value).rpartition(".")[2].isupper()
    ]
    assert not plurals
