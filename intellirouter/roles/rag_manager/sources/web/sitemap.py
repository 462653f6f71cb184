"""What a sitemap lists: pages, each with the time of its version, or further sitemaps. Source: sitemaps.org, protocol 0.9.

Read as text and not as XML: two kinds of elements are wanted, and nothing in it is to be expanded.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

from intellirouter.errors import InvalidRequest

MOST_BYTES = 50 << 20
"""Of one sitemap, unpacked (as the protocol has it)."""
MOST_ENTRIES = 50_000
_MOST_TEXT = 4_000


@dataclass(frozen=True, slots=True)
class Sitemap:
    """Addresses with what is said of when they changed; `index` where they are of further sitemaps."""

    entries: tuple[tuple[str, str], ...]
    index: bool


def read(data: bytes) -> Sitemap:
    """The entries of a sitemap, packed (gzip) or not; a plain list of addresses too. Raises `InvalidRequest`."""
    if data.startswith(b"\x1f\x8b"):
        data = _unpacked(data)
    text = data.decode("utf-8-sig", "replace")
    start = text[:2_000].lstrip()
    if start.startswith(("http://", "https://")):
        lines = (line.strip() for line in text.splitlines())
        return Sitemap(tuple((line, "") for line in lines if line)[:MOST_ENTRIES], index=False)
    if "<urlset" not in text and "<sitemapindex" not in text:
        raise InvalidRequest("is no sitemap: it has neither <urlset> nor <sitemapindex>.")
    entries = tuple(itertools.islice(_entries(text), MOST_ENTRIES))
    return Sitemap(entries, index="<urlset" not in text)


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Each `<loc>`, with the `<lastmod>` behind it."""
    at = text.find("<loc>")
    while at >= 0:
        following = text.find("<loc>", at + 5)
        entry = text[at : min(len(text) if following < 0 else following, at + _MOST_TEXT)]
        if place := _element(entry, "loc"):
            yield place, _element(entry, "lastmod")[:100]
        at = following


def _element(entry: str, name: str) -> str:
    """The text of the element, empty where it is not there."""
    value, closed, _ = entry.partition(f"<{name}>")[2].partition(f"</{name}>")
    value = value.strip() if closed else ""
    if value.startswith("<![CDATA["):
        return value[9:].removesuffix("]]>").strip()
    return unescape(value)


def _unpacked(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        text = unpacker.decompress(data, MOST_BYTES + 1)
    except zlib.error as cause:
        raise InvalidRequest("is a broken gzip file.") from cause
    if len(text) > MOST_BYTES:
        raise InvalidRequest(f"has more than {MOST_BYTES} bytes.")
    return text
