"""What a role is asked over gRPC: a call's document, what is made of it, and the answer's bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from intellirouter.bounds.aside import LONG
from intellirouter.bounds.json_values import holds_more_than
from intellirouter.bounds.marks import is_long
from intellirouter.chat import openai_embeddings
from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.openai_chat.format import FORMAT
from intellirouter.errors import (
    InvalidRequest,
    PermissionDenied,
    UpstreamProtocolError,
)
from intellirouter.peers.contract import (
    Call,
    ChainRunner,
    ChatCompleter,
    PersonaResolver,
    RetrievalRequest,
    Retriever,
)
from intellirouter.peers.documents import caller_document, judgement_of, owner_of, persona_document
from intellirouter.peers.edges import Centre, batch_of
from intellirouter.peers.grpc import wire

T = TypeVar("T")


class Document(dict[str, Any]):
    """A call's document. `long`: of so many values that what is made of it is made off the event loop."""

    long = False


async def document(message: bytes, most_values: int, call: Call) -> Document:
    """Read here rather than by gRPC, which lets strangers' bytes be read, and answers `UNKNOWN` to those it cannot read."""
    try:
        body = wire.decode(message)
        if len(body) > 2 * most_values and await holds_more_than(most_values, body):
            raise InvalidRequest(
                f"The document holds more than {most_values:,} values (server.max_body_values)."
            )
        long = is_long(body)
        data = await _made(long, call, lambda: msgspec.json.decode(body))
    except UpstreamProtocolError as cause:
        raise InvalidRequest(f"{cause}.") from cause
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
        raise InvalidRequest(f"The document is not valid JSON: {cause}.") from cause
    if not isinstance(data, dict):
        raise InvalidRequest("The document must be a JSON object.")
    document = Document(data)
    document.long = long
    return document


async def _made(long: bool, call: Call, make: Callable[[], T]) -> T:
    return await LONG.run(call.caller.tenant, make) if long else make()


async def chat_of(body: Document, call: Call, *, stream: bool) -> ChatRequest:
    """The request of a document; of a long one it is made off the event loop, and routed as a long one."""
    asked = {**body, "stream": stream}
    chat = await _made(body.long, call, lambda: FORMAT.decode_request(asked, {}))
    return chat.routed(long=True) if body.long else chat


def _text(body: Json, name: str) -> str:
    if not isinstance(value := body.get(name), str):
        raise InvalidRequest(f"{name} must be a string.", param=name)
    return value


def _object(body: Json, name: str) -> Json:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise InvalidRequest(f"{name} must be a JSON object.", param=name)
    return value or {}


async def _complete(peer: ChatCompleter, body: Document, call: Call) -> bytes:
    response = await peer.complete(await chat_of(body, call, stream=False), call)
    cost = b'{"intellirouter":%b,' % msgspec.json.encode({"cost_usd": response.cost_usd})
    return cost + FORMAT.encode_response(response)[1:]


async def _embed(peer: ChatCompleter, body: Json, call: Call) -> bytes:
    wanted = openai_embeddings.decode_request(body)
    return openai_embeddings.encode_response(await peer.embed(wanted, call), wanted)


async def _caller(peer: ChatCompleter, body: Json, call: Call) -> bytes:
    return msgspec.json.encode(caller_document(await peer.caller_of(owner_of(body), call)))


async def _outcomes(peer: ChatCompleter, body: Json, call: Call) -> bytes:
    return msgspec.json.encode({"learnt": await peer.judge(judgement_of(body), call)})


async def _retrieve(peer: Retriever, body: Json, call: Call) -> bytes:
    try:
        wanted = msgspec.convert(body, RetrievalRequest)
    except msgspec.ValidationError as cause:
        raise InvalidRequest(f"{cause}.") from cause
    return msgspec.json.encode(await peer.retrieve(wanted, call))


async def _resolve(peer: PersonaResolver, body: Json, call: Call) -> bytes:
    if not (call.caller.via or call.caller.may("personas:write")):
        raise PermissionDenied("What a persona says is told to who has the permission 'personas:write'.")
    resolved = await peer.resolve(_text(body, "persona"), _object(body, "variables"), call)
    return msgspec.json.encode(persona_document(resolved))


async def _run(peer: ChainRunner, body: Json, call: Call) -> bytes:
    return msgspec.json.encode(await peer.run(_text(body, "chain"), _object(body, "input"), call))


async def _take(peer: Centre, body: Json, call: Call) -> bytes:
    return msgspec.json.encode(await peer.take(batch_of(body), call))


UNARY: dict[str, dict[str, Callable[[Any, Document, Call], Awaitable[bytes]]]] = {
    "Router": {"Complete": _complete, "Embed": _embed, "Caller": _caller, "Outcomes": _outcomes},
    "RagManager": {"Retrieve": _retrieve},
    "PersonaLayer": {"Resolve": _resolve},
    "ChainEngine": {"Run": _run, "Take": _take},
}
"""Of each role its methods that answer once, by their names."""
