"""OpenAI's `/v1/uploads`: a file that comes in parts, in any order, and is a file of `/v1/files` when it is complete.

Source of the shapes: OpenAI's API reference, "Uploads". An upload waits an hour for its parts. A file may be as large as one
that comes whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import sqlite3
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
from aiohttp import web

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import Conflict, InvalidRequest, NotFound, PayloadTooLarge
from intellirouter.roles.rag_manager import uploads_catalog
from intellirouter.roles.rag_manager.blobs import Blobs
from intellirouter.roles.rag_manager.catalog import Row
from intellirouter.roles.rag_manager.cluster.forwarding import at_home
from intellirouter.roles.rag_manager.keys import RAG
from intellirouter.roles.rag_manager.openai_files import (
    Upload,
    check_filename,
    check_purpose,
    file_body,
    keep_file,
)
from intellirouter.roles.rag_manager.openai_forms import answer, read_form
from intellirouter.roles.rag_manager.uploads_catalog import AGAIN, MAX_PARTS
from intellirouter.web.body import BODY_TIMEOUT
from intellirouter.web.endpoint import CALLER, Handler, endpoint

PART_BYTES = 64 << 20


class UploadForm(msgspec.Struct, forbid_unknown_fields=True):
    """The body of create. What kind of file it is, its content says: `mime_type` is not looked at."""

    filename: str
    purpose: str
    bytes: Annotated[int, msgspec.Meta(ge=1)]
    mime_type: str


class CompleteForm(msgspec.Struct, forbid_unknown_fields=True):
    """The body of complete: the parts in their order."""

    part_ids: list[str]
    md5: str | None = None


def _body(row: Row, file: Row | None = None) -> Row:
    return {
        "id": row["id"],
        "object": "upload",
        "bytes": row["bytes"],
        "created_at": int(row["created"]),
        "filename": row["filename"],
        "purpose": row["purpose"],
        "status": row["status"],
        "expires_at": int(row["created"] + uploads_catalog.SECONDS),
        "file": file_body(file) if file is not None else None,
    }


async def _create(request: web.Request) -> web.StreamResponse:
    """Begin a file that comes in parts."""
    form = await read_form(request, UploadForm)
    service, tenant = request.app[RAG], request[CALLER].tenant
    check_purpose(form.purpose)
    check_filename(form.filename, "filename")
    if form.bytes > service.max_document_bytes:
        raise PayloadTooLarge(
            f"A file has at most {service.max_document_bytes} bytes (rag.max_document_bytes).", param="bytes"
        )
    await service.shelf.room(tenant, "files")
    await service.shelf.room(tenant, "rag_bytes", form.bytes)
    await _remove(service.blobs, await service.engine.write(uploads_catalog.expire))
    row = {
        "id": f"upload_{secrets.token_hex(12)}",
        "tenant": tenant,
        "filename": form.filename,
        "purpose": form.purpose,
        "bytes": form.bytes,
        "created": time.time(),
    }
    if not await service.engine.write(partial(uploads_catalog.add_upload, row=row)):
        raise Conflict(
            f"{uploads_catalog.PENDING} uploads wait for their parts already: complete or cancel one."
        )
    return answer(_body(row | {"status": "pending"}))


async def _waiting(request: web.Request) -> Row:
    """The path's upload. Raises `NotFound`, and `Conflict` for one that waits for nothing."""
    id_, service = request.match_info["upload"], request.app[RAG]
    await _remove(service.blobs, await service.engine.write(uploads_catalog.expire))
    find = partial(uploads_catalog.find_upload, tenant=request[CALLER].tenant, upload=id_)
    row = await service.engine.read(find)
    if row is None:
        raise NotFound(f"There is no upload '{id_[:100]}'.", param="upload_id")
    if row["status"] != "pending":
        raise Conflict(f"The upload is {row['status']}.", param="upload_id")
    return row


