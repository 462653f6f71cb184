"""Files in parts through OpenAI's own client, on a real node."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from intellirouter.roles.rag_manager import uploads_catalog
from intellirouter.roles.rag_manager.uploads_catalog import PENDING
from tests.conftest import StartNode

DATA = b"The kettle's warranty is three years. " * 1000


def kept(directory: Path) -> list[str]:
    return [file.name for file in directory.rglob("rag/blobs/*")]


async def test_a_file_comes_in_parts(start_node: StartNode, tmp_path: Path) -> None:
    node = await start_node("[rag]\nmax_document_bytes = 200000\n", role="RagManager")
    url = node.listening[0].url
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0, timeout=60)

    async def begin(size: int = len(DATA), **other: Any) -> str:
        form: Any = {"filename": "kettle.txt", "purpose": "assistants", "mime_type": "text/plain"} | other
        upload = await client.uploads.create(bytes=size, **form)
        assert (upload.status, upload.expires_at) == ("pending", upload.created_at + 3600)
        return upload.id

    async def part(upload: str, data: bytes) -> str:
        return (await client.uploads.parts.create(upload, data=data)).id

    first = await begin()
    parts = [await part(first, DATA[20_000:]), await part(first, DATA[:20_000])]
    stray = await part(first, b"came twice")
    done = await client.uploads.complete(
        first, part_ids=parts[::-1], md5=hashlib.md5(DATA, usedforsecurity=False).hexdigest()
    )
    assert done.status == "completed"
    assert done.file is not None
    assert (done.file.bytes, done.file.filename) == (len(DATA), "kettle.txt")
    assert (await client.files.content(done.file.id)).content == DATA
    assert stray not in parts
    # what is wrong is told, and leaves the upload as it was
    second = await begin()
    part_ids = [await part(second, DATA)]
    for call, words in (
        (client.uploads.complete(second, part_ids=["part_none"]), "no part 'part_none'"),
        (client.uploads.complete(second, part_ids=[*part_ids, *part_ids]), "each once"),
        (client.uploads.complete(second, part_ids=part_ids, md5="0" * 32), "MD5"),
        (client.uploads.parts.create(second, data=DATA + b"more"), "larger than"),
        (client.uploads.create(filename="a", purpose="assistants", bytes=10**9, mime_type="a/b"), "200000"),
        (client.uploads.create(filename="a", purpose="none", bytes=9, mime_type="a/b"), "purpose"),  # type: ignore[arg-type]
        (client.uploads.complete(first, part_ids=parts), "upload is completed"),
        (client.uploads.cancel("upload_none"), "no upload"),
    ):
        with pytest.raises(openai.APIStatusError, match=words):
            await call
    await part(second, DATA)
    with pytest.raises(openai.ConflictError, match="2 times"):
        await part(second, b"one more")
    short = await begin(len(DATA) + 1)
    with pytest.raises(openai.BadRequestError, match=f"have {len(DATA)} bytes together"):
        await client.uploads.complete(short, part_ids=[await part(short, DATA)])
    assert (await client.uploads.cancel(second)).status == "cancelled"
    assert (await client.uploads.cancel(short)).status == "cancelled"
    for _ in range(PENDING):
        await begin()
    with pytest.raises(openai.ConflictError, match=f"{PENDING} uploads wait"):
        await begin()
    assert kept(tmp_path) == [hashlib.sha256(DATA).hexdigest()]


async def test_what_waits_too_long_is_forgotten(
    start_node: StartNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await start_node("", role="RagManager")
    client = openai.AsyncOpenAI(base_url=f"{node.listening[0].url}/v1", api_key="unused", max_retries=0)
    form: Any = {"filename": "a.txt", "purpose": "assistants", "mime_type": "text/plain", "bytes": 4}
    upload = await client.uploads.create(**form)
    await client.uploads.parts.create(upload.id, data=b"late")
    monkeypatch.setattr(uploads_catalog, "SECONDS", -1)
    with pytest.raises(openai.ConflictError, match="upload is expired"):
        await client.uploads.complete(upload.id, part_ids=["part_x"])
    assert kept(tmp_path) == []


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("multipart/form-data; boundary=b", b"", 400),
        ("application/json", b"{}", 415),
        ("multipart/form-data; boundary=b", b"Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=", 400),
        ("multipart/form-data; boundary=b", b"Content-Transfer-Encoding: binary\r\n\r\nhello", 200),
    ],
)
async def test_a_form_is_read_as_it_is_or_refused(
    start_node: StartNode, http: aiohttp.ClientSession, kind: str, body: bytes, status: int
) -> None:
    """Nothing that is coded in a way of its own is kept as if it were the file."""
    url = (await start_node("[rag]\n", role="RagManager")).listening[0].url
    begun = {"filename": "a.txt", "purpose": "assistants", "bytes": 9, "mime_type": "text/plain"}
    async with http.post(f"{url}/v1/uploads", json=begun) as reply:
        upload = (await reply.json())["id"]
    for path, name in (("files", b"file"), (f"uploads/{upload}/parts", b"data")):
        head = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n'
        part = b'--b\r\nContent-Disposition: form-data; name="' + name + b'"; filename="a.txt"\r\n'
        whole = head + part + body + b"\r\n--b--\r\n" if body.startswith(b"Content") else body
        async with http.post(f"{url}/v1/{path}", data=whole, headers={"content-type": kind}) as reply:
            assert reply.status == status, await reply.text()
