"""What an edge sends to its centre, and the centre's answer: the same over HTTP and gRPC.

A run travels as the text of a JSON document with a version that the edge counts. The centre keeps the document of the
highest version and answers, for each, the version and digest of what it has now, so that sending again does no harm and an edge
that was restored from a backup finds out. A row of the record of requests travels in the same way. Fields that one side does not know are left out of account by it; `format` is raised
where that would not do.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Protocol

import msgspec

from intellirouter.errors import InvalidRequest, UpstreamProtocolError
from intellirouter.peers.contract import Call

FORMAT = 1
PATH = "/ipc/v1/edge"
MAX_ITEMS = 500
MAX_DOCUMENT = 6 * 1024 * 1024
"""Bytes of the document of one run: within a request of server.max_body_bytes, however much of it is escaped."""

PLAIN = r"^[^\x00-\x1f\x7f]+\Z"
"""What names are made of."""
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=PLAIN)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class Sent(msgspec.Struct, frozen=True):
    """One run, or one row of the record of requests: `id` is the edge's own. A row has one version only."""

    id: _Id
    version: _Count
    tenant: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=PLAIN)]
    document: str

    @property
    def digest(self) -> str:
        """Of the document."""
        return digest_of(self.document)


class Batch(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one request brings."""

    format: int
    runs: Annotated[tuple[Sent, ...], msgspec.Meta(max_length=MAX_ITEMS)] = ()
    rows: Annotated[tuple[Sent, ...], msgspec.Meta(max_length=MAX_ITEMS)] = ()


class Had(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the centre has of one of them: `version` and `digest`; or why it does not take it: `refused` as it is, or `later`."""

    id: str
    version: _Count = 0
    digest: str = ""
    refused: str = ""
    later: str = ""


class Taken(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer, in the order of what was sent."""

    format: int
    runs: tuple[Had, ...] = ()
    rows: tuple[Had, ...] = ()


class Centre(Protocol):
    """A centre, to an edge."""

    async def take(self, batch: Batch, call: Call) -> Taken:
        """Bring runs and rows. Raises `PeerUnavailable`, and refusals of `errors.py`."""


def digest_of(document: str) -> str:
    """What tells two documents apart."""
    return hashlib.sha256(document.encode("utf-8", "surrogatepass")).hexdigest()


def batch_of(body: bytes | dict[str, object]) -> Batch:
    """A batch as it came. Raises `InvalidRequest`, with `param` "format" for that of another version."""
    try:
        batch = (
            msgspec.json.decode(body, type=Batch) if isinstance(body, bytes) else msgspec.convert(body, Batch)
        )
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as cause:
        raise InvalidRequest(f"This is no batch of an edge: {cause}.") from cause
    if batch.format != FORMAT:
        raise InvalidRequest(
            f"The edge sends runs in format {batch.format}, and this node takes format {FORMAT}: bring the older one of the two "
            "to the version of the other.",
            param="format",
        )
    return batch


def taken_of(answer: object) -> Taken:
    """The answer as it came. Raises `UpstreamProtocolError`."""
    try:
        return msgspec.convert(answer, Taken)
    except msgspec.MsgspecError as cause:
        raise UpstreamProtocolError(f"the centre's answer cannot be read: {cause}") from cause
