"""What a client of each dialect is told of a recorded answer, held against what the vendor said."""

from __future__ import annotations

import json

import msgspec

from intellirouter.chat.anthropic_messages import format as anthropic_messages
from intellirouter.chat.delta import Delta, OpaqueDelta
from intellirouter.chat.gemini import format as gemini
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.ollama import format as ollama
from intellirouter.chat.openai_chat import format as openai_chat
from intellirouter.chat.openai_responses import format as openai_responses
from intellirouter.chat.response import ChatResponse
from intellirouter.chat.wire import WireFormat
from tests.providers.recorded.readers import READERS, Told, events_of
from tests.providers.recorded.rows import Dialect

FRONTS: dict[Dialect, WireFormat] = {
    "chat": openai_chat.FORMAT,
    "responses": openai_responses.FORMAT,
    "messages": anthropic_messages.FORMAT,
    "gemini": gemini.FORMAT,
    "ollama": ollama.FORMAT,
}
_ONE_CHOICE = ("responses", "messages", "ollama")


def whole_on(told: Told, answer: ChatResponse) -> None:
    """A whole answer, written anew for every client."""
    plain = msgspec.structs.replace(answer, raw=None, dialect=None)
    for dialect, wire in FRONTS.items():
        heard = READERS[dialect](events_of(wire.encode_response(plain)))
        same_words(told, heard, dialect)


def stream_on(told: Told, deltas: list[Delta]) -> None:
    """A stream, its deltas one at a time, written anew for every client."""
    for dialect, wire in FRONTS.items():
        encoder = wire.new_encoder(ChatRequest(model="m", messages=(), stream=True, include_usage=True))
        sent = b"".join([*[encoder.encode((delta,)) for delta in deltas], encoder.finish()])
        same_words(told, READERS[dialect](events_of(sent)), dialect)


def same_words(told: Told, heard: Told, dialect: Dialect) -> None:
    """Text, refusals, calls and tokens reach a client of `dialect`."""
    assert heard.model == told.model, dialect
    choices = {0} if dialect in _ONE_CHOICE else told.finishes.keys()
    for choice in choices:
        text = told.text.get(choice, "")
        refusal = told.refusals.get(choice, "")
        if dialect in ("chat", "responses"):
            assert heard.refusals.get(choice, "") == refusal, dialect
            assert heard.text.get(choice, "") == text, dialect
        else:
            assert heard.text.get(choice, "") == text + refusal, dialect
        assert heard.thoughts.get(choice, "").replace("\n", "") == told.thoughts.get(choice, "").replace(
            "\n", ""
        ), dialect
        pairs = [(name, _object(sent)) for name, sent in told.calls.get(choice, ())]
        assert [(name, _object(sent)) for name, sent in heard.calls.get(choice, ())] == pairs, dialect
    if told.usage is not None:
        assert heard.usage is not None, dialect
        assert (heard.usage.read, heard.usage.written) == (told.usage.read, told.usage.written), dialect
        if told.usage.cached and dialect != "ollama":
            assert heard.usage.cached == told.usage.cached, dialect


def _object(arguments: object) -> object:
    """Arguments as JSON values; a custom tool's free text has a place of its own in few dialects."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return {"input": arguments}


def has_own_blocks(deltas: list[Delta]) -> bool:
    """Blocks only the vendor's dialect knows."""
    return any(isinstance(delta, OpaqueDelta) for delta in deltas)
