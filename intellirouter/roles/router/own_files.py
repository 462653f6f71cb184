"""Files that a client put at `/v1/files` and names in a request: no vendor knows our ids, so what is in them goes along.

OpenAI's `input_file` and `input_image` with a `file_id`, and a `file` of chat completions; Anthropic's `source` of the type `file`.
An id that is none of ours is the vendor's own, and goes on as it is.
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from aiohttp import web
from yarl import URL

from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.parts import File, Image, ToolResult
from intellirouter.errors import InvalidRequest, PayloadTooLarge
from intellirouter.inference.job import Job
from intellirouter.peers.http_roles import said
from intellirouter.roles.router.handed_on import HANDED_ON, ROLE
from intellirouter.web.body import NAMES_FILES
from intellirouter.web.endpoint import FRAME, VOUCHED

OURS = re.compile(r"file-[0-9a-f]{24}")
MOST, MOST_BYTES = 20, 20 * 1024 * 1024
"""Files of one request, and what they hold together."""
_TEXTS = frozenset(
    "application/json application/xml application/javascript application/x-sh application/x-yaml application/toml".split()
)


class Held(msgspec.Struct):
    """A file's name, and its bytes as base64."""

    filename: str
    bytes: int
    data: str


async def with_own_files(request: web.Request, job: Job) -> Job:
    """The job with what our files hold in place of their ids.

    Raises `NotFound` for one that is not there, or not the caller's, `PayloadTooLarge` for too much, `PeerUnavailable`.
    """
    if NAMES_FILES not in request or not request.app[HANDED_ON].knows(ROLE):
        return job
    ids = list(dict.fromkeys(_named(job.request)))
    if not ids:
        return job
    if len(ids) > MOST:
        raise InvalidRequest(f"A request names at most {MOST} files, and this one names {len(ids)}.")
    caller = VOUCHED.get() or request.app[FRAME].authenticator.authenticate(
        request.headers, request.transport
    )
    held: dict[str, Held] = {}
    for id_ in ids:
        left = MOST_BYTES - sum(one.bytes for one in held.values())
        path = URL(f"/rag/v1/files/{id_}").with_query(most=left)
        seconds = max(0.0, job.deadline - time.monotonic())
        status, body = await request.app[HANDED_ON].ask(ROLE, request, path, caller, seconds)
        if status == PayloadTooLarge.status:
            raise PayloadTooLarge(f"The files of a request hold at most {MOST_BYTES >> 20} MB together.")
        if status != 200:
            raise said(status, body, ROLE)
        held[id_] = msgspec.json.decode(body, type=Held)
    messages = tuple(_with(message, held) for message in job.request.messages)
    return msgspec.structs.replace(job, request=job.request.changed(messages=messages))


def _named(chat: ChatRequest) -> Iterator[str]:
    for message in chat.messages:
        for part in message.content:
            for one in part.content if isinstance(part, ToolResult) else (part,):
                if isinstance(one, File | Image) and one.file_id and OURS.fullmatch(one.file_id):
                    yield one.file_id


def _with(message: Message, held: Mapping[str, Held]) -> Message:
    def filled(part: Any) -> Any:
        if isinstance(part, ToolResult):
            return msgspec.structs.replace(part, content=tuple(map(filled, part.content)))
        found = held.get(part.file_id or "") if isinstance(part, File | Image) else None
        return part if found is None else _part(part, found)

    return msgspec.structs.replace(message, content=tuple(map(filled, message.content)))


def _part(part: File | Image, held: Held) -> File | Image:
    """The part with the file's bytes: a picture as one, what is text as text, which every model reads."""
    name = part.filename if isinstance(part, File) and part.filename else held.filename
    kind = mimetypes.guess_type(name)[0] or ""
    if isinstance(part, Image) or kind.startswith("image/"):
        detail = part.detail if isinstance(part, Image) else None
        return Image(data=held.data, media_type=kind or "image/png", detail=detail, cache=part.cache)
    if (kind.startswith("text/") or kind in _TEXTS) and (text := _text(held.data)) is not None:
        return msgspec.structs.replace(part, file_id=None, text=text, media_type="text/plain", filename=name)
    media_type = kind or "application/octet-stream"
    return msgspec.structs.replace(part, file_id=None, data=held.data, media_type=media_type, filename=name)


def _text(data: str) -> str | None:
    try:
        return base64.b64decode(data).decode("utf-8-sig")
    except (binascii.Error, UnicodeDecodeError):
        return None
