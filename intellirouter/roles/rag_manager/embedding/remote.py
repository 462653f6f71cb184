"""Another RagManager that embeds for this one, over HTTP."""

from __future__ import annotations

import binascii
import secrets
import time
from base64 import b64decode
from collections.abc import Sequence

import numpy as np

from intellirouter.errors import Conflict, InvalidRequest, PeerUnavailable
from intellirouter.peers.contract import Call
from intellirouter.peers.http_roles import RoleClient
from intellirouter.roles.rag_manager.embedding.embedder import NODE, Behalf, asked_by
from intellirouter.vectors.index import Vectors

SECONDS = 30.0
PATH = "/rag/v1/embed"


class RemoteHelper:
    """See `shared.Helper`."""

    def __init__(self, name: str, client: RoleClient) -> None:
        self._name = name
        self._client = client

    @property
    def name(self) -> str:
        """Its endpoint."""
        return self._name

    async def embed(self, model: str, texts: Sequence[str], behalf: Behalf | None = None) -> Vectors:
        """See `shared.Helper.embed`."""
        caller = await (behalf or asked_by(NODE)).now()
        call = Call(caller, f"rag-{secrets.token_hex(8)}", deadline=time.monotonic() + SECONDS)
        try:
            answer = await self._client.post(PATH, {"model": model, "texts": list(texts)}, call)
        except InvalidRequest as refused:
            raise Conflict(f"{self._name} does not embed for us: {refused.message}") from refused
        try:
            flat = np.frombuffer(b64decode(answer["vectors"], validate=True), "<f4")
            vectors = flat.reshape(len(texts), int(answer["dimension"]))
        except (KeyError, TypeError, ValueError, binascii.Error) as cause:
            raise PeerUnavailable(f"{self._name} answered {len(texts)} texts with no vectors") from cause
        if not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
            raise PeerUnavailable(f"{self._name} answered with vectors that are not of unit length")
        return np.asarray(vectors, np.float32)
