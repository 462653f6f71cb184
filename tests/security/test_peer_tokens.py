"""Trust between roles: who is refused, and that a tenant stays itself on every node."""

from __future__ import annotations

import time

import aiohttp
import jwt
import pytest
from pydantic import SecretStr

from intellirouter.config.schema.ipc import IpcSecurity
from intellirouter.errors import AuthenticationFailed, PeerUnavailable
from intellirouter.security import peer_tokens
from intellirouter.security.caller import PEER_HEADER, Caller
from intellirouter.security.peer_tokens import PeerSigner, PeerVerifier
from tests.conftest import StartNode

ANN = Caller("ann", "acme", "red", frozenset({"inference"}), ("smart",))


def section(token: str, previous: str | None = None) -> IpcSecurity:
    return IpcSecurity(
        enabled=True, token=SecretStr(token), previous_token=SecretStr(previous) if previous else None
    )


def signed(token: str, role: str = "RagManager") -> str:
    return PeerSigner(section(token)).headers(role, ANN)[PEER_HEADER]


@pytest.mark.parametrize("previous", [None, "old"])
def test_a_call_arrives_as_whom_it_is_made_for(previous: str | None) -> None:
    verifier = PeerVerifier(section("new", previous), "RagManager")
    caller = verifier.verify(signed(previous or "new"))
    assert (caller.key_id, caller.tenant, caller.team, caller.models) == ("ann", "acme", "red", ("smart",))
    assert caller.role == "peer"
    assert caller.may("inference")
    assert not caller.may("admin")


def forged(**changes: object) -> str:
    now = int(time.time())
    claims = {"iss": "intellirouter", "aud": "RagManager", "sub": "x", "iat": now, "exp": now + 60, **changes}
    return jwt.encode(
        {name: value for name, value in claims.items() if value is not None},
        peer_tokens._key(SecretStr("new")),
        "HS256",
    )


@pytest.mark.parametrize(
    "token",
    [
        signed("other"),
        signed("new", "PersonaLayer"),
        forged(exp=int(time.time()) - 3600),
        forged(iat=int(time.time()) + 3600),
        forged(exp=None),
        forged(iss="somebody"),
        jwt.encode({"aud": "RagManager"}, None, "none"),
        "nonsense",
        "",
    ],
    ids=[
        "another token",
        "another role",
        "expired",
        "from the future",
        "for ever",
        "issuer",
        "unsigned",
        "text",
        "empty",
    ],
)
def test_anything_else_is_refused(token: str) -> None:
    with pytest.raises(AuthenticationFailed):
        PeerVerifier(section("new"), "RagManager").verify(token)


def test_a_tenant_is_never_lost_on_the_way() -> None:
    off = PeerSigner(IpcSecurity())
    assert off.headers("RagManager", Caller()) == {}
    with pytest.raises(PeerUnavailable, match="acme"):
        off.headers("RagManager", ANN)


async def test_a_role_behind_the_front_takes_only_signed_calls(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    toml = '[ipc.security]\nenabled = true\ntoken = "new"\n'
    node = await start_node(toml, role="PersonaLayer")
    url = f"{node.listening[0].url}/v1/personas"
    for headers, status in (
        ({}, 401),
        ({PEER_HEADER: signed("other", "PersonaLayer")}, 401),
        ({PEER_HEADER: signed("new", "RagManager")}, 401),
        ({PEER_HEADER: signed("new", "PersonaLayer")}, 200),
    ):
        async with http.get(url, headers=headers) as reply:
            assert reply.status == status
    async with http.get(f"{node.listening[0].url}/health") as reply:
        assert reply.status == 200
    async with http.get(f"{node.listening[0].url}/metrics") as reply:
        text = await reply.text()
    assert 'endpoint="personas_list",role="PersonaLayer",status="401"} 3.0' in text
