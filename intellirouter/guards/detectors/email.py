"""E-mail addresses: a local part (RFC 5322's dot-atom, letters of any script) and a host name with a top-level domain."""

from __future__ import annotations

import re

from intellirouter.guards.finding import LONGEST, Finding
from intellirouter.guards.scan import Scan

EMAIL = "email"
_MOST_LOCAL = 64
_LOCAL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}")
_HOST = re.compile(r"[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_TAIL = re.compile(r"[^\s<>()\[\],;:\"]{0,320}\Z")
_EDGE = "./'`*{|}=&?$!#^~%-"


class Emails:
    """See `Detector`."""

    longest = LONGEST
    as_written = False
    kinds: tuple[str, ...] = (EMAIL,)

    def find(self, scan: Scan) -> list[Finding]:
        """See `Detector.find`."""
        text = scan.text
        found: list[Finding] = []
        at = text.find("@")
        while at >= 0:
            if (one := _around(text, at)) is not None:
                found.append(one)
            at = text.find("@", at + 1)
        return found

    def open_at(self, text: str) -> int:
        """See `Detector.open_at`: from the last word on, which an `@` may follow."""
        return _last_word(text)


def _last_word(text: str) -> int:
    tail = _TAIL.search(text, max(0, len(text) - 320))
    return tail.start() if tail is not None else len(text)


def _around(text: str, at: int) -> Finding | None:
    before = _LOCAL.match(
        text[max(0, at - _MOST_LOCAL) : at][::-1]
    )  # read backwards, it ends where it begins
    host = _HOST.match(text, at + 1) if before is not None else None
    if before is None or host is None:
        return None
    local = before[0][::-1].lstrip(_EDGE)
    if not local or _in_url(text, at - len(local)):
        return None
    labels = host[0].rstrip("-_").split(".")
    while len(labels) > 1 and not _top_level(labels[-1]):
        labels.pop()
    if len(labels) < 2:
        return None
    return Finding(at - len(local), at + 1 + len(".".join(labels)), EMAIL)


def _top_level(label: str) -> bool:
    return (len(label) >= 2 and label.isalpha()) or label.lower().startswith("xn--")


def _in_url(text: str, start: int) -> bool:
    """Whether it is `user:password@host` of a URL, which is a secret and no address."""
    word = text[max(0, start - 128) : start]
    return word.endswith((":", "/")) and "://" in word.rsplit(" ", 1)[-1]
