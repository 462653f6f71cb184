"""The two files that `intellirouter init` writes, as a node and a shell read them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from intellirouter.cli.init_files import Answers, Provider, env_file, toml_file, valid
from intellirouter.errors import InvalidRequest
from intellirouter.security.api_keys import hash_key

KEY = "sk-abc_DEF.123/+=#~!"
PROVIDERS = [Provider("openai", "OPENAI_API_KEY", KEY), Provider("local", "", "", "http://127.0.0.1:1/v1")]


def answers(tmp_path: Path, *providers: Provider, all_of_it: bool = True) -> Answers:
    data = tmp_path / "data" if all_of_it else None
    return Answers([*providers], "0.0.0.0", 8081, data, all_of_it, all_of_it, "/backups" if all_of_it else "")


def test_what_was_answered_is_what_a_node_reads(tmp_path: Path) -> None:
    given = answers(tmp_path, *PROVIDERS)
    settings = valid(toml_file(given), env_file(given)).settings
    assert (settings.environment, settings.server.host, settings.server.port) == (
        "production",
        "0.0.0.0",
        8081,
    )
    assert settings.paths.data_dir == tmp_path / "data"
    first, second = settings.model_registry.providers
    assert first.name == "openai" and second.endpoint == "http://127.0.0.1:1/v1"
    assert [key.sha256 for key in settings.auth.keys] == [hash_key(given.key)]
    assert (settings.auth.enabled, settings.backup.schedule) == (True, "30 3 * * *")


def test_what_was_not_answered_is_left_to_its_default(tmp_path: Path) -> None:
    given = answers(tmp_path, all_of_it=False)
    text = toml_file(given)
    settings = valid(text, env_file(given)).settings
    assert (settings.environment, settings.auth.keys, settings.backup.to) == ("development", (), None)
    assert '#name = "openai"' in text and "[paths]" not in text


def test_a_shell_reads_the_key_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "intellirouter.env"
    file.write_text(env_file(answers(tmp_path, *PROVIDERS)))
    words = ["sh", "-c", f'. {file}; printf %s "$OPENAI_API_KEY"']
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == KEY


@pytest.mark.parametrize("key", ["", "it's", "a b", "a\nB=c", "a$b", "a`b", 'a"b', "a\\b", "é", "k" * 5_000])
def test_what_is_no_key_is_not_written(key: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="The key of openai is none"):
        env_file(answers(tmp_path, Provider("openai", "OPENAI_API_KEY", key)))
