"""What takes long to import and is not needed to be live: imported beside the event loop once the node serves.

So the first request that needs one does not wait for it.
"""

from __future__ import annotations

import asyncio
import importlib
import sys

SOON_SECONDS = 1.0
PUT_OFF = ("intellirouter.bounds.keywords",)


async def warm() -> None:
    """Import what is not there yet."""
    await asyncio.sleep(SOON_SECONDS)
    for name in PUT_OFF:
        if name not in sys.modules:
            await asyncio.to_thread(importlib.import_module, name)
