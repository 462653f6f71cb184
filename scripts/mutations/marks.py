"""Which tests come past which place: every block of every function of the package says that it was reached.

A mark is a call put before the first statement of a block, and before what follows a statement with blocks of its own. The call
adds a number to a set, which costs a test next to nothing; the set is read and emptied between two tests.
"""

from __future__ import annotations

import ast
import builtins
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

MARKS_OF_A_FILE = 1 << 14
NAME = "__mutations_mark__"
reached: set[int] = set()


@dataclass
class Marked:
    """The marks of one file: for each the function it is in; and for every node the mark it is behind."""

    functions: list[str] = field(default_factory=list)
    behind: dict[int, int] = field(default_factory=dict)
    before: list[tuple[list[ast.stmt], int, int]] = field(default_factory=list)
    """A list of statements, the place in it, the mark: nothing is inserted yet."""


def marked(tree: ast.Module) -> Marked:
    """The marks of a file, the same for the same text."""
    found = Marked()
    _statements(tree.body, "", None, False, found)
    return found


def _statements(
    statements: list[ast.stmt], function: str, mark: int | None, inside: bool, found: Marked
) -> None:
    anew = True
    for place, statement in enumerate(statements):
        text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if inside and anew and not text:
            mark = len(found.functions)
            found.functions.append(function)
            found.before.append((statements, place, mark))
            anew = False
        if mark is not None:
            found.behind.update((id(inner), mark) for inner in ast.walk(statement))
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            within = not isinstance(statement, ast.ClassDef)
            _statements(statement.body, f"{function}.{statement.name}", mark, within, found)
            continue
        for block in _blocks(statement):
            anew = True
            _statements(block, function, mark, inside, found)


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(statement, name, None)
        if isinstance(block, list) and block:
            yield block
    for handler in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield handler.body


def compiled(source: bytes, path: str, first: int) -> CodeType:
    """The code of a file with its marks, numbered from `first` on."""
    tree = ast.parse(source)
    for statements, place, mark in reversed(marked(tree).before):
        call = ast.Expr(ast.Call(ast.Name(NAME, ast.Load()), [ast.Constant(first + mark)], []))
        statements.insert(place, ast.copy_location(call, statements[place]))
    return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, first: int) -> None:
        super().__init__(name, path)
        self._first = first

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        return compiled(self.get_data(path), path, self._first)


class Finder(MetaPathFinder):
    """Loads the package with marks; `files` gives each its number."""

    def __init__(self, package: Path, files: Sequence[str]) -> None:
        self._numbers = {str(package.parent / file): number for number, file in enumerate(files)}
        setattr(builtins, NAME, reached.add)

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> Any:
        if fullname.partition(".")[0] != "intellirouter":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin in self._numbers:
            spec.loader = _Loader(fullname, spec.origin, self._numbers[spec.origin] * MARKS_OF_A_FILE)
        return spec

    def install(self) -> None:
        sys.meta_path.insert(0, self)
