"""What only the PersonaLayer's handlers need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:  # the Router lists this key too, and must not pay for the template engine
    from intellirouter.roles.persona_layer.shelves import Shelves

SHELVES: web.AppKey[Shelves] = web.AppKey("persona_shelves")
"""The personas of the operator and of each tenant."""
