"""Generate requests, one prompt and what belongs to it: both directions."""

from __future__ import annotations

from collections.abc import Mapping

from intellirouter.chat import fields
from intellirouter.chat.billing import without_billing
from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest, Message, Source
from intellirouter.chat.ollama.encode import (
    encode_format,
    encode_image,
    encode_options,
    encode_think,
    lost,
    refuse,
)
from intellirouter.chat.ollama.request import (
    CHAT_FIELDS,
    DIALECT,
    decode_extra,
    decode_images,
    decode_settings,
)
from intellirouter.chat.options import take_options
from intellirouter.chat.parts import Image, Text
from intellirouter.chat.prompt import as_prompt, refuse_all_but_text
from intellirouter.errors import InvalidRequest

GENERATE = "ollama_generate"
# They change what a prompt means, and only a server that runs the model itself could heed them.
_NOT_OURS = ("suffix", "template", "raw", "context")
GENERATE_FIELDS = CHAT_FIELDS - {"messages", "tools"} | {"prompt", "system", "images", *_NOT_OURS}


def decode_request(body: Json, headers: Mapping[str, str]) -> ChatRequest:
    """A generate request: one prompt, answered as a chat of one turn."""
    body, options = take_options(body)
    for name in _NOT_OURS:
        if body.get(name):
            raise InvalidRequest(
                f"'{name}' is not supported here; /api/chat takes whole conversations.", param=name
            )
    prompt = fields.text(body, "prompt") or ""
    system = fields.text(body, "system")
    turns = [Message("system", (Text(system),))] if system else []
    turns.append(Message("user", (Text(prompt), *decode_images(body, ""))))
    return ChatRequest(
        **decode_settings(body),
        messages=tuple(turns),
        options=options,
        extra=decode_extra(body, GENERATE_FIELDS),
        extra_dialect=DIALECT,
        source=Source(GENERATE, body, dict(headers)),
    )


def encode_request(request: ChatRequest, notes: list[str]) -> Json:
    """The JSON object of a request. See `WireFormat.encode_request`."""
    if request.source is not None and request.source.dialect == GENERATE:
        return {**request.source.body, "model": request.model, "stream": request.stream}
    refuse(request)
    refuse_all_but_text(request, "A generate request", notes)
    messages = list(without_billing(request.messages))
    lead = next((i for i, m in enumerate(messages) if m.role not in ("system", "developer")), len(messages))
    lead = min(lead, len(messages) - 1)
    system = "\n\n".join(filter(None, (message.text.strip() for message in messages[:lead])))
    messages = messages[lead:]
    pictures = [part for message in messages for part in message.content if isinstance(part, Image)]
    if pictures:
        messages = [_without_pictures(message) for message in messages]
    optional: Json = {
        "system": system,
        "images": [encode_image(picture) for picture in pictures],
        "format": encode_format(request.output),
        "think": encode_think(request.reasoning, request.model, notes),
        "logprobs": request.logprobs,
        "top_logprobs": request.top_logprobs,
        "options": encode_options(request),
    }
    body: Json = {"model": request.model, "prompt": as_prompt(messages, notes), "stream": request.stream}
    body.update((key, value) for key, value in optional.items() if value not in (None, {}, [], ""))
    if request.extra and request.extra_dialect == DIALECT:
        settings = request.extra.get("options", {})
        body |= request.extra | ({"options": {**settings, **body.get("options", {})}} if settings else {})
    notes.extend(lost(request))
    return body


def _without_pictures(message: Message) -> Message:
    return Message(message.role, tuple(part for part in message.content if not isinstance(part, Image)))
