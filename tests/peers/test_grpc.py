"""gRPC between roles: the wire form, who is let in, and errors that arrive as they were."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.config.schema.ipc import IpcSecurity
from intellirouter.errors import (
    ConfigError,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    PeerUnavailable,
    UpstreamProtocolError,
)
from intellirouter.peers.contract import Call
from intellirouter.peers.grpc import channel as channels
from intellirouter.peers.grpc import wire
from intellirouter.peers.grpc.channel import Channel
from intellirouter.peers.grpc.clients import GrpcChainRunner, GrpcPersonaResolver
from intellirouter.security.caller import ANONYMOUS
from intellirouter.security.peer_certificates import peer_tls
from intellirouter.security.peer_tokens import PeerSigner
from tests.conftest import StartNode
from tests.security.test_peer_certificates import section, toml
from tests.servers.certificates import Authority
from tests.servers.ports import free_port

CALL = Call(ANONYMOUS, "req_1")
TOKEN = IpcSecurity.model_validate({"enabled": True, "token": "a-token-that-is-long-enough"})
TRUST = '[ipc.security]\nenabled = true\ntoken = "a-token-that-is-long-enough"\n'


def document() -> type:
    """The message of peers.proto as Google's own library reads it."""
    file = descriptor_pb2.FileDescriptorProto(name="peers.proto", package="t", syntax="proto3")
    message = file.message_type.add(name="Document")
    message.field.add(name="json", number=1, type=12, label=1)  # bytes, optional
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Document"))  # type: ignore[no-any-return]


DOCUMENT = document()


@given(st.binary(max_size=70_000) | st.sampled_from([b"", b"x" * 127, b"x" * 128, b"x" * 16_384]))
def test_the_wire_form_is_protobuf_s(body: bytes) -> None:
    theirs = DOCUMENT(json=body).SerializeToString()
    assert wire.encode(body) == theirs
    assert wire.decode(theirs) == body


@given(st.binary(max_size=40))
def test_what_is_no_message_of_ours_is_refused(data: bytes) -> None:
    with contextlib.suppress(UpstreamProtocolError):
        assert wire.encode(wire.decode(data)) == data or data[:1] == b"\x0a"


@contextlib.asynccontextmanager
async def channel(
    role: str, port: int, security: IpcSecurity, scheme: str = "http"
) -> AsyncIterator[Channel]:
    made = Channel(role, f"{scheme}://127.0.0.1:{port}", PeerSigner(security), 10, peer_tls(security, role))
    try:
        yield made
    finally:
        await made.aclose()


async def test_errors_arrive_as_they_were(start_node: StartNode) -> None:
    port = free_port()
    await start_node(f"{TRUST}[server]\ngrpc_port = {port}\n", role="PersonaLayer")
    async with channel("PersonaLayer", port, TOKEN) as there:
        personas = GrpcPersonaResolver(there)
        assert (await personas.resolve("analyst", {}, CALL)).name == "analyst"
        with pytest.raises(NotFound, match="no persona 'nobody'"):
            await personas.resolve("nobody", {}, CALL)
        with pytest.raises(InvalidRequest, match="mood") as failed:
            await personas.resolve("analyst", {"mood": 1}, CALL)
        assert failed.value.param == "persona_variables.mood"
        with pytest.raises(PayloadTooLarge, match="PersonaLayer takes"):
            await personas.resolve("analyst", {"mood": "x" * 17_000_000}, CALL)
        with pytest.raises(PeerUnavailable, match="deadline"):
            await personas.resolve("analyst", {}, Call(ANONYMOUS, "r", deadline=0.0))
    for security, said in (
        (IpcSecurity(), "signed with ipc.security"),
        (
            IpcSecurity.model_validate({"enabled": True, "token": "another-token-of-some-length"}),
            "not signed",
        ),
    ):
        async with channel("PersonaLayer", port, security) as there:
            with pytest.raises(PeerUnavailable, match=said):
                await GrpcPersonaResolver(there).resolve("analyst", {}, CALL)
    async with channel("RagManager", port, TOKEN) as there:  # a service that is not here
        with pytest.raises(PeerUnavailable, match="UNIMPLEMENTED"):
            await GrpcChainRunner(there).run("x", {}, CALL)
    async with channel("PersonaLayer", free_port(), TOKEN) as there:  # nobody
        async with asyncio.timeout(20):
            with pytest.raises(PeerUnavailable, match="does not answer"):
                await GrpcPersonaResolver(there).resolve("analyst", {}, CALL)


