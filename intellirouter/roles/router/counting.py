"""Counting a request's tokens, for every dialect that can ask for it."""

from __future__ import annotations

import time

import msgspec
from aiohttp import web

from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest
from intellirouter.inference.counting import MAX_SECONDS
from intellirouter.roles.router.answer import job_of
from intellirouter.roles.router.keys import DISPATCH
from intellirouter.roles.router.own_files import with_own_files

ESTIMATED = {"x-intellirouter-notes": "The count is an estimate."}


async def counted(
    request: web.Request, chat: ChatRequest, name: str, beside: Json | None = None
) -> web.Response:
    """The answer with the count under `name`, and a note where nobody but us counted."""
    job = await with_own_files(request, job_of(request, chat, None))
    job = msgspec.structs.replace(job, deadline=min(job.deadline, time.monotonic() + MAX_SECONDS))
    number, estimated = await request.app[DISPATCH].count(job)
    return web.Response(
        body=msgspec.json.encode({name: number, **(beside or {})}),
        content_type="application/json",
        headers=ESTIMATED if estimated else None,
    )
