"""Chat completion chunks to deltas.

Block numbers: thoughts are block 0, text 1, a refusal 2, and tool call `i` is block 3 + i, since this dialect has no
blocks of its own and every kind of content may interleave.
"""

from __future__ import annotations

from typing import Any

import msgspec

from intellirouter.chat import foreign
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
from intellirouter.chat.openai_chat.content import (
    DIALECT,
    pictures_in,
    seal_details,
    thinking_words,
    words_in,
)
from intellirouter.chat.openai_chat.endings import decode_finish
from intellirouter.chat.openai_chat.errors import decode_error, says_error
from intellirouter.chat.openai_chat.untidy import tidied
from intellirouter.chat.openai_chat.usage import decode_usage
from intellirouter.chat.parts import NO_ARGUMENTS
from intellirouter.chat.sealed_thoughts import vendor_of
from intellirouter.errors import UpstreamProtocolError

THINKING, TEXT, REFUSAL, FIRST_CALL = 0, 1, 2, 3
PICTURE = TEXT  # the words may go on after it


class _Delta(msgspec.Struct):
    content: Any = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    thinking_blocks: list[dict[str, Any]] | None = None
    reasoning_details: list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    function_call: dict[str, Any] | None = None
    annotations: list[dict[str, Any]] | None = None
    images: list[dict[str, Any]] | None = None
    audio: dict[str, Any] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    message: _Delta | None = None  # of a vendor that sends the whole answer as a chunk
    text: str | None = None  # of one that answers in the form of the older completions
    finish_reason: Any = None
    logprobs: dict[str, Any] | None = None
    usage: Any = None  # Moonshot reports it inside the choice


