"""Canonical to a dialect and back is the identity on what the dialect can say."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intellirouter.chat.anthropic_messages import format as anthropic_messages
from intellirouter.chat.gemini import format as gemini
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.ollama import format as ollama
from intellirouter.chat.openai_chat import format as openai_chat
from intellirouter.chat.openai_completions import format as openai_completions
from intellirouter.chat.openai_responses import format as openai_responses
from intellirouter.chat.wire import WireFormat
from tests.chat.round_trips.dialects import DIALECTS

FORMATS: dict[str, WireFormat] = {
    module.FORMAT.name: module.FORMAT
    for module in (openai_chat, openai_responses, anthropic_messages, gemini, ollama, openai_completions)
}


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_request_comes_back_as_it_was(name: str, data: st.DataObject) -> None:
    request = data.draw(DIALECTS[name])
    wire = FORMATS[name]
    notes: list[str] = []
    body = json.loads(json.dumps(wire.encode_request(request, notes)))
    if name == "gemini":
        body |= {"model": request.model, "stream": request.stream}  # they stand in the URL
    again = wire.decode_request(body, {})
    assert not notes
    assert plain(again) == plain(request)


def plain(request: ChatRequest) -> ChatRequest:
    """Without what only says where a request came from."""
    return msgspec.structs.replace(request, source=None, include_usage=True, extra_dialect="any")
