"""How a role is served."""

from __future__ import annotations

import gzip
import json

import aiohttp

from tests.conftest import StartNode


async def test_a_compressed_body_is_undone_once_by_who_reads_it(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    url = f"{(await start_node()).listening[0].url}/v1/chat/completions"
    body = json.dumps({"model": "offline", "messages": [{"role": "user", "content": "a"}]}).encode()
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    async with http.post(url, data=gzip.compress(body), headers=headers) as reply:
        assert reply.status == 200, await reply.text()
    async with http.post(url, data=body, headers=headers) as reply:
        assert reply.status == 400
        assert "bad content encoding" in await reply.text()
