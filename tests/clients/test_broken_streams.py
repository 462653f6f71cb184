"""A stream that breaks after its first words: every client raises, none takes half an answer for a whole one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anthropic
import mistralai.client.errors as mistral_errors
import ollama
import openai
import pytest
from google.genai import errors as google_errors

from tests.clients import anthropic_sdk, google_sdk, mistral_sdk, ollama_sdk, openai_sdk
from tests.clients.seen import Client
from tests.conftest import StartNode, StartVendor, provider
from tests.servers.dialects.table import STAND_INS
from tests.servers.vendor import Play, Received

CLIENTS: dict[str, tuple[Any, Callable[[Any, str], Client], type[Exception]]] = {
    "openai": (openai_sdk, openai_sdk.OpenAIChat, openai.APIError),
    "openai_responses": (openai_sdk, openai_sdk.OpenAIResponses, openai.APIError),
    "anthropic": (anthropic_sdk, anthropic_sdk.Anthropic, anthropic.APIStatusError),
    "google": (google_sdk, google_sdk.Google, google_errors.APIError),
    "mistral": (mistral_sdk, mistral_sdk.Mistral, mistral_errors.MistralError),
    "ollama": (ollama_sdk, ollama_sdk.Ollama, ollama.ResponseError),
}
KINDS = ["openai", "openai_responses", "anthropic", "google", "mistral", "ollama"]
OVERLOADED: dict[str, bytes] = {
    "openai": b'data: {"error": {"message": "Overloaded for now", "type": "server_error"}}\n\n',
    "openai_responses": b"event: error\ndata: "
    + json.dumps({"type": "error", "code": "server_error", "message": "Overloaded for now"}).encode()
    + b"\n\n",
    "anthropic": b"event: error\ndata: "
    + json.dumps(
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded for now"}}
    ).encode()
    + b"\n\n",
    "google": b'data: {"error": {"code": 503, "message": "Overloaded for now", "status": "UNAVAILABLE"}}\n\n',
    "mistral": b'data: {"error": {"message": "Overloaded for now", "type": "server_error"}}\n\n',
    "ollama": b'{"error": "Overloaded for now"}\n',
}


@pytest.mark.parametrize("how", ["cut", "error"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by", CLIENTS)
async def test_a_client_is_told_of_a_stream_that_broke(
    start_node: StartNode, start_vendor: StartVendor, by: str, kind: str, how: str
) -> None:
    end = b"\n" if kind == "ollama" else b"\r\n\r\n" if kind == "google" else b"\n\n"

    def breaks(request: Received) -> Play:
        whole = STAND_INS[kind].answer(request)
        begun = b"".join(piece for piece in whole.pieces if isinstance(piece, bytes)).split(end)[:9]
        pieces = [piece + end for piece in begun]
        if how == "error":
            return Play([*pieces, OVERLOADED[kind]], headers=whole.headers)
        return Play([*pieces, 0.02], headers=whole.headers, end="reset")

    vendor = await start_vendor(breaks)
    settings = '[router]\nmid_stream = "error"\nmax_attempts = 1\n'
    node = await start_node(provider(vendor, kind=kind) + settings)
    module, begin, error = CLIENTS[by]
    sdk = module.connect(node.listening[0].url)
    with pytest.raises(error) as raised:
        await begin(sdk, "primary/m").ask("Tell me more.", stream=True)
    if how == "error":
        assert "the provider primary answered 5" in str(raised.value)
        assert "Overloaded" not in str(
            raised.value
        )  # what a failing server says may be anything: it is for the log
    assert len(vendor.received) == 1
    await module.disconnect(sdk)
