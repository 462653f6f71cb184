"""OpenAI's `/v1/files`. An upload goes to disk as it arrives, never whole into memory; a file is its tenant's alone."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import msgspec
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import Conflict, InvalidRequest, NotFound, PayloadTooLarge, UnsupportedMediaType
from intellirouter.roles.rag_manager import openai_catalog
from intellirouter.roles.rag_manager.blobs import Blobs
from intellirouter.roles.rag_manager.catalog import Row
from intellirouter.roles.rag_manager.cluster.forwarding import at_home
from intellirouter.roles.rag_manager.keys import RAG
from intellirouter.roles.rag_manager.openai_forms import answer
from intellirouter.roles.rag_manager.openai_pages import page_body, page_of, read_page
from intellirouter.roles.rag_manager.service import RagService
from intellirouter.web.body import BODY_TIMEOUT
from intellirouter.web.endpoint import CALLER, Handler, endpoint
from intellirouter.web.inflating import coded

PURPOSES = frozenset({"assistants", "batch", "fine-tune", "vision", "user_data", "evals"})
MAX_FILENAME = 255
MAX_FIELD = 1024
MAX_PARTS = 8
MAX_LISTED = 10_000
MAX_READ = 20 * 1024 * 1024
_CHUNK = 256 << 10
_PLAIN = ("binary", "8bit", "7bit")


class Upload:
    """The fields of one multipart body as they come in; what `field` has goes to `path`."""

    def __init__(self, blobs: Blobs, path: Path, limit: int, patience: float, field: str = "file") -> None:
        self._blobs = blobs
        self.path = path
        self._field = field
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self.bytes = 0
        self._limit = limit
        self._patience = patience
        self._sha = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of what came."""
        return self._sha.hexdigest()

    async def read(self, request: web.Request) -> None:
        """Raises `InvalidRequest` for a broken body, `UnsupportedMediaType`, `PayloadTooLarge` once the file is larger than the bound."""
        if request.content_type != "multipart/form-data":
            raise UnsupportedMediaType("A file is uploaded as multipart/form-data.")
        if coded(request) is not None:
            raise UnsupportedMediaType("A form is uploaded without a content encoding.")
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
        if (coding := part.headers.get("content-transfer-encoding", "binary").lower()) not in _PLAIN:
            raise InvalidRequest(
                f"A part of the form is sent as it is, not in {coding[:20]} (RFC 7578, 4.7)."
            )
        if part.name != self._field:
            value = b"".join([chunk async for chunk in self._chunks(part, MAX_FIELD)])
            self.fields[part.name or ""] = value.decode()
            return
        if self.filename is not None:
            raise InvalidRequest(f"The form has more than one '{self._field}'.", param=self._field)
        self.filename = part.filename or "file"
        with self._blobs.writing(self.path) as sink:
            async for chunk in self._chunks(part, self._limit):
                self._sha.update(chunk)
                self.bytes += len(chunk)
                await asyncio.to_thread(sink.write, chunk)

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
    service = request.app[RAG]
    path = service.blobs.partial()
    try:
        upload = Upload(service.blobs, path, service.max_document_bytes, request.app[BODY_TIMEOUT])
        await upload.read(request)
        row = _described(upload, request[CALLER].tenant)
        await keep_file(service, path, row)
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    return answer(file_body(row))


async def keep_file(
    service: RagService,
    path: Path,
    row: Row,
    before: Callable[[sqlite3.Connection], None] = lambda _db: None,
) -> None:
    """The bytes at `path` are a file from now on, if the tenant has room for it; noted in one transaction with `before`."""
    await service.shelf.room(row["tenant"], "files")
    await service.shelf.room(row["tenant"], "rag_bytes", row["bytes"])

    def note(db: sqlite3.Connection) -> None:
        before(db)
        openai_catalog.add_file(db, row)

    async with service.blob_lock:
        await asyncio.to_thread(path.replace, service.blobs.place(row["sha256"]))
        await service.engine.write(note)


def check_purpose(purpose: str | None) -> None:
    """Raises `InvalidRequest` for one that OpenAI has not."""
    if purpose not in PURPOSES:
        raise InvalidRequest(f"'purpose' is one of: {', '.join(sorted(PURPOSES))}.", param="purpose")


