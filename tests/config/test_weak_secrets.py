"""A secret that everybody knows starts no production node, wherever it stands; one that nobody knows does."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.config.load import Loaded, load
from intellirouter.config.weak_secrets import is_known, is_placeholder
from intellirouter.errors import ConfigError

GOOD = "f3c1a9d07b52e8641f0c"
KNOWN = (
    "your_secure_token_here",
    "your-token",
    "<token>",
    "changeme",
    "Ch@ngeMe123",
    "change_me_please",
    "replace-with-a-long-random-string",
    "secret",
    "my-super-secret-token",
    "P@ssw0rd",
    "redis-password",
    "intellirouter",
    "sk-1234",
    "sk-...",
    "xxxxxxxx",
    "0123456789abcdef0123456789abcdef",
    "aaaaaaaaaaaaaaaaaaaaaaaa",
    "abcabcabcabc",
    "qwertyuiop",
    "s3cr3t",
    "secret20261129",
    "91827364token",
    "k7#q",
)
PLACES = {
    "ipc.security.token": '[ipc.security]\nenabled = true\ntoken = "{}"\n',
    "ipc.security.previous_token": '[ipc.security]\nenabled = true\ntoken = "'
    + GOOD
    + '"\nprevious_token = "{}"\n',
    "memory.redis_password": '[memory]\nbackend_type = "redis"\nredis_password = "{}"\n',
}


def read(tmp_path: Path, toml: str, environment: str = "production") -> Loaded:
    file = tmp_path / "node.toml"
    file.write_text(f'environment = "{environment}"\n{toml}')
    return load(file, {})


def refused(loaded: Loaded) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded.startable()
    assert caught.value.exit_code == 78
    return caught.value.message


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("secret", KNOWN)
def test_a_known_secret_is_refused_in_production_by_its_place_and_never_shown(
    tmp_path: Path, place: str, secret: str
) -> None:
    toml = PLACES[place].format(secret)
    words = refused(read(tmp_path, toml))
    assert place in words
    assert secret == "secret" or secret not in words  # the word stands in the sentence
    development = read(tmp_path, toml, "development")
    assert development.startable().warnings


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_that_nobody_knows_starts(tmp_path: Path, place: str) -> None:
    assert not read(tmp_path, PLACES[place].format(secrets.token_hex(16))).startable().refusals


ADDRESSES = {
    "memory.redis_url": '[memory]\nbackend_type = "redis"\nredis_url = "redis://:{}@redis:6379"\n',
    "chain_engine.database_url": '[chain_engine]\ndatabase_url = "postgresql://ir:{}@db/ir"\n',
    "rag.vector_db_url": '[rag]\nvector_db_url = "http://ir:{}@chroma:8000"\n',
}


@pytest.mark.parametrize("place", ADDRESSES)
def test_the_password_of_an_address_is_a_secret_too(tmp_path: Path, place: str) -> None:
    assert place in refused(read(tmp_path, ADDRESSES[place].format("changeme")))
    assert read(tmp_path, ADDRESSES[place].format(GOOD)).startable()


def test_a_key_of_a_provider_that_a_document_shows(tmp_path: Path) -> None:
    of_vendor = '[[model_registry.providers]]\nname = "openai"\napi_key = "{}"\n'
    own = '[[model_registry.providers]]\nname = "vllm"\nkind = "openai_compatible"\nendpoint = "http://gpu:8000/v1"\napi_key = "{}"\n'
    for secret in ("your_openai_key", "sk-…", "test"):
        assert "model_registry.providers[0].api_key" in refused(read(tmp_path, of_vendor.format(secret)))
    assert read(tmp_path, of_vendor.format(f"sk-proj-{GOOD}")).startable()
    assert read(tmp_path, own.format("EMPTY")).startable()
    assert refused(read(tmp_path, own.format("your_api_key")))


@pytest.mark.parametrize(
    "key", ["", "\n", "your_api_key", "changeme", "sk-1234", "secret", "test\n", "admin123"]
)
def test_the_hash_of_a_known_key(tmp_path: Path, key: str) -> None:
    toml = f'[auth]\nenabled = true\n[[auth.keys]]\nname = "boss"\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\n'
    assert "'boss' is the hash of a key that everybody knows" in refused(read(tmp_path, toml))


def test_the_hash_of_a_key_that_nobody_knows(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"sk-ir-" + GOOD.encode()).hexdigest()
    toml = f'[auth]\nenabled = true\n[[auth.keys]]\nname = "boss"\nsha256 = "{digest}"\n'
    assert read(tmp_path, toml).startable()
    assert refused(read(tmp_path, toml.replace(digest, "0" * 64)))


@pytest.mark.parametrize(
    "secret", ["918273645token", "tokenfjordzk", "my-9182736450-key", GOOD, "0192837465"]
)
def test_words_beside_what_nobody_tries_are_not_known(secret: str) -> None:
    assert not is_known(secret)


@given(st.binary(min_size=12, max_size=32))
def test_what_a_generator_of_secrets_prints_is_never_taken_for_known(raw: bytes) -> None:
    text = hashlib.sha256(raw).hexdigest()
    assert not is_known(text)
    assert not is_placeholder(text)
