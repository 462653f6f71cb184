"""What a server refuses is told with the way out."""

from __future__ import annotations

import asyncio

import pytest

from intellirouter.cli import server_client
from intellirouter.cli.server_client import ServerRefused, ask_once
from intellirouter.errors import PeerUnavailable
from tests.conftest import StartVendor
from tests.servers.vendor import Play


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, {"error": {"message": "No."}}, "answered 401: No. Give a key with --api-key"),
        (
            401,
            {"error": {"message": "No API key: send it as 'x'."}},
            r"No API key\. Give a key with --api-key",
        ),
        (
            403,
            {"error": {"message": "This key lacks 'x', which keys with the scope 'chains' have."}},
            "keys create NAME --scope chains",
        ),
        (403, {"error": {"message": "Not yours."}}, "answered 403: Not yours.$"),
        (404, {"error": "gone"}, "answered 404: gone$"),
        (404, {"error": {"message": "There is no endpoint GET /x on this role."}}, "--url names the one"),
        (500, ["odd"], "answered 500: no reason$"),
    ],
)
async def test_a_refusal_says_why_and_what_to_do(
    start_vendor: StartVendor, status: int, body: object, said: str
) -> None:
    server = await start_vendor(Play.json(body, status))
    with pytest.raises(ServerRefused, match=said):
        await asyncio.to_thread(ask_once, server.url, "sk-x", "GET", "/admin/keys")


async def test_an_answer_larger_than_a_command_takes_is_refused(
    start_vendor: StartVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start_vendor(Play.json(["1234567"]))
    size = len('["1234567"]')
    monkeypatch.setattr(server_client, "MAX_ANSWER_BYTES", size)
    assert (await asyncio.to_thread(ask_once, server.url, None, "GET", "/x"))[0] == ["1234567"]
    monkeypatch.setattr(server_client, "MAX_ANSWER_BYTES", size - 1)
    with pytest.raises(PeerUnavailable, match="larger than"):
        await asyncio.to_thread(ask_once, server.url, None, "GET", "/x")
