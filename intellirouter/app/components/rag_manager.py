"""What the RagManager uses. Its modules are imported only when it is opened."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from intellirouter.app.component import Component, Opened
from intellirouter.roles.keys import CHAT, METRICS
from intellirouter.roles.rag_manager.keys import RAG

if TYPE_CHECKING:
    from intellirouter.roles.rag_manager.service import RagService


@contextlib.asynccontextmanager
async def _rag(opened: Opened) -> AsyncIterator[RagService]:
    settings = opened.settings
    opening = importlib.import_module("intellirouter.roles.rag_manager.open")
    registry = opened[METRICS].registry
    async with opening.open_rag(settings.rag, settings.paths.data_dir, registry, opened[CHAT]) as service:
        yield service


COMPONENTS = (Component(RAG, _rag, (METRICS, CHAT)),)
