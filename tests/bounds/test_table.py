"""Whatever needs a bound says which one it has."""

from __future__ import annotations

import ast
import re._constants as codes
import re._parser as reader
from typing import Any

import pytest

from intellirouter.bounds.table import BOUNDS, SEPARATED
from tests.bounds.sweep import PACKAGE, found, patterns, written
from tests.trees import tree_of


def test_every_cache_reader_and_pattern_has_a_bound() -> None:
    there = {thing.partition(":")[0] for thing in found()}
    assert sorted(there - BOUNDS.keys()) == [], (
        "add these to intellirouter/bounds/table.py, with what bounds them"
    )
    assert sorted(BOUNDS.keys() - there) == [], "these are gone"


def test_a_json_schema_is_applied_in_one_place_only() -> None:
    users = {thing for thing in found() if thing.endswith(":jsonschema")}
    assert users == {"reader bounds/keywords.py:jsonschema"}


def test_yaml_is_read_in_one_place_only() -> None:
    assert {thing for thing in found() if thing.endswith(":yaml")} == {"reader bounds/yamls.py:yaml"}


def _endless(tree: Any) -> bool:
    """Whether it holds a repeat without end."""
    return any(_is_endless(op, argument) or _inner(op, argument, _endless) for op, argument in tree)


def _is_endless(op: Any, argument: Any) -> bool:
    return op in (codes.MAX_REPEAT, codes.MIN_REPEAT) and argument[1] is codes.MAXREPEAT


def _inner(op: Any, argument: Any, ask: Any) -> bool:
    if op in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        return bool(ask(argument[2]))
    if op is codes.SUBPATTERN:
        return bool(ask(argument[-1]))
    if op is codes.BRANCH:
        return any(ask(branch) for branch in argument[1])
    if op in (codes.ASSERT, codes.ASSERT_NOT):
        return bool(ask(argument[1]))
    return False


def _nested(tree: Any) -> bool:
    """Whether a repeat without end stands in another one and could take what that one takes: then time is exponential."""
    for op, argument in tree:
        if _is_endless(op, argument) and _only_repeats(argument[2]):
            return True
        if _inner(op, argument, _nested):
            return True
    return False


def _only_repeats(tree: Any) -> bool:
    """Whether a round of the outer repeat may be nothing but an inner one: no piece of fixed text tells the rounds apart."""
    rounds = list(tree)
    while len(rounds) == 1 and rounds[0][0] is codes.SUBPATTERN:
        rounds = list(rounds[0][1][-1])
    if len(rounds) == 1 and rounds[0][0] is codes.BRANCH:
        return any(_only_repeats(branch) for branch in rounds[0][1][1])
    fixed = [
        op for op, argument in rounds if op in (codes.LITERAL, codes.IN, codes.NOT_LITERAL, codes.CATEGORY)
    ]
    return not fixed and any(_endless([part]) for part in rounds)


@pytest.mark.parametrize(("name", "text"), sorted(patterns().items()))
def test_no_pattern_takes_exponential_time(name: str, text: str) -> None:
    assert not _nested(reader.parse(text)) or name in SEPARATED


def test_the_look_at_patterns_sees_what_it_is_for() -> None:
    for bad in (r"^(a+)+$", r"(\w*)*x", r"(?:a|b+)*c", r"((?:\s*))*"):
        assert _nested(reader.parse(bad)), bad
    for good in (r"(?:\.[a-z]\w*)*", r"a+b+", r"(ab)*", r"(?:x{1,3})*"):
        assert not _nested(reader.parse(good)), good


def test_no_stranger_writes_a_pattern_for_re() -> None:
    """A pattern that is made at run time is made of our own words, or of escaped ones."""
    for file in sorted((PACKAGE / "roles").rglob("*.py")):
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "re.compile":
                words = ast.unparse(node.args[0])
                known = (
                    isinstance(node.args[0], ast.Constant) or written(node.args[0], tree_of(file)) is not None
                )
                assert known or "escape" in words, f"{file}: {words}"
