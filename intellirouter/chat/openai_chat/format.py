"""The format as one record."""

from __future__ import annotations

from intellirouter.chat.openai_chat.content import DIALECT
from intellirouter.chat.openai_chat.decode_stream import ChunkDecoder
from intellirouter.chat.openai_chat.encode import encode_request
from intellirouter.chat.openai_chat.encode_stream import ChunkEncoder
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.chat.openai_chat.request import decode_request
from intellirouter.chat.openai_chat.response import decode_response, encode_response
from intellirouter.chat.wire import WireFormat

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
