"""Conversations: the turns of each, in order, in the shared state.

A turn is what a client said and what was answered, appended as one item, so two writers at once each keep their whole
turn. The stores of one tenant never show another's.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Sequence

import msgspec

from intellirouter.chat.model import Message
from intellirouter.chat.parts import Text, ToolCall, ToolResult
from intellirouter.chat.tokens import MESSAGE_TOKENS, part_tokens
from intellirouter.errors import InvalidRequest, NotFound, PayloadTooLarge
from intellirouter.memory.store import StateStore
from intellirouter.memory.tally import Tally

MAX_TURNS_READ = 500
MAX_TURN_BYTES = 2 * 1024 * 1024
"""Of one turn as it is kept."""
WINDOW_BYTES = 4 * 1024 * 1024
"""Of the latest turns that are read for a request; at least the last one."""
_PAGE = 16
_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")


class Turn(msgspec.Struct, frozen=True):
    """One exchange. `at` is in Unix seconds; `model` is who answered; `incomplete` where the answer did not come to its end."""

    messages: tuple[Message, ...]
    at: float = 0.0
    model: str = ""
    incomplete: bool = False


class Summary(msgspec.Struct, frozen=True):
    """What the turns up to the one at `until` (Unix seconds) said, in short."""

    text: str
    until: float


_decode = msgspec.json.Decoder(Turn).decode
_decode_summary = msgspec.json.Decoder(Summary).decode
_encode = msgspec.json.Encoder().encode


class Conversations:
    """The conversations of all tenants. `ttl` is counted from the last turn, in seconds."""

    def __init__(self, store: StateStore, ttl: float) -> None:
        self._store = store
        self._ttl = ttl
        self.kept = Tally(store, "conversations", ttl)

    async def turns(self, tenant: str, name: str) -> list[Turn]:
        """The latest turns that are within the bounds, oldest first; empty for a conversation that has none yet."""
        kept: list[bytes] = []
        key, size, end, page = _key(tenant, name), 0, 0, _PAGE
        while len(kept) < MAX_TURNS_READ and size < WINDOW_BYTES:
            items = await self._store.slice(key, end - page, end or None)
            for item in reversed(items):
                size += len(item)
                if kept and size > WINDOW_BYTES:
                    break
                kept.append(item)
            if len(items) < page:
                break
            end -= page
            if size < WINDOW_BYTES // 16:  # short turns: fetch more of them at once
                page = min(4 * page, 128)
        return [_decode(item) for item in reversed(kept[:MAX_TURNS_READ])]

    async def add(
        self, tenant: str, name: str, messages: Sequence[Message], model: str, *, incomplete: bool = False
    ) -> None:
        """Append one turn. Raises `PayloadTooLarge` for one that is too large to be kept."""
        item = _encode(Turn(tuple(messages), time.time(), model, incomplete))
        if len(item) > MAX_TURN_BYTES:
            raise PayloadTooLarge(
                f"A turn of a conversation holds at most {MAX_TURN_BYTES} bytes.", param="conversation"
            )
        length = await self._store.append(_key(tenant, name), [item], ttl=self._ttl)
        await self.kept.added(tenant, int(length == 1), len(item))

    async def summary(self, tenant: str, name: str) -> Summary | None:
        """What its earlier turns said, where that was written down."""
        kept = await self._store.get(_summary_key(tenant, name))
        return None if kept is None else _decode_summary(kept)

    async def keep_summary(self, tenant: str, name: str, summary: Summary) -> None:
        """Write it down, for as long as the turns themselves."""
        await self._store.set(_summary_key(tenant, name), _encode(summary), ttl=self._ttl)

    async def delete(self, tenant: str, name: str) -> None:
        """Forget it. Raises `NotFound`."""
        await self._store.delete(_summary_key(tenant, name))
        size = await self._size(_key(tenant, name))
        if not await self._store.delete(_key(tenant, name)):
            raise NotFound(f"There is no conversation '{name}'.")
        await self.kept.removed(tenant, 1, size)

    async def _size(self, key: str) -> int:
        """The bytes of a log, a page at a time."""
        size = start = 0
        while items := await self._store.slice(key, start, start + _PAGE):
            size += sum(map(len, items))
            start += _PAGE
        return size

    async def names(self, tenant: str) -> AsyncIterator[str]:
        """The tenant's conversations, in no order."""
        prefix = _key(tenant, "")
        async for key in self._store.scan(prefix):
            name = key.removeprefix(prefix)
            if _ID.fullmatch(name):  # else it is of a tenant whose name begins with this one's
                yield name


def _key(tenant: str, name: str) -> str:
    if name and not _ID.fullmatch(name):
        raise InvalidRequest(
            "A conversation id holds 1 to 128 letters, digits and . _ ~ - only.", param="conversation"
        )
    return f"conversation:{tenant}:{name}"


