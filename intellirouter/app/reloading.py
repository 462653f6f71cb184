"""A new configuration for a running node: all of it, or nothing.

Everything it needs is opened and checked first (log file, certificates, keys, providers, strategies); what is wrong with it
leaves the node as it was. Then every part takes over, which cannot fail. Keys that wait for a restart are named
(`config/reload_table.py`).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence

import structlog

from intellirouter.app.component import Commit, Prepare
from intellirouter.app.node_files import Verdict
from intellirouter.config.load import Loaded
from intellirouter.config.reload_table import waiting
from intellirouter.config.schema.settings import Settings
from intellirouter.errors import IntelliRouterError
from intellirouter.telemetry.logs import exception_facts

log = structlog.get_logger(__name__)

Read = Callable[[], Loaded]


class Reloader:
    """Reloads one after the other. `started` is what the node was started with; `told` hears how each went."""

    def __init__(
        self, read: Read, started: Settings, parts: Sequence[Prepare], told: Callable[[Verdict], None]
    ) -> None:
        self._read = read
        self._started = started
        self._parts = parts
        self._told = told
        self._asked = asyncio.Event()
        self.last = Verdict()

    def ask(self) -> None:
        """Reload soon; asked twice before it began, it does so once."""
        self._asked.set()

    async def run(self) -> None:
        """Reload whenever it is asked, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            self.last = await self.reload()
            self._told(self.last)

    async def reload(self) -> Verdict:
        """Do it now. Whatever goes wrong is the verdict, and raises nothing."""
        number = self.last.number + 1
        try:
            loaded = (await asyncio.to_thread(self._read)).startable()
            commit = await prepared(self._parts, loaded.settings)
        except IntelliRouterError as error:
            log.error("config.reload_refused", message=error.message)  # noqa: TRY400  the message says it all
            return Verdict(number, accepted=False, message=error.message)
        except Exception as error:  # noqa: BLE001  a part that fails in a way of its own must not end the node
            log.error("config.reload_refused", **exception_facts(error))  # noqa: TRY400  no locals of a configuration
            return Verdict(number, accepted=False, message=f"{type(error).__name__}: {error}")
        commit()
        for problem in loaded.warnings:
            log.warning("config.warning", where=problem.where, problem=f"{problem.path} {problem.message}")
        later = waiting(self._started, loaded.settings)
        log.info("config.reloaded", needs_restart=later)
        return Verdict(number, needs_restart=later)


async def prepared(parts: Sequence[Prepare], settings: Settings) -> Commit:
    """Have every part prepare; what makes all of them take over. Raises what one of them refuses with."""
    commits = [await _prepared(part, settings) for part in parts]

    def commit() -> None:
        for one in commits:
            one()

    return commit


async def _prepared(part: Prepare, settings: Settings) -> Commit:
    prepared = part(settings)
    return await prepared if inspect.isawaitable(prepared) else prepared
