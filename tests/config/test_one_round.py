"""Every problem of a configuration is told in one round, with its place, and nothing that only follows from another."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.app.rules import RULES
from intellirouter.config.load import Loaded, load
from intellirouter.config.toml_text import parse
from intellirouter.errors import ConfigError

# (what is written, what the one line about it holds): each of another kind, each by itself at fault
MISTAKES: list[tuple[str, str]] = [
    ("[server]\nhots = 1", "server.hots: is not a known key. Did you mean 'host'?"),
    ("[telemetry]\nlog_level = 'loud'", "telemetry.log_level: must be"),
    ("[[auth.keys]]\nname = 'k'\nsha256 = 'sk-oops'", "auth.keys[0].sha256: is not a SHA-256"),
    (
        "[[model_registry.providers]]\nname = 'w'\nkind = 'opnai'",
        ".kind: provider 'w': there is no kind 'opnai'. Did you mean 'openai'?",
    ),
    (
        "[[model_registry.providers]]\nname = 'v'\nkind = 'openai_compatible'",
        ".endpoint: provider 'v': kind 'openai_compatible' needs an endpoint.",
    ),
    ("[[model_registry.providers]]\nkind = 'openai'", ".name: is required."),
    (
        "[[model_registry.providers]]\nname = 'z'\nkind = 'openai'\napi_key_env = 'NOPE'",
        ".api_key_env: the environment has no NOPE.",
    ),
    (
        "[router]\nstrategy = 'falback'",
        "router.strategy: There is no strategy 'falback'. Did you mean 'fallback'?",
    ),
    (
        "[[model_registry.models]]\nname = 'smart'\ntargets = ['offlin/x']",
        ".targets[0]: there is no provider 'offlin'. Did you mean 'offline'?",
    ),
    (
        "[[model_registry.models]]\nname = 'loose'\ntargets = ['gpt-4o']",
        ".targets[0]: must be provider/model",
    ),
    (
        "[[model_registry.models]]\nname = 'other'\ntargets = ['offline/extract']\nstrategy = 'weigthed'",
        ".strategy: There is no strategy 'weigthed'. Did you mean 'weighted'?",
    ),
    (
        "[[model_registry.models]]\nname = 'third'\ntargets = ['offline/extract']\nfallbacks = ['othr']",
        ".fallbacks: there is no model or provider for the fallback 'othr'.",
    ),
    ("[memory]\nredis_url = 'http://r'", "memory.redis_url: must start with redis://"),
    ("[rag]\nchunk_overlap = 5000", "rag.chunk_overlap: must be smaller"),
    ("[ipc.security]\nenabled = true", "ipc.security.token: is needed"),
    ("[cache]\nttl = soon", "is not TOML: invalid value. Text stands in quotes"),
]


def problems(tmp_path: Path, text: str, environment: dict[str, str] | None = None) -> list[str]:
    file = tmp_path / "node.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load(file, environment or {}, None, RULES)
    return refused.value.message.splitlines()


def test_a_file_with_every_mistake_tells_each_once_in_the_order_of_its_lines(tmp_path: Path) -> None:
    told = problems(tmp_path, "\n".join(text for text, _ in MISTAKES))
    assert len(told) == len(MISTAKES), "\n".join(told)
    for _, words in MISTAKES:
        assert sum(words in line for line in told) == 1, words
    lines = [int(line.split(":")[1]) for line in told]
    assert lines == sorted(lines)
    assert "sk-oops" not in "".join(told)


def test_no_mistake_hides_another(tmp_path: Path) -> None:
    for (first, _), (second, _) in itertools.combinations(MISTAKES, 2):
        told = problems(tmp_path, f"{first}\n{second}\n")
        assert len(told) == 2, "\n".join(told)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        # the model's only target is malformed: that the model is then unknown is not told beside it
        (
            """
            [[model_registry.models]]
            name = 'a'
            targets = ['x']
            [[model_registry.models]]
            name = 'b'
            targets = ['offline/extract']
            fallbacks = ['a']
            """,
            1,
        ),
        # a provider that cannot be read is still one that targets may name
        (
            """
            [[model_registry.providers]]
            name = 'w'
            kind = 'openai'
            endpoint = 'ftp://x'
            [[model_registry.models]]
            name = 'b'
            targets = ['w/x']
            """,
            1,
        ),
        # nothing is said of an address whose variable is not there but that
        ("[ipc]\nrouter_endpoint = '${NOT_THERE}'", 1),
        ("server = 1", 1),
        ("[[router.persona_rules]]\npersona = 'p'\ncontent = 5", 1),
        ("[router]\nhedge_after_seconds = 'p96'", 1),
    ],
)
def test_what_only_follows_from_another_mistake_is_not_told(tmp_path: Path, text: str, count: int) -> None:
    assert len(problems(tmp_path, text)) == count


def test_a_list_keeps_its_places_when_an_entry_before_is_left_out(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        "[[model_registry.providers]]\nkind = 'openai'\n[[model_registry.providers]]\nname = 'w'\nkind = 'opnai'\n",
    )
    assert told[1].startswith(f"{tmp_path}/node.toml:5: model_registry.providers[1].kind")


SYNTAX = [
    ("a = hello", "Text stands in quotes"),
    ("a = True", "true or false, in small letters"),
    ("a = yes", "true or false, in small letters"),
    ("a = none", "leave the line out"),
    ("a: 1", 'Write key = "value"'),
    ("a 1", 'Write key = "value"'),
    ('a = "x', "no closing"),
    ("a = 'x", "no closing"),
    ("a = “x”", "straight quotes"),
    ("a =", "Give a a value"),
    ("a = 08", "leading zero"),
    ("a = 10s", "no unit"),
    ('a = "C:\\Users"', "backslash"),
    ("a = [1 2]", "comma"),
    ("a = {x = 1 y = 2}", "comma"),
    ("[server", "heading is not closed"),
    ("a = 1\na = 2", "twice"),
    ("[a]\nb = 1\n[a]\nc = 2", "Put the keys of both under one heading"),
    ("é = 1", "A key is made of"),
    ("a = 0.0.0.0", "Text stands in quotes"),
]


@pytest.mark.parametrize(("text", "hint"), SYNTAX)
def test_what_is_not_toml_comes_with_its_line_and_what_to_write(tmp_path: Path, text: str, hint: str) -> None:
    told = [line for line in problems(tmp_path, f"\n{text}\n") if "known key" not in line]
    assert len(told) == 1
    assert hint in told[0]
    assert told[0].startswith(
        f"{tmp_path}/node.toml:{1 + len(text.splitlines()) - (text.startswith('[a]'))}:"
    )


@given(st.text(alphabet="ab=[]{}\"'.,#\n 10-é\\", max_size=60))
def test_any_text_is_read_or_refused_with_lines(text: str) -> None:
    values, wrong = parse(text)
    assert isinstance(values, dict)
    assert all(1 <= problem.line <= len(text.splitlines()) for problem in wrong)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("INTELLIROUTER_SERVER__PORT", "INTELLIROUTER__SERVER__PORT"),
        ("INTELLIROUTER_SERVER_PORT", "INTELLIROUTER__SERVER__PORT"),
        ("INTELIROUTER__SERVER__PORT", "INTELLIROUTER__SERVER__PORT"),
        ("INTELLIROUTE__MEMORY__BACKEND_TYPE", "INTELLIROUTER__MEMORY__BACKEND_TYPE"),
        ("OPENAI_KEY", "OPENAI_API_KEY"),
        ("OPENAI_APIKEY", "OPENAI_API_KEY"),
        ("ANTHROPIC_API_KYE", "ANTHROPIC_API_KEY"),
        ("MISTRAL_TOKEN", "MISTRAL_API_KEY"),
        ("OLAMA_HOST", "OLLAMA_HOST"),
    ],
)
def test_a_variable_that_is_not_read_is_told_with_the_one_that_is(variable: str, meant: str) -> None:
    (warning,) = load(None, {variable: "1"}, None, RULES).warnings
    assert str(warning) == f"{variable} in the environment: is not read. Did you mean {meant}?"


@pytest.mark.parametrize(
    "variable",
    [
        "INTELLIROUTER_SERVICE_HOST",  # what Kubernetes sets for a service of that name
        "INTELLIROUTER_PORT_8080_TCP_ADDR",
        "INTELLIROUTER_CONFIG",
        "INTELLIROUTER_URL",
        "AZURE_OPENAI_API_KEY",
        "SSH_KEY",
        "GITHUB_TOKEN",
        "OLLAMA_MODELS",
    ],
)
def test_other_variables_are_left_alone(variable: str) -> None:
    assert load(None, {variable: "1"}, None, RULES).warnings == ()


def test_a_variable_that_the_file_names_is_meant(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text('[[model_registry.providers]]\nname = "openai"\napi_key_env = "OPENAI_KEY"\n')
    assert load(file, {"OPENAI_KEY": "sk-proj-f3c1a9d07b52e8641f0c"}, None, RULES).warnings == ()


def given_by(tmp_path: Path, text: str, environment: dict[str, str] | None = None) -> Loaded:
    file = tmp_path / "node.toml"
    file.write_text(text)
    return load(file, environment or {}, {("server", "workers"): 2}, RULES)


def test_the_source_of_a_value_is_where_it_was_given_and_not_where_its_table_begins(tmp_path: Path) -> None:
    loaded = given_by(
        tmp_path,
        '[server]\nhost = "127.0.0.1"\n[limits.teams]\na = { requests_per_minute = 1 }\n'
        '[[model_registry.providers]]\nname = "a"\nkind = "openai"\napi_key_env = "MINE"\n'
        '[[model_registry.models]]\nname = "s"\ntargets = ["a/x"]\n',
        {"MINE": "k", "MISTRAL_API_KEY": "m", "INTELLIROUTER__RAG__CHUNK_SIZE": "900"},
    )
    file = tmp_path / "node.toml"
    assert {
        path: loaded.source_of(path)
        for path in (
            "server.host",
            "server.backlog",
            "server.workers",
            "limits.teams.a.requests_per_minute",
            "model_registry.providers[0].api_key",
            "model_registry.providers[0].enabled",
            "model_registry.providers[1].api_key",
            "model_registry.models[0].targets[0].target",
            "rag.chunk_size",
        )
    } == {
        "server.host": f"{file}:2",
        "server.backlog": "default",
        "server.workers": "--workers",
        "limits.teams.a.requests_per_minute": f"{file}:4",
        "model_registry.providers[0].api_key": "MINE in the environment",
        "model_registry.providers[0].enabled": "default",
        "model_registry.providers[1].api_key": "MISTRAL_API_KEY in the environment",
        "model_registry.models[0].targets[0].target": f"{file}:11",
        "rag.chunk_size": "INTELLIROUTER__RAG__CHUNK_SIZE in the environment",
    }


def test_ollama_is_there_beside_other_providers_when_the_environment_says_where(tmp_path: Path) -> None:
    text = '[[model_registry.providers]]\nname = "openai"\n'
    names = [
        [
            provider.name
            for provider in given_by(tmp_path, text, environment).settings.model_registry.providers
        ]
        for environment in ({}, {"OLLAMA_HOST": "127.0.0.1:11434"})
    ]
    assert names == [["openai"], ["openai", "ollama"]]