def _summary_key(tenant: str, name: str) -> str:
    return f"conversation-summary:{_key(tenant, name).removeprefix('conversation:')}"


def fits(messages: Sequence[Message]) -> None:
    """Raises `PayloadTooLarge` where what a client says is too large to be kept as a turn, before it is asked of a model.

    The system's words are not kept.
    """
    said = [message for message in messages if message.role not in ("system", "developer")]
    if len(_encode(said[-1:])) > MAX_TURN_BYTES * 3 // 4:
        raise PayloadTooLarge(
            f"A message of a conversation holds at most {MAX_TURN_BYTES * 3 // 4} bytes; without 'conversation' a request "
            "may be larger.",
            param="conversation",
        )


def turn_tokens(turn: Turn) -> int:
    """The tokens of a turn, as estimated."""
    return sum(MESSAGE_TOKENS + sum(map(part_tokens, message.content)) for message in turn.messages)


def rounds(turns: Sequence[Turn]) -> list[list[Turn]]:
    """The turns in groups that must stay whole: each begins with the user's own words, since a tool's result means nothing
    without the call before it, and every vendor refuses one."""
    grouped: list[list[Turn]] = []
    for turn in turns:
        if grouped and not _begins(turn):
            grouped[-1].append(turn)
        else:
            grouped.append([turn])
    return grouped


def _begins(turn: Turn) -> bool:
    first = turn.messages[0] if turn.messages else None
    return first is not None and first.role == "user" and not _answers_a_call(first)


def _answers_a_call(message: Message) -> bool:
    """A tool's result; in Anthropic's dialect it stands in a user's message."""
    return message.role == "tool" or any(isinstance(part, ToolResult) for part in message.content)


def window(turns: Sequence[Turn], budget: int) -> list[Message]:
    """The messages of the latest whole rounds that fit into `budget` tokens, as estimated; at least the last round."""
    kept: list[list[Turn]] = []
    left = budget
    for group in reversed(rounds(turns)):
        size = sum(map(turn_tokens, group))
        if kept and (size > left or _headless(group)):
            break
        left -= size
        kept.append(group)
    messages = [message for group in reversed(kept) for turn in group for message in turn.messages]
    while messages and _answers_a_call(messages[0]):  # of a round longer than what is read of a conversation
        del messages[0]
    return messages


def _headless(group: Sequence[Turn]) -> bool:
    """A round whose beginning is gone."""
    messages = group[0].messages
    return bool(messages) and _answers_a_call(messages[0])


def overlap(kept: Sequence[Message], said: Sequence[Message]) -> int:
    """How many of the messages that a client sent are the end of what was kept: it sends its history itself."""
    most = min(len(kept), len(said))
    begins, ends = [*map(_known_by, said[:most])], [*map(_known_by, kept[len(kept) - most :])]
    # the longest beginning that is an end, by Knuth, Morris and Pratt: however much of it is alike, each message is looked at twice
    back = [0] * most
    length = 0
    for place in range(1, most):
        while length and begins[place] != begins[length]:
            length = back[length - 1]
        length += begins[place] == begins[length]
        back[place] = length
    length = 0
    for one in ends:
        while length and (length == most or one != begins[length]):
            length = back[length - 1]
        length += one == begins[length]
    return length


def shared(kept: Sequence[Message], said: Sequence[Message]) -> int:
    """How many messages both begin with."""
    pairs = zip(kept, said, strict=False)
    return next(
        (place for place, (one, two) in enumerate(pairs) if not _alike(one, two)), min(len(kept), len(said))
    )


def holds_history(kept: Sequence[Message], said: Sequence[Message]) -> bool:
    """True where a client sends the conversation from its beginning, maybe with later turns of its own telling."""
    return (
        len(said) > 1 and bool(kept) and _alike(kept[0], said[0]) and any(m.role == "assistant" for m in said)
    )


def _alike(one: Message, two: Message) -> bool:
    """The same words and calls by the same side; how a dialect carries them does not matter."""
    return _known_by(one) == _known_by(two)


def _known_by(message: Message) -> tuple[object, ...]:
    return _answers_a_call(message), _told(message)


def _told(message: Message) -> tuple[object, ...]:
    side = "assistant" if message.role == "assistant" else "user"
    calls = [(part.name, part.id) for part in message.content if isinstance(part, ToolCall)]
    results = [
        (part.call_id, "".join(p.text for p in part.content if isinstance(p, Text)).strip())
        for part in message.content
        if isinstance(part, ToolResult)
    ]
    return side, message.text.strip(), tuple(calls), tuple(results)
