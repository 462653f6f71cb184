"""What only the ChainEngine's handlers need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:  # every process lists this key, and must not pay for dbos
    from intellirouter.roles.chain_engine.service import ChainService

ENGINE: web.AppKey[ChainService] = web.AppKey("chain_engine")
