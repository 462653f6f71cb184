"""Calls of a conversation that wait for their results, in dialects whose results need not say which call they answer."""

from __future__ import annotations

from collections import deque

from intellirouter.chat.parts import ToolCall


class OpenCalls:
    """In the order in which they came. However many there are, one is found at once."""

    def __init__(self) -> None:
        self._open: dict[int, ToolCall] = {}  # by their number
        self._by_id: dict[str, deque[int]] = {}
        self._by_name: dict[str, deque[int]] = {}
        self._next = 0

    def add(self, call: ToolCall) -> None:
        """One more."""
        self._open[self._next] = call
        self._by_id.setdefault(call.id, deque()).append(self._next)
        self._by_name.setdefault(call.name, deque()).append(self._next)
        self._next += 1

    def answered(self, call_id: str | None, name: str | None) -> ToolCall | None:
        """The first open call of this id, or without an id of this name; it waits no more. None where there is none."""
        waiting = self._by_id.get(call_id) if call_id is not None else self._by_name.get(name or "")
        while waiting:
            if (call := self._open.pop(waiting.popleft(), None)) is not None:
                return call
        return None

    def first(self) -> ToolCall | None:
        """The first open call, whatever it is called; it waits no more."""
        number = next(iter(self._open), None)
        return None if number is None else self._open.pop(number)
