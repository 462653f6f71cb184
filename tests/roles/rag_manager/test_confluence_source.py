"""Pages of a wiki in both versions of Confluence's API, and of a wiki that lies; what its format of pages becomes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from intellirouter.config.schema.rag_sources import RagSource
from intellirouter.errors import StateUnavailable, UpstreamProtocolError
from intellirouter.roles.rag_manager.parsing import html
from intellirouter.roles.rag_manager.sources.confluence import api
from intellirouter.roles.rag_manager.sources.confluence.storage import as_page
from intellirouter.roles.rag_manager.sources.confluence.wiki import Wiki
from intellirouter.roles.rag_manager.sources.source import Entry
from intellirouter.transport.outgoing.door import OutgoingDoor
from tests.roles.rag_manager.looking import seen_in
from tests.servers.confluence import TOKEN, USER, StandIn, WikiPage, confluence


@pytest.fixture
async def wiki() -> AsyncIterator[StandIn]:
    async with confluence() as made:
        yield made


async def looked(told: StandIn, most: int = 10_000, **more: Any) -> dict[str, tuple[str, Any]]:
    """Mark and page by name; the reason where there is none."""
    section = RagSource(
        name="w",
        kind="confluence",
        collection="c",
        url=told.url,
        password=TOKEN,
        **({"spaces": ["KB"]} | more),
    )
    door = OutgoingDoor()
    try:
        found = await seen_in(Wiki(section, door), most)
        assert await Wiki(section, door).fetch(Entry("KB/999.html", "1"), most) is None
    finally:
        await door.aclose()
    return found


@pytest.mark.parametrize("cloud", [False, True], ids=["v1", "v2"])
async def test_pages_of_spaces(wiki: StandIn, *, cloud: bool) -> None:
    wiki.spaces = {
        "KB": {
            str(n): WikiPage(f"Page {n}", f"<p>About {n}.</p>", labels=("odd",) if n % 2 else ())
            for n in range(1, 6)
        },
        "~ann": {"9": WikiPage("Mine", "<p>Mine.</p>")},
    }
    wiki.spaces["KB"]["6"] = WikiPage("Draft", "", status="draft", labels=("odd",))
    first = await looked(wiki, cloud=cloud)
    assert list(first) == [f"KB/{n}.html" for n in range(1, 6)]
    mark, fetched = first["KB/2.html"]
    assert mark == "1"
    assert html.read(fetched.data)[0] == "Page 2"
    assert "About 2." in html.read(fetched.data)[1][0].text
    assert fetched.attributes == {"space": "KB", "url": f"{wiki.url}/spaces/X/pages/2", "charset": "utf-8"}
    assert all(("/api/v2/" in path) is cloud for path in wiki.asked)

    wiki.spaces["KB"]["2"].version = 2
    del wiki.spaces["KB"]["3"]
    wiki.spaces["KB"]["4"].status = "trashed"
    second = await looked(wiki, cloud=cloud)
    assert {name: mark for name, (mark, _) in second.items()} == {
        "KB/1.html": "1",
        "KB/2.html": "2",
        "KB/5.html": "1",
    }

    assert list(await looked(wiki, cloud=cloud, labels=["odd", "none"])) == ["KB/1.html", "KB/5.html"]
    wiki.spaces["KB"]["1"].labels = ("odd", "even")
    wiki.asked.clear()
    assert list(await looked(wiki, cloud=cloud, labels=["odd", "even"])) == ["KB/1.html", "KB/5.html"]
    fetched_of = [path.partition("?")[0].rpartition("/")[2] for path in wiki.asked]
    assert fetched_of.count("1") == 1, "once, of both labels"
    assert list(await looked(wiki, cloud=cloud, exclude=["KB/Page 1"], user=USER)) == [
        "KB/2.html",
        "KB/5.html",
    ]
    wiki.spaces["KB"]["5"].labels = (
        *(f"a{n}" for n in range(110)),
        "odd",
    )  # a long list of labels is read to its end
    assert list(await looked(wiki, cloud=cloud, labels=["odd"])) == ["KB/1.html", "KB/5.html"]
    several = await looked(wiki, cloud=cloud, spaces=["~ann", "GONE", "KB"])
    assert list(several) == ["~ann/9.html", "GONE", "KB/1.html", "KB/2.html", "KB/5.html"]
    assert several["GONE"][0] == ""
    wiki.spaces["KB"]["1"].body = "x" * 200_000
    assert "more than 10000 bytes" in (await looked(wiki, cloud=cloud))["KB/1.html"][1]


async def test_a_wiki_that_lies(wiki: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """It leads nobody elsewhere with the token, holds nobody for ever, and what it says of the token is not passed on."""
    wiki.spaces = {"KB": {"1": WikiPage("One", "<p>One.</p>")}}
    row = {"id": "1", "title": "One", "status": "current", "version": {"number": 1}}

    def says(body: Any = None, **more: Any) -> Callable[[web.Request], web.StreamResponse | None]:
        return lambda _: web.json_response(body, **more)

    for body, said in (
        ({"results": [row], "_links": {"next": "/rest/api/content?start=1"}}, "circle"),
        ({"results": [row], "_links": {"next": "http://169.254.169.254/latest"}}, "how its list goes on"),
        ({"results": [row], "_links": {"next": "http://[::1/?start=4"}}, "how its list goes on"),
        ({"results": "none"}, "not what Confluence sends"),
        ([[]], "not what Confluence sends"),
    ):
        wiki.instead = says(body)
        with pytest.raises(UpstreamProtocolError, match=said):
            await looked(wiki)
    wiki.instead = lambda _: web.Response(body=b"[" * 100_000)
    with pytest.raises(UpstreamProtocolError, match="not what"):
        await looked(wiki)
    wiki.instead = lambda _: web.Response(body=b'{"results": [' + b"1," * 260_000 + b"1]}")
    with pytest.raises(UpstreamProtocolError, match="values"):
        await looked(wiki)
    count = 0

    def endless(_: web.Request) -> web.StreamResponse:
        nonlocal count
        count += 1
        return web.json_response({"results": [row], "_links": {"next": f"/x?start={count}"}})

    wiki.instead = endless
    with pytest.raises(UpstreamProtocolError, match="circle"):
        await looked(wiki)
    assert count < 60

    elsewhere: list[str] = []

    def moved(request: web.Request) -> web.StreamResponse:
        elsewhere.append(request.path)
        return web.Response(status=302, headers={"location": f"{wiki.url}/stolen"})

    wiki.instead = moved
    with pytest.raises(StateUnavailable, match=r"302 .does url lead to the wiki itself"):
        await looked(wiki)
    assert elsewhere == ["/wiki/rest/api/content"]  # no redirect is followed with a token
    wiki.instead = says({"message": f"bad token {TOKEN}"}, status=401)
    with pytest.raises(StateUnavailable, match="are user and password right") as refused:
        await looked(wiki)
    assert TOKEN not in refused.value.message

    monkeypatch.setattr(api, "LONGEST_WAIT", 0.01)
    wiki.asked.clear()
    wiki.instead = lambda _: (
        web.Response(status=429, headers={"retry-after": "999999"}) if len(wiki.asked) < 3 else None
    )
    assert "KB/1.html" in await looked(wiki)  # its limit is waited for
    wiki.instead = says(None, status=429)
    with pytest.raises(StateUnavailable, match="429"):
        await looked(wiki)
    wiki.instead = lambda request: (
        web.json_response({"results": [row | {"id": "../../admin"}, row | {"id": "2", "version": None}, row]})
        if request.path.endswith("/content")
        else None
    )
    odd = await looked(wiki)
    assert [name for name, (mark, _) in odd.items() if mark] == ["KB/1.html"]


STORAGE = (
    "<ac:layout><ac:layout-section><ac:layout-cell><h2>Set up</h2><p>Press <strong>start</strong> &amp; wait&hellip;</p>"
    '<ac:structured-macro ac:name="code"><ac:parameter ac:name="language">sh</ac:parameter>'
    "<ac:plain-text-body><![CDATA[if a < b && c > d; then\n  run <now>\nfi]]></ac:plain-text-body></ac:structured-macro>"
    '<ac:structured-macro ac:name="info"><ac:rich-text-body><p>Mind the gap.</p></ac:rich-text-body></ac:structured-macro>'
    '<p>See <ac:link><ri:page ri:content-title="Other" /><ac:plain-text-link-body><![CDATA[the other <page>]]></ac:plain-text-link-body></ac:link>.</p>'
    "<ac:task-list><ac:task><ac:task-id>77</ac:task-id><ac:task-status>incomplete</ac:task-status><ac:task-body>Buy bread</ac:task-body></ac:task></ac:task-list>"
    "<table><tbody><tr><th>Part</th><td>AB-1</td></tr></tbody></table></ac:layout-cell></ac:layout-section></ac:layout>"
)


def test_what_a_page_becomes() -> None:
    title, blocks = html.read(as_page("A <b> page", STORAGE).encode())
    text = "\n".join(block.text for block in blocks)
    assert title == "A <b> page"
    assert {block.location for block in blocks} == {"Set up"}
    for kept in (
        "Press start & wait…",
        "if a < b && c > d; then\n  run <now>\nfi",
        "Mind the gap.",
        "See the other <page>.",
        "Buy bread",
        "Part | AB-1",
    ):
        assert kept in text
    assert not any(left in text for left in ("77", "CDATA", "ac:", "sh\n", "incomplete"))


@settings(max_examples=40)
@given(st.text(alphabet="<>/!-[]CDATA ac:parmetebody&\"'x", max_size=80))
def test_whatever_a_page_holds_is_read(body: str) -> None:
    html.read(as_page("t", body).encode())


@pytest.mark.parametrize(
    "piece", ["<", "<ac:parameter>", "<![CDATA[", "<a ", "<ac:parameter><ac:task-id>", "]]>"]
)
def test_a_page_made_to_hold_others_up_is_read_in_one_go(piece: str) -> None:
    as_page("t", piece * (200_000 // len(piece)))  # going over it again for each piece takes hours
