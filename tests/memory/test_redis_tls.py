"""Redis over TLS with a client certificate and a password, as `[memory]` names them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from intellirouter.config.schema.memory import MemorySection
from intellirouter.errors import ConfigError, StateUnavailable
from intellirouter.memory.redis.connect import connect
from intellirouter.memory.redis.store import RedisStore
from tests.servers.ports import free_port
from tests.servers.redis import RedisServer, require_redis


def certificates(directory: Path) -> None:
    """A CA, and a certificate for 127.0.0.1 that serves both sides."""
    openssl = shutil.which("openssl") or pytest.skip("openssl is not installed")

    def run(*words: str) -> None:
        subprocess.run([openssl, *words], cwd=directory, check=True, capture_output=True)

    run(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-subj",
        "/CN=ca",
        "-addext",
        "keyUsage=critical,keyCertSign",
    )
    run(
        "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "node.key", "-out", "node.csr", "-subj", "/CN=node"
    )
    (directory / "names").write_text("subjectAltName = IP:127.0.0.1\nauthorityKeyIdentifier = keyid\n")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
    run("x509", "-req", "-in", "node.csr", "-out", "node.pem", *signing)


async def test_tls_client_certificate_and_password(tmp_path: Path) -> None:
    require_redis()
    certificates(tmp_path)
    plain, tls = free_port(), free_port()
    files = {"cert-file": "node.pem", "key-file": "node.key", "ca-cert-file": "ca.pem"}
    options = [word for name, file in files.items() for word in (f"--tls-{name}", str(tmp_path / file))]
    server = RedisServer(
        tmp_path / "redis", port=plain, options=("--tls-port", str(tls), "--requirepass", "s3cret", *options)
    ).start()
    section = MemorySection.model_validate(
        {
            "backend_type": "redis",
            "redis_url": f"rediss://127.0.0.1:{tls}/3",
            "redis_password": "s3cret",
            "redis_ca": tmp_path / "ca.pem",
            "redis_certificate": tmp_path / "node.pem",
            "redis_key": tmp_path / "node.key",
        }
    )
    wrong = [{"redis_password": "wr0ng"}, {"redis_ca": None}, {"redis_certificate": None, "redis_key": None}]
    try:
        store = RedisStore(section)
        await store.set("k", b"v")
        assert await store.get("k") == b"v"
        await store.aclose()
        for change in wrong:
            store = RedisStore(_with(section, change))
            with pytest.raises(StateUnavailable) as refused:
                await store.get("k")
            assert "s3cret" not in str(refused.value)
            assert "wr0ng" not in str(refused.value)
            await store.aclose()
    finally:
        server.kill()


def _with(section: MemorySection, change: dict[str, object]) -> MemorySection:
    return MemorySection.model_validate({**dict(section), **change})


@pytest.mark.parametrize(
    "fields",
    [
        {"redis_url": "http://example.com"},
        {"redis_url": "redis://example.com/abc"},
        {"redis_sentinels": ["nowhere"]},
    ],
)
def test_an_address_that_is_none_is_a_mistake_of_the_configuration(fields: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        connect(MemorySection.model_validate(fields))
