"""OpenAI's `/v1/files`. An upload goes to disk as it arrives, never whole into memory; a file is its tenant's alone."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import Conflict, InvalidRequest, NotFound, PayloadTooLarge, UnsupportedMediaType
from intellirouter.roles.rag_manager import openai_catalog
from intellirouter.roles.rag_manager.catalog import Row
from intellirouter.roles.rag_manager.cluster.forwarding import at_home
from intellirouter.roles.rag_manager.keys import RAG
from intellirouter.roles.rag_manager.openai_forms import answer
from intellirouter.roles.rag_manager.openai_pages import page_body, page_of, read_page
from intellirouter.web.body import BODY_TIMEOUT
from intellirouter.web.endpoint import CALLER, Handler, endpoint
from intellirouter.web.inflating import coded

PURPOSES = frozenset({"assistants", "batch", "fine-tune", "vision", "user_data", "evals"})
MAX_FILENAME = 255
MAX_FIELD = 1024
MAX_PARTS = 8
MAX_LISTED = 10_000
_CHUNK = 256 << 10


class _Upload:
    """The fields of one multipart body as they come in."""

    def __init__(self, path: Path, limit: int, patience: float) -> None:
        self.path = path
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self.bytes = 0
        self._limit = limit
        self._patience = patience
        self._sha = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._sha.hexdigest()

    async def read(self, request: web.Request) -> None:
        """Raises `InvalidRequest` for a broken body, `PayloadTooLarge` once the file is larger than the bound."""
        try:
            reader = await request.multipart()
            for _ in range(MAX_PARTS + 1):
                async with asyncio.timeout(self._patience):
                    part = await reader.next()
                if part is None:
                    return
                if not isinstance(part, BodyPartReader):
                    raise InvalidRequest("A part of the form is a form itself.")
                await self._take(part)
        except TimeoutError as cause:
            raise InvalidRequest("The request body did not arrive in time.") from cause
        except (ValueError, AssertionError, HttpProcessingError, web.RequestPayloadError) as cause:
            raise InvalidRequest("The request body is not whole multipart/form-data.") from cause
        raise InvalidRequest(f"The form has more than {MAX_PARTS} parts.")

    async def _take(self, part: BodyPartReader) -> None:
        if part.name != "file":
            value = b"".join([chunk async for chunk in self._chunks(part, MAX_FIELD)])
            self.fields[part.name or ""] = value.decode()
            return
        if self.filename is not None:
            raise InvalidRequest("The form has more than one 'file'.", param="file")
        self.filename = part.filename or "file"
        with self.path.open("wb") as handle:
            async for chunk in self._chunks(part, self._limit):
                self._sha.update(chunk)
                self.bytes += len(chunk)
                await asyncio.to_thread(handle.write, chunk)

    async def _chunks(self, part: BodyPartReader, limit: int) -> AsyncIterator[bytes]:
        size = 0
        while not part.at_eof():
            async with asyncio.timeout(self._patience):
                chunk = await part.read_chunk(_CHUNK)
            size += len(chunk)
            if size > limit:
                raise PayloadTooLarge(f"'{part.name or ''}' is larger than {limit} bytes.", param=part.name)
            yield chunk


async def _upload(request: web.Request) -> web.StreamResponse:
    """Take a file in, as OpenAI's form has it."""
    if request.content_type != "multipart/form-data":
        raise UnsupportedMediaType("A file is uploaded as multipart/form-data.")
    if coded(request) is not None:
        raise UnsupportedMediaType("A form is uploaded without a content encoding.")
    service = request.app[RAG]
    service.blobs.mkdir(parents=True, exist_ok=True, mode=0o750)
    path = service.blobs / f"upload.{secrets.token_hex(12)}.partial"
    try:
        upload = _Upload(path, service.max_document_bytes, request.app[BODY_TIMEOUT])
        await upload.read(request)
        row = _described(upload, request[CALLER].tenant)
        await service.shelf.room(row["tenant"], "files")
        await service.shelf.room(row["tenant"], "rag_bytes", row["bytes"])
        async with service.blob_lock:
            await asyncio.to_thread(path.replace, service.blobs / upload.sha256)
            await service.engine.write(partial(openai_catalog.add_file, row=row))
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    return answer(_file(row))


