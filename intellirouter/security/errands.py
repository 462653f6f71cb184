"""What a role may ask of another, and in whose name: the one table of trust between roles.

A call between roles names the roles of the node that makes it. It may reach the endpoints listed here and no other, and of
what the caller may only the scopes listed here go along: no role can carry `admin` anywhere. Where roles present certificates,
the certificate must name the roles that the call claims.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from intellirouter.errors import PermissionDenied
from intellirouter.security.caller import Caller
from intellirouter.security.permissions import PEERS

EDGE = "Edge"
"""A node that works alone and forwards its runs: no role of this installation, with one errand."""
_INFERENCE = frozenset({"inference"})
_HANDS_ON = frozenset({PEERS})
"""Over gRPC: what is handed on is looked at once more by its own endpoint."""


@dataclass(frozen=True, slots=True)
class Errand:
    """`endpoints` are names or patterns of names, of HTTP endpoints and of gRPC methods; `scopes` are those that go along."""

    endpoints: tuple[str, ...]
    scopes: frozenset[str] = _INFERENCE
    lends: frozenset[str] = frozenset()
    """Permissions that the errand itself has: who was let in to start a chain has the chain's own business done."""


ERRANDS: Mapping[tuple[str, str], Errand] = {
    # (who asks, who is asked)
    # the front: it has looked at the caller's key itself, and its console passes on what people do there
    ("Router", "ChainEngine"): Errand(
        ("chains_*", "grpc_run", "grpc_handon"), _INFERENCE | {"chains"}, _HANDS_ON
    ),
    ("Router", "RagManager"): Errand(
        ("rag_*", "files_*", "vector_store*", "uploads_*", "rerank", "grpc_retrieve", "grpc_handon"),
        lends=_HANDS_ON,
    ),
    ("Router", "PersonaLayer"): Errand(
        ("personas_*", "grpc_resolve", "grpc_handon"), _INFERENCE | {"personas"}, _HANDS_ON
    ),
    ("ChainEngine", "Router"): Errand(
        (
            "chat_completions",
            "grpc_complete",
            "grpc_stream",
            "caller",
            "grpc_caller",
            "outcomes",
            "grpc_outcomes",
        ),
        lends=frozenset({"inference:chat", PEERS}),
    ),
    ("ChainEngine", "RagManager"): Errand(
        ("rag_retrieve", "grpc_retrieve"), lends=frozenset({"documents:search"})
    ),
    ("ChainEngine", "PersonaLayer"): Errand(
        ("personas_render", "grpc_resolve"), lends=frozenset({"personas:use"})
    ),
    ("RagManager", "Router"): Errand(
        ("embeddings", "grpc_embed", "chat_completions", "grpc_complete", "caller", "grpc_caller"),
        lends=frozenset({"inference:embed", "inference:chat", PEERS}),
    ),
    (EDGE, "ChainEngine"): Errand(("chains_take", "grpc_take"), frozenset(), _HANDS_ON),
    # the nodes of a cluster pass on what their clients ask
    ("RagManager", "RagManager"): Errand(("rag_*", "files_*", "vector_store*", "uploads_*")),
}


def callers_of(role: str) -> frozenset[str]:
    """The roles that have business with `role`."""
    return frozenset(asking for asking, asked in ERRANDS if asked == role)


def scopes_for(asking: Collection[str], asked: str) -> frozenset[str]:
    """The scopes that may go along with a call of these roles."""
    errands = (ERRANDS.get((one, asked)) for one in asking)
    return frozenset().union(*(errand.scopes for errand in errands if errand is not None))


def lends(asking: Collection[str], asked: str, permission: str) -> bool:
    """Whether one of these roles brings the permission with its errand."""
    return any((errand := ERRANDS.get((one, asked))) and permission in errand.lends for one in asking)


def check_errand(caller: Caller, asked: str, endpoint: str) -> None:
    """Raises `PermissionDenied` unless one of the roles that ask for the caller has business there."""
    for one in caller.via:
        errand = ERRANDS.get((one, asked))
        if errand is not None and any(fnmatchcase(endpoint, pattern) for pattern in errand.endpoints):
            return
    asking = " and the ".join(sorted(caller.via))
    raise PermissionDenied(f"The {asking} has no business with this part of the {asked}.")
