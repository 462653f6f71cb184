"""Trust between roles: who is refused, and that a tenant stays itself on every node."""

from __future__ import annotations

import tempfile
import time
from dataclasses import fields, replace
from pathlib import Path

import aiohttp
import grpc.aio
import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from intellirouter.config.schema.ipc import IpcSecurity
from intellirouter.errors import AuthenticationFailed, PeerUnavailable
from intellirouter.peers.grpc import wire
from intellirouter.security import peer_tokens
from intellirouter.security.caller import PEER_HEADER, Caller, Quota
from intellirouter.security.fence import Fence
from intellirouter.security.grants import Grants, Rule
from intellirouter.security.peer_tokens import PeerSigner, PeerVerifier
from intellirouter.security.replay import Seen, SeenFile
from tests.conftest import StartNode
from tests.servers.ports import free_port

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
    assert caller.via == {"Router"}
    assert caller.may("inference:chat")
    assert not caller.may("admin:keys:read")


WHOLE = {"jti": "once", "tenant": "acme", "roles": ["Router"], "scopes": ["inference"]}


def forged(**changes: object) -> str:
    now = int(time.time())
    claims = {
        "iss": "intellirouter",
        "aud": "RagManager",
        "sub": "x",
        "iat": now,
        "exp": now + 60,
        **WHOLE,
        **changes,
    }
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
        async with http.post(f"{url}/analyst/render", headers=headers) as reply:
            assert reply.status == status
    chains = PeerSigner(section("new"), {"ChainEngine"})
    async with http.post(f"{url}/analyst/render", headers=chains.headers("PersonaLayer", ANN)) as reply:
        assert reply.status == 200
    async with http.get(url, headers=chains.headers("PersonaLayer", ANN)) as reply:
        assert reply.status == 403  # none of the ChainEngine's business
    async with http.get(f"{node.listening[0].url}/health") as reply:
        assert reply.status == 200
    async with http.get(f"{node.listening[0].url}/metrics") as reply:
        text = await reply.text()
    assert 'endpoint="personas_render",role="PersonaLayer",status="401"} 3.0' in text


RICH = Caller(
    key_id="ann",
    tenant="acme",
    team="red",
    scopes=frozenset({"inference"}),
    models=("smart", "small"),
    quota=Quota(2, 300, (("day", 0.5), ("total", 1e-05))),
    priority=-3,
    metadata={"site": "Zürich"},
    fence=Fence(("/v1/*",), ("10.0.0.0/8",), ("kb",), 3),
    ref="key_1",
    record="errors",
    permissions=frozenset({"inference:chat", "documents:search"}),
    grants=Grants((Rule(frozenset({"inference:chat"}), models=("small*",)),)),
)


def test_a_caller_arrives_whole() -> None:
    headers = PeerSigner(section("new"), {"ChainEngine"}).headers("Router", RICH)
    found = PeerVerifier(section("new"), "Router").verify(headers[PEER_HEADER])
    assert found == replace(RICH, via=frozenset({"ChainEngine"}))
    told = [field.name for field in fields(Caller) if field.init]  # what it only remembers is not told
    assert set(told) - {"via"} == {
        name for name in told if getattr(RICH, name) != getattr(Caller(), name)
    }  # a field added to Caller is to be carried too


@pytest.mark.parametrize(
    "changes",
    [
        {"tenant": None},
        {"tenant": ""},
        {"tenant": 7},
        {"tenant": ["acme"]},
        {"roles": None},
        {"roles": []},
        {"roles": "Router"},
        {"roles": ["PersonaLayer"]},
        {"roles": ["Nobody"]},
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 65},
        {"jti": 5},
        {"scopes": ["inference", "admin"]},
        {"scopes": ["admin"]},
        {"scopes": "admin"},
        {"scopes": {"admin": 1}},
        {"models": "smart"},
        {"models": [None]},
        {"quota": {"requests_per_minute": "many"}},
        {"quota": []},
        {"priority": "high"},
        {"metadata": {"a": {}}},
        {"sub": 5},
        {"aud": ["RagManager"]},
        {"exp": 4_102_444_800},
        {"exp": 1e400},
        {"iat": "now"},
        {"iat": 1.5},
    ],
    ids=str,
)
def test_a_token_that_is_signed_and_wrong_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(AuthenticationFailed):
        PeerVerifier(section("new"), "RagManager").verify(forged(**changes))


def test_a_token_is_good_once_and_what_was_forgotten_does_not_come_back() -> None:
    verifier = PeerVerifier(section("new"), "RagManager")
    token = forged()
    verifier.verify(token)
    with pytest.raises(AuthenticationFailed, match="used before"):
        verifier.verify(token)
    seen = Seen(100, most=3)
    now = 1_000_000.0
    for number in range(10):  # more than are kept
        assert seen.first_use(f"t{number}", now + number, now + number)
    for number in range(10):
        assert not seen.first_use(f"t{number}", now + number, now + 11)
    assert seen.first_use("late", now + 300, now + 300)
    assert len(seen._young) + len(seen._old) <= 6


