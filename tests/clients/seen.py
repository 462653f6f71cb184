"""What a user of any client sees of an answer, and how a client under test is asked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

from tests.servers.dialects.model import CALLS, INPUT_TOKENS, MODEL, OUTPUT_TOKENS, SCHEMA
from tests.servers.dialects.table import STAND_INS

SYSTEM = "Be brief."
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOL = ("weather", "The weather of a city.", SCHEMA)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Usage as the client shows it; None where its dialect has no word for it."""

    read: int
    wrote: int
    cached: int | None = None
    written: int | None = None
    thought: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer. `calls` are names and parsed arguments; `finish` is the client's own word."""

    text: str
    calls: tuple[tuple[str, Any], ...]
    finish: str
    model: str
    tokens: Tokens
    thought: str = ""


class Client(Protocol):
    """One conversation by one SDK."""

    words: dict[str, str]  # what the dialect calls stop, length and tools
    tells: dict[
        str, int | None
    ]  # which of cached, written and thought it has words for; what stands for silence

    async def ask(
        self,
        words: str | None,
        *,
        image: bool = False,
        tools: bool = False,
        schema: bool = False,
        max_tokens: int | None = None,
        stream: bool = False,
    ) -> Seen:
        """Say `words` (None: nothing new) and hear the answer, which becomes part of the conversation."""

    def tell(self, *results: str) -> None:
        """The results of the calls of the last answer, in order."""


def expected(
    client: Client, kind: str, text: str, finish: str = "stop", *, calls: bool = False, thought: str = ""
) -> Seen:
    """What must be seen: the model's words, and as much of its usage as vendor and client have words for."""
    vendor = STAND_INS[kind]
    heard = {"cached": vendor.cached, "written": vendor.written, "thought": vendor.thought}
    told = {name: silence if heard[name] is None else heard[name] for name, silence in client.tells.items()}
    return Seen(
        text=text,
        calls=tuple((name, json.loads(arguments)) for _, name, arguments in CALLS) if calls else (),
        finish=client.words[finish],
        model=MODEL,
        tokens=Tokens(INPUT_TOKENS, OUTPUT_TOKENS, **told),
        thought=thought,
    )
