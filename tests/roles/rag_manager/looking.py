"""One look at a source, all of it."""

from __future__ import annotations

import asyncio
from typing import Any

from intellirouter.errors import IntelliRouterError
from intellirouter.roles.rag_manager.sources.source import Fetched, Known, Source, Trouble


async def seen_in(source: Source, most: int, known: Known = lambda _: None) -> dict[str, tuple[str, Any]]:
    """By name the mark and what was fetched, or the reason where nothing was. The source is closed."""
    found: dict[str, tuple[str, Any]] = {}
    try:
        async with asyncio.timeout(120):
            async for one in source.listed(known):
                if isinstance(one, Trouble):
                    found[one.name] = ("", one.reason)
                    continue
                try:
                    found[one.name] = (one.mark, await source.fetch(one, most))
                except IntelliRouterError as refused:
                    found[one.name] = (one.mark, refused.message)
    finally:
        await source.aclose()
    return found


async def contents(source: Source, most: int, known: Known = lambda _: None) -> dict[str, tuple[str, Any]]:
    """The same with the bytes of what was fetched."""
    found = await seen_in(source, most, known)
    return {
        name: (mark, what.data if isinstance(what, Fetched) else what) for name, (mark, what) in found.items()
    }
