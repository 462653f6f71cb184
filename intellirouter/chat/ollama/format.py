"""The formats as records: chat, and generate."""

from __future__ import annotations

import dataclasses

from intellirouter.chat.ollama.encode import encode_request
from intellirouter.chat.ollama.errors import encode_error
from intellirouter.chat.ollama.generate import GENERATE
from intellirouter.chat.ollama.generate import decode_request as decode_generate
from intellirouter.chat.ollama.generate import encode_request as encode_generate
from intellirouter.chat.ollama.request import DIALECT, decode_request
from intellirouter.chat.ollama.response import (
    decode_response,
    encode_generated,
    encode_response,
)
from intellirouter.chat.ollama.stream import GenerateEncoder, LineDecoder, LineEncoder
from intellirouter.chat.wire import WireFormat

NDJSON = "application/x-ndjson"

FORMAT = WireFormat(
    name=DIALECT,
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    encode_error=encode_error,
    new_decoder=LineDecoder,
    new_encoder=LineEncoder,
    stream_media_type=NDJSON,
)
GENERATE_FORMAT = dataclasses.replace(
    FORMAT,
    name=GENERATE,
    decode_request=decode_generate,
    encode_request=encode_generate,
    encode_response=encode_generated,
    new_encoder=GenerateEncoder,
)
