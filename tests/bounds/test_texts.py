"""Texts of strangers: topics in any spelling, headings, answers of a provider's broken server."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from intellirouter.bounds.shares import Shares
from intellirouter.chat.failure import classify
from intellirouter.guards.ending import shortened
from intellirouter.guards.stream import Watched
from intellirouter.roles.rag_manager.parsing.formats import parse
from intellirouter.roles.rag_manager.parsing.run import ParseLimits, Parsers
from intellirouter.roles.router.pipeline.persona_guards import topics_of

TOPICS = topics_of({"forbidden_topics": ["war", "sex", "poker night", "戦争"]})
NAMED = [
    "war", "WAR!", "w a r", "w.a.r", "W-A-R", "w\u200bar", "wa\u00adr", "ｗａｒ", "wаr", "Ẃar", "𝐰𝐚𝐫", "the_war_room",
    "poker  night", "Poker-Night", "p o k e r n i g h t", "日本の戦争について", "a b c war", "\u202ewar",
]  # fmt: skip
FREE = [
    "What is the warranty?",
    "How do I install software?",
    "Weather in Essex",
    "wars",
    "Poker Nights",
    "",
]


def watched() -> Watched:
    """A stream that ends where a topic is named."""
    assert TOPICS is not None
    return Watched(TOPICS.detectors, TOPICS.find, lambda found, text: (text[: found[0].start], True))


@pytest.mark.parametrize(("text", "named"), [(t, True) for t in NAMED] + [(t, False) for t in FREE])
def test_a_topic_is_a_word_in_any_spelling(text: str, named: bool) -> None:
    assert TOPICS is not None
    assert bool(TOPICS.find(text)) is named
    assert bool(TOPICS.find(f"{'Well, so. ' * 9_000}{text} {'And on. ' * 9_000}")) is named
    stream = watched()
    out = "".join(map(stream.feed, text)) + stream.rest()
    assert stream.ended is named
    assert not TOPICS.find(out)
    assert named or out == text


def test_a_stream_holds_back_no_more_than_a_topic_is_long() -> None:
    stream, said, told = watched(), 0, 0
    for piece in ("word " * 1_000, "letters" * 20_000, "a b c d " * 1_000):
        said, told = said + len(piece), told + len(stream.feed(piece))
        assert said - told < 200


@pytest.mark.parametrize(
    "message",
    [
        "Overloaded",
        "The engine is at capacity for gpt-x, try again.",
        "Traceback (most recent call last): boom",
        "open /srv/models/secret.bin: no such file",
        "dial tcp 10.0.3.7: connection refused",
        "no route to db-1.prod.internal",
        "<html><h1>502</h1></html>",
        "x" * 2_000,
    ],
)
def test_the_inside_of_a_providers_server_is_not_told(message: str) -> None:
    error = classify(500, message, provider="p")
    assert error.message == "the provider answered 500"
    assert message[:20] in str(error.__cause__)


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("# One", "One"),
        ("### Two ##", "Two"),
        ("#No", ""),
        ("####### Seven", ""),
        ("# " + " " * 50_000 + "x" + " " * 50_000 + "y", None),
        ("# " + "#" * 200_000 + "x", None),
    ],
    ids=lambda text: str(text)[:12],
)
def test_headings(line: str, title: str | None) -> None:
    found, _ = parse("a.md", f"{line}\n\ntext".encode())
    assert len(found) <= 300
    assert title is None or found == title


def test_a_cut_is_at_a_word() -> None:
    assert shortened("one two three", 8) == "one two"
    assert shortened("one" + " " * 50_000, 20_000) == "one"
    assert shortened(" " * 50_000, 20_000) == " " * 20_000
    assert shortened("abcdef", 3) == "abc"


def test_nobody_takes_every_place() -> None:
    shares = Shares(100)
    first = sum(shares.take("b") for _ in range(200))
    assert 50 < first < 100
    assert shares.take("a")
    for _ in range(first):
        shares.give("b")
    shares.give("a")
    assert shares.taken == 0
    assert sum(Shares(1).take("x") for _ in range(1)) == 1


async def test_a_small_document_does_not_wait_for_anothers(tmp_path: Path) -> None:
    slow, small = tmp_path / "slow", tmp_path / "small"
    slow.write_bytes(b"<" * 3_000_000 + b"a")  # a quarter of a second and more for each
    small.write_bytes(b"ten bytes.")
    async with contextlib.aclosing(Parsers(ParseLimits(seconds=60))) as parsers:
        held = [asyncio.create_task(parsers.parse(slow, "slow.html", "b")) for _ in range(8)]
        await asyncio.sleep(0)
        title, blocks = await parsers.parse(small, "small.txt", "a")
        assert (title, [block.text for block in blocks]) == ("", ["ten bytes."])
        assert sum(task.done() for task in held) < 8
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
