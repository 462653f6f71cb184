"""The format as one record."""

from __future__ import annotations

import msgspec

from intellirouter.chat.fields import Json
from intellirouter.chat.mistral.request import DIALECT, decode_request, relayed_body, spoken_body
from intellirouter.chat.mistral.response import decode_response, encode_response
from intellirouter.chat.mistral.stream import ChunkEncoder
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.openai_chat.content import DIALECT as OPENAI
from intellirouter.chat.openai_chat.decode_stream import ChunkDecoder
from intellirouter.chat.openai_chat.encode import encode_request as encode_openai
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.chat.parts import File, Opaque, Part
from intellirouter.chat.wire import WireFormat


def _with_document_urls(request: ChatRequest) -> ChatRequest:
    """Documents by URL as Mistral has them: OpenAI's dialect, which says the rest, has none."""
    return request.changed(
        messages=tuple(
            msgspec.structs.replace(message, content=tuple(_with_url(part) for part in message.content))
            if any(isinstance(part, File) and part.url for part in message.content)
            else message
            for message in request.messages
        )
    )


def _with_url(part: Part) -> Part:
    if not isinstance(part, File) or not part.url:
        return part
    named = {"document_name": name} if (name := part.filename or part.title) else {}
    return Opaque(OPENAI, {"type": "document_url", "document_url": part.url, **named})


def encode_request(request: ChatRequest, notes: list[str]) -> Json:
    """The JSON object of a request. See `WireFormat.encode_request`."""
    source = request.source
    if source is not None and source.dialect == DIALECT:
        return relayed_body(request, source.body)
    written = encode_openai(_with_document_urls(request), notes)
    if any("thinking_blocks" in message for message in written["messages"]):
        notes.append(
            "What seals thoughts of earlier turns was left out: mistral takes back only their words."
        )
    body = spoken_body(written)
    body.pop("stream_options", None)
    return body | request.extra if request.extra_dialect == DIALECT else body


FORMAT = WireFormat(
    name=DIALECT,
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    encode_error=encode_error,
    new_decoder=ChunkDecoder,
    new_encoder=ChunkEncoder,
    relay_end=b"data: [DONE]\n\n",
)
