"""Where a page leads, and whether it wants to be kept. Only tags are looked at, in one direction, and only so many."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
_TAG = re.compile(r"<(?:!--|(a|area|base|meta|script|style|template)(?=[\s/>]))", re.IGNORECASE)
_CLOSING = re.compile(r"</(script|style|template)", re.IGNORECASE)
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


def _tags(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The tags that matter with their attributes; none of those within scripts and comments."""
    at = 0
    while (found := _TAG.search(text, at)) is not None:
        at = found.end()
        if found[1] is None:
            at = text.find("-->", at) + 3
            if at < 3:
                return
            continue
        end = text.find(">", at, at + MOST_TAG)
        if end < 0:
            continue
        word = found[1].lower()
        yield word, _attributes(text[at:end])
        at = end + 1
        if word in _CLOSED:
            closings = (closing for closing in _CLOSING.finditer(text, at) if closing[1].lower() == word)
            closed = next(closings, None)
            if closed is None:
                return
            at = closed.end()


def _attributes(text: str) -> dict[str, str]:
    return {
        found[1].lower(): unescape(found[2].strip("\"'"))
        for found in reversed(list(_ATTRIBUTE.finditer(text)))
    }
