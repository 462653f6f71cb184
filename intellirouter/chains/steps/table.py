"""Which function runs which kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from intellirouter.chains.ports import Ports, Ticket
from intellirouter.chains.steps import calls, llm, reading, turn

Effect = Callable[[dict[str, Any], Ports, Ticket], Awaitable[Any]]

EFFECTS: dict[str, Effect] = {
    "llm": llm.run,
    "classify": reading.classify,
    "extract": reading.extract,
    "agent": turn.run,
    "rag": calls.rag,
    "persona": calls.persona,
    "http": calls.http,
    "tool": calls.tool,
}