class _Chunk(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    created: float | None = None
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    service_tier: str | None = None
    system_fingerprint: str | None = None


_chunk = msgspec.json.Decoder(_Chunk)


class ChunkDecoder:
    """See `EventDecoder`."""

    def __init__(self) -> None:
        self._started = False
        self._open: set[int] = set()  # choices that began and have not finished
        self._finished: set[int] = set()
        self._calls: dict[
            tuple[int, int], int
        ] = {}  # (choice, vendor's index) to our index of the latest there
        self._ids: dict[int, dict[int, str]] = {}  # of each choice: our index to its id
        self._given: dict[
            tuple[int, int], str
        ] = {}  # (choice, our index) to the vendor's id, which two may share
        self._taken: set[tuple[int, str]] = set()  # the ids of each choice
        self._silent: dict[int, set[int]] = {}  # functions of each choice of whose arguments nothing came
        self._nameless: dict[
            tuple[int, int], tuple[dict[str, Any], list[str]]
        ] = {}  # calls that wait for their name
        self._thought: set[int] = set()  # choices whose thoughts come as `reasoning_content`
        self._details: dict[int, list[dict[str, Any]]] = {}  # OpenRouter's, of each choice, put together
        self._usage_seen = False
        self._ended = False

    @property
    def complete(self) -> bool:
        """Every choice that began has finished."""
        return self._ended or (bool(self._finished) and not self._open)

    @property
    def done(self) -> bool:
        """`[DONE]` came, or all that it would follow: the finish and the usage we always ask for."""
        return self._ended or (self._usage_seen and self.complete)

    def decode(self, event: str, data: bytes) -> tuple[Delta, ...] | None:
        """One `data:` payload. See `EventDecoder.decode`."""
        if data == b"[DONE]":
            return self._done()
        try:
            chunk = _chunk.decode(data)
        except (msgspec.DecodeError, RecursionError):
            if data.startswith(b"[DONE]"):
                return self._done()
            chunk = _tidied(data)
        if event == "error" or chunk.error or (not chunk.choices and says_error(data)):
            raise decode_error(data)
        deltas: list[Delta] = []
        if not self._started and (chunk.id or chunk.choices):  # Azure's verdict on the prompt has neither
            self._started = True
            deltas.append(_start(chunk))
        for choice in chunk.choices or ():
            self._decode_choice(choice, deltas)
            if choice.usage and not chunk.usage:
                chunk.usage = choice.usage
        if chunk.usage and (usage := decode_usage(chunk.usage)):
            self._usage_seen = True
            deltas.append(UsageDelta(usage))
        return tuple(deltas)

    def _done(self) -> tuple[Delta, ...] | None:
        """The end of the stream, with finishes for the choices that their vendor told none of."""
        self._ended = True
        ends: list[Delta] = []
        for index in sorted(self._open):
            self._decode_finish("stop", index, ends)
        return tuple(ends) or None

    def _decode_choice(self, choice: _Choice, deltas: list[Delta]) -> None:
        index, delta = choice.index, choice.delta
        if not 0 <= index < foreign.MAX_CHOICES:
            raise UpstreamProtocolError(f"the provider sent an answer of the number {index}")
        if delta is None and index not in self._open:
            delta = choice.message or (_Delta(content=choice.text) if choice.text else None)
        if index not in self._finished:
            self._open.add(index)
        if delta is not None:
            self._decode_content(delta, choice, deltas)
            if delta.tool_calls:
                for position, call in enumerate(delta.tool_calls):
                    self._decode_call(call, position, index, deltas)
            if delta.function_call:
                self._decode_call({"index": 0, "function": delta.function_call}, 0, index, deltas)
        if choice.finish_reason:
            self._decode_finish(choice.finish_reason, index, deltas)

    def _decode_finish(self, word: Any, index: int, deltas: list[Delta]) -> None:
        """The end of a choice, which OpenRouter tells twice. A forced call ends with `stop` at OpenAI."""
        if index in self._finished:
            return
        self._open.discard(index)
        self._finished.add(index)
        for key in [key for key in self._nameless if key[0] == index]:
            self._begin_call(*key, "", deltas)
        deltas.extend(
            ToolCallArguments(call, NO_ARGUMENTS, FIRST_CALL + call, index)
            for call in sorted(self._silent.pop(index, ()))
        )
        if details := self._details.pop(index, None):
            deltas.append(ThinkingDelta("", THINKING, index, seal_details(details), signer="openrouter"))
        reason, detail = decode_finish(word, bool(self._ids.get(index)))
        deltas.append(Finish(reason or "stop", index, detail))

    def _decode_content(self, delta: _Delta, choice: _Choice, deltas: list[Delta]) -> None:
        index = choice.index
        thought = delta.reasoning_content or (delta.reasoning if isinstance(delta.reasoning, str) else "")
        if delta.reasoning_details:
            thought = thought or words_in(delta.reasoning_details)
            gather(self._details.setdefault(index, []), delta.reasoning_details)
        if thought:
            self._thought.add(index)
            deltas.append(ThinkingDelta(thought, THINKING, index))
        if delta.thinking_blocks:
            told = index in self._thought
            deltas.extend(_thinking_block(block, index, told=told) for block in delta.thinking_blocks)
        if isinstance(delta.content, str):
            if delta.content or choice.logprobs:
                deltas.append(TextDelta(delta.content, TEXT, index, choice.logprobs))
        elif isinstance(delta.content, list):
            deltas.extend(_content_chunks(delta.content, index))
        elif choice.logprobs:
            deltas.append(TextDelta("", TEXT, index, choice.logprobs))
        if delta.refusal:
            deltas.append(RefusalDelta(delta.refusal, REFUSAL, index))
        if delta.annotations:
            deltas.extend(AnnotationDelta(note, None, TEXT, index) for note in delta.annotations)
        if delta.images:
            deltas.extend(
                ImageDelta(p.data, p.media_type, p.url, PICTURE, index) for p in pictures_in(delta.images)
            )
        if delta.audio:
            deltas.append(OpaqueDelta(DIALECT, {"audio": delta.audio}, TEXT, index))

    def _decode_call(self, call: dict[str, Any], position: int, choice: int, deltas: list[Delta]) -> None:
        key = (choice, _vendor_index(call, position))
        body = call.get("function") or call.get("custom")
        if not isinstance(body, dict):
            body = {}
        fragment = body.get("arguments") if "custom" not in call else body.get("input")
        if isinstance(fragment, dict):  # a vendor that sends the arguments as an object
            fragment = msgspec.json.encode(fragment).decode()
        given, name = str(call.get("id") or ""), str(body.get("name") or "")
        known = self._calls.get(key)
        # Parallel calls may share an index, or have none: a call begins with a name and an id of its own. An id alone
        # begins nothing, since some vendors make a new one for every piece.
        fresh = known is None or bool(given and name and given != self._given[choice, known])
        if fresh:
            known = self._calls[key] = len(self._ids.setdefault(choice, {}))
            self._given[choice, known] = given
            if not given or (choice, given) in self._taken:
                given = self._own_id(choice, given or name or str(known))
            self._ids[choice][known] = given
            self._taken.add((choice, given))
            self._nameless[choice, known] = (call, [])
            if "custom" not in call:
                self._silent.setdefault(choice, set()).add(known)
        index = known or 0
        waiting = self._nameless.get((choice, index))
        if fragment:
            self._silent.get(choice, set()).discard(index)
        if waiting is None:
            if fragment:
                deltas.append(ToolCallArguments(index, str(fragment), FIRST_CALL + index, choice))
            return
        if fragment:
            waiting[1].append(str(fragment))
        if name:
            self._begin_call(choice, index, name, deltas)

    def _begin_call(self, choice: int, index: int, name: str, deltas: list[Delta]) -> None:
        """Tell of a call whose name is known: some vendors send it after the id."""
        call, fragments = self._nameless.pop((choice, index))
        block = FIRST_CALL + index
        deltas.append(
            ToolCallStart(
                index=index,
                id=self._ids[choice][index],
                name=name,
                kind="custom" if "custom" in call else "function",
                block=block,
                choice=choice,
                signature=_signature(call),
            )
        )
        deltas.extend(ToolCallArguments(index, fragment, block, choice) for fragment in fragments)

    def _own_id(self, choice: int, name: str) -> str:
        """An id for a call that came without one of its own, which no other call of the answer has."""
        wanted = name if name.startswith("call_") else f"call_{name}"
        return wanted if (choice, wanted) not in self._taken else f"{wanted}_{len(self._ids[choice])}"


def _tidied(data: bytes) -> _Chunk:
    """A chunk of which some fields are of another type than in this dialect."""
    try:
        return msgspec.convert(tidied(data), _Chunk)
    except (msgspec.ValidationError, RecursionError, TypeError, ValueError) as cause:
        raise UpstreamProtocolError("an event of the stream is not a chat completion chunk") from cause


def gather(whole: list[dict[str, Any]], pieces: list[dict[str, Any]]) -> None:
    """Add pieces of `reasoning_details` to what came before: words of one detail come in several."""
    for piece in pieces:
        last = whole[-1] if whole else None
        same = last is not None and (last.get("type"), last.get("index")) == (
            piece.get("type"),
            piece.get("index"),
        )
        if last is None or not same:
            whole.append(dict(piece))
            continue
        for key, value in piece.items():
            joined = key in ("text", "summary", "data") and isinstance(value, str)
            if joined and isinstance(last.get(key), str):
                last[key] += value
            elif value is not None:
                last[key] = value


def _start(chunk: _Chunk) -> Start:
    return Start(
        id=chunk.id or "",
        model=chunk.model or "",
        created=int(chunk.created or 0),
        service_tier=chunk.service_tier,
        system_fingerprint=chunk.system_fingerprint,
    )


def _vendor_index(call: dict[str, Any], position: int) -> int:
    index = call.get("index")
    return index if isinstance(index, int) else position


def _signature(call: dict[str, Any]) -> str | None:
    extra = call.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else None


def _thinking_block(block: dict[str, Any], choice: int, *, told: bool) -> Delta:
    """A block; its words are left out where they were `told` as `reasoning_content` already."""
    if block.get("type") == "redacted_thinking":
        return RedactedThinkingDelta(str(block.get("data") or ""), THINKING, choice)
    return ThinkingDelta(
        text="" if told else str(block.get("thinking") or ""),
        block=THINKING,
        choice=choice,
        signature=block.get("signature"),
        encrypted=block.get("encrypted_content"),
        id=block.get("id"),
        signer=vendor_of(block.get("signer")),
    )


def _content_chunks(chunks: list[Any], choice: int) -> list[Delta]:
    deltas: list[Delta] = []
    for chunk in chunks:
        if not isinstance(chunk, dict):
            continue
        if chunk.get("type") == "thinking":
            deltas.append(ThinkingDelta(thinking_words(chunk.get("thinking")), THINKING, choice))
        elif chunk.get("type") == "text":
            deltas.append(TextDelta(str(chunk.get("text") or ""), TEXT, choice))
        else:
            deltas.append(OpaqueDelta(DIALECT, chunk, TEXT, choice))
    return deltas
