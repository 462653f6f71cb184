"""Where a page leads, and whether it wants to be kept. Only tags are looked at, in one direction, and only so many."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

MOST_BYTES = 2 << 20
"""Of a page; links behind them are not seen."""
MOST_LINKS = 5_000
MOST_TAG = 4_000
MOST_LINK = 2_000
_ATTRIBUTE = re.compile(
    r"""([a-zA-Z-]{1,40})\s{0,20}=\s{0,20}("[^"]{0,3000}"|'[^']{0,3000}'|[^\s"'>]{1,3000})"""
)
_TAGS = ("a", "area", "base", "meta", "script", "style", "template", "noscript")
_CLOSED = ("script", "style", "template")


@dataclass(frozen=True, slots=True)
class Page:
    """`links` as they are written, in order; `base` what they are relative to, where the page says so."""

    links: tuple[str, ...] = ()
    base: str = ""
    index: bool = True
    """False where it asks not to be kept (`<meta name="robots" content="noindex">`)."""
    follow: bool = True


def read(data: bytes) -> Page:
    """The page's links. ASCII is enough to find them; what is not is kept as UTF-8 has it."""
    text = data[:MOST_BYTES].decode("utf-8", "replace")
    links: dict[str, None] = {}
    base, index, follow = "", True, True
    for name, attributes in _tags(text):
        if name in ("a", "area"):
            link = attributes.get("href", "").strip()
            followed = "nofollow" not in attributes.get("rel", "").lower().split()
            if link and followed and len(link) <= MOST_LINK and len(links) < MOST_LINKS:
                links.setdefault(link)
        elif name == "base":
            base = base or attributes.get("href", "").strip()[:MOST_LINK]
        elif name == "meta" and attributes.get("name", "").lower() in ("robots", "intellirouter"):
            said = {word.strip() for word in attributes.get("content", "").lower().split(",")}
            index = index and not said & {"noindex", "none"}
            follow = follow and not said & {"nofollow", "none"}
    return Page(tuple(links), base, index, follow)


def _tags(text: str) -> list[tuple[str, dict[str, str]]]:
    """The tags of `_TAGS` with their attributes; none of those within scripts and comments."""
    found = []
    at = 0
    while (at := text.find("<", at)) >= 0:
        if text.startswith("<!--", at):
            end = text.find("-->", at + 4)
            if end < 0:
                break
            at = end + 3
            continue
        word = _word(text, at + 1)
        if word not in _TAGS:
            at += 1
            continue
        end = text.find(">", at, at + MOST_TAG)
        if end < 0:
            at += 1 + len(word)
            continue
        found.append((word, _attributes(text[at + 1 + len(word) : end])))
        at = end + 1
        if word in _CLOSED:
            closed = _closing(text, word, at)
            if closed < 0:
                break
            at = closed
    return found


def _word(text: str, at: int) -> str:
    piece = text[at : at + 9].lower()
    end = next((i for i, char in enumerate(piece) if not char.isascii() or not char.isalpha()), len(piece))
    return piece[:end]


def _closing(text: str, word: str, at: int) -> int:
    """Where `</word` stands, in whatever case."""
    while (at := text.find("</", at)) >= 0:
        if _word(text, at + 2) == word:
            return at
        at += 2
    return -1


def _attributes(text: str) -> dict[str, str]:
    return {
        found[1].lower(): unescape(found[2].strip("\"'"))
        for found in reversed(list(_ATTRIBUTE.finditer(text)))
    }
