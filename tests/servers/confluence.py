"""A wiki that speaks Confluence's API as its documentation shows it: v1 of one's own server, v2 of the cloud. The product itself is a vendor's."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOKEN, USER = "token-of-the-wiki", "ann@example.com"


@dataclass(slots=True)
class WikiPage:
    """A page: `version` rises with each change."""

    title: str
    body: str
    version: int = 1
    status: str = "current"
    labels: tuple[str, ...] = ()


@dataclass(slots=True)
class StandIn:
    """`spaces` by key, their pages by id. `part` is how many a list tells at once; `instead` may answer a request as it likes."""

    spaces: dict[str, dict[str, WikiPage]] = field(default_factory=dict)
    part: int = 2
    instead: Callable[[web.Request], web.StreamResponse | None] = lambda _: None
    asked: list[str] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Whatever is asked."""
        self.asked.append(request.path_qs)
        if (said := self.instead(request)) is not None:
            return said
        if request.headers.get("authorization", "").split(" ")[0] not in ("Bearer", "Basic"):
            return web.json_response({"message": "no"}, status=401)
        path, query = request.path.removeprefix("/wiki"), request.query
        if path == "/rest/api/content":
            return self._v1_list(query)
        if path.startswith("/rest/api/content/"):
            return self._one(path.rpartition("/")[2], "v1")
        if path == "/api/v2/spaces":
            found = [key for key in self.spaces if key == query["keys"]]
            rows = [{"id": self._id(key), "key": key, "name": key, "status": "current"} for key in found]
            return web.json_response({"results": rows, "_links": {"base": self.url}})
        words = path.removeprefix("/api/v2/").split("/")
        if words[0] == "pages":
            return self._one(words[1], "v2")
        if words[0] == "spaces" and words[2:] == ["pages"]:
            return self._v2_list(path, query, self._key(words[1]), None)
        if words[0] == "spaces" and words[2:] == ["content", "labels"]:
            names = sorted(
                {name for page in self.spaces[self._key(words[1])].values() for name in page.labels}
            )
            rows = [{"id": f"7{name}", "name": name, "prefix": "global"} for name in names]
            return self._v2_part(path, query, rows)
        if words[0] == "labels":
            return self._v2_list(path, query, self._key(query["space-id"]), words[1][1:])
        return web.json_response({"statusCode": 404}, status=404)

    def _v1_list(self, query: Any) -> web.Response:
        pages = self.spaces.get(query["spaceKey"])
        if pages is None:
            return web.json_response({"statusCode": 404, "message": "No space"}, status=404)
        rows = [(id_, page) for id_, page in pages.items() if page.status == "current"]
        start = int(query.get("start", "0"))
        part = [
            self._told(
                id_, page, {"labels": {"results": [{"prefix": "global", "name": n} for n in page.labels]}}
            )
            for id_, page in rows[start : start + self.part]
        ]
        links = {"base": self.url, "context": "/wiki"}
        if start + self.part < len(rows):
            links["next"] = (
                f"/rest/api/content?spaceKey={query['spaceKey']}&limit={self.part}&start={start + self.part}"
            )
        return web.json_response(
            {"results": part, "start": start, "limit": self.part, "size": len(part), "_links": links}
        )

    def _v2_list(self, path: str, query: Any, key: str, label: str | None) -> web.Response:
        rows = [
            (id_, page)
            for id_, page in self.spaces[key].items()
            if (page.status == "current" if label is None else label in page.labels)  # a label has them all
        ]
        return self._v2_part(path, query, [self._told(id_, page, None) for id_, page in rows])

    def _v2_part(self, path: str, query: Any, rows: list[dict[str, Any]]) -> web.Response:
        start = int(query.get("cursor", "c0")[1:])
        links = {"base": self.url}
        if start + self.part < len(rows):
            links["next"] = f"/wiki{path}?limit={self.part}&cursor=c{start + self.part}"
        return web.json_response({"results": rows[start : start + self.part], "_links": links})

    def _one(self, id_: str, api: str) -> web.Response:
        for pages in self.spaces.values():
            if id_ in pages and (pages[id_].status == "current" or api == "v2"):
                body = {"storage": {"value": pages[id_].body, "representation": "storage"}}
                return web.json_response(self._told(id_, pages[id_], None) | {"body": body})
        return web.json_response({"statusCode": 404}, status=404)

    def _told(self, id_: str, page: WikiPage, metadata: dict[str, Any] | None) -> dict[str, Any]:
        told = {
            "id": id_,
            "type": "page",
            "status": page.status,
            "title": page.title,
            "version": {"number": page.version, "when": "2024-01-01T00:00:00.000Z"},
            "_links": {"webui": f"/spaces/X/pages/{id_}", "self": f"{self.url}/rest/api/content/{id_}"},
        }
        return told | ({"metadata": metadata} if metadata is not None else {})

    def _id(self, key: str) -> str:
        return str(1000 + list(self.spaces).index(key))

    def _key(self, id_: str) -> str:
        return list(self.spaces)[int(id_) - 1000]


@contextlib.asynccontextmanager
async def confluence() -> AsyncIterator[StandIn]:
    """One on a free port; `url` is its address."""
    made = StandIn()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", made.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/wiki"
    try:
        yield made
    finally:
        await runner.cleanup()