async def _part(request: web.Request) -> web.StreamResponse:
    """Take in a part of a file."""
    row, service = await _waiting(request), request.app[RAG]
    part = f"part_{secrets.token_hex(12)}"
    path = service.blobs.partial(part)
    kept = False
    try:
        upload = Upload(
            service.blobs, path, min(PART_BYTES, row["bytes"]), request.app[BODY_TIMEOUT], field="data"
        )
        await upload.read(request)
        if upload.filename is None:
            raise InvalidRequest("The form has no 'data'.", param="data")
        if not upload.bytes:
            raise InvalidRequest("The part is empty.", param="data")
        add = partial(
            uploads_catalog.add_part,
            upload=row["id"],
            part=part,
            size=upload.bytes,
            most=AGAIN * row["bytes"],
        )
        kept = await service.engine.write(add)
    finally:
        if not kept:
            await _remove(service.blobs, [part])
    if not kept:
        raise Conflict(
            f"The upload has ended, or its parts come to more than {AGAIN} times its 'bytes'.",
            param="upload_id",
        )
    told = {"id": part, "object": "upload.part", "created_at": int(time.time()), "upload_id": row["id"]}
    return answer(told)


async def _complete(request: web.Request) -> web.StreamResponse:
    """Make the file of its parts, in the order that is told."""
    row, service = await _waiting(request), request.app[RAG]
    form = await read_form(request, CompleteForm)
    known = await service.engine.read(partial(uploads_catalog.parts_of, upload=row["id"]))
    if not 1 <= len(form.part_ids) <= MAX_PARTS or len(set(form.part_ids)) < len(form.part_ids):
        raise InvalidRequest(f"'part_ids' names 1 to {MAX_PARTS:,} parts, each once.", param="part_ids")
    if missing := [part for part in form.part_ids if part not in known]:
        raise InvalidRequest(f"The upload has no part '{missing[0][:100]}'.", param="part_ids")
    if (size := sum(known[part] for part in form.part_ids)) != row["bytes"]:
        raise InvalidRequest(
            f"The parts have {size} bytes together, and the upload says {row['bytes']}.", param="part_ids"
        )
    path = service.blobs.partial()
    paths = [service.blobs.partial(part) for part in form.part_ids]
    try:
        sha256, md5 = await asyncio.to_thread(_join, service.blobs, paths, path)
        if form.md5 is not None and form.md5.lower() != md5:
            raise InvalidRequest(f"The file's MD5 is {md5}.", param="md5")
        file = {
            "id": f"file-{secrets.token_hex(12)}",
            **{key: row[key] for key in ("tenant", "filename", "purpose", "bytes")},
            "sha256": sha256,
            "created": time.time(),
        }
        parts: list[str] = []

        def ended(db: sqlite3.Connection) -> None:
            over = uploads_catalog.end(db, row["id"], "completed", file["id"])
            if over is None:
                raise Conflict("The upload has ended meanwhile.", param="upload_id")
            parts.extend(over)

        await keep_file(service, path, file, before=ended)
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    await _remove(service.blobs, parts)
    return answer(_body(row | {"status": "completed"}, file))


async def _cancel(request: web.Request) -> web.StreamResponse:
    """End an upload, and forget its parts."""
    row, service = await _waiting(request), request.app[RAG]
    parts = await service.engine.write(partial(uploads_catalog.end, upload=row["id"], status="cancelled"))
    await _remove(service.blobs, parts or ())
    return answer(_body(row | {"status": "cancelled"}))


def _join(blobs: Blobs, parts: Sequence[Path], whole: Path) -> tuple[str, str]:
    """Write the parts into one file; its SHA-256 and its MD5."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with blobs.writing(whole) as out:
        for part in parts:
            for chunk in blobs.reading(part):
                sha256.update(chunk)
                md5.update(chunk)
                out.write(chunk)
    return sha256.hexdigest(), md5.hexdigest()


async def _remove(blobs: Blobs, parts: Iterable[str]) -> None:
    def remove() -> None:
        for part in parts:
            blobs.partial(part).unlink(missing_ok=True)

    if parts:
        await asyncio.to_thread(remove)


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""

    def of(name: str, handler: Handler) -> Handler:
        return endpoint(name, at_home(handler), encode_error)

    one = "/v1/uploads/{upload}"
    return [
        web.post("/v1/uploads", of("uploads_create", _create)),
        web.post(f"{one}/parts", of("uploads_part", _part)),
        web.post(f"{one}/complete", of("uploads_complete", _complete)),
        web.post(f"{one}/cancel", of("uploads_cancel", _cancel)),
    ]
