"""The format as two records: events with `?alt=sse`, one JSON array without."""

from __future__ import annotations

from dataclasses import replace

from intellirouter.chat.gemini.encode import encode_request
from intellirouter.chat.gemini.errors import encode_error
from intellirouter.chat.gemini.parts import DIALECT
from intellirouter.chat.gemini.request import decode_request
from intellirouter.chat.gemini.response import decode_response, encode_response
from intellirouter.chat.gemini.stream import ArrayEncoder, ResponseDecoder, ResponseEncoder
from intellirouter.chat.wire import WireFormat

FORMAT = WireFormat(
    name=DIALECT,
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    encode_error=encode_error,
    new_decoder=ResponseDecoder,
    new_encoder=ResponseEncoder,
    takes_comments=False,  # Google's own client takes one for half an answer
)

# Another name, because events are never relayed into an array.
ARRAY_FORMAT = replace(
    FORMAT, name="gemini_array", new_encoder=ArrayEncoder, stream_media_type="application/json"
)