def check_filename(name: str, param: str = "file") -> None:
    """Raises `InvalidRequest` for one that is too long or cannot be shown."""
    if not 1 <= len(name) <= MAX_FILENAME or not name.isprintable():
        words = f"A file's name has 1 to {MAX_FILENAME} printable characters."
        raise InvalidRequest(words, param=param)


def _described(upload: Upload, tenant: str) -> Row:
    purpose = upload.fields.pop("purpose", None)
    if upload.filename is None:
        raise InvalidRequest("The form has no 'file'.", param="file")
    check_purpose(purpose)
    if upload.fields:
        name = min(upload.fields)[:100]
        raise InvalidRequest(
            f"The field '{name}' is not supported; files are kept until deleted.", param=name
        )
    check_filename(upload.filename)
    return {
        "id": f"file-{secrets.token_hex(12)}",
        "tenant": tenant,
        "filename": upload.filename,
        "purpose": purpose,
        "bytes": upload.bytes,
        "sha256": upload.sha256,
        "created": time.time(),
    }


def file_body(row: Row) -> Row:
    """The file in OpenAI's form."""
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
    caller = request[CALLER]
    listing = openai_catalog.files(caller.tenant, request.query.get("purpose"))
    wanted = page_of(request, MAX_LISTED, MAX_LISTED)

    def read(db: sqlite3.Connection) -> tuple[list[Row], bool]:
        within = None if caller.fence is None else partial(openai_catalog.within_reach, db, caller=caller)
        return read_page(db, listing, wanted, within)

    rows, more = await request.app[RAG].engine.read(read)
    return answer(page_body([file_body(row) for row in rows], more))


async def _found(request: web.Request, *, wholly: bool = False) -> Row:
    id_ = request.match_info["file"]
    query = partial(openai_catalog.find_files, caller=request[CALLER], ids=[id_], wholly=wholly)
    rows = await request.app[RAG].engine.read(query)
    if not rows:
        raise NotFound(f"There is no file '{id_[:100]}'.", param="file_id")
    return rows[0]


async def _get(request: web.Request) -> web.StreamResponse:
    """What is known of a file."""
    return answer(file_body(await _found(request)))


async def _content(request: web.Request) -> web.StreamResponse:
    """A file's bytes."""
    row = await _found(request)
    headers = {"content-type": "application/octet-stream", "content-disposition": "attachment"}
    blobs = request.app[RAG].blobs
    if blobs.sealer is None:
        return web.FileResponse(blobs.place(row["sha256"]), headers=headers)
    pieces = blobs.reading(blobs.place(row["sha256"]))
    piece = await asyncio.to_thread(
        next, pieces, b""
    )  # a file that cannot be opened is an error, not an answer cut off
    response = web.StreamResponse(headers=headers)
    response.content_length = row["bytes"]
    await response.prepare(request)
    while piece:
        await response.write(piece)
        piece = await asyncio.to_thread(next, pieces, b"")
    await response.write_eof()
    return response


async def _read(request: web.Request) -> web.StreamResponse:
    """A file that goes along with a question to a model: its name, and its bytes as base64. `?most=` how many bytes it may have."""
    row = await _found(request)
    given = request.query.get("most", "")
    most = int(given) if given.isascii() and given.isdecimal() and len(given) < 10 else MAX_READ
    if row["bytes"] > min(most, MAX_READ):
        raise PayloadTooLarge(
            f"The file '{row['id']}' holds {row['bytes']} bytes; at most {most} can be read at once."
        )
    blobs = request.app[RAG].blobs

    def read() -> bytes:
        data = b"".join(blobs.reading(blobs.place(row["sha256"])))
        return msgspec.json.encode({"filename": row["filename"], "bytes": row["bytes"], "data": data})

    return web.Response(body=await asyncio.to_thread(read), content_type="application/json")


async def _delete(request: web.Request) -> web.StreamResponse:
    """The file, and its documents in every vector store."""
    row = await _found(request, wholly=True)
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

    def of(name: str, handler: Handler, *, recorded: bool = True) -> Handler:
        return endpoint(name, at_home(handler), encode_error, recorded=recorded)

    return [
        web.post("/v1/files", of("files_create", _upload)),
        web.get("/v1/files", of("files_list", _list)),
        web.get("/v1/files/{file}", of("files_get", _get)),
        web.get("/v1/files/{file}/content", of("files_content", _content)),
        web.delete("/v1/files/{file}", of("files_delete", _delete)),
        web.get("/rag/v1/files/{file}", of("files_read", _read, recorded=False)),
    ]
