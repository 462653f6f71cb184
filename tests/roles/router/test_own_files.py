"""Files put at `/v1/files` and named in a request: what is in them goes to the vendor, whose ids are others."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartVendor, provider
from tests.roles.router.test_chat import ANSWER
from tests.servers.installation import Form, configured_key, installed
from tests.servers.vendor import Play

PDF = b"%PDF-1.4 of nothing \xff\xfe"
PNG = b"\x89PNG\r\n\x1a\n-of-nothing"
CLAUDES = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn", "stop_sequence": None,
    "content": [{"type": "text", "text": "Read."}], "usage": {"input_tokens": 9, "output_tokens": 3},
}  # fmt: skip


def data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


async def put(house: Any, key: str, name: str, data: bytes, kind: str) -> str:
    form = aiohttp.FormData()
    form.add_field("purpose", "user_data")
    form.add_field("file", data, filename=name, content_type=kind)
    status, made = await house.ask("Router", key, "POST", "/v1/files", data=form)
    assert status == 200, made
    return str(made["id"])


def asked(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"model": "primary/m", "messages": [{"role": "user", "content": list(parts)}]}


@pytest.mark.parametrize("kind", ["one", "http", "grpc"])
async def test_what_is_in_a_file_goes_to_the_vendor(
    kind: Form, tmp_path: Path, start_vendor: StartVendor
) -> None:
    vendor, claude = await start_vendor(Play.json(ANSWER)), await start_vendor(Play.json(CLAUDES))
    keys = configured_key("ann") + configured_key("bob", tenant="other")
    toml = (
        provider(vendor)
        + provider(claude, name="claude", kind="anthropic").replace("/v1", "")
        + f"[auth]\nenabled = true\n{keys}"
    )
    async with installed(kind, tmp_path, toml) as house:
        pdf = await put(house, "ann", "a.pdf", PDF, "application/pdf")
        text = await put(house, "ann", "notes.md", "# Käse\n".encode(), "text/markdown")
        picture = await put(house, "ann", "b.png", PNG, "image/png")

        async def sent(path: str, body: dict[str, Any], to: Any = vendor) -> str:
            status, told = await house.ask("Router", "ann", "POST", path, body)
            assert status == 200, told
            received: str = to.received[-1].body.decode()
            return received

        body = await sent(
            "/v1/chat/completions",
            asked({"type": "text", "text": "Sum up."}, {"type": "file", "file": {"file_id": pdf}}),
        )
        file = json.loads(body)["messages"][0]["content"][1]["file"]
        assert file == {"filename": "a.pdf", "file_data": data_url("application/pdf", PDF)}
        # a text is one to every model
        body = await sent("/v1/chat/completions", asked({"type": "file", "file": {"file_id": text}}))
        assert json.loads(body)["messages"][0]["content"] == "notes.md:\n# Käse\n"
        content = [{"type": "input_file", "file_id": pdf}, {"type": "input_image", "file_id": picture}]
        response = {"model": "primary/m", "input": [{"role": "user", "content": content}]}
        body = await sent("/v1/responses", response)
        assert data_url("application/pdf", PDF) in body
        assert data_url("image/png", PNG) in body
        assert pdf not in body
        # and another vendor's words
        body = await sent("/v1/responses", {**response, "model": "claude/m"}, claude)
        sources = [part["source"] for part in json.loads(body)["messages"][0]["content"]]
        assert [(one["type"], one["media_type"]) for one in sources] == [
            ("base64", "application/pdf"),
            ("base64", "image/png"),
        ]
        # a turn that goes on with it
        status, first = await house.ask("Router", "ann", "POST", "/v1/responses", response)
        body = await sent(
            "/v1/responses", {"model": "primary/m", "input": "And?", "previous_response_id": first["id"]}
        )
        assert data_url("application/pdf", PDF) in body
        # the vendor's own go on as they are
        body = await sent("/v1/chat/completions", asked({"type": "file", "file": {"file_id": "file-AbCdEf"}}))
        assert "file-AbCdEf" in body
        received = len(vendor.received)
        for key, named in (("bob", pdf), ("ann", "file-" + "0" * 24)):
            status, told = await house.ask(
                "Router",
                key,
                "POST",
                "/v1/chat/completions",
                asked({"type": "file", "file": {"file_id": named}}),
            )
            assert status == 404
            assert told["error"]["message"] == f"There is no file '{named}'."
        many = [{"type": "file", "file": {"file_id": f"file-{number:024x}"}} for number in range(21)]
        status, told = await house.ask("Router", "ann", "POST", "/v1/chat/completions", asked(*many))
        assert (status, told["error"]["message"]) == (
            400,
            "A request names at most 20 files, and this one names 21.",
        )
        large = [
            await put(house, "ann", f"{number}.pdf", bytes(11 << 20), "application/pdf")
            for number in range(2)
        ]
        status, told = await house.ask(
            "Router",
            "ann",
            "POST",
            "/v1/chat/completions",
            asked(*({"type": "file", "file": {"file_id": one}} for one in large)),
        )
        assert (status, told["error"]["message"]) == (
            413,
            "The files of a request hold at most 20 MB together.",
        )
        assert len(vendor.received) == received
