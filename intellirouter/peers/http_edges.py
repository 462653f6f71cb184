"""A centre reached over HTTP."""

from __future__ import annotations

import msgspec

from intellirouter.peers.contract import Call
from intellirouter.peers.edges import PATH, Batch, Taken, taken_of
from intellirouter.peers.http_roles import RoleClient


class HttpCentre:
    """See `Centre`."""

    def __init__(self, client: RoleClient) -> None:
        self._client = client

    async def take(self, batch: Batch, call: Call) -> Taken:
        """See `Centre.take`."""
        return taken_of(await self._client.post(PATH, msgspec.to_builtins(batch), call))
