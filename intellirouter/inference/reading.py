"""Reading a provider's whole answer, which may be long, or made to hold others up.

What is read of it costs for each of its values, whatever their length: sixty megabytes of `[],` are gigabytes, and ten seconds in
which nothing else of the process runs. So their number is bounded, and many are read off the event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from intellirouter.bounds.aside import LONG
from intellirouter.bounds.json_values import holds_more_than
from intellirouter.bounds.marks import is_long
from intellirouter.chat.foreign import MAX_VALUES
from intellirouter.chat.response import ChatResponse
from intellirouter.chat.told import answer_of
from intellirouter.errors import AnswerTooLong
from intellirouter.providers.adapter import Adapter, HttpResponse

T = TypeVar("T")

_BOM = b"\xef\xbb\xbf"
MAX_PASSED_VALUES = 5_000_000
"""Of one that goes on to the client as it came: what is not read of it is only passed over."""


async def read_answer(
    response: HttpResponse, read: Callable[[HttpResponse], T], owner: str, most: int = MAX_VALUES
) -> T:
    """What `read` makes of it. `owner` is the tenant that waits. Raises `AnswerTooLong`, or what `read` does."""
    if response.body[:1] == _BOM[:1]:  # RFC 8259, 8.1: a reader may ignore it
        response = msgspec.structs.replace(response, body=response.body.removeprefix(_BOM))
    if not is_long(response.body):
        return read(response)
    if await holds_more_than(most, response.body):
        raise AnswerTooLong(f"the provider's answer holds more than {most:,} values")
    return await LONG.run(owner, lambda: read(response))


_LINES = (b"data:", b"event:", b"id:", b": ")


def is_stream(response: HttpResponse) -> bool:
    """Whether a vendor streamed what was to be whole: some gateways know nothing else."""
    return response.body[:64].lstrip().startswith(_LINES)


def read_stream(adapter: Adapter, response: HttpResponse) -> ChatResponse:
    """The answer that such a stream told. Raises what its parser does, `StreamInterrupted` where it was cut."""
    parser = adapter.new_stream()
    events = [*parser.feed(response.body), *parser.close()]
    return answer_of(delta for event in events for delta in event.deltas)
