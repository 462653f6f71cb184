"""The format as one record."""

from __future__ import annotations

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.chat.openai_completions.request import DIALECT, decode_request, encode_request
from intellirouter.chat.openai_completions.response import decode_response, encode_response
from intellirouter.chat.openai_completions.stream import CompletionDecoder, CompletionEncoder
from intellirouter.chat.wire import WireFormat

FORMAT = WireFormat(
    name=DIALECT,
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    encode_error=encode_error,
    new_decoder=CompletionDecoder,
    new_encoder=CompletionEncoder,
    relay_end=b"data: [DONE]\n\n",
)
