"""A seeded sample of mutants over the package: every place has the same chance."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.mutations.faults import change, exponents, quiet
from scripts.mutations.marks import marked

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    file: str
    """Below the root, as in `intellirouter/config/load.py`."""
    node: int
    """Its number in `ast.walk`'s order."""
    line: int
    what: str
    function: str
    mark: int | None
    """The mark it is behind; None outside of functions."""

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"

    def was(self, root: Path = ROOT) -> str:
        """The text of the node, by which it is found again when the file was changed elsewhere."""
        return ast.unparse(list(ast.walk(ast.parse((root / self.file).read_bytes())))[self.node])

    def tree(self, root: Path) -> ast.Module:
        """The file with the change."""
        tree = ast.parse((root / self.file).read_bytes())
        node = list(ast.walk(tree))[self.node]
        made = change(node, exponents(tree))
        assert made is not None
        return ast.fix_missing_locations(_Put(node, made[1]).visit(tree))


class _Put(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self._old:
            return ast.copy_location(self._new, node)
        return super().generic_visit(node)


def files(root: Path = ROOT) -> list[str]:
    return sorted(str(file.relative_to(root)) for file in (root / "intellirouter").rglob("*.py"))


def mutants_of(file: str, root: Path = ROOT) -> Iterator[Mutant]:
    """Every mutant of a file, in the order of its nodes."""
    tree = ast.parse((root / file).read_bytes())
    left, marks, raised = quiet(tree), marked(tree), exponents(tree)
    for number, node in enumerate(ast.walk(tree)):
        if id(node) in left:
            continue
        made = change(node, raised)
        if made is not None:
            mark = marks.behind.get(id(node))
            function = marks.functions[mark] if mark is not None else ""
            yield Mutant(file, number, getattr(node, "lineno", 0), made[0], function, mark)


def sample(number: int, seed: int, room: str = "", root: Path = ROOT) -> list[Mutant]:
    """The same for the same tree."""
    every = [
        one
        for file in files(root)
        if file.startswith(f"intellirouter/{room}")
        for one in mutants_of(file, root)
    ]
    return random.Random(seed).sample(every, min(number, len(every)))
