"""Who speaks when: turns in an order that the target takes, and none that is empty.

The order of the rules matters: parts first (a turn may lose all of its own), then results after their calls, then system
messages, then what may follow what.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from intellirouter.chat.fit.glance import nothing_to_do
from intellirouter.chat.fit.parts import fit_parts
from intellirouter.chat.fit.takes import Takes
from intellirouter.chat.model import Message
from intellirouter.chat.parts import (
    Audio,
    File,
    Image,
    Part,
    RedactedThinking,
    ResultPart,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

GO_ON = "Go on with your last turn from exactly the character where it stops. Repeat nothing of it."
STAND_IN = "."
"""The words of a turn that must be there and has none."""
ANSWERED = "The tool has answered."
"""What the model says between a tool and the user, where a target wants it to say something."""
NO_RESULT = "(There is no result: the call was not made or was interrupted.)"
_SYSTEM = ("system", "developer")


def fit_turns(messages: tuple[Message, ...], takes: Takes, notes: list[str]) -> tuple[Message, ...]:
    """The messages as the target takes them; the same object where nothing is to be done."""
    if nothing_to_do(messages, takes):
        return messages
    turns = [fit_parts(message, takes, notes) for message in messages]
    if any(isinstance(part, ToolCall | ToolResult) for turn in turns for part in turn.content):
        turns = _answered(_once(_results_first(turns), notes), notes)
        if not takes.result_media:
            turns = _media_after_results(turns, notes)
    if not takes.system_media:
        turns = _media_out_of_systems(turns, notes)
    turns = _without_empty(turns, takes, notes, was=messages)
    if takes.systems != "anywhere":
        turns = _last_word(turns, notes)
    if takes.systems in ("leading", "first"):
        turns = _one_system(turns, takes, notes)
    if takes.asks and all(turn.role in _SYSTEM for turn in turns):
        notes.append(f"The system prompt was sent as the user's turn: {takes.who} wants at least one.")
        turns = [Message("user", turn.content) for turn in turns] or [Message("user", (Text(STAND_IN),))]
    turns = _in_succession(turns, takes, notes)
    if len(turns) == len(messages) and all(a is b for a, b in zip(turns, messages, strict=True)):
        return messages
    return tuple(turns)


def _results(message: Message) -> list[str]:
    return [part.call_id for part in message.content if isinstance(part, ToolResult)]


def _without_results(message: Message) -> Message | None:
    """What a turn says beside its results; it is the user's, whose tools they are."""
    rest = tuple(part for part in message.content if not isinstance(part, ToolResult))
    return Message("user", rest, message.name) if rest else None


def _results_alone(message: Message) -> Message:
    kept = tuple(part for part in message.content if isinstance(part, ToolResult))
    return message if len(kept) == len(message.content) else msgspec.structs.replace(message, content=kept)


def _results_first(turns: list[Message]) -> list[Message]:
    """Results right after their calls: what was said in between follows them."""
    ordered: list[Message] = []
    held: list[Message] = []
    waiting: set[str] = set()
    for turn in turns:
        results = _results(turn)
        if waiting and turn.role != "assistant":
            if not results:
                held.append(turn)
                continue
            waiting.difference_update(results)
            rest = _without_results(turn) if waiting or held else None
            ordered.append(_results_alone(turn) if rest is not None else turn)
            if rest is not None:
                held.append(rest)
            if not waiting:
                ordered += held
                held.clear()
            continue
        ordered += held
        held.clear()
        ordered.append(turn)
        waiting = {part.id for part in turn.content if isinstance(part, ToolCall)}
    return [*ordered, *held]


def _once(turns: list[Message], notes: list[str]) -> list[Message]:
    """One result for each call: where a client gives several in a row, the last is what came of it."""
    last: dict[str, ToolResult] = {}
    twice: set[int] = set()
    for turn in turns:
        for part in turn.content:
            if isinstance(part, ToolCall):
                last.pop(part.id, None)
            elif isinstance(part, ToolResult):
                if (before := last.get(part.call_id)) is not None:
                    twice.add(id(before))
                last[part.call_id] = part
    if not twice:
        return turns
    notes.append("A tool's earlier result for the same call was left out: each call has one.")
    return [
        msgspec.structs.replace(turn, content=kept) if len(kept) < len(turn.content) else turn
        for turn in turns
        if (kept := tuple(part for part in turn.content if id(part) not in twice)) or not turn.content
    ]


def _answered(turns: list[Message], notes: list[str]) -> list[Message]:
    """A result for every call that others follow, and no result without its call: every vendor wants the two together."""
    known: set[str] = set()
    whole: list[Message] = []
    for place, turn in enumerate(turns):
        if any(call_id not in known for call_id in _results(turn)):
            turn = _as_words(turn, known, notes)
        whole.append(turn)
        calls = [part.id for part in turn.content if isinstance(part, ToolCall)]
        known.update(calls)
        if not calls or place + 1 == len(turns):
            continue
        given: set[str] = set()
        after = place + 1
        while after < len(turns) and (results := _results(turns[after])):
            given.update(results)
            after += 1
        if missing := [call_id for call_id in calls if call_id not in given]:
            notes.append("A tool call without a result was sent with one that says so.")
            whole.append(
                Message("tool", tuple(ToolResult(i, (Text(NO_RESULT),), is_error=True) for i in missing))
            )
    return whole


