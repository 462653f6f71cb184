"""How many values a JSON text holds at most, by the marks that begin or part them (`{`, `[` and `,`).

Each value costs memory and time whatever its length: sixteen megabytes of `{},` are half a gigabyte and a second and a half in
which nothing else of a process runs.
"""

from __future__ import annotations

LONG = 8_000
"""Values of a text that is read, and made something of, off the event loop: all of that takes some microseconds for each."""
MANY = 2_000
"""Turns of a conversation that are LONG."""
_MARKS = b"{[,"
_PIECE = 1 << 20
"""Bytes that are looked at together; a longer text is LONG whatever it holds."""
_LOOKED_INTO = 256
"""Quotes that are looked at before marks are counted wherever they stand: counting costs twice what reading the JSON does."""


def is_long(text: bytes) -> bool:
    """Whether it may hold more values than are read on the event loop."""
    return len(text) > _PIECE or may_hold_more_than(LONG, text)


def may_hold_more_than(most: int, text: bytes) -> bool:
    """False where it surely holds no more; marks in strings may make it true."""
    return len(text) > 2 * most and no_fewer(text) > most  # a value and its mark are two bytes


def no_fewer(text: bytes) -> int:
    """At least as many as it holds. The first strings are passed over, since a prompt of a megabyte is one; behind them each mark counts."""
    found = at = 0
    inside = False
    for _ in range(_LOOKED_INTO):
        quote = text.find(b'"', at)
        if quote < 0:
            break
        passed = text[at:quote]
        if not inside:
            found += marks(passed)
            inside = True
        elif (len(passed) - len(passed.rstrip(b"\\"))) % 2 == 0:  # else it is a quote that the string holds
            inside = False
        at = quote + 1
    return found + marks(text[at:])


def marks(text: bytes) -> int:
    """Marks wherever they stand. A thread that counts those of a long text lets others in."""
    if len(text) <= _PIECE:
        return len(text) - len(text.translate(None, _MARKS))
    return sum(marks(text[at : at + _PIECE]) for at in range(0, len(text), _PIECE))
