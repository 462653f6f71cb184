"""Whose persona is whose: the operator's shelf, which everybody may use, and one of its own for each tenant.

What lies in the directory itself, or ships with IntelliRouter, is the operator's and shared. A tenant's own lie in
`tenants/<tenant>/`, are seen by that tenant alone, and go before shared ones of the same name. On a node without keys whoever
asks is the operator.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import OrderedDict
from pathlib import Path

from intellirouter.roles.persona_layer.library import Library, Room
from intellirouter.security.caller import Caller
from intellirouter.security.keeping import Keeping

TENANTS = "tenants"
MAX_LOADED = 1_000
"""Tenants whose personas are kept in memory; those of others are read again when they are asked for."""
_LONGEST_NAME = 200
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


class Shelves:
    """The libraries of one PersonaLayer."""

    def __init__(self, directory: Path, keeping: Keeping | None = None) -> None:
        self.directory = directory
        self._keeping = keeping or Keeping()
        self.shared = Library(directory)
        self._own: OrderedDict[str, Library] = OrderedDict()
        self._one = threading.Lock()

    @property
    def problems(self) -> dict[str, str]:
        """Shared files that do not hold. A tenant is told of its own, and nobody else is."""
        return self.shared.problems

    def open(self) -> None:
        """Read what is shared. Tenants' own are read when they are asked for."""
        self.shared.open()

    def refresh(self) -> bool:
        """Take what changed on disk; whether anything did."""
        changed = self.shared.refresh()
        for library in list(self._own.values()):
            changed = library.refresh() or changed
        return changed

    async def of(self, caller: Caller) -> Library:
        """What the caller sees, and writes to. Reads files when a tenant asks for the first time."""
        if caller.is_operator:
            return self.shared
        known = self._own.get(caller.tenant)
        return known if known is not None else await asyncio.to_thread(self.of_tenant, caller.tenant)

    def of_tenant(self, tenant: str) -> Library:
        """A tenant's own before what is shared."""
        library = self._own.get(tenant)
        if library is not None:
            return library
        with self._one:
            library = self._own.get(tenant)
            if library is None:
                folder = self.directory / TENANTS / folder_of(tenant)
                library = Library(folder, self.shared, Room(self._keeping, tenant))
                library.open()
                self._own[tenant] = library
                if len(self._own) > MAX_LOADED:
                    self._own.popitem(last=False)
        return library


def folder_of(tenant: str) -> str:
    """The name of a tenant's directory: its own where every file system takes it, also one that does not tell A from a."""
    name = "".join(
        letter
        if letter in _PLAIN
        else "".join(f"%{byte:02x}" for byte in letter.encode("utf-8", "surrogatepass"))
        for letter in tenant
    )
    return (
        name
        if 0 < len(name) <= _LONGEST_NAME
        else f"~{hashlib.sha256(tenant.encode('utf-8', 'surrogatepass')).hexdigest()}"
    )
