"""Text without secrets.

Three nets: every secret the configuration or the environment holds, by value; whatever follows a name that means a secret
(`api_key=…`, `Authorization: Bearer …`); and what looks like a vendor's key or a URL's password, known or not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlsplit

from intellirouter.config.shown import MASK

SECRET_NAME = re.compile(r"(?i)(token|secret|passw|api_?key|authorization|credential|cookie|private_key)")
_SHORT = 9
_SHORTEST = 4
"""A shorter secret is not replaced by value: it would take ordinary words along."""
_VENDORS = "sk pk ir hf gsk xai pplx nvapi org proj gho ghp ghs ghu github_pat glpat xoxa xoxb xoxp".split()
_PATTERNS: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (("bearer ",), re.compile(r"(?i)(?<=bearer )\s*[^\s\"',}]+")),
    (("://",), re.compile(r"(?<=://)[^\s/@\"':]*+:[^\s/@\"']*+(?=@)")),
    (
        tuple(f"{vendor}{mark}" for vendor in _VENDORS for mark in "-_"),
        re.compile(rf"\b(?:{'|'.join(_VENDORS)})[-_][A-Za-z0-9_\-]{{8,}}"),
    ),
    (
        ("akia", "asia", "eyj"),
        re.compile(
            r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\beyJ[A-Za-z0-9_\-]{8,2000}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*"
        ),
    ),
    (("aiza",), re.compile(r"\bAIza[A-Za-z0-9_\-]{20,}")),
    (
        ("-----begin ",),
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
        ),
    ),
)
"""Each with texts in small letters of which one must be there: looking for those is a tenth of the cost of the pattern."""
_NAMES = ("token", "secret", "passw", "apikey", "api_key", "api-key", "authorization", "credential", "cookie")
# from the beginning of a word and without a way back, or a long word would be read again from each of its letters
_NAMED = re.compile(
    r"(?i)((?<![\w\-])(?>[\w\-]*(?:token|secret|passw(?:or)?d|api[_-]?key|authorization|credential|cookie)[\w\-]*+)"
    r"[\"']?\s*[=:]\s*)"
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
        known |= {json.dumps(secret, ensure_ascii=False)[1:-1] for secret in known}  # as it stands in JSON
        longest = sorted(known, key=len, reverse=True)
        self._known = [(secret, _whole(secret)) for secret in longest]

    def __call__(self, text: str) -> str:
        """`text` with every secret masked."""
        for secret, pattern in self._known:
            if secret in text:
                text = pattern.sub(MASK, text)
        text = without_keys(text)
        return _NAMED.sub(_named, text) if _any(_NAMES, text.casefold()) else text


def without_keys(text: str) -> str:
    """`text` without what looks like a key or a password, whatever its name; words about a "token" stay as they are."""
    small = text.casefold()
    for signs, pattern in _PATTERNS:
        if _any(signs, small):
            text = pattern.sub(MASK, text)
    return text


def _any(signs: tuple[str, ...], text: str) -> bool:
    return any(sign in text for sign in signs)


def _named(match: re.Match[str]) -> str:
    """The name and a mask; after a dotted key of the configuration a plain word is one of a sentence of ours."""
    before = match.string[max(0, match.start() - 1) : match.start()]
    if before == "." and match[1].endswith(": ") and _WORD.fullmatch(match[2]):
        return match[0]
    return f"{match[1]}{MASK}"


def environment_secrets(environment: Mapping[str, str]) -> list[str]:
    """The values of the variables whose name says that they hold a secret."""
    return [value for name, value in environment.items() if SECRET_NAME.search(name) and value]
