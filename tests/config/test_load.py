"""Configuration: precedence, every problem at once with its place, and no secret shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.config.lines import key_lines
from intellirouter.config.load import Loaded, load
from intellirouter.config.shown import flatten
from intellirouter.errors import ConfigError

CONFIG = Path(__file__).parents[2] / "config"
GUIDE = ("router.toml", "orchestrator.toml", "rag-manager.toml", "persona-layer.toml")
GUIDE_ENVIRONMENT = {
    "INTELLIROUTER_ENVIRONMENT": "production",
    "INTELLIROUTER__SERVER__HOST": "0.0.0.0",
    "INTELLIROUTER__SERVER__PORT": "8080",
    "INTELLIROUTER__TELEMETRY__LOG_LEVEL": "info",
    "INTELLIROUTER__MEMORY__BACKEND_TYPE": "redis",
    "INTELLIROUTER__MEMORY__REDIS_URL": "redis://redis.example.com:6379",
    "INTELLIROUTER__IPC__SECURITY__ENABLED": "true",
    "INTELLIROUTER__IPC__SECURITY__TOKEN": "your_secure_token_here",
    "ANTHROPIC_API_KEY": "your_anthropic_key",
    "OPENAI_API_KEY": "your_openai_key",
    "GOOGLE_API_KEY": "your_google_key",
    "MISTRAL_API_KEY": "your_mistral_key",
}


def loaded(tmp_path: Path, toml: str, environment: dict[str, str] | None = None, **flags: Any) -> Loaded:
    file = tmp_path / "node.toml"
    file.write_text(toml)
    return load(file, environment or {}, {("server", name): value for name, value in flags.items()})


@pytest.mark.parametrize("name", GUIDE)
def test_the_guides_files_load_as_they_stand(name: str) -> None:
    settings = load(CONFIG / name, {}).settings
    assert settings.environment == "production"
    assert settings.memory.backend_type == "redis"
    assert settings.ipc.security.enabled
    if name != "router.toml":
        assert settings.ipc.router_endpoint == "http://router.example.com:8080"


def test_the_guides_environment_says_the_same_as_its_file() -> None:
    by_file = load(CONFIG / "router.toml", {}).settings
    by_environment = load(None, GUIDE_ENVIRONMENT).settings
    assert by_environment.server == by_file.server
    assert by_environment.memory == by_file.memory
    assert by_environment.ipc == by_file.ipc
    names = [provider.name for provider in by_environment.model_registry.providers]
    assert {"anthropic", "openai", "google", "mistral"} <= set(names)


def test_default_gives_way_to_file_to_environment_to_flag(tmp_path: Path) -> None:
    variable = {"INTELLIROUTER__SERVER__PORT": "3"}
    assert loaded(tmp_path, "").settings.server.port == 8080
    assert loaded(tmp_path, "[server]\nport = 2").settings.server.port == 2
    assert loaded(tmp_path, "[server]\nport = 2", variable).settings.server.port == 3
    final = loaded(tmp_path, "[server]\nport = 2", variable, port=4)
    assert final.settings.server.port == 4
    assert final.source_of("server.port") == "--port"


def test_a_value_of_the_command_line_is_told_by_its_flag(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text("")
    given = load(file, {}, {("roles", "chain_engine", "port"): 1, ("telemetry", "log_level"): "info"})
    assert given.source_of("roles.chain_engine.port") == "--port-chain-engine"
    assert given.source_of("telemetry.log_level") == "--log-level"


CENTRE = f"[chain_engine.centre]\nurl = 'https://c'\nname = 'shop'\ntoken = '{'a' * 32}'\n"
PROBLEMS: list[tuple[str, str, str]] = [
    ("[server]\nhots = 1", ":2: server.hots", "Did you mean 'host'?"),
    ("[server]\nport = 'x'", ":2: server.port", "whole number"),
    ("[server]\nport = 99999", ":2: server.port", "65535"),
    ("[server]\nport = true", ":2: server.port", "must be a number, not true or false"),
    (
        "[limits.keys.ann]\nrequests_per_minute = true",
        ":2: limits.keys.ann.requests_per_minute",
        "must be a number",
    ),
    ("[rag]\nfusion_alpha = false", ":2: rag.fusion_alpha", "must be a number"),
    ("a = 1\nb = 2", ":2: b", "not a known key"),
    ("[telemetry]\nlog_level = 'loud'", ":2: telemetry.log_level", "must be"),
    ("[[model_registry.providers]]\nkind = 'openai'", ":1: model_registry.providers[0].name", "required"),
    (
        "[[model_registry.providers]]\nname = 'a'\n[[model_registry.providers]]\nname = 'b'\nendpont = 'x'",
        ":5: model_registry.providers[1].endpont",
        "Did you mean 'endpoint'?",
    ),
    (
        "[[model_registry.providers]]\nname = 'a'\nendpoint = 'ftp://x'",
        ":3: model_registry.providers[0].endpoint",
        "http",
    ),
    (
        "[[model_registry.models]]\nname = 'm'\ntargets = ['a/x']",
        ":3: model_registry.models[0].targets[0]",
        "no provider 'a'",
    ),
    ("[rag]\nchunk_overlap = 2000", ":2: rag.chunk_overlap", "smaller"),
    ("[rag]\nrerank_url = 'http://r'\nrerank_path = '/m'", ":3: rag.rerank_path", "not both"),
    ("[rag]\nvector_db_shards = ['http://c']", ":2: rag.vector_db_shards", "first server"),
    ("[rag]\nvector_db_url = 'http://c'\nvector_copies = 2", ":3: rag.vector_copies", "1 are named"),
    (
        "[ipc.security]\nenabled = true\nca = 'a'\ncertificate = 'b'\nkey = 'c'\n[rag]\nhelpers = ['http://r:8082']",
        ":7: rag.helpers[0]",
        "https://",
    ),
    (
        "[[model_registry.providers]]\nname = 'a'\nendpoint = '${NOTHING:-}'",
        ":3: model_registry.providers[0].endpoint",
        "must start with http",  # and does not go to the vendor's own address instead
    ),
    ("[ipc]\nrag_manager_endpoint = 'rag:8082'", ":2: ipc.rag_manager_endpoint", "must start with http"),
    ("[rag]\nhelpers = ['http://a', 'b:8082']", ":2: rag.helpers[1]", "must start with http"),
    ("[rag]\nvector_db_url = 'chroma:8000'", ":2: rag.vector_db_url", "must start with http"),
    ("[rag]\nnode = 'a'\n[rag.nodes]\na = 'rag:8082'", ":4: rag.nodes.a", "must start with http"),
    ("[rag]\nnode = 'a'", ":2: rag.node", "without rag.nodes"),
    ("[rag]\nnode = 'b'\n[rag.nodes]\na = 'http://r:8082'", ":2: rag.node", "there are: a"),
    ("[rag]\nnode = 'a'\n[rag.nodes]\na = 'http://r:8082'", ":3: rag.nodes", "need a Redis"),
    (
        "[memory]\nbackend_type = 'redis'\n[auth]\nenabled = true\n[rag]\nnode = 'a'\n[rag.nodes]\na = 'http://r:8082'",
        ":7: rag.nodes",
        "need ipc.security",
    ),
    ("[ipc.security]\nenabled = true", "ipc.security.token", "needed"),
    ("[ipc.security]\nenabled = true\ntoken = '${NOTHING:-}'", ":3: ipc.security.token", "is empty"),
    (
        "[chain_engine.edges.a]\ntoken = ' '\ntenants = ['*']",
        ":2: chain_engine.edges.a.token",
        "is empty",  # or whoever asks could bring runs as the edge
    ),
    (
        "[[model_registry.providers]]\nname = 'a'\napi_key = '${NOT_SET}'",
        ":3: model_registry.providers[0].api_key",
        "no NOT_SET",
    ),
    (
        "[[model_registry.providers]]\nname = 'a'\napi_key_env = 'NOT_SET'",
        ":3: model_registry.providers[0].api_key_env",
        "no NOT_SET",
    ),
    ("[chain_engine]\nmode = 'api'", ":2: chain_engine.mode", "needs chain_engine.database_url"),
    ("[chain_engine]\nmode = 'hybrid'", ":2: chain_engine.mode", "needs [chain_engine.centre]"),
    (CENTRE, "chain_engine.centre", "is for mode 'hybrid'"),
    (
        f"[chain_engine]\nmode = 'hybrid'\ndatabase_url = 'postgresql://p/d'\n{CENTRE}",
        ":3: chain_engine.database_url",
        "a file of its own",
    ),
    (
        f"[chain_engine]\nmode = 'hybrid'\n{CENTRE}protocol = 'grpc'\n",
        ":4: chain_engine.centre.url",
        "needs a port for gRPC",
    ),
    (
        f"[chain_engine.edges]\na = {{token = '{'a' * 32}', tenants = ['*']}}\nb = {{token = '{'a' * 32}', tenants = ['*']}}",
        ":3: chain_engine.edges.b.token",
        "is that of 'a' too",
    ),
    (  # whoever holds the token of a would speak as b
        (
            f"[chain_engine.edges]\na = {{token = '{'a' * 32}', tenants = ['*']}}\n"
            f"b = {{token = '{'b' * 32}', previous_token = '{'a' * 32}', tenants = ['*']}}"
        ),
        ":3: chain_engine.edges.b.previous_token",
        "is that of 'a' too",
    ),
    ("[[auth.keys]]\nname = 'a'\nsha256 = 'sk-oops'", ":3: auth.keys[0].sha256", "never the key itself"),
    ("[server\nport = 1", ":1:", "is not TOML"),
]


@pytest.mark.parametrize(("toml", "place", "words"), PROBLEMS, ids=[place for _, place, _ in PROBLEMS])
def test_a_problem_names_its_line_its_path_and_what_to_do(
    tmp_path: Path, toml: str, place: str, words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, toml)
    assert place in refused.value.message
    assert words in refused.value.message
    assert "sk-oops" not in refused.value.message


def test_all_problems_come_at_once_whatever_their_source(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, "x = 1\n[server]\nport = -1", {"INTELLIROUTER__SERVER__HOTS": "1"}, workers=0)
    lines = refused.value.message.splitlines()
    assert len(lines) == 4
    assert any("INTELLIROUTER__SERVER__HOTS" in line for line in lines)
    assert any(line.startswith("--workers") for line in lines)


def test_values_may_refer_to_the_environment(tmp_path: Path) -> None:
    toml = '[[model_registry.providers]]\nname = "a"\nkind = "openai"\napi_key = "${KEY}"\nendpoint = "${HOST:-http://h}"'
    provider = loaded(tmp_path, toml, {"KEY": "secret"}).settings.model_registry.providers[0]
    assert provider.api_key is not None
    assert provider.api_key.get_secret_value() == "secret"
    assert provider.endpoint == "http://h"
    assert "secret" not in repr(provider)


@given(st.lists(st.sampled_from("abcdef"), min_size=1, unique=True), st.integers(0, 3))
def test_every_key_is_found_on_its_own_line(keys: list[str], blanks: int) -> None:
    values = ["1", '"#[not a header]"', "[\n1,\n2]", '"""\n[x]\ny = 1\n"""', "{z = 1}"]
    text = "\n" * blanks + "[t]\n" + "".join(f"{key} = {values[i % 5]} # c\n" for i, key in enumerate(keys))
    lines = key_lines(text)
    for key in keys:
        assert re.match(rf"{key} = ", text.splitlines()[lines["t", key] - 1])
    assert lines.keys() == {("t",), *(("t", key) for key in keys)}


def test_a_setting_without_effect_is_told(tmp_path: Path) -> None:
    (problem,) = loaded(tmp_path, "[telemetry]\notlp_endpoint = 'http://collector:4317'").warnings
    assert "telemetry.otlp_endpoint" in str(problem)
    assert "no effect" in str(problem)


@pytest.mark.parametrize(
    ("toml", "traced"),
    [
        ("tracing_enabled = true", False),  # as the guide's files have it: the context only goes along
        ("tracing_enabled = true\notlp_endpoint = ''", False),
        ("tracing_enabled = true\notlp_endpoint = 'http://collector:4317'", True),
    ],
)
def test_traces_go_where_they_are_told_to(tmp_path: Path, toml: str, traced: bool) -> None:
    found = loaded(tmp_path, f"[telemetry]\n{toml}")
    assert bool(found.warnings) is not traced  # who asks for traces that go nowhere is told
    assert found.settings.telemetry.exports_spans is traced


def test_a_collector_without_a_scheme_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"telemetry\.otlp_endpoint.*http://"):
        loaded(tmp_path, "[telemetry]\notlp_endpoint = 'collector:4317'")


def test_what_is_shown_of_an_address_is_not_who_asks_it(tmp_path: Path) -> None:
    toml = (
        '[ipc]\nrouter_endpoint = "https://ann:planted@router:1/x"\n[rag]\n'
        'vector_db_url = "http://planted@h"\nvector_db_shards = ["http://a:planted@b", "http://plain"]\n'
    )
    shown = dict(flatten(loaded(tmp_path, toml).settings))
    assert shown["ipc.router_endpoint"] == "https://********@router:1/x"
    assert shown["rag.vector_db_url"] == "http://********@h"
    assert shown["rag.vector_db_shards"] == ["http://********@b", "http://plain"]


def test_every_setting_that_the_routers_file_offers_holds(tmp_path: Path) -> None:
    lines = (CONFIG / "router.toml").read_text(encoding="utf-8").splitlines()
    offered = [line[1:] if re.match(r"#[\[a-z]", line) else line for line in lines]
    kept = [line for line in offered if line != 'token = "your_secure_token_here"']
    file = tmp_path / "router.toml"
    file.write_text("\n".join(kept))
    names = ("IPC_TOKEN", "REDIS_PASSWORD", "OPENAI_API_KEY")
    settings = load(file, dict.fromkeys(names, "a-secret-of-this-test-and-no-other-1")).settings
    assert [provider.name for provider in settings.model_registry.providers] == ["openai", "local"]
    assert settings.ipc.rag_manager_endpoint
    assert settings.auth.enabled
    assert len(offered) - len(kept) == 1


def test_a_vendor_whose_key_the_environment_holds_is_there_without_a_word_in_the_file(tmp_path: Path) -> None:
    found = loaded(tmp_path, "", {"OPENAI_API_KEY": "sk-of-mine"}).settings.model_registry.providers
    assert "openai" in [provider.name for provider in found]
    shut = "[model_registry]\ndiscover_environment = false\n"
    assert not loaded(tmp_path, shut, {"OPENAI_API_KEY": "sk-of-mine"}).settings.model_registry.providers
