"""The format as one record."""

from __future__ import annotations

from intellirouter.chat.anthropic_messages.blocks import DIALECT
from intellirouter.chat.anthropic_messages.decode_stream import EventReader
from intellirouter.chat.anthropic_messages.encode import encode_request
from intellirouter.chat.anthropic_messages.encode_stream import MessageEventEncoder
from intellirouter.chat.anthropic_messages.errors import encode_error
from intellirouter.chat.anthropic_messages.request import decode_request
from intellirouter.chat.anthropic_messages.response import decode_response, encode_response
from intellirouter.chat.wire import WireFormat

FORMAT = WireFormat(
    name=DIALECT,
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    encode_error=encode_error,
    new_decoder=EventReader,
    new_encoder=MessageEventEncoder,
    request_id_header="request-id",
    pictures=False,
)
