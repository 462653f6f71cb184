"""What somebody may have meant is found among thousands of names, too."""

from __future__ import annotations

import pytest

from intellirouter.bounds.nearest import nearest

MANY = [f"openrouter/vendor-{number % 40}/model-{number}-instruct" for number in range(5_000)]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("anthropic/claude-sonet", "anthropic/claude-sonnet"),
        ("gtp-4o", "gpt-4o"),
        ("openrouter/vendor-7/modle-47-instruct", "openrouter/vendor-7/model-47-instruct"),
    ],
)
def test_the_name_that_is_meant_is_found(name: str, meant: str) -> None:
    assert nearest(name, [*MANY, "gpt-4o", "anthropic/claude-sonnet"])[0] == meant


def test_of_names_that_are_like_none_none_is_told() -> None:
    assert nearest("zzz", MANY) == nearest("zzz", []) == []
