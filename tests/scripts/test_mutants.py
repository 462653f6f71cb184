"""The mutants that `scripts/mutants` makes are other programs than the one they come from."""

from __future__ import annotations

import ast
from pathlib import Path

from scripts.mutants import ROOT, changes, mutant, places, room_of, sample


def test_a_sample_is_the_same_for_the_same_seed_and_compiles() -> None:
    first, second = sample(12, 7, "config/"), sample(12, 7, "config/")
    assert first == second
    assert first != sample(12, 8, "config/")
    for one in first:
        tree = ast.parse(one.text)
        assert ast.dump(tree) != ast.dump(ast.parse(one.file.read_text(encoding="utf-8")))
        assert one.file.is_relative_to(ROOT / "intellirouter/config")
        assert one.line


def test_each_kind_of_fault_is_made(tmp_path: Path) -> None:
    text = "def f(a):\n    if a < 1 and a:\n        g(a)\n    return a + 2\n"
    file = tmp_path / "f.py"
    file.write_text(text)
    tree = ast.parse(text)
    made = {mutant(file, place).what for place, _ in places(tree)}
    assert made == {
        "the condition is negated",
        "and becomes or",
        "Lt becomes LtE",
        "1 becomes 2",
        "2 becomes 3",
        "left out: g(a)",
        "Add becomes Sub",
        "the result is dropped",
    }
    assert not list(changes(ast.parse("'text'").body[0]))


def test_the_room_of_a_room_are_those_that_know_the_module_first() -> None:
    found = room_of(ROOT / "intellirouter/config/toml_text.py")
    assert found[0] == "tests/config/test_one_round.py"
    assert "tests/config/test_load.py" in found
