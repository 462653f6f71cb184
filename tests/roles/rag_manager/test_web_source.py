"""A web site as a source, against a server of the test: what is visited, what is kept, what is asked again, and where it stops."""

from __future__ import annotations

import asyncio
import gzip
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from intellirouter.config.schema.rag_sources import RagSource
from intellirouter.errors import IntelliRouterError, StateUnavailable
from intellirouter.roles.rag_manager.sources.source import Entry, Seen, Trouble
from intellirouter.roles.rag_manager.sources.web import links, robots, sitemap
from intellirouter.roles.rag_manager.sources.web.site import Site
from intellirouter.transport.outgoing.door import OutgoingDoor
from intellirouter.transport.outgoing.places import AddressRefused


@dataclass
class Server:
    """Pages by path: text, or status and headers and text."""

    pages: dict[str, Any] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        path = request.path_qs
        self.asked[path] += 1
        page = self.pages.get(path)
        if page is None:
            return web.Response(status=404)
        if isinstance(page, str):
            page = (200, {"content-type": "text/html; charset=utf-8"}, page.encode())
        status, headers, body = page
        if "etag" in headers and request.headers.get("if-none-match") == headers["etag"]:
            return web.Response(status=304)
        return web.Response(status=status, headers=headers, body=body)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    place = web.TCPSite(runner, "127.0.0.1", 0)
    await place.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def door() -> AsyncIterator[OutgoingDoor]:
    made = OutgoingDoor()
    yield made
    await made.aclose()


def section(**more: Any) -> RagSource:
    return RagSource(name="s", kind="web", collection="c", delay_seconds=0, **more)


async def listed(site: Site, known: dict[str, Seen] | None = None) -> tuple[dict[str, Entry], list[str]]:
    """Entries by path, and troubles."""
    entries, troubles = {}, []
    async with asyncio.timeout(60):
        async for one in site.listed((known or {}).get):
            if isinstance(one, Trouble):
                troubles.append(one.name.rpartition("/")[2])
            else:
                entries["/" + one.name.partition("/")[2]] = one
    return entries, troubles


async def test_pages_are_followed_within_the_site(server: Server, door: OutgoingDoor) -> None:
    server.pages = {
        "/robots.txt": (
            200,
            {},
            b"User-agent: *\nDisallow: /private\nAllow: /private/open\nDisallow: /*.tmp$\n",
        ),
        "/docs/": '<a href="one.html">1</a> <a href="/private/x">no</a> <a href="/private/open">yes</a> <A HREF=two.html?b=2&amp;c=3#part>2</A>'
        '<!-- <a href="/hidden">h</a> --><script>"<a href=/scripted>"</script><a href="http://other.example/">o</a>'
        '<a href="x.tmp">t</a><a href="mailto:x@y.z">m</a><a href="javascript:void(0)">j</a><a href="/style.css">s</a>'
        '<a href="http://127.0.0.1:1/">another port</a><a rel="nofollow" href="/unfollowed">n</a><a href="/moved">m</a><a href="/off">m</a>',
        "/docs/one.html": (
            200,
            {"content-type": "text/html", "etag": '"1"'},
            b'<a href="deep/three.html">3</a><a href="/docs/">back</a>',
        ),
        "/docs/two.html?b=2&c=3": '<meta name="robots" content="noindex"><a href="/broken">b</a><a href="/excluded/p">x</a>',
        "/docs/deep/three.html": '<a href="four.html">4</a>',
        "/docs/deep/four.html": "too far",
        "/private/open": "open",
        "/moved": (301, {"location": "/docs/moved.html"}, b""),
        "/docs/moved.html": "here now",
        "/off": (302, {"location": "http://169.254.169.254/latest/meta-data"}, b""),
        "/broken": (500, {}, b""),
    }
    site = Site(section(url=f"{server.url}/docs/", depth=2, exclude=("*/excluded/*",)), door)
    entries, troubles = await listed(site)
    assert set(entries) == {
        "/docs/",
        "/docs/one.html",
        "/docs/deep/three.html",
        "/private/open",
        "/docs/moved.html",
    }
    assert troubles == ["broken"]
    untouched = (
        "/private/x",
        "/docs/x.tmp",
        "/hidden",
        "/scripted",
        "/style.css",
        "/unfollowed",
        "/docs/deep/four.html",
        "/excluded/p",
    )
    assert not [path for path in untouched if server.asked[path]]
    fetched = entries["/docs/"].fetched
    assert fetched is not None
    assert dict(fetched.attributes) == {"url": f"{server.url}/docs/", "charset": "utf-8"}

    # what is unchanged is not sent again, and its links are still followed
    known = {entry.name: Seen(entry.mark, entry.note) for entry in entries.values()}
    server.pages["/docs/deep/three.html"] = "changed"
    again, _ = await listed(Site(site.section, door), known)
    assert set(again) == set(entries)
    assert [path for path, entry in again.items() if entry.mark != entries[path].mark] == [
        "/docs/deep/three.html"
    ]
    assert again["/docs/one.html"].fetched is None


@pytest.mark.parametrize(
    ("base", "found"),
    [
        ('<base href="/docs/">', {"/", "/docs/a.html"}),
        ('<base href="docs/deep/">', {"/", "/docs/deep/a.html"}),
        ('<base href="http://elsewhere.example/">', {"/"}),
        ("", {"/", "/a.html"}),
    ],
)
async def test_links_are_relative_to_what_the_page_says(
    server: Server, door: OutgoingDoor, base: str, found: set[str]
) -> None:
    server.pages = {"/": f'{base}<a href="a.html">a</a>'} | dict.fromkeys(
        ("/a.html", "/docs/a.html", "/docs/deep/a.html"), "here"
    )
    entries, troubles = await listed(Site(section(url=f"{server.url}/", depth=1), door))
    assert (set(entries), troubles) == (found, [])


