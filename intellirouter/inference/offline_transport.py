"""A transport without a network: it answers `offline:` requests in this process.

The offline provider is an OpenAI-compatible upstream like any other; only the bytes do not leave the house. So dispatch,
fronts and metrics know nothing of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

import msgspec

from intellirouter.chat.delta import Finish, Start, TextDelta, UsageDelta
from intellirouter.chat.openai_chat.format import FORMAT
from intellirouter.chat.parts import Text
from intellirouter.chat.response import ChatResponse, Choice
from intellirouter.errors import UnsupportedByTarget, UpstreamProtocolError
from intellirouter.inference import offline
from intellirouter.inference.provider import Provider
from intellirouter.providers import openai
from intellirouter.providers.adapter import HttpRequest
from intellirouter.transport.contract import Deadlines, Reply, Transport

SCHEME = "offline:"
_CHATS = "/chat/completions"
ANSWER_ID = "chatcmpl-offline"
"""Of every answer of it: whoever wants what only a model can write knows by it that none did."""
OFFLINE = Provider(
    name="offline",
    adapter=openai.COMPATIBLE_ADAPTER,
    base_url="offline://here/v1",
    models=("offline",),
    discover=False,
)


class OfflineReply:
    """The whole answer, already there."""

    status = 200
    idle = 0.0
    headers: Mapping[str, str] = {"content-type": "application/json"}

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `Reply.chunks`."""
        for piece in self._pieces:
            yield piece

    async def read(self, limit: int) -> bytes:
        """See `Reply.read`."""
        body = b"".join(self._pieces)
        if len(body) > limit:
            raise UpstreamProtocolError(f"the answer is longer than {limit} bytes")
        return body

    def close(self) -> None:
        """Nothing to let go."""


class WithOffline:
    """A transport that keeps `offline:` requests at home and passes every other one on."""

    def __init__(self, outside: Transport, advice: Callable[[], str] = lambda: offline.ADVICE) -> None:
        self._outside = outside
        self._advice = advice
        """Why no model answers, in words for whoever asks."""

    def send(
        self, request: HttpRequest, deadlines: Deadlines, on_sent: Callable[[], None] | None = None
    ) -> Coroutine[Any, Any, Reply]:
        """See `Transport.send`."""
        if request.url.startswith(SCHEME):
            return _at_home(request, self._advice)
        return self._outside.send(request, deadlines, on_sent)

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        await self._outside.aclose()


async def _at_home(request: HttpRequest, advice: Callable[[], str]) -> Reply:
    if not request.url.endswith(_CHATS):
        raise UnsupportedByTarget(
            "The model 'offline' only chats. It stands in where no provider is set: set the key of one that does this, such as "
            "OPENAI_API_KEY, or list one in [[model_registry.providers]].",
            param="model",
        )
    return OfflineReply(_answer(request.body, advice()))


def _answer(body: bytes, advice: str) -> list[bytes]:
    request = FORMAT.decode_request(msgspec.json.decode(body), {})
    text, usage = offline.answer(request, advice)
    if not request.stream:
        choice = Choice(content=(Text(text),))
        response = ChatResponse(id=ANSWER_ID, model="offline", choices=(choice,), usage=usage)
        return [FORMAT.encode_response(response)]
    encoder = FORMAT.new_encoder(request)
    words = text.split(" ")
    pieces = [encoder.encode((Start(id=ANSWER_ID, model="offline"),))]
    pieces += [encoder.encode((TextDelta(word if i == 0 else f" {word}"),)) for i, word in enumerate(words)]
    pieces.append(encoder.encode((Finish("stop"), UsageDelta(usage))) + encoder.finish())
    return [piece for piece in pieces if piece]
