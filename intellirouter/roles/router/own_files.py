"""Files that a client put at `/v1/files` and names in a request: no vendor knows our ids, so what is in them goes along.

OpenAI's `input_file` and `input_image` with a `file_id`, and a `file` of chat completions; Anthropic's `source` of the type `file`.
An id that is none of ours is the vendor's own, and goes on as it is.
"""

from __future__ import annotations

import mimetypes
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from aiohttp import web
from yarl import URL

from intellirouter.bounds.aside import LONG
from intellirouter.chat.media import image_type, words_in
from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.parts import File, Image, ToolResult
from intellirouter.errors import InvalidRequest, PayloadTooLarge, PeerUnavailable
from intellirouter.inference.job import Job
from intellirouter.peers.http_roles import said
from intellirouter.roles.router.handed_on import HANDED_ON, ROLE
from intellirouter.web.body import NAMES_FILES
from intellirouter.web.endpoint import FRAME, VOUCHED

OURS = re.compile(r"file-[0-9a-f]{24}")
MOST, MOST_BYTES = 20, 20 * 1024 * 1024
"""Files of one request, and what they hold together."""
LONG_BYTES = 1 << 20
"""Of files whose request is read off the event loop, as one that has them in it."""


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
        held[id_] = _held(body)
    return msgspec.structs.replace(job, request=await _filled(job, held))


def _held(body: bytes) -> Held:
    try:
        return msgspec.json.decode(body, type=Held)
    except msgspec.MsgspecError as cause:
        raise PeerUnavailable(f"the {ROLE} answered with something else than a file") from cause


async def _filled(job: Job, held: Mapping[str, Held]) -> ChatRequest:
    """The request with the files: made in a thread where they hold much."""

    def make() -> ChatRequest:
        return job.request.changed(messages=tuple(_with(message, held) for message in job.request.messages))

    if sum(one.bytes for one in held.values()) <= LONG_BYTES:
        return make()
    return (await LONG.run(job.caller.tenant, make)).routed(long=True)


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
    """The part with the file's bytes: a picture as one, and what is text as text, which every model reads, whatever its name says."""
    name = part.filename if isinstance(part, File) and part.filename else held.filename
    kind, packed = mimetypes.guess_type(name)
    if packed is not None:  # `a.csv.gz` is no table
        kind = f"application/{packed}"
    if isinstance(part, Image):
        media_type = image_type(kind, held.data) or "image/png"
        return msgspec.structs.replace(part, file_id=None, data=held.data, media_type=media_type)
    if (text := words_in(held.data)) is not None and "\0" not in text:
        text = text.removeprefix("\ufeff")
        return msgspec.structs.replace(part, file_id=None, text=text, media_type="text/plain", filename=name)
    if kind is None or kind.startswith("image/"):  # those without a name are called `upload` by the SDKs
        kind = image_type(kind, held.data) or "application/octet-stream"
    if kind.startswith("image/"):
        return Image(data=held.data, media_type=kind, cache=part.cache)
    return msgspec.structs.replace(part, file_id=None, data=held.data, media_type=kind, filename=name)
