"""The model behind every stand-in vendor: it reads what any dialect can ask, and what it says shows what reached it.

A dialect's file reads its vendor's request into `Asked`, refusing what that vendor refuses, and renders `Said` in its
vendor's own words, whole or streamed. So a test of a client against any of them expects the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

CALLS = (
    ("call_a1", "weather", '{"city": "Zürich", "days": 2}'),
    ("call_b2", "weather", '{"city":"São Paulo","days":1}'),
)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
THOUGHT = "First 🤔, then second."
SHAPED = '{"city": "Zürich", "days": 2}'
INPUT_TOKENS, CACHED_TOKENS, WRITTEN_TOKENS = 30, 8, 4
OUTPUT_TOKENS, THOUGHT_TOKENS = 12, 5
MODEL = "vendor-model-2026"


SHORT = 5
"""The limit at which the stand-ins cut an answer."""


@dataclass(slots=True)
class Asked:
    """One request, whatever it was written in."""

    system: list[str] = field(default_factory=list)
    user: list[str] = field(default_factory=list)
    images: list[tuple[str, str]] = field(default_factory=list)  # media type, base64
    tools: list[dict[str, Any]] = field(default_factory=list)  # name, description, parameters
    calls: list[tuple[str, str, Any]] = field(default_factory=list)  # id, name, arguments that came back
    results: list[tuple[str, str]] = field(default_factory=list)  # id or name of the call, words
    thoughts: list[str] = field(default_factory=list)  # what came back of them, with what seals them
    schema: dict[str, Any] | None = None
    max_tokens: int | None = None
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """One answer, in the pieces a stream has."""

    pieces: tuple[str, ...] = ()
    calls: tuple[tuple[str, str, str], ...] = ()
    length: bool = False
    thought: str = ""

    @property
    def text(self) -> str:
        return "".join(self.pieces)


Brain = Callable[[Asked], Said]


class Refused(Exception):
    """What the vendor answers with 400."""


def think(asked: Asked) -> Said:
    """Repeat what was understood."""
    if asked.schema is not None:
        if asked.schema != SCHEMA:
            raise Refused(f"not the schema: {asked.schema}")
        return Said(cut(SHAPED))
    if asked.images:
        return Said(cut("I see " + ", ".join(f"{kind} {data}" for kind, data in asked.images)))
    if asked.results:
        if len(asked.calls) != len(asked.results):
            raise Refused("every call needs its result")
        return Said(cut("Told: " + "; ".join(words for _, words in asked.results)))
    if asked.tools:
        if [(tool["name"], {**SCHEMA, **tool["parameters"]}) for tool in asked.tools] != [
            ("weather", SCHEMA)
        ]:
            raise Refused(
                f"not the tools: {asked.tools}"
            )  # the ollama client leaves additionalProperties out
        return Said(calls=CALLS)
    if asked.thoughts:
        return Said(cut("Remembered: " + "; ".join(asked.thoughts)))
    if asked.user[-1].startswith("Think"):
        return Said(cut("Thought so."), thought=THOUGHT)
    said = f"Grüezi 🌞! {' '.join(asked.system)} | {' '.join(asked.user)}"
    if asked.max_tokens == SHORT:
        return Said(cut(said[:12]), length=True)
    return Said(cut(said))


def cut(text: str) -> tuple[str, ...]:
    return tuple(text[i : i + 3] for i in range(0, len(text), 3))


def cut_bytes(events: list[bytes]) -> list[bytes]:
    """The same bytes in pieces that end inside events, words and characters."""
    whole = b"".join(events)
    return [whole[i : i + 61] for i in range(0, len(whole), 61)]


def only(body: dict[str, Any], known: str, where: str = "") -> None:
    """Refuse what the vendor does not know."""
    if unknown := body.keys() - set(known.split()):
        raise Refused(f"unknown fields{where}: {', '.join(sorted(unknown))}")


def vector_of(text: str, size: int | None = None) -> list[float]:
    """A vector that says which text it is of."""
    return [float(len(text)), float(ord(text[0])), 0.5, -0.25][: size or 4]
