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
_SHORT = 9
_SHORTEST = 4
"""A shorter secret is not replaced by value: it would take ordinary words along."""
_PATTERNS = (
    re.compile(r"(?i)(?<=bearer )\s*[^\s\"',}]+"),
    re.compile(r"(?<=://)[^\s/@\"']*:[^\s/@\"']*(?=@)"),
    re.compile(
        r"\b(?:sk|pk|ir|hf|gsk|xai|pplx|nvapi|org|proj|gh[opsu]|github_pat|glpat|xox[abp])[-_][A-Za-z0-9_\-]{8,}"
    ),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*"),
    re.compile(r"\bAIza[A-Za-z0-9_\-]{20,}"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
)
_NAMED = re.compile(
    r"(?i)([\w\-]*(?:token|secret|passw(?:or)?d|api[_-]?key|authorization|credential|cookie)[\w\-]*[\"']?\s*[=:]\s*)"
    r"(\"[^\"]*\"|'[^']*'|[^\s,;}]+)"
)


_WORD = re.compile(r"[a-z][a-z']{0,11}")


def _whole(secret: str) -> re.Pattern[str]:
    """Where a secret stands: a short one as a word of its own, or every longer word that begins like it would go too."""
    text = re.escape(secret)
    return re.compile(rf"(?<![A-Za-z0-9]){text}(?![A-Za-z0-9])" if len(secret) < _SHORT else text)


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
        longest = sorted(known, key=len, reverse=True)
        self._known = [_whole(secret) for secret in longest]

    def __call__(self, text: str) -> str:
        """`text` with every secret masked."""
        for pattern in self._known:
            text = pattern.sub(MASK, text)
        return _NAMED.sub(_named, without_keys(text))


def without_keys(text: str) -> str:
    """`text` without what looks like a key or a password, whatever its name; words about a "token" stay as they are."""
    for pattern in _PATTERNS:
        text = pattern.sub(MASK, text)
    return text


def _named(match: re.Match[str]) -> str:
    """The name and a mask; after a dotted key of the configuration a plain word is one of a sentence of ours."""
    before = match.string[max(0, match.start() - 1) : match.start()]
    if before == "." and match[1].endswith(": ") and _WORD.fullmatch(match[2]):
        return match[0]
    return f"{match[1]}{MASK}"


def environment_secrets(environment: Mapping[str, str]) -> list[str]:
    """The values of the variables whose name says that they hold a secret."""
    return [value for name, value in environment.items() if SECRET_NAME.search(name) and value]
