"""Mistakes of who writes a configuration: told before the node starts, with the place and what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from intellirouter.app.rules import RULES
from intellirouter.config.load import Loaded, load
from intellirouter.errors import ConfigError

PROVIDER = '[[model_registry.providers]]\nname = "a"\nkind = "openai_compatible"\nendpoint = "{}"\n'
MODEL = '[[model_registry.models]]\nname = "m"\ntargets = ["a/x"]\n'
LISTED = 'models = ["x", "meta-llama/x"]\n'
HERE = PROVIDER.format("http://127.0.0.1:1/v1")

# (what is written, what the one line about it holds)
REFUSED: list[tuple[str, str]] = [
    ("[limits.keys.ann]\nrequest_per_minute = 5", "not a known key. Did you mean 'requests_per_minute'?"),
    ("[budgets.teams.red]\nweekly = 5", "Known keys: day, hour, month, total."),
    ("[server]\nlog_level = 'info'", "server.log_level: is not a known key. It stands in [telemetry]."),
    (
        "[chain_engine]\nport = 1",
        "It stands in [server], [roles.router], [roles.chain_engine], [roles.rag_manager] or [roles.persona_layer].",
    ),
    ("[router]\nenabled = true", "router.enabled: is not a known key. Known keys: "),  # of many others, and like none here
    (
        "[model_registry.providers]\nname = 'a'",
        "providers: must be a list of tables: each begins with [[model_registry.providers]].",
    ),
    ("[server]\ncors_origins = {a = 1}", "server.cors_origins: must be a list: [ … ]."),
    (
        HERE + MODEL + 'price = "0.15"',
        "model_registry.models[0].price: must be a table: price = { … }.",
    ),
    ("server = 5", "server: must be a table: [server] and its keys below it."),
    ("[ipc]\ntimeout = '30s'", "ipc.timeout: must be a number, without a unit."),
    ("[server]\nmax_body_bytes = '16MB'", "must be a whole number, without a unit."),
    (HERE + MODEL + 'price = { input = "$0.15" }', "price.input: must be a number, without a unit."),
    ("[server]\nhost = 'http://0.0.0.0'", "server.host: is an address or a name, without a scheme"),
    ("[server]\nhost = '0.0.0.0:8080'", "server.host: is an address or a name; the port stands in server.port."),
    ("[server]\nhost = '[::1]'", "server.host: is an address or a name; one of IPv6 has no brackets here, as in ::1."),
    ("[server]\nallowed_hosts = ['https://a.b']", "server.allowed_hosts: 'https://a.b' is no name such as"),
    ("[server]\ncors_origins = ['https://a.b/x']", "server.cors_origins: 'https://a.b/x' is no origin such as"),
    ("[server]\ncors_origins = ['a.b']", "server.cors_origins: 'a.b' is no origin such as"),
    ("[server]\ncors_origins = ['https://a.b:99999']", "is no origin such as"),
    ("[server]\npublic_url = 'https://a.b:99999'", "server.public_url: is scheme, host and perhaps a port"),
    (
        "[server]\ntrusted_proxies = ['10.0.0.0/33', 'proxy.local']",
        "'10.0.0.0/33', 'proxy.local' are no address or network",
    ),
    *(
        (PROVIDER.format(address), "providers[0].endpoint: is no address such as http://10.0.0.5:8000/v1")
        for address in ("http://127.0.0.1 :1/v1", "http://127.0.0.1:99999/v1", "http:///v1", "http://[::1/v1")
    ),
    ("[ipc]\nrag_manager_endpoint = 'https://rag:123456'", "ipc.rag_manager_endpoint: is no address such as"),
    *(
        (f"[{section}]\ndatabase_url = 'mysql://planted@x/y'", f"{section}.database_url: must start with postgresql://")
        for section in ("records", "chain_engine")
    ),
    (f"{HERE}{MODEL}".replace('"m"', '"m\\u200b"'), "holds a character that nobody sees (U+200B): leave it out."),
    (PROVIDER.format("http://h/v1").replace('"a"', '"\\ufeffa"'), "(U+FEFF): leave it out."),
    (f"{HERE}{MODEL}".replace('"m"', '"g\\u200dpt"'), "(U+200D): leave it out."),
    ("x = " + "[" * 3000 + "]" * 3000, "is nested deeper than any setting is."),
]  # fmt: skip

# (what is written, what the one warning about it holds)
DOUBTFUL: list[tuple[str, str]] = [
    *(
        (
            f"[server.tls]\ncertificate = '{tls}'\nkey = '/dev/null'",
            "server.tls.certificate: /nowhere/x.pem is not there: correct the path, or put it there.",
        )
        for tls in ("/nowhere/x.pem",)
    ),
    ("[memory]\nbackend_type = 'redis'\nredis_ca = '/nowhere/ca'", "memory.redis_ca: /nowhere/ca is not there"),
    ("[rag]\nembedding_model_path = '/nowhere/m'", "rag.embedding_model_path: /nowhere/m is not there"),
    ("[paths]\ndata_dir = '/etc/hostname'", "paths.data_dir: /etc/hostname is a file: name a directory"),
    ("[memory]\nredis_url = 'redis://r'", 'memory.redis_url: has no effect while memory.backend_type is "embedded"'),
    ("[memory]\nredis_sentinels = ['a:1']", "memory.redis_sentinels: has no effect"),
    (PROVIDER.format("http://h/v1/chat/completions"), "ends in /chat/completions, which is added to it"),
    (PROVIDER.format("http://h/v1/models/"), "ends in /models, which is added to it"),
    (HERE + MODEL + "[limits.models.mm]\nrequests_per_minute = 1", "there is no model 'mm' here. Did you mean 'm'?"),
    ("[model_registry]\ndefault_model = 'mm'\n" + HERE + LISTED + MODEL, "default_model: there is no model 'mm' here."),
    ("[model_registry]\ndefault_model = 'b/x'\n" + HERE + LISTED, "default_model: there is no model 'b/x' here."),
    (HERE + MODEL + "[[router.rules]]\nimages = true\ntargets = ['eyes']", "no target has the id or tag 'eyes'."),
    ("[roles.chain_engine]\nport = 8080", "roles.chain_engine.port: 8080 is the port of router too"),
]  # fmt: skip

WELL = [
    "[server]\nhost = '::'\nallowed_hosts = ['ai.example.com', '*.example.com']",
    "[server]\ncors_origins = ['https://app.example.com/', 'app://.', 'file://', 'null']",
    HERE + MODEL.replace('"m"', '"می\u200cخواهم"'),
    "[server]\ncors_origins = ['*', 'https://app.example.com:8443']\npublic_url = 'https://ai.example.com/'",
    PROVIDER.format("http://[::1]:8000/v1"),
    "[ipc]\nrag_manager_endpoint = 'http://_rag._tcp.internal'",
    "[chain_engine]\ndatabase_url = ''",
    "[model_registry]\ndefault_model = 'a/new'\n" + HERE + MODEL,
    "[model_registry]\ndefault_model = 'meta-llama/x'\n" + HERE + LISTED + MODEL,
    "[model_registry]\ndefault_model = 'what-it-lists'\n" + HERE + MODEL,
    "[model_registry]\ndefault_model = 'offline'\n" + HERE + LISTED + MODEL,
    HERE + MODEL + "[limits.models.'a/x']\nrequests_per_minute = 1",
    HERE + MODEL + "[[router.rules]]\ntools = true\ntargets = ['a/y']",
    "[roles.router]\nport = 0\n[roles.chain_engine]\nport = 0",
    "[memory]\nredis_password = ''",
    "[memory]\nbackend_type = 'redis'\nredis_url = 'unix:///run/redis.sock'",
    "[memory]\nbackend_type = 'redis'\nredis_sentinels = ['my_redis:26379', '[::1]:26379']",
    "[records]\ndatabase_url = 'postgresql:///records?host=/run/postgresql'",
    PROVIDER.format("https://us.services.ai.azure.com/models"),
    PROVIDER.format("http://my_model:8000/v1"),
    PROVIDER.format("http://[fe80::1%25eth0]:8000/v1"),
]


def loaded(tmp_path: Path, text: str) -> Loaded:
    file = tmp_path / "node.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, environment={}, more_rules=RULES)


@pytest.mark.parametrize(("text", "words"), REFUSED, ids=[words[:60] for _, words in REFUSED])
def test_it_is_refused_in_one_line_that_says_where_and_what(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, text)
    (line,) = refused.value.message.splitlines()
    assert words in line
    assert f"{tmp_path}/node.toml:" in line
    assert "planted" not in line


@pytest.mark.parametrize(("text", "words"), DOUBTFUL, ids=[words[:60] for _, words in DOUBTFUL])
def test_what_would_fail_later_or_have_no_effect_is_a_warning(tmp_path: Path, text: str, words: str) -> None:
    (line,) = map(str, loaded(tmp_path, text).warnings)
    assert words in line
    assert f"{tmp_path}/node.toml:" in line


@pytest.mark.parametrize("text", WELL)
def test_what_is_right_is_not_doubted(tmp_path: Path, text: str) -> None:
    assert not loaded(tmp_path, text).warnings


def test_an_address_of_a_database_may_name_a_driver(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path, "[chain_engine]\ndatabase_url = 'postgresql+psycopg://ir@my_db/chains'"
    ).settings
    assert settings.chain_engine.database_url == SecretStr("postgresql://ir@my_db/chains")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_of_a_directory_that_may_not_be_entered_nothing_is_said(tmp_path: Path) -> None:
    inside = str(tmp_path / "data")
    names = ("PATHS__DATA_DIR", "RAG__EMBEDDING_MODEL_PATH")
    tmp_path.chmod(0o700)
    os.seteuid(65534)
    try:
        told = load(None, environment={f"INTELLIROUTER__{name}": inside for name in names}).warnings
    finally:
        os.seteuid(0)
    assert not told


def test_a_list_in_a_variable_that_is_json_is_told_how_it_is_written() -> None:
    variable = {"INTELLIROUTER__AUTH__KEYS": '[{"name": "x"}]'}
    with pytest.raises(ConfigError, match=r"INTELLIROUTER__AUTH__KEYS.*must be a list: .*with TOML inside"):
        load(None, environment=variable)
