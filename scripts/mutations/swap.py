"""Puts a mutant in the place of functions that are there already, so that nothing is imported anew."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType, FunctionType

from scripts.mutations.sampling import Mutant

Functions = dict[str, list[FunctionType]]


def functions(package: Path) -> Functions:
    """Every function of the package, by the file it is from."""
    gc.unfreeze()  # what is frozen is not told
    found: Functions = {}
    for one in gc.get_objects():
        if isinstance(one, FunctionType) and one.__code__.co_filename.startswith(str(package)):
            found.setdefault(one.__code__.co_filename, []).append(one)
    gc.freeze()
    return found


def pairs(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """The codes that differ, those within each other too."""
    if old == new:
        return
    yield old, new
    inner_old = [one for one in old.co_consts if isinstance(one, CodeType)]
    inner_new = [one for one in new.co_consts if isinstance(one, CodeType)]
    if len(inner_old) == len(inner_new):
        for one, other in zip(inner_old, inner_new, strict=True):
            yield from pairs(one, other)


def changes(mutant: Mutant, tree: Path) -> list[tuple[CodeType, CodeType]]:
    """The codes of the file without and with the change that differ."""
    path = str(tree / mutant.file)
    old = compile(ast.parse((tree / mutant.file).read_bytes()), path, "exec", dont_inherit=True)
    return list(pairs(old, compile(mutant.tree(tree), path, "exec", dont_inherit=True)))


def swapped(changed: Iterable[tuple[CodeType, CodeType]], there: Iterable[FunctionType]) -> bool:
    """Whether the change could be made in functions alone; what a module or class does when it is read cannot."""
    done = False
    for was, now in changed:
        for function in there:
            if function.__code__ == was:
                if was.co_freevars != now.co_freevars:
                    return False
                function.__code__ = now
                done = True
    return done
