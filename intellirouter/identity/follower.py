"""A node's directory of people, kept as the shared store has it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from intellirouter import tasks
from intellirouter.errors import StateError
from intellirouter.identity.store import CHANNEL, PeopleStore
from intellirouter.memory.store import StateStore
from intellirouter.security.people import Directory

REREAD_SECONDS = 120.0
LISTEN_SECONDS = 5.0
"""How long a start waits until it hears changes."""

log = structlog.get_logger(__name__)


class PeopleFollower:
    """Reads everything at the start and now and then, and one account at a time when it hears that it changed."""

    def __init__(self, directory: Directory, people: PeopleStore) -> None:
        self._directory = directory
        self._people = people
        self._listening = asyncio.Event()
        self._one = asyncio.Lock()
        """Held while the store is read, so that an older reading never comes after a newer change."""

    async def read(self) -> None:
        """Take what the store has. Raises `StateError`."""
        async with self._one:
            accounts, teams = await self._people.accounts(), await self._people.teams()
            self._directory.take(accounts, teams, await self._people.revoked())

    async def heard(self, what: str) -> None:
        """Take one change."""
        kind, _, name = what.partition(":")
        if kind == "account":
            async with self._one:
                account = await self._people.account(name)
                if account is None:
                    self._directory.drop(name)
                else:
                    self._directory.put(account)
        elif kind == "revoked":
            session, _, until = name.rpartition(":")
            self._directory.revoke(session, float(until))
        else:
            await self.read()

    @contextlib.asynccontextmanager
    async def running(self, store: StateStore) -> AsyncIterator[None]:
        """Follow the store while the context is open. It listens before it reads: what changes in between is heard."""
        self._people.heard = self.heard
        listening = asyncio.create_task(self._listen(store), name="people_events")
        rereading: asyncio.Task[None] | None = None
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LISTEN_SECONDS):
                    await self._listening.wait()
            known = True
            try:
                await self.read()
            except StateError as error:
                log.warning("people.not_read", reason=error.message)
                known = False
            rereading = asyncio.create_task(self._reread(known), name="people")
            yield
        finally:
            self._people.heard = None
            await tasks.end(*(task for task in (listening, rereading) if task is not None))

    async def _listen(self, store: StateStore) -> None:
        async with store.subscribe(CHANNEL) as events:
            self._listening.set()
            async for event in events:
                try:
                    await self.heard(event.payload.decode())
                except Exception as error:  # noqa: BLE001  the next reading takes it; hearing must go on
                    log.warning("people.not_heard", reason=str(error))

    async def _reread(self, known: bool) -> None:
        pause = REREAD_SECONDS if known else 1.0
        while True:
            await asyncio.sleep(pause)
            try:
                await self.read()
                pause = REREAD_SECONDS
            except StateError as error:
                log.warning("people.not_read", reason=error.message)
                pause = 1.0
            except Exception:  # one unreadable record must not end all later reading
                log.exception("people.crashed")
