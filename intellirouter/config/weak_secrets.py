"""Secrets that are none: placeholders of documents, defaults that everybody knows, and what is tried first.

A value counts as known when it is made of nothing but the words of placeholders and defaults ("your_secure_token_here",
"Ch@ngeMe123", "redis-password"), when it repeats itself or runs along the alphabet, or when it is too short to be guessed
at for long. A random value is none of these: `openssl rand -hex 32`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr

Path = tuple[str | int, ...]

LEAST = 8
"""Characters of a secret that keeps somebody out."""

_MARKED = re.compile(
    r"^<.*>$|^\{\{.*\}\}$|^\$\{?\w+\}?$|…|\.\.\.|(?<![A-Za-z0-9])(?:x{4,}|X{4,})(?![A-Za-z0-9])|\*{3,}",
    re.DOTALL,
)
_RUNS = (
    "abcdefghijklmnopqrstuvwxyz" * 3,
    "0123456789" * 8,
    "0123456789abcdef" * 5,
    "qwertyuiopasdfghjklzxcvbnm",
    "deadbeef" * 9,
)
_LEET = str.maketrans(
    {"@": "a", "4": "a", "3": "e", "1": "i", "!": "i", "0": "o", "$": "s", "5": "s", "7": "t"}
)
_TELLING = frozenset("your change changeme replace insert enter placeholder todo fixme here".split())
_WORDS = _TELLING | frozenset(
    """a abc access account admin administrator and anthropic api apikey at auth azure bar baz be bearer cache change
    cohere database db default demo dev development docker dummy empty enter example foo fill for generate gemini
    google guest hello hf huggingface hunter in intelli intellirouter internal ipc is it jwt key keys letmein
    litellm live local localhost long love master me mistral mine model monkey my mypassword mysecret name new no not none
    null of ollama one only open openai openrouter or our pass passphrase passwd password phrase please postgres
    postgresql private prod production provider public put pw pwd qwerty random real redis replace root router sample
    secret secrets secure security server service set shared signing sk some something string strong super
    supersecret temp test testing tests text that the this to todo token tokens try two unsafe unused use user
    username value very welcome with word xxx you""".split()
)
_LONGEST = max(map(len, _WORDS))


def is_placeholder(secret: str) -> bool:
    """True for what a document says in place of a secret: it is not meant to be used as it stands."""
    text = secret.strip()
    if _MARKED.search(text):
        return True
    words = _words(text)
    return words is not None and bool(_TELLING & set(words))


def is_known(secret: str) -> bool:
    """True for a placeholder, and for what somebody who tries would find."""
    text = secret.strip()
    if is_placeholder(text) or len(text) < LEAST or len(set(text)) < 4:
        return True
    lower = text.lower()
    if any(lower in run or lower[::-1] in run for run in _RUNS):
        return True
    if any(
        lower == (lower[:period] * len(lower))[: len(lower)]
        for period in range(1, min(8, len(lower) // 2) + 1)
    ):
        return True
    plain = lower.rstrip("0123456789!?.#*").translate(_LEET)
    return _words(text) is not None or _words(plain) is not None


def is_known_hash(sha256: str) -> bool:
    """True for the hash of a key that is known, of no key at all, and for what is no hash of anything."""
    return sha256 in _known_hashes() or is_known(sha256)


def secrets_at(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Where each secret of a configuration stands, and what it is; of an address the password."""
    if isinstance(value, SecretStr):
        yield path, _password(value.get_secret_value(), value.get_secret_value())
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_at(getattr(value, name), (*path, name))
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from secrets_at(inner, (*path, name))
    elif isinstance(value, (tuple, list)):
        for index, inner in enumerate(value):
            yield from secrets_at(inner, (*path, index))
    elif isinstance(value, str) and "://" in value and (password := _password(value, "")):
        yield path, password


def _password(text: str, otherwise: str) -> str:
    """Of an address, its password (empty when it has none); of anything else `otherwise`."""
    if "://" not in text:
        return otherwise
    try:
        return unquote(urlsplit(text).password or "")
    except ValueError:
        return otherwise


def _words(text: str) -> list[str] | None:
    """The known words that a text is made of, numbers of up to eight digits and punctuation aside; None when it is made of others."""
    found: list[str] = []
    digits = 0
    for part in re.findall(r"[a-z]+|\d+|[^\W\d_]+", text.lower()):
        if part.isdigit():
            digits += len(part)
        elif (split := _split(part)) is not None:
            found += split
        else:
            return None
    return found if digits <= LEAST and (found or digits) else None


def _split(letters: str) -> list[str] | None:
    """`letters` as a row of known words."""
    rows: list[list[str] | None] = [[]] + [None] * len(letters)
    for end in range(1, len(letters) + 1):
        for start in range(max(0, end - _LONGEST), end):
            row = rows[start]
            if row is not None and letters[start:end] in _WORDS:
                rows[end] = [*row, letters[start:end]]
                break
    return rows[-1]


@cache
def _known_hashes() -> frozenset[str]:
    ends = ("", "1", "12", "123", "1234", "12345", "123456", "12345678", "!")
    parts = (
        "your",
        "my",
        "test",
        "secret",
        "api",
        "admin",
        "master",
        "client",
        "router",
        "default",
        "demo",
        "sk",
        "changeme",
    )
    names = (
        "",
        "key",
        "token",
        "secret",
        "password",
        "apikey",
        "api_key",
        "api-key",
        "secure_token_here",
        "key_here",
        "api_key_here",
    )
    words = (
        {part + joint + name for part in parts for name in names for joint in ("", "_", "-")}
        | set(names)
        | set(_WORDS)
    )
    texts = {word + end for word in words for end in ends}
    return frozenset(
        hashlib.sha256(form.encode()).hexdigest() for text in texts for form in (text, f"{text}\n")
    )