@pytest.mark.parametrize(
    ("robots_txt", "start", "reason"),
    [
        ((503, {}, b""), "<p>", "robots.txt"),
        ((200, {}, b"User-agent: *\nDisallow: /"), "<p>", "does not let"),
        ((404, {}, b""), (500, {}, b""), "answered with 500"),
        ((404, {}, b""), (404, {}, b""), "answered with 404"),
        ((404, {}, b""), (301, {"location": "https://elsewhere.example/"}, b""), "leads to another site"),
        ((404, {}, b""), (301, {"location": "/"}, b""), "redirected more than"),
    ],
)
async def test_a_site_that_is_away_or_closed_says_so(
    server: Server, door: OutgoingDoor, robots_txt: Any, start: Any, reason: str
) -> None:
    server.pages = {"/robots.txt": robots_txt, "/": start}
    with pytest.raises(IntelliRouterError, match=reason):
        await listed(Site(section(url=f"{server.url}/"), door))


async def test_a_sitemap_is_followed(server: Server, door: OutgoingDoor) -> None:
    head = '<?xml version="1.0"?><{0} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{1}</{0}>'
    inner = head.format(
        "urlset",
        f"<url><loc>{server.url}/a?x=1&amp;y=2</loc><lastmod>2024-05-01</lastmod></url>"
        f"<url><loc>\n {server.url}/b </loc></url><url><loc><![CDATA[{server.url}/c]]></loc><lastmod>2024-05-02</lastmod></url>"
        f"<url><loc>http://other.example/</loc></url><url><loc>{server.url}/gone</loc><lastmod>2024-05-02</lastmod></url>",
    )
    places = f"<sitemap><loc>{server.url}/1.xml.gz</loc></sitemap><sitemap><loc>{server.url}/lost.xml</loc></sitemap>"
    server.pages = {
        "/sitemap.xml": (200, {}, head.format("sitemapindex", places).encode()),
        "/1.xml.gz": (200, {}, gzip.compress(inner.encode())),
        "/a?x=1&y=2": "a",
        "/b": "b",
        "/c": "c",
    }
    site = Site(section(sitemap=f"{server.url}/sitemap.xml"), door)
    entries, troubles = await listed(site)
    assert set(entries) == {"/a?x=1&y=2", "/b", "/c", "/gone"}
    assert troubles == ["lost.xml"]
    assert not server.asked["/a?x=1&y=2"]  # not before its time is new
    fetched = await site.fetch(entries["/a?x=1&y=2"], 1_000)
    assert fetched is not None
    assert fetched.data == b"a"
    assert await site.fetch(entries["/gone"], 1_000) is None
    with pytest.raises(StateUnavailable):
        await listed(Site(section(sitemap=f"{server.url}/none.xml"), door))


async def test_a_name_that_leads_inside_is_refused(door: OutgoingDoor) -> None:
    for url in ("http://metadata.localhost/", "http://ip6-localhost/"):
        with pytest.raises((AddressRefused, IntelliRouterError)):
            await listed(Site(section(url=url), door))


@pytest.mark.parametrize(
    ("rules", "path", "allowed"),
    [
        ("User-agent: *\nDisallow: /a", "/ab", False),
        ("User-agent: *\nDisallow: /a$", "/ab", True),
        ("User-agent: *\nDisallow: /a*z$", "/abcz", False),
        ("User-agent: *\nDisallow: /a*z$", "/abczy", True),
        ("User-agent: *\nDisallow: /\nAllow: /p", "/page", True),
        ("User-agent: *\nAllow: /p\nDisallow: /p", "/page", True),
        ("User-agent: *\nDisallow:", "/x", True),
        ("User-agent: IntelliRouter/1.0\nDisallow: /x\n\nUser-agent: *\nDisallow: /", "/y", True),
        ("User-agent: a\nUser-agent: intellirouter\nDisallow: /x", "/x", False),
        ("User-agent: other\nDisallow: /", "/x", True),
        ("User-agent: *\nDisallow: /caf%C3%A9", "/café", False),
        ("\ufeffuser-agent : *  # us\nDISALLOW : /x # no", "/x", False),
        ("Disallow: /x", "/x", True),
        ("User-agent: *\nDisallow: " + "/*a" * 600 + "b", "/" + "a" * 8_000, True),
    ],
)
def test_robots(rules: str, path: str, allowed: bool) -> None:
    assert robots.read(rules.encode()).allows(path) is allowed


def test_hostile_pages_are_read_in_one_direction() -> None:
    for text in (
        "<a " * 60_000,
        "<a href='" * 60_000,
        "<" * 60_000,
        "<!--" * 50_000,
        "<script>" * 25_000,
        "<a href=x" + " =" * 90_000,
    ):
        links.read(text.encode())
    for text in (
        "<urlset>" + "<loc>" * 60_000,
        "<urlset>" + "<loc>x</loc>" * 60_000,
        "<urlset>" + "<loc><![CDATA[" * 20_000,
    ):
        assert len(sitemap.read(text.encode()).entries) <= sitemap.MOST_ENTRIES
    assert len(links.read(b"".join(b"<a href=%d>" % n for n in range(9_000))).links) == links.MOST_LINKS
