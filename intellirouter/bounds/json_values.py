"""Whether a JSON text holds more values than it may, looked at before anything is made of it (`marks.py`)."""

from __future__ import annotations

import asyncio
import re

from intellirouter.bounds.marks import marks, no_fewer

_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_PIECE = 1 << 20
"""Bytes of a string that are passed over at once."""
_AT_ONCE = 4 << 20
"""Bytes whose marks are counted at once."""
_STEPS = 4_096
"""Strings that are passed over at once."""


async def holds_more_than(most: int, text: bytes) -> bool:
    """Whether the text holds more values than `most`. Other work goes on meanwhile where it is long.

    What is no JSON may be told either way: whoever reads it finds out.
    """
    if len(text) <= 2 * most or await _surely(most, text):  # a value and its mark are two bytes
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
            found += marks(text[at:end])
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


async def _surely(most: int, text: bytes) -> bool:
    """Whether it surely holds no more, which is soon found out."""
    if len(text) <= _AT_ONCE:
        return no_fewer(text) <= most
    found = 0
    for at in range(0, len(text), _AT_ONCE):
        found += marks(text[at : at + _AT_ONCE])
        await asyncio.sleep(0)
    return found <= most
