"""What only the PersonaLayer's handlers need."""

from __future__ import annotations

from aiohttp import web

from intellirouter.roles.persona_layer.library import Library

LIBRARY: web.AppKey[Library] = web.AppKey("persona_library", Library)
