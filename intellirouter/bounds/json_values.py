"""How many values a JSON text holds, looked at before anything is made of it.

Each value costs memory and time whatever its length: sixteen megabytes of `{},` are half a gigabyte and a second and a half of
the event loop. Values are counted by the marks that begin or part them (`{`, `[` and `,`), which in strings are only characters.
"""

from __future__ import annotations

import asyncio
import re

_MARKS = b"{[,"
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_PIECE = 1 << 20
"""Bytes of a string that are passed over at once."""
_LOOKED_INTO = 256
"""Quotes that are looked at before marks are counted wherever they stand: counting costs twice what reading the JSON does."""
_STEPS = 4_096
"""Strings that are passed over at once."""


async def holds_more_than(most: int, text: bytes) -> bool:
    """Whether the text holds more values than `most`. Other work goes on meanwhile where it is long.

    What is no JSON may be told either way: whoever reads it finds out.
    """
    if len(text) <= 2 * most or _no_fewer(text) <= most:  # a value and its mark are two bytes
        return False
    found = at = steps = 0
    inside = False
    while at < len(text):
        steps += 1
        if steps % _STEPS == 0:
            await asyncio.sleep(0)
        if not inside:
            quote = text.find(b'"', at)
            end = quote if quote >= 0 else len(text)
            found += _marks(text[at:end])
            if found > most:
                return True
            at, inside = end + 1, True
            continue
        passed = _IN_STRING.match(text, at, at + _PIECE)
        before, at = at, passed.end() if passed is not None else at
        if text[at : at + 1] == b'"':
            at, inside = at + 1, False
        elif at == before:  # a backslash at the end
            return False
        else:
            await asyncio.sleep(0)
    return False


def _no_fewer(text: bytes) -> int:
    """At least as many as it holds. The first strings are passed over, since a prompt of a megabyte is one; behind them each mark counts."""
    found = at = 0
    inside = False
    for _ in range(_LOOKED_INTO):
        quote = text.find(b'"', at)
        if quote < 0:
            break
        passed = text[at:quote]
        if not inside:
            found += _marks(passed)
            inside = True
        elif (len(passed) - len(passed.rstrip(b"\\"))) % 2 == 0:  # else it is a quote that the string holds
            inside = False
        at = quote + 1
    return found + _marks(text[at:])


def _marks(text: bytes) -> int:
    return len(text) - len(text.translate(None, _MARKS))
