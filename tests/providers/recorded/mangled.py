"""Recorded answers with something wrong in them: an answer is read, or the vendor is blamed, and nothing else."""

from __future__ import annotations

import json
import random

import msgspec

from intellirouter.chat.model import ChatRequest
from intellirouter.errors import UpstreamError
from intellirouter.providers.adapter import Adapter, HttpResponse
from intellirouter.providers.table import ADAPTERS
from tests.providers.recorded.check import deltas_of
from tests.providers.recorded.readers import events_of
from tests.providers.recorded.rows import Row
from tests.providers.recorded.told_on import FRONTS
from tests.roles.router.fuzz.mutate import mutated


def check_mangled(row: Row, seed: int) -> None:
    """Mangle a row's answer and read it; what was read can be told on to every client."""
    assert row.claim is not None
    adapter, dice = ADAPTERS[row.claim.kind], random.Random(f"{row.id} {seed}")
    try:
        if row.claim.task == "embeddings" and adapter.parse_embeddings is not None:
            adapter.parse_embeddings(HttpResponse(200, {}, _mangled(row.body, dice)))
        elif row.claim.task == "count" and adapter.parse_count is not None:
            adapter.parse_count(HttpResponse(200, {}, _mangled(row.body, dice)))
        elif row.stream:
            _stream(row, adapter, dice)
        else:
            _whole(row, adapter, dice)
    except UpstreamError:
        return


def _mangled(body: bytes, dice: random.Random) -> bytes:
    return json.dumps(mutated(json.loads(body), dice)).encode("utf-8", "surrogatepass")


def _whole(row: Row, adapter: Adapter, dice: random.Random) -> None:
    response = HttpResponse(200, {}, _mangled(row.body, dice))
    answer = adapter.parse_chat(response)
    if adapter.peek_chat is not None:
        adapter.peek_chat(response)
    plain = msgspec.structs.replace(answer, raw=None, dialect=None)
    for wire in FRONTS.values():
        wire.encode_response(plain)


def _stream(row: Row, adapter: Adapter, dice: random.Random) -> None:
    events = events_of(row.body)
    at = dice.randrange(len(events))
    events[at] = mutated(events[at], dice)
    line = b"%b\n" if adapter.wire.name.startswith("ollama") else b"data: %b\n\n"
    body = b"".join(line % json.dumps(event).encode("utf-8", "surrogatepass") for event in events)
    deltas = deltas_of(adapter, [body])
    for wire in FRONTS.values():
        encoder = wire.new_encoder(ChatRequest(model="m", messages=(), stream=True, include_usage=True))
        for delta in deltas:
            encoder.encode((delta,))
        encoder.finish()
