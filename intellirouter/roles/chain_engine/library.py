"""The chains that are stored: checked, read, versioned, and chosen for runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from intellirouter.bounds.aside import ASIDE
from intellirouter.chains.check import Known, check
from intellirouter.chains.made import made
from intellirouter.chains.model import Chain
from intellirouter.chains.plan import bundle, calls
from intellirouter.chains.source import Document
from intellirouter.errors import InvalidRequest, NotFound, PermissionDenied
from intellirouter.roles.chain_engine.outside import Outside
from intellirouter.roles.chain_engine.store import Store, StoredChain
from intellirouter.roles.chain_engine.versions import Version, Versions, tries
from intellirouter.security.caller import Caller
from intellirouter.security.keeping import Keeping


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a run is started with: its chain, the revision of it, and the chains that it calls."""

    chain: Chain
    revision: int
    others: dict[str, Chain]


@dataclass(frozen=True, slots=True)
class Library:
    """One a node. Everything asks for the caller: what is another tenant's does not exist."""

    store: Store
    history: Versions
    outside: Outside
    keeping: Keeping
    default_timeout: float

    async def checked(self, caller: Caller, document: Document) -> Chain:
        """The chain of a document, with the tenant's chains known. Raises `InvalidChain` with every problem."""
        names = await asyncio.to_thread(self.store.names, caller.tenant)
        own = document.chain_name
        known = Known(
            chains={*names, own},
            tools=self.outside.tools(caller.tenant),
            secrets=self.outside.secrets(caller.tenant),
            address=self.outside.address,
        )
        chain = await ASIDE.run(caller.tenant, lambda: check(document, known, self.default_timeout))
        bundle(chain, await self._called(caller, chain, ""))
        return chain

    async def put(
        self, caller: Caller, name: str, document: Document, share: float | None = None
    ) -> tuple[StoredChain, bool]:
        """Store a chain under its name, or with a `share` (percent) let that part of its runs try it; true when it is new."""
        chain = await self.checked(caller, document)
        if chain.name != name:
            raise InvalidRequest(
                f"The definition calls itself '{chain.name}', and is to be stored as '{name[:100]}': both must be the same.",
                param="name",
            )
        if not caller.may_use_chain(name):
            raise PermissionDenied(f"You may not write the chain '{name[:100]}'.")
        if await asyncio.to_thread(self.store.get, caller.tenant, name) is None:
            await self.keeping.room(caller.tenant, "chains", lambda: self._kept(caller.tenant))
        author = caller.key_id or ""
        return await asyncio.to_thread(
            self.history.put, caller.tenant, name, chain.document, author[:200], share
        )

    async def _kept(self, tenant: str) -> int:
        return (await asyncio.to_thread(self.store.kept, tenant))[0]

    async def get(self, caller: Caller, name: str) -> StoredChain:
        """A stored chain. Raises `NotFound`."""
        found = await asyncio.to_thread(self.store.get, caller.tenant, name)
        if found is None or not caller.may_use_chain(name):
            raise NotFound(f"There is no chain '{name[:100]}'.")
        return found

    async def delete(self, caller: Caller, name: str) -> None:
        """Forget a chain with its versions. Raises `NotFound`."""
        await self.get(caller, name)
        if not await asyncio.to_thread(self.store.delete, caller.tenant, name):
            raise NotFound(f"There is no chain '{name[:100]}'.")
        await asyncio.to_thread(self.history.forget, caller.tenant, name)

    # versions

    async def versions(self, caller: Caller, name: str) -> tuple[StoredChain, list[Version]]:
        """The chain, and its versions from the newest on. Raises `NotFound`."""
        chain = await self.get(caller, name)
        return chain, await asyncio.to_thread(self.history.listed, caller.tenant, chain)

    async def version(self, caller: Caller, name: str, revision: int | None) -> Version:
        """One of a chain's versions; None: the one that runs. Raises `NotFound`."""
        chain = await self.get(caller, name)
        number = chain.revision if revision is None else revision
        return await asyncio.to_thread(self.history.one, caller.tenant, chain, number)

    async def roll_back(self, caller: Caller, name: str, revision: int) -> StoredChain:
        """Let a version that was stored run again. Raises `NotFound`, `InvalidChain` where it no longer holds."""
        chain, version = await self.get(caller, name), await self.version(caller, name, revision)
        await self.checked(caller, Document(f"{name}@{revision}", version.document))
        return await asyncio.to_thread(self.history.run, caller.tenant, chain, version)

    async def roll_out(
        self, caller: Caller, name: str, revision: int | None, share: float | None
    ) -> StoredChain:
        """Let a share (percent) of runs try a version, all of them at 100, none with `revision` None. Raises as `roll_back`."""
        if revision is None or share is None:
            await self.get(caller, name)
            return await asyncio.to_thread(self.history.share, caller.tenant, name, None, None)
        if share >= 100:
            return await self.roll_back(caller, name, revision)
        version = await self.version(caller, name, revision)
        await self.checked(caller, Document(f"{name}@{revision}", version.document))
        return await asyncio.to_thread(self.history.share, caller.tenant, name, revision, share)

    # for runs

    async def chosen(self, caller: Caller, name: str, run_id: str = "") -> Chosen:
        """What a run of that id is started with; without an id, what most are. Raises `NotFound`, `InvalidChain`."""
        stored = await self._tried(caller, await self.get(caller, name), run_id)
        chain = await self._made(caller, stored)
        others = await self._called(caller, chain, run_id)
        bundle(chain, others)
        for called in others:
            if not caller.may_use_chain(called):  # what is used on the way counts as well
                raise PermissionDenied(
                    f"The chain '{name[:100]}' calls '{called[:100]}', which you may not use."
                )
        return Chosen(chain, stored.revision, others)

    async def _called(self, caller: Caller, chain: Chain, run_id: str) -> dict[str, Chain]:
        """The chain, and those that it calls and that these call, as far as they are there."""
        found, wanted = {chain.name: chain}, calls(chain) - {chain.name}
        while wanted:
            stored = await asyncio.to_thread(self.store.named, caller.tenant, wanted)
            more = {
                each.name: await self._made(caller, await self._tried(caller, each, run_id))
                for each in stored
            }
            found |= more
            wanted = _names(more.values()) - found.keys()
        return found

    async def _tried(self, caller: Caller, chain: StoredChain, run_id: str) -> StoredChain:
        """The chain as this run has it: a share of runs has the version that is tried."""
        if not run_id or chain.trial is None or not tries(run_id, chain.share or 0.0):
            return chain
        version = await asyncio.to_thread(self.history.one, caller.tenant, chain, chain.trial)
        return StoredChain(chain.name, version.document, chain.created, version.created, version.revision)

    async def _made(self, caller: Caller, stored: StoredChain) -> Chain:
        return await made(caller.tenant, stored.name, stored.document, self.default_timeout)


def _names(chains: Iterable[Chain]) -> set[str]:
    return {name for chain in chains for name in calls(chain)}
