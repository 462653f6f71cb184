"""Text without secrets.

Three nets: every secret the configuration or the environment holds, by value; whatever follows a name that means a secret
(`api_key=…`, `Authorization: Bearer …`); and what looks like a vendor's key or a URL's password, known or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlsplit

from intellirouter.config.shown import MASK

SECRET_NAME = re.compile(r"(?i)(token|secret|passw|api_?key|authorization|credential|cookie|private_key)")
_SHORTEST = 4
"""A shorter secret is not replaced by value: it would take ordinary words along."""
_PATTERNS = (
    re.compile(r"(?i)(?<=bearer )\s*[^\s\"',}]+"),
    re.compile(r"(?<=://)[^\s/@\"']*:[^\s/@\"']*(?=@)"),
    re.compile(r"\b(?:sk|pk|ir|hf|gsk|xai)[-_][A-Za-z0-9_\-]{8,}"),
    re.compile(r"\bAIza[A-Za-z0-9_\-]{20,}"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
)
_NAMED = re.compile(
    r"(?i)([\w\-]*(?:token|secret|passw(?:or)?d|api[_-]?key|authorization|credential|cookie)[\w\-]*[\"']?\s*[=:]\s*)"
    r"(\"[^\"]*\"|'[^']*'|[^\s,;}]+)"
)


class Redactor:
    """Replaces secrets. Longest first, so that no secret leaves its tail behind."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known: set[str] = set()
        for secret in secrets:
            # a URL is worth showing; only its password is secret
            value = urlsplit(secret).password or "" if "://" in secret else secret
            if len(value) >= _SHORTEST:
                known.add(value)
        known |= {quote(secret, safe="") for secret in known}
        self._known = sorted(known, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """`text` with every secret masked."""
        for secret in self._known:
            text = text.replace(secret, MASK)
        for pattern in _PATTERNS:
            text = pattern.sub(MASK, text)
        return _NAMED.sub(rf"\g<1>{MASK}", text)


def environment_secrets(environment: Mapping[str, str]) -> list[str]:
    """The values of the variables whose name says that they hold a secret."""
    return [value for name, value in environment.items() if SECRET_NAME.search(name) and value]
