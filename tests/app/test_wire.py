"""What `[server.tls]` says of the wire: versions, ciphers, certificates of clients, and the end of the node's own."""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
from pathlib import Path

import aiohttp
import pytest

from intellirouter.app import certificates as certificates_module
from intellirouter.app.node import Node
from intellirouter.config.load import load
from intellirouter.errors import ConfigError
from intellirouter.security.certificate_end import CertificateEnd, end_of
from intellirouter.security.certificate_names import names_of
from tests.conftest import StartNode
from tests.servers.certificates import Authority

KEY = "key-of-the-tests-0123456789"


def toml(authority: Authority, files: tuple[Path, Path], more: str = "") -> str:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    return (
        f'[server.tls]\ncertificate = "{files[0]}"\nkey = "{files[1]}"\n{more}'
        f'[auth]\nenabled = true\n[[auth.keys]]\nname = "ci"\nsha256 = "{digest}"\nscopes = ["admin"]\n'
    )


def client(
    authority: Authority, *, own: tuple[Path, Path] | None = None, most: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.file))
    if own is not None:
        context.load_cert_chain(*own)
    if most is not None:
        context.maximum_version = most
    return context


async def status(
    node: Node, context: ssl.SSLContext, path: str = "/admin/keys", key: str | None = None
) -> int:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    connector = aiohttp.TCPConnector(ssl=context, force_close=True)
    timeout = aiohttp.ClientTimeout(total=60)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        session.get(f"{node.listening[0].url}{path}", headers=headers) as reply,
    ):
        return reply.status


async def test_old_versions_are_spoken_as_far_as_is_said(start_node: StartNode, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("Router")
    usual = await start_node(toml(authority, files))
    assert await status(usual, client(authority, most=ssl.TLSVersion.TLSv1_2), key=KEY) == 200
    assert await status(usual, client(authority), key=KEY) == 200
    newest = await start_node(toml(authority, files, 'minimum = "1.3"\n'))
    with pytest.raises(aiohttp.ClientConnectorError):
        await status(newest, client(authority, most=ssl.TLSVersion.TLSv1_2), key=KEY)
    fixed = await start_node(toml(authority, files, 'ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384"\n'))
    other = client(authority, most=ssl.TLSVersion.TLSv1_2)
    other.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    with pytest.raises(aiohttp.ClientConnectorError):
        await status(fixed, other, key=KEY)
    assert await status(fixed, client(authority, most=ssl.TLSVersion.TLSv1_2), key=KEY) == 200


async def test_a_client_is_known_by_its_certificate(start_node: StartNode, tmp_path: Path) -> None:
    authority, people, strangers = (
        Authority(tmp_path / name, name) for name in ("own", "people", "strangers")
    )
    files = authority.issue("Router")
    known = people.issue("ChainEngine")  # its common name is "node"
    keys = f'client_ca = "{people.file}"\nclient_keys = {{ node = "ci" }}\n'
    optional = await start_node(toml(authority, files, f'{keys}client_certificates = "optional"\n'))
    assert await status(optional, client(authority, own=known)) == 200
    assert await status(optional, client(authority)) == 401
    assert await status(optional, client(authority), key=KEY) == 200
    assert (
        await status(optional, client(authority, own=known), key="wrong") == 401
    )  # a key that is sent counts
    required = await start_node(toml(authority, files, keys))
    assert await status(required, client(authority, own=known)) == 200
    for without in (client(authority), client(authority, own=strangers.issue("ChainEngine"))):
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
            await status(required, without, key=KEY)
    gone = keys.replace('"ci"', '"nobody"')
    nobody = await start_node(toml(authority, files, gone))
    assert await status(nobody, client(authority, own=known)) == 401


async def test_a_certificate_that_is_replaced_is_taken_and_its_end_told(
    start_node: StartNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates_module, "LOOK_SECONDS", 0.05)
    first, second = Authority(tmp_path / "a", "a"), Authority(tmp_path / "b", "b")
    certificate, key = tmp_path / "node.pem", tmp_path / "node.key"

    def put(files: tuple[Path, Path]) -> None:
        certificate.write_bytes(files[0].read_bytes())
        key.write_bytes(files[1].read_bytes())

    put(first.issue("Router", days=60))
    node = await start_node(toml(first, (certificate, key)))
    assert node.certificates is not None
    assert node.certificates.health(None).status == "healthy"  # type: ignore[arg-type]
    put(second.issue("Router", days=5))

    async def taken() -> bool:
        try:
            return await status(node, client(second), "/health") == 200
        except aiohttp.ClientConnectorError:
            return False

    async with asyncio.timeout(60):
        while not await taken():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    part = node.certificates.health(None)  # type: ignore[arg-type]
    assert (part.status, bool(re.search(r"ends in [45]\.\d days", part.reason))) == ("degraded", True)
    certificate.write_text("no certificate")
    async with asyncio.timeout(60):
        while not node.certificates.refused:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await taken()  # the one before still serves
    put(first.issue("Router", days=60))
    async with asyncio.timeout(60):
        while node.certificates.refused:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("days", "word"),
    [(31, ""), (30, "soon"), (8, "soon"), (7, "near"), (2, "near"), (1, "last"), (0, "over"), (-3, "over")],
)
def test_how_near_an_end_is(days: float, word: str) -> None:
    assert CertificateEnd(Path("x.pem"), 1_000_000 + days * 86_400).urgency(1_000_000) == word


def test_the_end_is_that_of_the_file(tmp_path: Path) -> None:
    certificate, _ = Authority(tmp_path).issue("Router", days=10)
    assert end_of(certificate).urgency() == "soon"


def test_names_in_a_certificate() -> None:
    peer: dict[str, object] = {
        "subject": ((("countryName", "DE"),), (("commonName", "ci"),)),
        "subjectAltName": (("DNS", "ci.example.com"), ("IP Address", "10.0.0.1"), ("URI", "spiffe://x/ci")),
    }
    assert names_of(peer) == ["ci", "ci.example.com", "spiffe://x/ci"]
    assert names_of(None) == names_of({}) == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('client_keys = { a = "b" }\n', "need server.tls.client_ca"),
        ('minimum = "1.3"\nciphers = "ECDHE+AESGCM"\n', "are those of TLS 1.2"),
        ('client_ca = "ca.pem"\nclient_keys = { a = "b" }\n', "mean nothing while auth.enabled is false"),
        ('minimum = "1.1"\n', "server.tls.minimum"),
    ],
)
def test_contradictions_are_found_before_the_start(tmp_path: Path, more: str, said: str) -> None:
    file = tmp_path / "node.toml"
    file.write_text(f'[server.tls]\ncertificate = "a.pem"\nkey = "a.key"\n{more}')
    with pytest.raises(ConfigError, match=said):
        load(file, {})
