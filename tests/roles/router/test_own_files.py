"""Files put at `/v1/files` and named in a request: what is in them goes to the vendor, whose ids are others."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from intellirouter.roles.rag_manager.blobs import Blobs
from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.test_chat import ANSWER
from tests.servers.collector import collector
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


JPEG = b"\xff\xd8\xff\xe0" + bytes(60)
ID = f"file-{7:024x}"
SAID: dict[str, tuple[str, bytes, dict[str, Any] | str]] = {
    "text of a kind that few know": ("a.yaml", b"a: 1", "a.yaml:\na: 1"),
    "text whose name says nothing": ("README", b"Read.", "README:\nRead."),
    "text that is drawn": ("a.svg", b"<svg/>", "a.svg:\n<svg/>"),
    "nothing": ("a.txt", b"", "a.txt:\n"),
    "a picture that came without a name": ("upload", JPEG, {"url": data_url("image/jpeg", JPEG)}),
    "a picture by another name": ("a.png", JPEG, {"url": data_url("image/jpeg", JPEG)}),
    "a PDF that came without a name": (
        "upload", PDF, {"filename": "upload", "file_data": data_url("application/pdf", PDF)},
    ),
    "a packed table": (
        "a.csv.gz", b"\x1f\x8b", {"filename": "a.csv.gz", "file_data": data_url("application/gzip", b"\x1f\x8b")},
    ),
}  # fmt: skip


def rag(vendor: Any) -> str:
    return f'[ipc]\nrag_manager_endpoint = "{vendor.url}"\n'


@pytest.mark.parametrize("what", SAID)
async def test_a_file_goes_as_what_its_bytes_are(
    what: str, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    name, data, expected = SAID[what]
    held = {"filename": name, "bytes": len(data), "data": base64.b64encode(data).decode()}
    vendor, there = await start_vendor(Play.json(ANSWER)), await start_vendor(Play.json(held))
    node = await start_node(provider(vendor) + rag(there), "Router")
    url = f"{node.listening[0].url}/v1/chat/completions"
    async with http.post(url, json=asked({"type": "file", "file": {"file_id": ID}})) as reply:
        assert reply.status == 200, await reply.text()
    content = vendor.received[-1].json["messages"][0]["content"]
    assert (content if isinstance(content, str) else content[0][content[0]["type"]]) == expected


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"filename": 1}'])
async def test_a_rag_manager_that_answers_nonsense_is_away(
    body: bytes, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor, there = await start_vendor(Play.json(ANSWER)), await start_vendor(Play([body]))
    node = await start_node(provider(vendor) + rag(there), "Router")
    url = f"{node.listening[0].url}/v1/chat/completions"
    async with http.post(url, json=asked({"type": "file", "file": {"file_id": ID}})) as reply:
        assert (reply.status, (await reply.json())["error"]["code"]) == (503, "peer_unavailable")
    assert not vendor.received


async def test_a_file_is_looked_at_by_guards_and_read_in_the_requests_time_and_trace(
    tmp_path: Path, start_vendor: StartVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    guard = '[[guards]]\nname = "words"\nkind = "keywords"\nwords = ["xyzzy"]\naction = "block"\n'
    async with collector() as there:
        traced = (
            f'[telemetry]\ntracing_enabled = true\ntrace_sample_rate = 1.0\notlp_endpoint = "{there.url}"\n'
        )
        toml = provider(vendor) + guard + traced + f"[auth]\nenabled = true\n{configured_key('ann')}"
        async with installed("one", tmp_path, toml) as house:
            spoken = await put(house, "ann", "a.yaml", b"say: xyzzy", "application/octet-stream")
            plain = await put(house, "ann", "b.yaml", b"say: no", "application/octet-stream")

            async def ask(named: str, **more: Any) -> tuple[int, str]:
                body = {**asked({"type": "file", "file": {"file_id": named}}), **more}
                status, told = await house.ask("Router", "ann", "POST", "/v1/chat/completions", body)
                return status, told.get("error", {}).get("code", "")

            assert await ask(spoken) == (400, "guard_blocked")
            assert await ask(plain) == (200, "")
            await there.until("GET /rag/v1/files/{file}", "POST /v1/chat/completions")
            inner = [span for span in there.spans if span.name == "GET /rag/v1/files/{file}"]
            assert inner and all(span.parent for span in inner)
            outer = {span.id: span for span in there.spans if span.name == "POST /v1/chat/completions"}
            assert {outer[span.parent].trace for span in inner} == {span.trace for span in inner}
            given = threading.Event()

            def late(_blobs: Blobs, _path: Path) -> Iterator[bytes]:
                given.wait(60)
                yield b""

            monkeypatch.setattr(Blobs, "reading", late)
            try:
                assert await ask(plain, intellirouter={"timeout": 0.3}) == (503, "peer_unavailable")
            finally:
                given.set()
