"""A mutation campaign: the package is changed in one place at a time, and the tests of that room must notice.

Each mutant is one small fault that a person might write: a comparison turned round, a bound off by one, `and` for `or`, a
condition negated, a number changed, a statement left out, a result dropped. A seeded sample over the package is tried in a copy
of the tree, so that nothing here is touched. The tests of a room are those of the same name (`config/load.py`:
`tests/config`), the nearest that import the module first, and the first that fails ends the mutant. Prints what was not
noticed; exit code 1 when fewer than `--least` percent were.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "intellirouter"
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


@dataclass(frozen=True)
class Mutant:
    """One change: the file, the line, what it does, and the whole text of the file with it."""

    file: Path
    line: int
    what: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}"


def places(tree: ast.Module) -> list[tuple[int, int]]:
    """The number of each node that can be changed in `ast.walk`'s order, and in how many ways."""
    found = []
    for number, node in enumerate(ast.walk(tree)):
        ways = len(list(changes(node)))
        if ways:
            found.append((number, ways))
    return found


def changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Every change of one node: what it does, and the node in its place."""
    new = copy.deepcopy(node)
    if isinstance(new, ast.Compare) and type(new.ops[0]) in TURNED:
        was = type(new.ops[0])
        new.ops[0] = TURNED[was]()
        yield f"{was.__name__} becomes {TURNED[was].__name__}", new
    elif isinstance(new, ast.BoolOp):
        was_and = isinstance(new.op, ast.And)
        new.op = ast.Or() if was_and else ast.And()
        yield "and becomes or" if was_and else "or becomes and", new
    elif isinstance(new, ast.BinOp) and type(new.op) in SIGNS and not _of_text(new):
        was_sign = type(new.op)
        new.op = SIGNS[was_sign]()
        yield f"{was_sign.__name__} becomes {SIGNS[was_sign].__name__}", new
    elif isinstance(new, (ast.If, ast.While, ast.IfExp)):
        new.test = ast.UnaryOp(ast.Not(), new.test)
        yield "the condition is negated", new
    elif isinstance(new, ast.Constant) and type(new.value) in (int, float, bool):
        value = new.value
        new.value = (not value) if isinstance(value, bool) else value + 1
        yield f"{value!r} becomes {new.value!r}", new
    elif isinstance(new, ast.Return) and new.value is not None and not _is_none(new.value):
        new.value = ast.Constant(None)
        yield "the result is dropped", new
    elif isinstance(new, ast.Expr) and isinstance(new.value, (ast.Call, ast.Await)):
        yield f"left out: {ast.unparse(node)[:60]}", ast.Pass()


def _of_text(node: ast.BinOp) -> bool:
    return any(
        isinstance(side, (ast.JoinedStr, ast.List, ast.Tuple)) or _is_text(side)
        for side in (node.left, node.right)
    )


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


class _Put(ast.NodeTransformer):
    """Puts another node where one stood."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self._old:
            return ast.copy_location(self._new, node)
        return super().generic_visit(node)


def quiet(tree: ast.Module) -> set[int]:
    """The nodes whose change shows in no behaviour: docstrings, annotations, descriptions, what is logged, type checking."""
    left: set[int] = set()
    for node in ast.walk(tree):
        shut: list[ast.AST] = []
        if isinstance(node, ast.AnnAssign):
            shut.append(node.annotation)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            shut += [
                argument.annotation
                for argument in ast.walk(node.args)
                if isinstance(argument, ast.arg) and argument.annotation
            ]
            shut += [node.returns] if node.returns else []
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).startswith(("log.", "typer.Option", "typer.Argument"))
        ) or (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Call)
            and ast.unparse(node.value.func).startswith("log.")
        ):
            shut.append(node)
        for one in shut:
            left.update(id(inner) for inner in ast.walk(one))
    return left


def sample(number: int, seed: int, room: str) -> list[Mutant]:
    """Seeded, the same for the same tree: every place has the same chance."""
    chosen = random.Random(seed)
    every: list[tuple[Path, int]] = []
    for file in sorted(PACKAGE.rglob("*.py")):
        if room and not str(file.relative_to(PACKAGE)).startswith(room):
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        left = quiet(tree)
        nodes = list(ast.walk(tree))
        every += [(file, place) for place, _ in places(tree) if id(nodes[place]) not in left]
    return [mutant(file, place) for file, place in chosen.sample(every, min(number, len(every)))]


def mutant(file: Path, place: int) -> Mutant:
    """The file with the change of its node number `place`."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    node = list(ast.walk(tree))[place]
    what, new = next(changes(node))
    changed = ast.fix_missing_locations(_Put(node, new).visit(tree))
    return Mutant(file, getattr(node, "lineno", 0), what, ast.unparse(changed) + "\n")


def room_of(file: Path) -> list[str]:
    """The test files of a module's room: those that import it, then the others of the same folder."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    module = ".".join(("intellirouter", *parts)).removesuffix(".__init__")
    everywhere = sorted(ROOT.glob("tests/**/test_*.py"))
    near = [
        test
        for test in everywhere
        if f"{module} " in (text := test.read_text(encoding="utf-8")) or f"{module}\n" in text
    ]
    folder = ROOT / "tests"
    for part in parts[:-1]:
        if not (folder / part).is_dir():
            break
        folder /= part
    room = (
        []
        if folder == ROOT / "tests"
        else sorted(folder.glob("test_*.py")) or sorted(folder.rglob("test_*.py"))
    )
    return [str(test.relative_to(ROOT)) for test in dict.fromkeys((*near, *room))]


def noticed(one: Mutant, tree: Path, seconds: float) -> str:
    """How: `failed`, `hung`, or nothing when the tests pass (or there are none)."""
    tests = room_of(one.file)
    if not tests:
        return ""
    target = tree / one.file.relative_to(ROOT)
    before = target.read_bytes()
    target.write_text(one.text, encoding="utf-8")
    try:
        words = (
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:randomly",
            "-p",
            "no:cacheprovider",
            *tests,
        )
        process = subprocess.Popen(
            words,
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return "failed" if process.wait(seconds) else ""
        except subprocess.TimeoutExpired:
            return "hung"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # what it started goes with it
                process.wait()
    finally:
        target.write_bytes(before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sample", type=int, default=300, help="mutants to try")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--room", default="", help="only modules whose path begins so, as in config or chat/ollama"
    )
    parser.add_argument(
        "--seconds", type=float, default=300, help="for the tests of one mutant; more is noticed too"
    )
    parser.add_argument("--least", type=float, default=85, help="percent that must be noticed")
    given = parser.parse_args()
    count: Counter[str] = Counter()
    missed: list[Mutant] = []
    with tempfile.TemporaryDirectory(prefix="intellirouter-mutants-") as scratch:
        tree = Path(scratch)
        for name in ("intellirouter", "tests", "config", "scripts", "packaging"):
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, tree / name)
        for number, one in enumerate(sample(given.sample, given.seed, given.room), 1):
            began = time.monotonic()
            how = noticed(one, tree, given.seconds)
            count[how or "missed"] += 1
            if not how:
                missed.append(one)
            print(
                f"{number:4} {how or 'MISSED':7} {time.monotonic() - began:6.1f} s  {one.place}  {one.what}",
                flush=True,
            )
    total = sum(count.values())
    share = 100 * (total - count["missed"]) / max(total, 1)
    print(f"{total - count['missed']} of {total} noticed ({share:.0f} %); not noticed:")
    for one in missed:
        print(f"  {one.place}  {one.what}")
    return int(share < given.least)


if __name__ == "__main__":
    sys.exit(main())
