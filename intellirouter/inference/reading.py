"""Reading a provider's whole answer, which may be long, or made to hold others up.

What is read of it costs for each of its values, whatever their length: sixty megabytes of `[],` are gigabytes, and ten seconds in
which nothing else of the process runs. So their number is bounded, and many are read off the event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from intellirouter.bounds.aside import LONG
from intellirouter.bounds.json_values import holds_more_than
from intellirouter.bounds.marks import is_long
from intellirouter.chat.foreign import MAX_VALUES
from intellirouter.errors import AnswerTooLong
from intellirouter.providers.adapter import HttpResponse

T = TypeVar("T")

MAX_PASSED_VALUES = 5_000_000
"""Of one that goes on to the client as it came: what is not read of it is only passed over."""


async def read_answer(
    response: HttpResponse, read: Callable[[HttpResponse], T], owner: str, most: int = MAX_VALUES
) -> T:
    """What `read` makes of it. `owner` is the tenant that waits. Raises `AnswerTooLong`, or what `read` does."""
    if not is_long(response.body):
        return read(response)
    if await holds_more_than(most, response.body):
        raise AnswerTooLong(f"the provider's answer holds more than {most:,} values")
    return await LONG.run(owner, lambda: read(response))