def _described(upload: _Upload, tenant: str) -> Row:
    purpose = upload.fields.pop("purpose", None)
    if upload.filename is None:
        raise InvalidRequest("The form has no 'file'.", param="file")
    if purpose not in PURPOSES:
        raise InvalidRequest(f"'purpose' is one of: {', '.join(sorted(PURPOSES))}.", param="purpose")
    if upload.fields:
        name = min(upload.fields)[:100]
        raise InvalidRequest(
            f"The field '{name}' is not supported; files are kept until deleted.", param=name
        )
    if len(upload.filename) > MAX_FILENAME or not upload.filename.isprintable():
        words = f"A file's name has at most {MAX_FILENAME} printable characters."
        raise InvalidRequest(words, param="file")
    return {
        "id": f"file-{secrets.token_hex(12)}",
        "tenant": tenant,
        "filename": upload.filename,
        "purpose": purpose,
        "bytes": upload.bytes,
        "sha256": upload.sha256,
        "created": time.time(),
    }


def _file(row: Row) -> Row:
    return {
        "id": row["id"],
        "object": "file",
        "bytes": row["bytes"],
        "created_at": int(row["created"]),
        "filename": row["filename"],
        "purpose": row["purpose"],
        "status": "processed",
        "expires_at": None,
        "status_details": None,
    }


async def _list(request: web.Request) -> web.StreamResponse:
    """The tenant's files, the newest first."""
    listing = openai_catalog.files(request[CALLER].tenant, request.query.get("purpose"))
    wanted = page_of(request, MAX_LISTED, MAX_LISTED)
    rows, more = await request.app[RAG].engine.read(partial(read_page, listing=listing, page=wanted))
    return answer(page_body([_file(row) for row in rows], more))


async def _found(request: web.Request) -> Row:
    id_ = request.match_info["file"]
    query = partial(openai_catalog.find_files, tenant=request[CALLER].tenant, ids=[id_])
    rows = await request.app[RAG].engine.read(query)
    if not rows:
        raise NotFound(f"There is no file '{id_[:100]}'.", param="file_id")
    return rows[0]


async def _get(request: web.Request) -> web.StreamResponse:
    """What is known of a file."""
    return answer(_file(await _found(request)))


async def _content(request: web.Request) -> web.StreamResponse:
    """A file's bytes."""
    row = await _found(request)
    headers = {"content-type": "application/octet-stream", "content-disposition": "attachment"}
    return web.FileResponse(request.app[RAG].blobs / row["sha256"], headers=headers)


async def _delete(request: web.Request) -> web.StreamResponse:
    """The file, and its documents in every vector store."""
    row = await _found(request)
    service = request.app[RAG]
    for collection, document in await service.engine.read(partial(openai_catalog.holders, file=row["id"])):
        await service.remove_document(collection, document)
    async with service.blob_lock:
        drop = partial(openai_catalog.drop_file, file=row["id"], blobs=service.blobs)
        if not await service.engine.write(drop):
            raise Conflict("The file was attached to a vector store meanwhile: delete it again.")
    return answer({"id": row["id"], "object": "file", "deleted": True})


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""

    def of(name: str, handler: Handler) -> Handler:
        return endpoint(name, at_home(handler), encode_error)

    return [
        web.post("/v1/files", of("files_create", _upload)),
        web.get("/v1/files", of("files_list", _list)),
        web.get("/v1/files/{file}", of("files_get", _get)),
        web.get("/v1/files/{file}/content", of("files_content", _content)),
        web.delete("/v1/files/{file}", of("files_delete", _delete)),
    ]
