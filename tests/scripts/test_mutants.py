"""The mutants that `scripts/mutants` makes are other programs than the one they come from, and are tried where they can be seen."""

from __future__ import annotations

import ast
from pathlib import Path
from types import FunctionType

import pytest

from scripts.mutations.campaign import chosen, near
from scripts.mutations.marks import compiled, marked
from scripts.mutations.nursery import Ran
from scripts.mutations.sampling import ROOT, mutants_of, sample
from scripts.mutations.swap import changes, swapped

FUNCTION = "def f(a):\n    if a < 1 and a:\n        g(a)\n    return a + 2\n"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "intellirouter").mkdir()
    return tmp_path


def _made(root: Path, text: str) -> set[str]:
    (root / "intellirouter/f.py").write_text(text)
    return {one.what for one in mutants_of("intellirouter/f.py", root)}


def test_a_sample_is_the_same_for_the_same_seed_and_compiles() -> None:
    first, second = sample(12, 7, "config/sources/"), sample(12, 7, "config/sources/")
    assert first == second
    assert first != sample(12, 8, "config/sources/")
    for one in first:
        assert one.file.startswith("intellirouter/config/sources/")
        assert ast.dump(one.tree(ROOT)) != ast.dump(ast.parse((ROOT / one.file).read_text(encoding="utf-8")))
        assert one.line


def test_each_kind_of_fault_is_made(package: Path) -> None:
    assert _made(package, FUNCTION) == {
        "the condition is negated",
        "and becomes or",
        "Lt becomes LtE",
        "1 becomes 2",
        "2 becomes 3",
        "left out: g(a)",
        "Add becomes Sub",
        "the result is dropped",
    }


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("'text'", set()),
        ("log.info('told', times=3)", set()),
        ("gc.collect(2)", set()),
        ("async def f():\n    await asyncio.sleep(2)", set()),
        ("x = zip(a, b, strict=True)", set()),
        ("@dataclass(frozen=True, slots=True)\nclass A:\n    b: Literal[3]", set()),
        ("a: Annotated[int, Field(ge=1)] = 4", {"1 becomes 2", "4 becomes 5"}),
        ("_DEADLINE = 30.0", set()),
        ("_BOUND = 30", {"30 becomes 300"}),
        ("_BOUND = 3 << 20", {"3 becomes 4", "20 becomes 21"}),
        ("_ANSWER = ClientTimeout(total=30, connect=3)", set()),
        ("if a > 1:\n    log.info('many')", set()),
        ("if a:\n    log.info('many')\nelse:\n    b = 1", {"the condition is negated", "1 becomes 2"}),
        ("x = f(timeout=5, limit=6)", {"6 becomes 7"}),
        ("def f() -> bool:\n    return False", {"False becomes True"}),
        ("def f():\n    raise ValueError(f'{a[:40]} is none')", set()),
    ],
)
def test_what_shows_in_no_behaviour_is_left_alone(package: Path, text: str, made: set[str]) -> None:
    assert _made(package, text) == made


def test_every_block_of_a_function_says_that_it_was_reached() -> None:
    text = "def f(a):\n    'it'\n    if a:\n        return 1\n    elif a is None:\n        return 2\n    return 3\n"
    functions = marked(ast.parse(text)).functions
    seen: list[int] = []
    room = {"__mutations_mark__": seen.append}
    exec(compiled(text.encode(), "f.py", 100), room)
    assert (room["f"](1), seen) == (1, [100, 101])  # type: ignore[operator]
    seen.clear()
    assert (room["f"](0), seen) == (3, [100, 102, 104])  # type: ignore[operator]
    assert functions == [".f"] * 5


def test_a_mutant_takes_the_place_of_the_functions_that_are_there(package: Path) -> None:
    text = "LIMIT = 3\ndef outer():\n    def inner(a):\n        return a + 2\n    return inner\n"
    (package / "intellirouter/f.py").write_text(text)
    room: dict[str, object] = {}
    exec(compile(text, "f.py", "exec", dont_inherit=True), room)
    outer = room["outer"]
    assert isinstance(outer, FunctionType)
    every = {one.what: changes(one, package) for one in mutants_of("intellirouter/f.py", package)}
    assert swapped(every["Add becomes Sub"], [outer])
    assert outer()(5) == 3
    assert not swapped(every["3 becomes 4"], [outer])  # it is read when the module is


def test_the_tests_of_a_room_come_first_and_then_one_of_each_other_in_turn() -> None:
    found = near("intellirouter/config/toml_text.py", ROOT)
    assert found[0] == "tests/config/test_one_round.py"
    assert "tests/config/test_load.py" in found
    ran = [
        Ran(name, "passed", cost, cost)
        for name, cost in (
            ("a::1", 0.5),
            ("b::1", 0.3),
            ("b::2", 0.1),
            ("c::1", 0.1),
            ("c::2", 9.0),
            ("c::3", 9.0),
        )
    ]
    assert chosen(ran, ["b"], 2.0) == ["b::2", "b::1", "c::1", "c::2", "a::1"]
