"""Recorded vendor answers through a running Router: unchanged to a client of the vendor's dialect, true to any other."""

from __future__ import annotations

import random
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor
from tests.providers.recorded.readers import READERS, events_of
from tests.providers.recorded.rows import FOLDER, Dialect, Row, rows
from tests.providers.recorded.told_on import same_words
from tests.servers.vendor import Play, Received

pytestmark = pytest.mark.skipif(
    not FOLDER.exists(), reason="the recorded vendor traffic is not beside this clone"
)
FRONTS: dict[Dialect, str] = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "ollama": "/api/chat",
}
OTHERS: tuple[Dialect, ...] = ("chat", "responses", "messages", "gemini", "ollama")
HELLO = "Hello."
ASKED: dict[Dialect, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": HELLO}], "stream_options": {"include_usage": True}},
    "responses": {"input": HELLO},
    "messages": {"max_tokens": 100, "messages": [{"role": "user", "content": HELLO}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": HELLO}]}]},
    "ollama": {"messages": [{"role": "user", "content": HELLO}]},
}
KEPT_THERE = {"background", "previous_response_id", "conversation"}


class Recorded:
    """The rows, each played to whoever asks for the model of its id."""

    def __init__(self) -> None:
        self.rows = {
            row.id: row
            for row in rows()
            if row.claim is not None
            and row.claim.task == "chat"
            and row.status < 300
            and isinstance(row.request, dict)
            and not KEPT_THERE & row.request.keys()
        }

    @property
    def kinds(self) -> set[str]:
        """The adapters that claim them."""
        return {row.claim.kind for row in self.rows.values() if row.claim is not None}

    def play(self, request: Received) -> Play:
        """The answer of the row asked for, in pieces."""
        path = request.path.partition("?")[0]
        model = path.rpartition("/")[2].partition(":")[0] if "/models/" in path else request.json["model"]
        row = self.rows[model]
        dice = random.Random(row.id)
        cuts = sorted({dice.randrange(len(row.body)) for _ in range(5)})
        pieces = [row.body[a:b] for a, b in zip([0, *cuts], [*cuts, len(row.body)], strict=True)]
        return Play(pieces, headers={"content-type": row.headers.get("content-type", "application/json")})


def told_error(row: Row) -> bool:
    """The recorded answer is itself a failure, or not yet one."""
    assert row.claim is not None
    return READERS[row.claim.dialect](events_of(row.body)).error is not None


def address(dialect: Dialect, model: str, stream: bool, generate: bool = False) -> str:
    """Where a client of `dialect` asks."""
    if dialect == "gemini":
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/v1beta/models/{model}:{method}"
    return "/api/generate" if generate else FRONTS[dialect]


async def ask(http: aiohttp.ClientSession, url: str, body: dict[str, Any], agent: str = "test") -> bytes:
    """The whole of an answer that must be a success."""
    async with http.post(url, json=body, headers={"user-agent": agent}) as reply:
        answer = await reply.read()
        assert reply.status == 200, answer
        return answer


def without_usage_alone(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events, but for one that only tells usage: who did not ask for it is not told."""
    return [data for data in objects if not (data.get("usage") and "choices" in data and not _says(data))]


def _says(chunk: dict[str, Any]) -> bool:
    return any(
        choice.get("finish_reason")
        or choice.get("text")
        or any(value for name, value in (choice.get("delta") or {}).items() if name != "role")
        for choice in chunk["choices"]
    )


async def test_recorded_answers_reach_clients_of_their_own_dialect_unchanged_and_of_others_in_full(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    recorded = Recorded()
    vendor = await start_vendor(recorded.play)
    providers = [
        f'[[model_registry.providers]]\nname = "{kind}"\nkind = "{kind}"\nendpoint = "{vendor.url}/v1"\ndiscover = false\n'
        for kind in sorted(recorded.kinds)
    ]
    node = await start_node("\n".join(providers))
    url = node.listening[0].url
    relayed = translated = 0
    for row in recorded.rows.values():
        if told_error(row):
            continue
        try:
            relayed += await check_own(http, url, row)
            translated += await check_other(http, url, row)
        except AssertionError as error:
            raise AssertionError(f"{row.id} of {row.source}: {error}") from error
    assert relayed > 800
    assert translated > 800


async def check_own(http: aiohttp.ClientSession, url: str, row: Row) -> bool:
    """A client of the vendor's dialect: the same bytes, or for a stream the same events."""
    assert row.claim is not None
    dialect, model = row.claim.dialect, f"{row.claim.kind}/{row.id}"
    body = {**row.request, "model": model, "stream": row.stream}
    if dialect == "completions" and not isinstance(body["prompt"], str):
        return False  # several prompts are refused
    if dialect == "responses":
        body["store"] = False  # one that is kept here goes out with an id of ours
    if dialect == "gemini":
        del body["model"], body["stream"]
    agent = "mistral-client-python/1.0" if row.claim.kind == "mistral" else "test"
    where = address(dialect, model, row.stream, row.path.endswith("generate"))
    answer = await ask(http, url + where, body, agent)
    if row.stream:
        assert without_usage_alone(events_of(answer)) == without_usage_alone(events_of(row.body))
    else:
        assert answer == row.body
    return True


async def check_other(http: aiohttp.ClientSession, url: str, row: Row) -> bool:
    """A client of another dialect, a different one from row to row."""
    assert row.claim is not None
    others = [dialect for dialect in OTHERS if dialect != row.claim.dialect]
    dialect, model = random.Random(row.id).choice(others), f"{row.claim.kind}/{row.id}"
    body = {**ASKED[dialect], "model": model, "stream": row.stream}
    if dialect == "gemini":
        del body["model"], body["stream"]
    answer = await ask(http, url + address(dialect, model, row.stream), body)
    told = READERS[row.claim.dialect](events_of(row.body))
    same_words(told, READERS[dialect](events_of(answer)), dialect)
    return True