def _as_words(turn: Message, known: set[str], notes: list[str]) -> Message:
    """A result whose call is gone as the user's words."""
    notes.append("A tool's result without its call was sent as the user's words.")
    content: list[Part] = []
    for part in turn.content:
        if isinstance(part, ToolResult) and part.call_id not in known:
            name = f" '{part.name}'" if part.name else ""
            content += [Text(f"The tool{name} returned:"), *part.content]
        else:
            content.append(part)
    kept = any(isinstance(part, ToolResult) for part in content)
    return msgspec.structs.replace(turn, role=turn.role if kept else "user", content=tuple(content))


def _media_after_results(turns: list[Message], notes: list[str]) -> list[Message]:
    """Pictures and documents of results in a user's turn after the last of them: tools return words alone."""
    moved: list[Message] = []
    media: list[Part] = []
    for turn in turns:
        if not _results(turn):
            if media:
                moved.append(Message("user", tuple(media)))
                media = []
            moved.append(turn)
            continue
        content: list[Part] = []
        rest: list[Part] = []
        for part in turn.content:
            if not isinstance(part, ToolResult):
                rest.append(part)
            elif any(isinstance(inner, (Image, Audio, File)) for inner in part.content):
                media += [inner for inner in part.content if isinstance(inner, (Image, Audio, File))]
                words: tuple[ResultPart, ...] = tuple(
                    p for p in part.content if not isinstance(p, (Image, Audio, File))
                )
                content.append(msgspec.structs.replace(part, content=words))
                notes.append("Images in a tool result were sent in a user message after it.")
            else:
                content.append(part)
        if rest and media:
            moved += [Message("tool", tuple(content)), Message("user", (*media, *rest), turn.name)]
            media = []
        elif all(a is b for a, b in zip((*content, *rest), turn.content, strict=True)):
            moved.append(turn)
        else:
            moved.append(msgspec.structs.replace(turn, content=(*content, *rest)))
    if media:
        moved.append(Message("user", tuple(media)))
    return moved


def _media_out_of_systems(turns: list[Message], notes: list[str]) -> list[Message]:
    """Pictures and documents of system messages as the user's: instructions are words."""
    if not any(isinstance(p, (Image, Audio, File)) for t in turns if t.role in _SYSTEM for p in t.content):
        return turns
    moved: list[Message] = []
    for turn in turns:
        media = [part for part in turn.content if isinstance(part, (Image, Audio, File))]
        if turn.role not in _SYSTEM or not media:
            moved.append(turn)
            continue
        words = tuple(part for part in turn.content if not isinstance(part, (Image, Audio, File)))
        moved += [msgspec.structs.replace(turn, content=words), Message("user", tuple(media))]
        notes.append("Pictures of a system message were sent in a user's turn after it.")
    return moved


def _without_empty(
    turns: list[Message], takes: Takes, notes: list[str], *, was: Sequence[Message]
) -> list[Message]:
    kept: list[Message] = []
    last_user = max((i for i, turn in enumerate(turns) if turn.role == "user"), default=-1)
    came = set(map(id, was))  # as they are now
    for place, turn in enumerate(turns):
        emptied = not turn.content
        if turn.role == "assistant":
            if _says_something(turn, takes) or (takes.empty_turns and not emptied):
                kept.append(turn)
        elif not emptied or (turn.role == "user" and takes.text == "any" and id(turn) in came):
            kept.append(turn)
        elif place == last_user:
            notes.append(f"An empty turn was sent as '{STAND_IN}'.")
            kept.append(msgspec.structs.replace(turn, content=(Text(STAND_IN),)))
    return kept


def _says_something(turn: Message, takes: Takes) -> bool:
    thoughts = [part for part in turn.content if isinstance(part, (Thinking, RedactedThinking))]
    said = [
        p
        for p in turn.content
        if not isinstance(p, (Thinking, RedactedThinking))
        and not (isinstance(p, Text) and not p.text and p.signature is None)
    ]
    return bool(said or turn.extra or (thoughts and takes.bare_thoughts))


def _last_word(turns: list[Message], notes: list[str]) -> list[Message]:
    """Instructions behind the assistant's last turn as the user's: moved to the start, they would leave it to be gone on with."""
    end = len(turns)
    while end and turns[end - 1].role in _SYSTEM:
        end -= 1
    if end == len(turns) or not end or turns[end - 1].role != "assistant":
        return turns
    notes.append("A system message behind the assistant's last turn was sent as the user's.")
    return [*turns[:end], *(Message("user", turn.content) for turn in turns[end:])]


