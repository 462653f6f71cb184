"""`/admin/backups`: how the backups of this node stand, by what their maker left beside the data."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from intellirouter.alerts.reading.last_backup import standing
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import StateUnavailable
from intellirouter.roles.keys import LOADED
from intellirouter.web.endpoint import endpoint


async def backups(request: web.Request) -> web.StreamResponse:
    """The last backup of this node, the last that failed, the last drill, and when they are made; null for what never was."""
    settings = request.app[LOADED]().settings
    try:
        made = await asyncio.to_thread(standing, settings.paths.data_dir)
    except (OSError, msgspec.MsgspecError) as error:
        raise StateUnavailable(
            f"what is known of backups cannot be read ({type(error).__name__}): `intellirouter backup list` tells what there is"
        ) from error
    told = {
        "object": "backups",
        **msgspec.to_builtins(made),
        "schedule": settings.backup.schedule,
        "drill_schedule": settings.backup.drill_schedule,
    }
    return web.Response(body=msgspec.json.encode(told), content_type="application/json")


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [web.get("/admin/backups", endpoint("admin_backups", backups, encode_error))]
