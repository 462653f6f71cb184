"""The typed keys of the RagManager's own components."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:  # the Router lists this key too, and must not pay for numpy
    from intellirouter.roles.rag_manager.service import RagService

RAG: web.AppKey[RagService] = web.AppKey("rag")
