"""The format as one record."""

from __future__ import annotations

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.chat.openai_responses.content import DIALECT
from intellirouter.chat.openai_responses.decode_stream import ResponseEventDecoder
from intellirouter.chat.openai_responses.encode import encode_request
from intellirouter.chat.openai_responses.encode_stream import ResponseEventEncoder
from intellirouter.chat.openai_responses.request import decode_request
from intellirouter.chat.openai_responses.response import decode_response, encode_response
from intellirouter.chat.wire import WireFormat

FORMAT = WireFormat(
    name=DIALECT,
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    encode_error=encode_error,
    new_decoder=ResponseEventDecoder,
    new_encoder=ResponseEventEncoder,
)
