"""What a redactor takes out, and what it leaves: secrets go, sentences stay."""

from __future__ import annotations

import pytest

from intellirouter.config import env
from intellirouter.config.redact import Redactor

CLEAN = Redactor(["planted", "redis://ann:of-the-url@host:1", "abc", "a-longer-planted-secret"])


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("it said planted.", "it said ********."),
        ("implanted in a word", "implanted in a word"),  # a short one goes only as a word of its own
        ("xa-longer-planted-secretx", "x********x"),
        ("redis://ann:of-the-url@host:1", "redis://********@host:1"),
        ("password of-the-url", "password ********"),
        ("abc is too short to be looked for", "abc is too short to be looked for"),
        ("ipc.security.token: is the guide's placeholder", "ipc.security.token: is the guide's placeholder"),
        (
            "memory.redis_password: the environment has no X",
            "memory.redis_password: the environment has no X",
        ),
        ("token: Zx81kk0", "token: ********"),
        ("a.api_key: Zx81kk0", "a.api_key: ********"),
        ("api_key=plain", "api_key=********"),
    ],
)
def test_secrets_go_and_sentences_stay(text: str, left: str) -> None:
    assert CLEAN(text) == left


def test_what_systemd_tells_a_service_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    assert env.service_manager() == {}
    monkeypatch.setenv("WATCHDOG_USEC", "5")
    assert env.service_manager() == {"WATCHDOG_USEC": "5"}
