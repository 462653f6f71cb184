"""Secrets that the configuration only names: every source, away at start, away later, refreshed before it expires."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from intellirouter.config.load import Loaded, load
from intellirouter.config.shown import flatten
from intellirouter.config.sources import keeper as keeper_module
from intellirouter.config.sources.keeper import Keeper
from intellirouter.errors import ConfigError
from tests.servers.secret_stores import AwsServer, VaultServer

SECRET = "planted-0123456789abcdef"


@pytest.fixture(scope="module")
def stores() -> Iterator[tuple[VaultServer, str, AwsServer, str]]:
    vault, aws = VaultServer(), AwsServer()
    with vault.running() as vault_url, aws.running() as aws_url:
        yield vault, vault_url, aws, aws_url


class Places:
    def __init__(self, tmp_path: Path, stores: tuple[VaultServer, str, AwsServer, str]) -> None:
        self.vault, self.vault_url, self.aws, self.aws_url = stores
        self.vault.down = self.aws.down = False
        self.vault.tells_mounts = True
        self.folder = tmp_path
        self.keeper = Keeper()
        self.environment = {
            "A_KEY": SECRET,
            "CREDENTIALS_DIRECTORY": str(tmp_path),
            "VAULT_TOKEN": "root-token",
        }
        (tmp_path / "key").write_text(f"{SECRET}\n")
        self.vault.v1["openai"] = {"key": SECRET, "other": "x"}
        self.vault.v2["team/openai"] = {"key": SECRET, "other": "x"}
        self.vault.v2["alone"] = {"key": SECRET}
        self.aws.secrets = {"openai": json.dumps({"key": SECRET}), "plain": SECRET}
        self.aws.parameters = {"/prod/openai": SECRET}

    def sources(self, more: str = "") -> str:
        return (
            f'[secrets]\nrefresh_seconds = 300\ntimeout = 5\n[secrets.vault]\naddress = "{self.vault_url}"\n{more}'
            f'[secrets.aws]\nregion = "eu-central-1"\nendpoint = "{self.aws_url}"\naccess_key_id = "AKIDEXAMPLE"\n'
            f'secret_access_key = "{AwsServer.SECRET}"\n'
        )

    def load(self, value: str, more: str = "") -> Loaded:
        toml = (
            f'{self.sources(more)}[[model_registry.providers]]\nname = "v"\nkind = "openai_compatible"\n'
            f'endpoint = "http://127.0.0.1:1/v1"\nmodels = ["m"]\napi_key = {value}\n'
        )
        file = self.folder / "node.toml"
        file.write_text(toml)
        return load(file, self.environment, keeper=self.keeper)

    def key(self, value: str, more: str = "") -> str:
        key = self.load(value, more).settings.model_registry.providers[0].api_key
        assert key is not None
        return key.get_secret_value()


@pytest.fixture
def places(tmp_path: Path, stores: tuple[VaultServer, str, AwsServer, str]) -> Places:
    return Places(tmp_path, stores)


EACH = [
    '"env:A_KEY"',
    '"file:FOLDER/key"',
    '{ file = "FOLDER/key" }',
    '"credential:key"',
    f'\'exec:{sys.executable} -c "print(\\"{SECRET}\\")"\'',
    f"{{ exec = ['{sys.executable}', '-c', 'print(\"{SECRET}\")'] }}",
    '"vault://kv1/openai#key"',
    '"vault://secret/team/openai#key"',
    '"vault://secret/alone"',
    '{ vault = "secret/team/openai", field = "key" }',
    '"aws-sm://openai#key"',
    '"aws-sm://plain"',
    '"aws-ssm:///prod/openai"',
]


@pytest.mark.parametrize("value", EACH)
def test_each_source_is_read_and_never_shown(places: Places, value: str) -> None:
    named = value.replace("FOLDER", str(places.folder))
    assert places.key(named) == SECRET
    assert SECRET not in repr(list(flatten(places.load(named).settings)))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('"env:NOBODY"', "env:NOBODY cannot be read: the environment has no NOBODY"),
        ('{ file = "/nowhere/key" }', "file:/nowhere/key cannot be read: No such file or directory"),
        ('"credential:../etc/passwd"', "holds no /"),
        ('"exec:false planted-argument"', "exec:false cannot be read: ended with code 1"),
        ('"exec:/nowhere/program"', "No such file"),
        ('"vault://secret/none#key"', "vault://secret/none#key cannot be read: there is no such secret"),
        ('"vault://secret/team/openai#none"', "has no field 'none'"),
        ('"vault://secret/team/openai"', "has 2 fields: say which"),
        ('"vault://nothing"', "vault://mount/path#field"),
        ('{ file = "a", env = "b" }', "a table of one of"),
        ("{ exec = [1] }", "exec of a secret is a text"),
        ('"aws-sm://none"', "AWS answers ResourceNotFoundException"),
        ('"aws-sm://plain#key"', "is not JSON"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line_and_no_secret(
    places: Places, value: str, said: str
) -> None:
    with pytest.raises(ConfigError) as told:
        places.load(value)
    assert said in told.value.message
    assert "node.toml:" in told.value.message
    assert "model_registry.providers[0].api_key" in told.value.message
    assert "planted" not in told.value.message


def test_nothing_but_a_secret_is_taken_for_a_reference(places: Places) -> None:
    touched = places.folder / "touched"
    file = places.folder / "node.toml"
    file.write_text(
        f'[[auth.keys]]\nname = "ci"\nsha256 = "{"ab" * 32}"\nteam = "exec:touch {touched}"\n[server]\nhost = "env:A_KEY"\n'
    )
    loaded = load(file, places.environment)
    assert loaded.settings.server.host == "env:A_KEY"
    assert not touched.exists()


def test_whatever_looks_like_a_secret_stays_one(places: Places) -> None:
    for plain in ("sk-abc:def", "vault:token", "https://user:pw@host", "environment:x"):
        assert places.key(json.dumps(plain)) == plain


@pytest.mark.parametrize(
    "sign_in",
    [
        'role_id = "role"\nsecret_id = "planted-secret-id"\n',
        'role_id = "role"\nsecret_id = { file = "FOLDER/secret-id" }\n',
        'kubernetes_role = "router"\nkubernetes_token_file = "FOLDER/account"\n',
        'token = "root-token"\n',
        'token = "env:VAULT_TOKEN"\n',
    ],
)
def test_each_way_to_sign_in_to_vault(places: Places, sign_in: str) -> None:
    (places.folder / "secret-id").write_text("planted-secret-id\n")
    (places.folder / "account").write_text("planted-account-token\n")
    assert (
        places.key('"vault://secret/team/openai#key"', sign_in.replace("FOLDER", str(places.folder)))
        == SECRET
    )


def test_a_token_that_ended_is_gained_anew(places: Places) -> None:
    way = 'role_id = "role"\nsecret_id = "planted-secret-id"\n'
    assert places.key('"vault://kv1/openai#key"', way) == SECRET
    places.vault.tokens -= {token for token in places.vault.tokens if token.startswith("s.")}
    places.vault.v1["openai"] = {"key": "another"}
    for kept in places.keeper._kept.values():
        kept.due = 0
    assert places.keeper.refresh()
    assert places.keeper.failing() == []


def test_a_vault_that_does_not_tell_its_mounts_is_read_as_configured(places: Places) -> None:
    places.vault.tells_mounts = False
    assert places.key('"vault://secret/team/openai#key"') == SECRET
    assert places.key('"vault://kv1/openai#key"', "kv_version = 1\n") == SECRET


@pytest.mark.parametrize(
    "sign_in", ['token = "vault://a/b#c"\n', 'role_id = "role"\nsecret_id = "aws-sm://x"\n']
)
def test_what_opens_a_source_comes_from_this_machine(places: Places, sign_in: str) -> None:
    with pytest.raises(ConfigError, match="must be of this machine"):
        places.load('"env:A_KEY"', sign_in)


def test_away_at_the_start_is_a_refusal_that_names_it(places: Places) -> None:
    places.vault.down = True
    with pytest.raises(
        ConfigError, match=r"vault://secret/team/openai#key cannot be read: Vault answers with an error"
    ):
        places.load('"vault://secret/team/openai#key"')
    places.vault_url = "http://127.0.0.1:1"
    with pytest.raises(ConfigError, match=r"Vault does not answer at http://127.0.0.1:1"):
        places.load('"vault://secret/team/openai#key"')


def test_away_later_the_last_good_value_serves_and_is_told(places: Places) -> None:
    value = '"vault://secret/team/openai#key"'
    assert places.key(value) == SECRET
    places.vault.down = True
    assert places.key(value) == SECRET  # a reload
    assert [one.split(":")[0] for one in places.keeper.failing()] == ["vault"]
    for kept in places.keeper._kept.values():
        kept.due = 0
    assert not places.keeper.refresh()
    places.vault.down = False
    places.vault.v2["team/openai"] = {"key": "new"}
    for kept in places.keeper._kept.values():
        kept.due = 0
    assert places.keeper.refresh()
    assert places.keeper.failing() == []


def test_a_lease_is_renewed_before_it_ends_and_the_secret_read_anew_when_it_cannot_be(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    places.vault.lease = 30
    first = places.key('"vault://database/creds/x#password"')
    assert places.keeper.wait_seconds() <= 20
    later = time.monotonic() + 25
    monkeypatch.setattr(keeper_module.time, "monotonic", lambda: later)
    assert not places.keeper.refresh()  # renewed: the same password
    assert any("leases/renew" in asked for asked in places.vault.asked)
    places.vault.lease = 0
    later += 25
    assert places.keeper.refresh()
    assert places.key('"vault://database/creds/x#password"') != first


def test_lists_and_tables_of_secrets_may_name_places(places: Places) -> None:
    file = places.folder / "node.toml"
    file.write_text(
        '[[model_registry.providers]]\nname = "v"\nkind = "openai_compatible"\nendpoint = "http://127.0.0.1:1/v1"\nmodels = ["m"]\n'
        'api_keys = ["env:A_KEY", { env = "A_KEY" }]\nheaders = { x-house = "env:A_KEY" }\n[ipc.security]\ntoken = "env:A_KEY"\n'
    )
    settings = load(
        file, places.environment | {"INTELLIROUTER__MEMORY__REDIS_URL": "env:URL", "URL": "redis://me:pw@h:1"}
    ).settings
    provider = settings.model_registry.providers[0]
    assert [key.get_secret_value() for key in provider.api_keys] == [SECRET, SECRET]
    assert provider.headers["x-house"].get_secret_value() == SECRET
    assert settings.memory.redis_url.get_secret_value() == "redis://me:pw@h:1"


def test_a_configuration_without_references_asks_nobody(places: Places) -> None:
    before = len(places.vault.asked)
    loaded = places.load('"sk-plain"')
    assert not loaded.keeper.names_any
    assert loaded.keeper.wait_seconds() == float("inf")
    assert len(places.vault.asked) == before