async def test_a_call_for_another_role_is_refused(start_node: StartNode) -> None:
    port = free_port()
    await start_node(f"{TRUST}[server]\ngrpc_port = {port}\n", role="PersonaLayer")
    signed = PeerSigner(TOKEN).headers("RagManager", ANONYMOUS)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as there:
        rpc = there.unary_unary(
            wire.method("PersonaLayer", "Resolve"),
            request_serializer=wire.encode,
            response_deserializer=wire.decode,
        )
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await rpc(b'{"persona": "analyst"}', metadata=tuple(signed.items()), timeout=10)
        assert failed.value.code() is grpc.StatusCode.UNAUTHENTICATED
        for body in (b"[]", b"{", b"\xff"):
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                metadata = tuple(PeerSigner(TOKEN).headers("PersonaLayer", ANONYMOUS).items())
                await rpc(body, metadata=metadata, timeout=10)
            assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_bytes_that_are_no_message_are_refused_as_a_mistake_of_the_caller(
    start_node: StartNode,
) -> None:
    port = free_port()
    await start_node(f"{TRUST}[server]\ngrpc_port = {port}\n", role="PersonaLayer")
    odd = (
        b"\x12\x01x",
        b"\x0a\xff\xff",
        wire.encode(b'{"persona": []}'),
        wire.encode(b'{"persona": "analyst", "variables": []}'),
    )
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as there:
        rpc = there.unary_unary(wire.method("PersonaLayer", "Resolve"))
        for message in odd:
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await rpc(message, timeout=20)
            assert failed.value.code() is grpc.StatusCode.UNAUTHENTICATED
            metadata = tuple(PeerSigner(TOKEN).headers("PersonaLayer", ANONYMOUS).items())
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await rpc(message, metadata=metadata, timeout=20)
            assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_certificates_are_asked_for(start_node: StartNode, tmp_path: Path) -> None:
    ours, others = Authority(tmp_path / "ours"), Authority(tmp_path / "others")
    port = free_port()
    node = toml(section(ours, ours.issue("PersonaLayer")))
    await start_node(f"{node}[server]\ngrpc_port = {port}\n", role="PersonaLayer")

    async def ask(security: IpcSecurity) -> None:
        async with channel("PersonaLayer", port, security, "https") as there, asyncio.timeout(20):
            await GrpcPersonaResolver(there).resolve("analyst", {}, CALL)

    await ask(section(ours, ours.issue("Router")))
    with pytest.raises(PeerUnavailable, match="names RagManager"):
        await ask(section(ours, ours.issue("RagManager")))
    with pytest.raises(PeerUnavailable, match="names no role"):
        await ask(section(ours, ours.issue()))
    for wrong in (
        section(ours, others.issue("Router")),
        section(ours, ours.issue("Router", days=-1)),
        section(others, others.issue("Router")),
    ):
        with pytest.raises(PeerUnavailable, match="does not answer"):
            await ask(wrong)


@pytest.mark.parametrize(
    ("roles", "address"),
    [(("RagManager",), "127.0.0.1"), ((), "127.0.0.1"), (("PersonaLayer",), "127.0.0.2")],
)
async def test_a_call_is_made_only_to_the_role_and_the_host_it_is_meant_for(
    start_node: StartNode, tmp_path: Path, roles: tuple[str, ...], address: str
) -> None:
    ours = Authority(tmp_path / "ours")
    port = free_port()
    node = toml(section(ours, ours.issue(*roles, address=address)))
    await start_node(f"{node}[server]\ngrpc_port = {port}\n", role="PersonaLayer")
    router = section(ours, ours.issue("Router"))
    async with channel("PersonaLayer", port, router, "https") as there, asyncio.timeout(20):
        with pytest.raises(PeerUnavailable, match="names this role and this host"):
            await GrpcPersonaResolver(there).resolve("analyst", {}, CALL)


async def test_a_caller_presents_its_new_certificate_without_a_restart(
    start_node: StartNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "LOOK_SECONDS", 0.0)
    ours = Authority(tmp_path / "ours")
    port = free_port()
    node = toml(section(ours, ours.issue("PersonaLayer")))
    await start_node(f"{node}[server]\ngrpc_port = {port}\n", role="PersonaLayer")
    files = ours.issue("RagManager")
    async with channel("PersonaLayer", port, section(ours, files), "https") as there, asyncio.timeout(30):
        personas = GrpcPersonaResolver(there)
        with pytest.raises(PeerUnavailable, match="names RagManager"):
            await personas.resolve("analyst", {}, CALL)
        files[1].unlink()
        with pytest.raises(PeerUnavailable, match="names RagManager"):
            await personas.resolve("analyst", {}, CALL)
        for _ in range(3):
            for new, file in zip(ours.issue("Router"), files, strict=True):
                new.replace(file)
            assert (await personas.resolve("analyst", {}, CALL)).name == "analyst"


def test_an_endpoint_without_a_port_is_named() -> None:
    with pytest.raises(ConfigError, match="needs a host and a port"):
        Channel("RagManager", "http://rag.internal", PeerSigner(IpcSecurity()), 10)