def _one_system(turns: list[Message], takes: Takes, notes: list[str]) -> list[Message]:
    """One system message, at the start, of one text."""
    places = [place for place, turn in enumerate(turns) if turn.role in _SYSTEM]
    leading = places == list(range(len(places)))
    if not places or (leading and takes.systems == "leading"):
        return turns
    first = turns[places[0]]
    parts = [part for place in places for part in turns[place].content]
    if not takes.cache_markers and any(isinstance(part, Text) and part.cache is not None for part in parts):
        notes.append("Prompt-cache markers were left out: this provider caches by itself.")
        parts = [
            msgspec.structs.replace(part, cache=None) if isinstance(part, Text) else part for part in parts
        ]
    system = Message("system", _joined(parts), first.name, first.extra)
    if places == [0] and (len(first.content) == 1 or len(system.content) == len(first.content)):
        return turns
    if not leading:
        notes.append("A system message inside the conversation was moved to its start.")
    elif len(places) > 1:
        notes.append("The system messages were sent as one.")
    return [system, *(turn for turn in turns if turn.role not in _SYSTEM)]


def _joined(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Texts as one, where nothing hangs on one of them: a plain string is read by every template."""
    if all(isinstance(part, Text) and part.cache is None and part.signature is None for part in parts):
        return (Text("\n\n".join(part.text for part in parts if isinstance(part, Text))),)
    return tuple(parts)


def _in_succession(turns: list[Message], takes: Takes, notes: list[str]) -> list[Message]:
    ordered: list[Message] = []
    if takes.alternates or not takes.results_then_user:
        turns = _split(turns)
    if takes.alternates:
        turns = _one_a_side(turns, notes)
    for turn in turns:
        before = ordered[-1] if ordered else None
        first = before is None or before.role in _SYSTEM
        if first and turn.role == "assistant" and takes.user_first:
            notes.append(
                f"A user's turn was put before the assistant's first: {takes.who} wants the user to begin."
            )
            ordered.append(Message("user", (Text(STAND_IN),)))
        if before is not None and turn.role == "user" and _results(before) and not takes.results_then_user:
            notes.append(
                f"A turn of the assistant's was put after a tool's result: {takes.who} wants one there."
            )
            ordered.append(Message("assistant", (Text(ANSWERED),)))
        ordered.append(turn)
    last = ordered[-1] if ordered else None
    if (
        last is not None
        and last.role == "assistant"
        and not any(isinstance(p, ToolCall) for p in last.content)
    ):
        if takes.user_last:
            notes.append("This model goes on with no turn of its own: it was asked to.")
            ordered.append(Message("user", (Text(GO_ON),)))
        elif takes.prefix and "prefix" not in last.extra:
            ordered[-1] = msgspec.structs.replace(last, extra={**last.extra, "prefix": True})
        elif (
            takes.text == "visible" and isinstance(end := last.content[-1], Text) and end.text[-1:].isspace()
        ):
            whole = (*last.content[:-1], msgspec.structs.replace(end, text=end.text.rstrip()))
            ordered[-1] = msgspec.structs.replace(last, content=whole)
    return ordered


def _split(turns: list[Message]) -> list[Message]:
    """Results and what the user says beside them as two turns."""
    apart: list[Message] = []
    for turn in turns:
        if not _results(turn):
            apart.append(turn)
            continue
        alone, rest = _results_alone(turn), _without_results(turn)
        apart.append(alone if alone.role == "tool" else msgspec.structs.replace(alone, role="tool"))
        apart += [rest] if rest is not None else []
    return apart


def _one_a_side(turns: list[Message], notes: list[str]) -> list[Message]:
    """Turns of one side in a row as one."""
    rows: list[list[Message]] = []
    for turn in turns:
        if rows and _same_side(rows[-1][-1], turn):
            rows[-1].append(turn)
        else:
            rows.append([turn])
    if len(rows) == len(turns):
        return turns
    notes.append("Turns of one side in a row were sent as one.")
    return [_together(row) if len(row) > 1 else row[0] for row in rows]


def _same_side(one: Message, two: Message) -> bool:
    return (
        one.role == two.role
        and one.role in ("user", "assistant")
        and one.extra == two.extra
        and not _results(one)
        and not _results(two)
        and not any(isinstance(part, ToolCall) for part in one.content)
    )


def _together(row: Sequence[Message]) -> Message:
    """Turns of one side as one; of several people each with its name before the words."""
    first = row[0]
    if all(turn.name == first.name for turn in row):
        return msgspec.structs.replace(
            first, content=_joined([part for turn in row for part in turn.content])
        )
    spoken = [part for turn in row for part in _spoken(turn)]
    return msgspec.structs.replace(first, name=None, content=_joined(spoken))


def _spoken(turn: Message) -> tuple[Part, ...]:
    first = turn.content[0]
    if turn.name is None or not isinstance(first, Text):
        return turn.content
    return (msgspec.structs.replace(first, text=f"{turn.name}: {first.text}"), *turn.content[1:])
