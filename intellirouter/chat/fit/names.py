"""Names of tools and ids of calls: another vendor's are changed on the way out, and names changed back in the answer."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping

import msgspec

from intellirouter.chat.delta import Delta, StreamEvent, ToolCallStart
from intellirouter.chat.fit.takes import NameRule, Takes
from intellirouter.chat.model import ChatRequest, Message, Tool, ToolChoice
from intellirouter.chat.parts import Part, ToolCall, ToolResult
from intellirouter.chat.response import ChatResponse
from intellirouter.counts import counted

_TAG = 8


def fit_names(request: ChatRequest, takes: Takes, notes: list[str]) -> tuple[ChatRequest, Mapping[str, str]]:
    """The request with names and ids that the target takes, and what each changed name was."""
    called = [
        part
        for message in request.messages
        for part in message.content
        if isinstance(part, (ToolCall, ToolResult))
    ]
    if not request.tools and not called:
        return request, {}
    sent = _changed_names(request, called, takes.names) if takes.names is not None else {}
    ids = _changed_ids(request.messages, takes.call_id_longest) if called else None
    if not sent and ids is None:
        return request, {}
    if sent:
        many = counted(len(sent), "tool was", "tools were")
        notes.append(
            f"The name of {many} sent in a form that {takes.who} takes, and is as it was in the answer."
        )
    messages = request.messages if ids is None else ids
    if sent and called:
        messages = tuple(_renamed(message, sent) for message in messages)
    fitted = request.changed(
        messages=messages,
        tools=tuple(_renamed_tool(tool, sent) for tool in request.tools) if sent else request.tools,
        tool_choice=_renamed_choice(request.tool_choice, sent),
    )
    return fitted, {new: old for old, new in sent.items()}


def _changed_names(request: ChatRequest, called: Iterable[Part], rule: NameRule) -> dict[str, str]:
    names = [tool.name for tool in request.tools if tool.kind != "builtin" and not _parted(tool, rule)]
    names += [part.name for part in called if isinstance(part, ToolCall)]
    parted = {tool.name for tool in request.tools if _parted(tool, rule)}
    wrong = dict.fromkeys(n for n in dict.fromkeys(names) if n not in parted and not rule.takes(n))
    if not wrong:
        return {}
    taken = {name for name in names if name not in wrong}
    sent: dict[str, str] = {}
    for name in wrong:
        sent[name] = _fitting(name, rule, taken)
        taken.add(sent[name])
    return sent


def _parted(tool: Tool, rule: NameRule) -> bool:
    """A function under a namespace, which goes out in two names where the dialect has such."""
    if tool.namespace is None or not rule.parts:
        return False
    namespace = tool.namespace[0]
    return rule.takes(namespace) and rule.takes(tool.name.removeprefix(f"{namespace}__"))


def _fitting(name: str, rule: NameRule, taken: set[str]) -> str:
    """The name in allowed characters, shortened before a tag of its own where it must be; always the same for the same."""
    plain = rule.foreign.sub("_", name)
    if rule.first.match(plain) is None:
        plain = f"_{plain}"
    tag = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()
    if len(plain) <= rule.longest and plain not in taken:
        return plain
    return f"{plain[: rule.longest - _TAG - 1]}_{tag[:_TAG]}"


def _renamed(message: Message, sent: Mapping[str, str]) -> Message:
    content = tuple(
        msgspec.structs.replace(part, name=sent[part.name])
        if isinstance(part, (ToolCall, ToolResult)) and part.name is not None and part.name in sent
        else part
        for part in message.content
    )
    return msgspec.structs.replace(message, content=content)


def _renamed_tool(tool: Tool, sent: Mapping[str, str]) -> Tool:
    return msgspec.structs.replace(tool, name=sent[tool.name], namespace=None) if tool.name in sent else tool


def _renamed_choice(choice: ToolChoice | None, sent: Mapping[str, str]) -> ToolChoice | None:
    if choice is None or not sent:
        return choice
    name = None if choice.name is None else sent.get(choice.name, choice.name)
    return msgspec.structs.replace(choice, name=name, names=tuple(sent.get(n, n) for n in choice.names))


def _changed_ids(messages: tuple[Message, ...], longest: int | None) -> tuple[Message, ...] | None:
    """The messages with an id of its own for each call, not too long, and its result under the same; None: all are fine."""
    ids = [part.id for message in messages for part in message.content if isinstance(part, ToolCall)]
    if len(set(ids)) == len(ids) and all(id_ and (longest is None or len(id_) <= longest) for id_ in ids):
        return None
    given: dict[str, deque[str]] = {}  # calls of that id that wait for their results, as they are sent
    own = _OwnIds(longest)
    changed: list[Message] = []
    for message in messages:
        content: list[Part] = []
        for part in message.content:
            if isinstance(part, ToolCall):
                new = own.of(part.id)
                given.setdefault(part.id, deque()).append(new)
                content.append(msgspec.structs.replace(part, id=new))
            elif isinstance(part, ToolResult):
                waiting = given.get(part.call_id)
                content.append(
                    msgspec.structs.replace(part, call_id=waiting.popleft() if waiting else part.call_id)
                )
            else:
                content.append(part)
        changed.append(msgspec.structs.replace(message, content=tuple(content)))
    return tuple(changed)


class _OwnIds:
    """Gives each call an id that no other has; the same to the same calls, whose words vendors keep by their beginnings."""

    def __init__(self, longest: int | None) -> None:
        self._longest = longest
        self._seen: set[str] = set()
        self._next: dict[str, int] = {}  # the number to go on with, for an id that many calls share

    def of(self, given: str) -> str:
        """The id of the next call."""
        new, number = given, self._next.get(given, 0)
        while not new or new in self._seen or (self._longest is not None and len(new) > self._longest):
            tag = hashlib.sha256(f"{number}:{given}".encode("utf-8", "replace")).hexdigest()[:16]
            new, number = f"call_{tag}", number + 1
        self._next[given] = number
        self._seen.add(new)
        return new


def with_names(response: ChatResponse, names: Mapping[str, str]) -> ChatResponse:
    """A whole answer whose calls have the names that the client gave its tools."""
    choices = tuple(
        msgspec.structs.replace(
            choice,
            content=tuple(
                msgspec.structs.replace(part, name=names[part.name])
                if isinstance(part, ToolCall) and part.name in names
                else part
                for part in choice.content
            ),
        )
        for choice in response.choices
    )
    return msgspec.structs.replace(response, choices=choices, raw=None, dialect=None)


def events_with_names(events: list[StreamEvent], names: Mapping[str, str]) -> list[StreamEvent]:
    """The same of a stream's events, whose bytes are of no use then."""
    return [StreamEvent(tuple(_named(delta, names) for delta in event.deltas)) for event in events]


def _named(delta: Delta, names: Mapping[str, str]) -> Delta:
    if isinstance(delta, ToolCallStart) and delta.name in names:
        return msgspec.structs.replace(delta, name=names[delta.name])
    return delta
