"""Roles that trust one another by certificate: who may call whom, and who is turned away."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from intellirouter.config.load import load
from intellirouter.config.schema.ipc import IpcSecurity
from intellirouter.errors import AuthenticationFailed, ConfigError, PeerUnavailable
from intellirouter.peers.contract import Call, ResolvedPersona
from intellirouter.peers.http_roles import HttpPersonaResolver, RoleClient
from intellirouter.security.caller import ANONYMOUS, PEER_HEADER, Caller
from intellirouter.security.peer_certificates import peer_tls
from intellirouter.security.peer_tokens import PeerSigner, PeerVerifier
from intellirouter.transport.choose import make_transport
from tests.conftest import StartNode
from tests.servers.certificates import Authority

BY_CERTIFICATE = '[ipc.security]\nenabled = true\nca = "a"\ncertificate = "b"\nkey = "c"\n'


def section(authority: Authority, files: tuple[Path, Path], **more: object) -> IpcSecurity:
    values = {"enabled": True, "ca": authority.file, "certificate": files[0], "key": files[1], **more}
    return IpcSecurity.model_validate(values)


def toml(security: IpcSecurity) -> str:
    files = "".join(f'{name} = "{getattr(security, name)}"\n' for name in ("ca", "certificate", "key"))
    token = f'token = "{security.token.get_secret_value()}"\n' if security.token else ""
    return f"[ipc.security]\nenabled = true\n{files}{token}"


@contextlib.asynccontextmanager
async def resolver(
    url: str, security: IpcSecurity, role: str = "PersonaLayer", asking: tuple[str, ...] = ("Router",)
) -> AsyncIterator[HttpPersonaResolver]:
    transport = make_transport("fast", max_connections=4, peer=peer_tls(security, role))
    try:
        yield HttpPersonaResolver(RoleClient(transport, role, url, PeerSigner(security, asking), 10))
    finally:
        await transport.aclose()


async def resolved(url: str, security: IpcSecurity, asking: tuple[str, ...] = ("Router",)) -> ResolvedPersona:
    async with resolver(url, security, asking=asking) as personas:
        return await personas.resolve("analyst", {}, Call(ANONYMOUS, "req_1"))


@pytest.mark.parametrize("token", [None, "a-token-that-is-long-enough"])
async def test_a_role_that_has_business_here_is_served_and_every_other_refused(
    start_node: StartNode, tmp_path: Path, token: str | None
) -> None:
    ours, others = Authority(tmp_path / "ours"), Authority(tmp_path / "others")
    node = await start_node(toml(section(ours, ours.issue("PersonaLayer"), token=token)), role="PersonaLayer")
    url = node.listening[0].url
    assert url.startswith("https://")

    for roles in (("Router",), ("ChainEngine", "RagManager")):
        found = await resolved(url, section(ours, ours.issue(*roles), token=token), roles)
        assert found.name == "analyst"

    refused = {
        "names RagManager": section(ours, ours.issue("RagManager"), token=token),
        "names no role": section(ours, ours.issue(), token=token),
    }
    for reason, security in refused.items():
        with pytest.raises(PeerUnavailable, match=reason):
            await resolved(url, security)
    for wrong in (others.issue("Router"), ours.issue("Router", days=-1)):  # turned away before a word is said
        with pytest.raises(PeerUnavailable, match="does not answer"):
            await resolved(url, section(ours, wrong, token=token))
    if token is not None:
        with pytest.raises(PeerUnavailable, match="not signed"):
            await resolved(url, section(ours, ours.issue("Router"), token="another-token-of-some-length"))

    context = ssl.create_default_context(cafile=ours.file)
    stolen = PeerSigner(section(ours, ours.issue("Router"), token=token)).headers("PersonaLayer", ANONYMOUS)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as http:
        for headers, said in ((stolen, "without a certificate"), ({}, "signed with ipc.security")):
            async with http.post(f"{url}/v1/personas/analyst/render", json={}, headers=headers) as reply:
                assert reply.status == 401
                assert said in (await reply.json())["error"]["message"]
        async with http.get(f"{url}/health") as reply:  # a load balancer needs no certificate
            assert reply.status == 200
        async with http.get(f"{url}/metrics") as reply:
            counted = [line for line in (await reply.text()).splitlines() if 'status="401"' in line]
    assert counted


@pytest.mark.parametrize(("roles", "days"), [(("RagManager",), 1), ((), 1), (("PersonaLayer",), -1)])
async def test_a_call_is_made_only_to_the_role_it_is_meant_for(
    start_node: StartNode, tmp_path: Path, roles: tuple[str, ...], days: int
) -> None:
    ours = Authority(tmp_path / "ours")
    node = await start_node(toml(section(ours, ours.issue(*roles, days=days))), role="PersonaLayer")
    with pytest.raises(PeerUnavailable, match="certificate"):
        await resolved(node.listening[0].url, section(ours, ours.issue("Router")))


async def test_the_authority_of_somebody_else_is_not_believed(start_node: StartNode, tmp_path: Path) -> None:
    ours, others = Authority(tmp_path / "ours"), Authority(tmp_path / "others")
    node = await start_node(toml(section(others, others.issue("PersonaLayer"))), role="PersonaLayer")
    with pytest.raises(PeerUnavailable, match="TLS"):
        await resolved(node.listening[0].url, section(ours, ours.issue("Router")))


async def test_a_caller_presents_its_new_certificate_without_a_restart(
    start_node: StartNode, tmp_path: Path
) -> None:
    ours = Authority(tmp_path / "ours")
    node = await start_node(toml(section(ours, ours.issue("PersonaLayer"))), role="PersonaLayer")
    old = ours.issue("Router", days=-1)
    async with resolver(node.listening[0].url, section(ours, old)) as personas:
        with pytest.raises(PeerUnavailable):
            await personas.resolve("analyst", {}, Call(ANONYMOUS, "r"))
        old[1].write_bytes(b"half of a change")
        with pytest.raises(PeerUnavailable):
            await personas.resolve("analyst", {}, Call(ANONYMOUS, "r"))
        for new, file in zip(ours.issue("Router"), old, strict=True):
            new.replace(file)
        assert (await personas.resolve("analyst", {}, Call(ANONYMOUS, "r"))).name == "analyst"


def test_the_tenant_travels_and_unsigned_claims_count_only_with_a_certificate(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    security = section(ours, ours.issue("Router"))
    claims = PeerSigner(security).headers("RagManager", Caller(key_id="k", tenant="t"))[PEER_HEADER]

    class Connection:
        def __init__(self, certificate: object) -> None:
            self.certificate = certificate

        def get_extra_info(self, name: str) -> object:
            return self.certificate if name == "peercert" else None

    named = {"subjectAltName": (("DNS", "router.role.intellirouter.internal"),)}
    verifier = PeerVerifier(security, "RagManager")
    found = verifier.verify(claims, Connection(named))  # type: ignore[arg-type]
    assert (found.key_id, found.tenant, found.via) == ("k", "t", {"Router"})
    for connection in (None, Connection(None), Connection({"subjectAltName": (("DNS", "router.internal"),)})):
        with pytest.raises(AuthenticationFailed):
            verifier.verify(claims, connection)  # type: ignore[arg-type]
    with pytest.raises(AuthenticationFailed):  # for another role
        PeerVerifier(security, "ChainEngine").verify(claims, Connection(named))  # type: ignore[arg-type]
    token = IpcSecurity.model_validate({"enabled": True, "token": "a-token-that-is-long-enough"})
    with pytest.raises(AuthenticationFailed):  # where a token is asked for, nothing unsigned
        PeerVerifier(token, "RagManager").verify(claims, Connection(named))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[ipc.security]\nenabled = true\nca = "a.pem"\n', "ipc.security.certificate"),
        (f'[ipc]\nrag_manager_endpoint = "http://h:1"\n{BY_CERTIFICATE}', "https://"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "node.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load(file, {})


async def test_a_certificate_that_cannot_be_read_is_named(start_node: StartNode, tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    files = ours.issue("PersonaLayer")
    files[1].write_text("no key")
    with pytest.raises(ConfigError, match=rf"ipc\.security: .*{files[1].name}"):
        await start_node(toml(section(ours, files)), role="PersonaLayer")