def test_what_was_used_is_known_to_every_process_of_a_node_and_after_a_restart(tmp_path: Path) -> None:
    file, now = tmp_path / "seen", 1_000_000.0
    one, other = SeenFile(file, 100), SeenFile(file, 100)
    ids = [f"t{number}" for number in range(2_000)]
    assert all((one, other)[number % 2].first_use(name, now, now) for number, name in enumerate(ids))
    assert not any((other, one)[number % 2].first_use(name, now, now + 50) for number, name in enumerate(ids))
    one.close()
    other.close()
    again = SeenFile(file, 100)
    assert not any(again.first_use(name, now, now + 99) for name in ids)
    assert all(again.first_use(name, now + 101, now + 101) for name in ids)
    assert file.stat().st_mode & 0o777 == 0o600
    again.close()
    file.write_bytes(b"of another form")
    assert SeenFile(file, 100).first_use("t", now, now)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 60), max_size=120), st.integers(1, 40))
def test_a_full_file_forgets_nothing_that_could_come_back(uses: list[int], slots: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        seen = SeenFile(Path(folder) / "seen", 100, slots)
        taken = set()
        for at, number in enumerate(uses):
            issued = 1_000_000 + 3 * number
            if seen.first_use(f"t{number}", issued, 1_000_090 + 3 * at / 100):
                assert number not in taken
                taken.add(number)
        seen.close()


async def test_a_call_is_good_once_for_a_node_that_was_started_again(
    start_node: StartNode, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    headers = PeerSigner(section("new"), {"ChainEngine"}).headers("Router", Caller())
    toml = '[ipc.security]\nenabled = true\ntoken = "new"\n[auth]\nenabled = true\n'
    heard = []
    for _ in range(2):
        node = await start_node(toml, data_dir=tmp_path / "kept")
        async with http.post(f"{node.listening[0].url}/v1/embeddings", json={}, headers=headers) as reply:
            heard.append(reply.status)
    assert heard == [403, 401]  # nobody may not embed, but came in


async def test_no_role_carries_admin_to_the_router_and_a_wrong_token_is_no_failure_of_ours(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    admin = f'[auth]\nenabled = true\n[[auth.keys]]\nname = "a"\nsha256 = "{"0" * 64}"\nscopes = ["admin"]\n'
    node = await start_node(f'[ipc.security]\nenabled = true\ntoken = "new"\n{admin}')
    url = node.listening[0].url
    boss = replace(RICH, scopes=frozenset({"admin", "inference", "chains", "personas"}))
    for asking in ({"ChainEngine"}, {"RagManager"}, {"ChainEngine", "RagManager", "Router"}):
        for path in ("/admin/keys", "/admin/spend", "/v1/conversations", "/v1/models"):
            headers = PeerSigner(section("new"), asking).headers("Router", boss)
            async with http.get(url + path, headers=headers) as reply:
                assert reply.status == 403, path
    for changes in ({"tenant": None}, {"scopes": ["admin"]}, {"roles": [{}]}, {"quota": {"budgets": 1}}):
        body = {"model": "x", "messages": []}
        headers = {
            PEER_HEADER: forged(aud="Router", roles=["ChainEngine"])
            if not changes
            else forged(**{"aud": "Router", "roles": ["ChainEngine"], **changes})
        }
        async with http.post(f"{url}/v1/chat/completions", json=body, headers=headers) as reply:
            assert reply.status == 401
            assert "was refused" in (await reply.json())["error"]["message"]


async def test_a_token_taken_over_http_is_not_taken_again_over_grpc(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    port = free_port()
    node = await start_node(
        f'[ipc.security]\nenabled = true\ntoken = "new"\n[server]\ngrpc_port = {port}\n', role="PersonaLayer"
    )
    headers = PeerSigner(section("new")).headers("PersonaLayer", ANN)
    url = f"{node.listening[0].url}/v1/personas/analyst/render"
    async with http.post(url, headers=headers) as reply:
        assert reply.status == 200
    async with http.post(url, headers=headers) as reply:
        assert (reply.status, "used before" in await reply.text()) == (401, True)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(wire.method("PersonaLayer", "Resolve"))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(wire.encode(b'{"persona": "analyst"}'), metadata=tuple(headers.items()), timeout=30)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_full_file_knows_after_a_restart_what_it_let_go_and_takes_what_is_newer(tmp_path: Path) -> None:
    file, now = tmp_path / "seen", 1_000_000.0
    seen = SeenFile(file, 100, 1)
    ids = [f"t{number}" for number in range(SeenFile.NEAR + 2)]
    assert all(seen.first_use(name, now, now + at / 100) for at, name in enumerate(ids))
    seen.close()
    again = SeenFile(file, 100, 1)
    assert not any(again.first_use(name, now - 2, now + 1) for name in (*ids, "before"))
    assert not again.first_use(ids[-1], now, now + 1)
    assert again.first_use("after", now + 1, now + 1)
    again.close()


def test_a_place_is_free_when_its_token_has_ended_and_nobody_elses_is_refused(tmp_path: Path) -> None:
    seen = SeenFile(tmp_path / "seen", 100, slots=1)
    assert all(seen.first_use(f"old {n}", 0.0, 0.0) for n in range(SeenFile.NEAR))
    assert seen.first_use("new", 100.0, 100.0)
    assert seen.first_use("issued before", 50.0, 100.0)
    seen.close()
