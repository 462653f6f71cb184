"""Another RagManager of the installation, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from intellirouter.chat.fields import Json
from intellirouter.errors import UpstreamProtocolError
from intellirouter.peers.contract import Call, RetrievalRequest, Retrieved
from intellirouter.peers.documents import retrieval_document, retrieved_of
from intellirouter.peers.guard import Guard
from intellirouter.peers.http_roles import RoleClient
from intellirouter.roles.rag_manager.ranking import Candidates
from intellirouter.transport.contract import Deadlines, Reply

PLACED = "x-intellirouter-placed"
"""Says that another node found this one to be the right one: what bears it is not passed on again."""
CONNECT_SECONDS = 5.0
LONGEST_SECONDS = 86_400.0
"""Of an exchange that is passed on: whoever follows a job stays as long as it runs."""


class Neighbour:
    """`name` is its name in `rag.nodes`."""

    def __init__(self, name: str, client: RoleClient, patience: float) -> None:
        self.name = name
        self._client = client
        self._guard = Guard(f"RagManager '{name}'")
        self._deadlines = Deadlines(CONNECT_SECONDS, patience, patience, LONGEST_SECONDS)

    async def post(self, path: str, body: Json, call: Call, *, reads: bool = False) -> Json:
        """See `RoleClient.post`. `reads` says that asking twice does no harm."""
        return await self._guard.call(
            lambda: self._client.post(path, body, call, {PLACED: self.name}), call, reads=reads
        )

    async def retrieve(self, request: RetrievalRequest, call: Call) -> Retrieved:
        """What it finds in collections of its own."""
        return retrieved_of(
            await self.post("/rag/v1/retrieve", retrieval_document(request), call, reads=True)
        )

    async def candidates(self, request: RetrievalRequest, call: Call) -> list[Candidates]:
        """What it would choose from, a part for each of its collections."""
        answer = await self.post("/rag/v1/candidates", retrieval_document(request), call, reads=True)
        try:
            return msgspec.convert(answer["collections"], list[Candidates])
        except (KeyError, msgspec.ValidationError) as cause:
            raise UpstreamProtocolError(
                f"the RagManager '{self.name}' answered with no candidates"
            ) from cause

    async def pass_on(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, call: Call
    ) -> Reply:
        """A client's request as it came; whoever asks closes the reply. Raises `PeerUnavailable`."""
        more = {**headers, PLACED: self.name}
        return await self._guard.call(
            lambda: self._client.send(method, path, more, body, call, self._deadlines),
            call,
            reads=method == "GET",
        )
