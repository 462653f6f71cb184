"""A whole answer as a stream would have told it, and what a stream told as the whole answer that it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from intellirouter.chat.delta import (
    AnnotationDelta,
    Delta,
    Finish,
    ImageDelta,
    OpaqueDelta,
    RedactedThinkingDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolCallArguments,
    ToolCallStart,
    UsageDelta,
)
from intellirouter.chat.openai_chat.content import DIALECT as CHAT
from intellirouter.chat.openai_chat.content import encode_audio
from intellirouter.chat.parts import (
    Audio,
    Image,
    Opaque,
    Part,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from intellirouter.chat.response import ChatResponse, Choice

_Piece = (
    TextDelta
    | RefusalDelta
    | ThinkingDelta
    | RedactedThinkingDelta
    | ToolCallStart
    | ToolCallArguments
    | AnnotationDelta
    | ImageDelta
    | OpaqueDelta
)


def deltas_of(response: ChatResponse) -> tuple[Delta, ...]:
    """A whole answer as a stream would have told it."""
    deltas: list[Delta] = [
        Start(
            response.id,
            response.model,
            response.created,
            service_tier=response.service_tier,
            system_fingerprint=response.system_fingerprint,
        )
    ]
    for choice in response.choices:
        calls, likely = 0, choice.logprobs
        for block, part in enumerate(choice.content):
            if isinstance(part, ToolCall):
                deltas += _told_call(part, calls, block, choice.index)
                calls += 1
            else:
                deltas += _told(part, block, choice.index, likely if isinstance(part, Text) else None)
                likely = None if isinstance(part, Text) else likely
        deltas.append(
            Finish(choice.finish_reason or "stop", choice.index, choice.finish_detail, choice.stop_sequence)
        )
    if response.usage is not None:
        deltas.append(UsageDelta(response.usage))
    return tuple(deltas)


def _told_call(call: ToolCall, index: int, block: int, choice: int) -> list[Delta]:
    start = ToolCallStart(index, call.id, call.name, call.kind, block, choice, call.signature)
    return [start, ToolCallArguments(index, call.arguments, block, choice)]


def _told(part: Part, block: int, choice: int, likely: dict[str, Any] | None) -> list[Delta]:
    match part:
        case Text():
            cited = [AnnotationDelta(note, None, block, choice) for note in part.annotations]
            cited += [AnnotationDelta(None, note, block, choice) for note in part.citations]
            return [TextDelta(part.text, block, choice, likely, part.signature), *cited]
        case Refusal():
            return [RefusalDelta(part.text, block, choice)]
        case Thinking():
            return [
                ThinkingDelta(part.text, block, choice, part.signature, part.encrypted, part.id, part.signer)
            ]
        case RedactedThinking():
            return [RedactedThinkingDelta(part.data, block, choice)]
        case Image():
            return [ImageDelta(part.data, part.media_type, part.url, block, choice)]
        case Opaque():
            return [OpaqueDelta(part.dialect, part.data, block, choice)]
        case Audio():  # as it is streamed in the dialect that has it
            return [OpaqueDelta(CHAT, {"audio": encode_audio(part)}, block, choice)]
        case _:
            return []


def answer_of(deltas: Iterable[Delta], dialect: str | None = None) -> ChatResponse:
    """What a stream told, as a whole answer; its order is that of the blocks as they began."""
    start, usage = Start(), None
    pieces: dict[int, dict[tuple[str, int], list[_Piece]]] = {}
    ends: dict[int, Finish] = {}
    for delta in deltas:
        match delta:
            case Start():
                start, usage = delta, delta.usage or usage
            case UsageDelta():
                usage = delta.usage
            case Finish():
                ends[delta.choice] = delta
            case _:
                of_choice = pieces.setdefault(delta.choice, {})
                of_choice.setdefault((_kind(delta), delta.block), []).append(delta)
    return ChatResponse(
        id=start.id,
        model=start.model,
        created=start.created,
        choices=tuple(
            _choice(index, pieces.get(index, {}), ends.get(index)) for index in sorted({*pieces, *ends})
        ),
        usage=usage,
        service_tier=start.service_tier,
        system_fingerprint=start.system_fingerprint,
        dialect=dialect,
    )


def _kind(delta: _Piece) -> str:
    match delta:
        case TextDelta() | AnnotationDelta():
            return "text"
        case ToolCallStart() | ToolCallArguments():
            return "call"
        case RefusalDelta():
            return "refusal"
        case ThinkingDelta():
            return "thinking"
        case _:
            return "whole"


def _choice(index: int, blocks: dict[tuple[str, int], list[_Piece]], end: Finish | None) -> Choice:
    parts = [part for pieces in blocks.values() for part in _parts(pieces)]
    likely = [
        one
        for pieces in blocks.values()
        for piece in pieces
        if isinstance(piece, TextDelta) and piece.logprobs
        for one in piece.logprobs.get("content") or ()
    ]
    return Choice(
        content=tuple(parts),
        finish_reason=None if end is None else end.reason,
        finish_detail=None if end is None else end.detail,
        stop_sequence=None if end is None else end.stop_sequence,
        index=index,
        logprobs={"content": likely} if likely else None,
    )


def _parts(pieces: list[_Piece]) -> list[Part]:
    """The pieces of one block as the part that they make; of whole ones each is a part."""
    words = "".join(p.text for p in pieces if isinstance(p, (TextDelta, RefusalDelta, ThinkingDelta)))
    match pieces[0]:
        case TextDelta() | AnnotationDelta():
            told = [p for p in pieces if isinstance(p, TextDelta)]
            cited = [p for p in pieces if isinstance(p, AnnotationDelta)]
            text = Text(
                words,
                annotations=tuple(p.annotation for p in cited if p.annotation is not None),
                citations=tuple(p.citation for p in cited if p.citation is not None),
                signature=next((p.signature for p in told if p.signature), None),
            )
            return [text] if words or text.signature else []
        case RefusalDelta():
            return [Refusal(words)]
        case ThinkingDelta():
            return [_thought(words, [p for p in pieces if isinstance(p, ThinkingDelta)])]
        case ToolCallStart() as call:
            written = "".join(p.fragment for p in pieces if isinstance(p, ToolCallArguments))
            return [ToolCall(call.id, call.name, written, call.kind, call.signature)]
        case _:
            return [part for piece in pieces if (part := _whole(piece)) is not None]


def _thought(words: str, pieces: list[ThinkingDelta]) -> Thinking:
    thought = Thinking(words)
    for piece in pieces:
        told = {
            name: value
            for name in ("signature", "encrypted", "id", "signer")
            if (value := getattr(piece, name)) is not None
        }
        thought = msgspec.structs.replace(thought, **told) if told else thought
    return thought


def _whole(piece: _Piece) -> Part | None:
    match piece:
        case RedactedThinkingDelta():
            return RedactedThinking(piece.data)
        case ImageDelta():
            return Image(url=piece.url, data=piece.data, media_type=piece.media_type)
        case OpaqueDelta():
            return Opaque(piece.dialect, piece.data)
        case _:
            return None
