"""An item that a request only names is found in the answer that was kept, or the request is refused and says why."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from intellirouter.security.api_keys import hash_key
from tests.conftest import StartNode, StartVendor, provider
from tests.servers.vendor import Play

CALL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
CHAT = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {"role": "assistant", "content": None, "tool_calls": [CALL]},
        }
    ],
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "m",
    "output": [
        {
            "type": "function_call",
            "id": "fc_68af01",
            "call_id": "call_1",
            "name": "look_up",
            "arguments": "{}",
        }
    ],
}
TOOL = {"type": "function", "name": "look_up", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(("kind", "answer"), [("openai_compatible", CHAT), ("openai_responses", RESPONSE)])
async def test_an_item_is_resolved_from_the_kept_response(
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    kind: str,
    answer: dict[str, Any],
) -> None:
    vendor = await start_vendor(Play.json(answer))
    url = (await start_node(provider(vendor, kind=kind))).listening[0].url

    async def ask(items: list[dict[str, Any]], status: int = 200, **more: Any) -> dict[str, Any]:
        body = {"model": "primary/m", "input": items, "tools": [TOOL], **more}
        async with http.post(f"{url}/v1/responses", json=body) as reply:
            assert reply.status == status, await reply.text()
            found: dict[str, Any] = await reply.json()
            return found

    asked = {"role": "user", "content": "Look."}
    item = next(one for one in (await ask([asked], store=True))["output"] if one["type"] == "function_call")
    output = {"type": "function_call_output", "call_id": "call_1", "output": "42"}
    for store in (True, False):
        await ask([asked, {"type": "item_reference", "id": item["id"]}, output], store=store)
        sent = vendor.received[-1].json
        assert "item_reference" not in json.dumps(sent)
        if kind == "openai_responses":
            assert [one.get("type") for one in sent["input"]] == [
                None,
                "function_call",
                "function_call_output",
            ]
            assert sent["store"] is False
        else:
            assert [turn["role"] for turn in sent["messages"]] == ["user", "assistant", "tool"]
            assert sent["messages"][1]["tool_calls"][0]["id"] == sent["messages"][2]["tool_call_id"]
    before = len(vendor.received)
    refused = await ask([asked, {"type": "item_reference", "id": "fc_of_nobody"}, output], status=400)
    assert refused["error"]["param"] == "input[1].id"
    assert "item_reference" in refused["error"]["message"]
    assert len(vendor.received) == before


async def test_another_tenants_item_is_not_found(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(RESPONSE))
    keys = "".join(
        f'[[auth.keys]]\nname = "{name}"\ntenant = "{name}"\nscopes = ["inference"]\nsha256 = "{hash_key(name)}"\n'
        for name in ("acme", "globex")
    )
    url = (
        (await start_node(provider(vendor, kind="openai_responses") + "[auth]\nenabled = true\n" + keys))
        .listening[0]
        .url
    )

    async def ask(tenant: str, items: list[dict[str, Any]]) -> int:
        headers = {"authorization": f"Bearer {tenant}"}
        async with http.post(
            f"{url}/v1/responses", json={"model": "primary/m", "input": items}, headers=headers
        ) as reply:
            return reply.status

    asked = {"role": "user", "content": "Look."}
    reference = {"type": "item_reference", "id": "fc_68af01"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "42"}
    assert await ask("acme", [asked]) == 200
    assert await ask("acme", [asked, reference, output]) == 200
    assert await ask("globex", [asked, reference, output]) == 400
