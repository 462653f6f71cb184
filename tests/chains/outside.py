"""A place outside that `http` steps and tools ask in tests, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from aiohttp import web
from aiohttp.test_utils import TestServer

KEPT = "hidden/word-7"


def _spelt(how: str, word: str) -> web.Response:
    """What came in `authorization`, said back in one of many ways."""
    match how:
        case "header":
            return web.Response(text="see there", headers={"x-request-id": word, "link": f"<{quote(word)}>"})
        case "json":
            escaped = "".join(f"\\u{ord(char):04x}" for char in word)
            return web.Response(text=f'{{"{escaped}": ["{escaped}"]}}', content_type="application/json")
        case "bytes":
            return web.Response(body=b"\xff\xfe\x00\xd8" + word.encode(), content_type="image/png")
        case "utf-16" | "utf-16-le":
            return web.Response(body=word.encode(how), content_type="image/png")
        case "deep":
            return web.Response(text="[" * 3_000 + "]" * 3_000, content_type="application/json")
    return web.Response(status=404, body=word.encode(how.removeprefix("refused-")))


class Outside:
    """Writes down what it is asked. `/flaky` fails twice with 503, `/busy` says 429, `/no` 404; `/echo` says back what came."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self.server = TestServer(app)

    async def _handle(self, request: web.Request) -> web.Response:
        body = await request.text()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.heard.append(
            {
                "method": request.method,
                "path": request.raw_path,
                "headers": headers,
                "body": body,
                "key": headers.get("idempotency-key", ""),
            }
        )
        times = sum(each["path"] == request.raw_path for each in self.heard)
        match request.path:
            case "/flaky" if times <= 2:
                return web.Response(status=503, text="later")
            case "/down":
                return web.Response(status=500)
            case "/no":
                return web.Response(status=404, text=f"nobody knows {headers.get('authorization')}")
            case "/spelt":
                return _spelt(request.query["as"], headers.get("authorization", ""))
            case "/picture":
                return web.Response(body=b"\x89PNG\xff\xfe", content_type="image/png")
            case "/latin":
                return web.Response(
                    body="grün".encode("latin-1"), headers={"content-type": "text/plain; charset=latin-1"}
                )
            case "/codec":
                kind = f"text/plain; charset={request.query['as']}"
                return web.Response(body=b"-" + b"kva" * 100, headers={"content-type": kind})
            case "/slow":
                await asyncio.sleep(60)
            case "/weather":
                return web.json_response({"degrees": 21, "city": request.query.get("city", "")})
            case path if path.startswith("/orders/"):
                return web.json_response({"order": request.match_info["path"].partition("/")[2]})
        return web.json_response(self.heard[-1] | {"query": dict(request.query)})

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.port}{path}"

    def toml(self) -> str:
        """The configuration of a node whose chains may ask here."""
        return f"""
[outgoing]
allow = ["127.0.0.1:{self.server.port}"]
[chain_engine.secrets.crm]
value = "{KEPT}"
hosts = ["127.0.0.1"]
[chain_engine.secrets.elsewhere]
value = "other"
hosts = ["crm.example.com"]
[chain_engine.secrets.theirs]
value = "other"
hosts = ["127.0.0.1"]
tenants = ["acme"]
[chain_engine.tools.speller]
url = "{self.url("/spelt")}"
method = "GET"
headers = {{authorization = "Bearer {KEPT}"}}
parameters = {{type = "object", properties = {{as = {{type = "string"}}}}}}
[chain_engine.tools.weather]
url = "{self.url("/weather")}"
method = "GET"
description = "The weather of a city."
parameters = {json_table({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})}
[chain_engine.tools.order]
url = "{self.url("/orders/{id}")}"
headers = {{authorization = "Bearer {KEPT}"}}
parameters = {json_table({"type": "object", "properties": {"id": {"type": "string"}, "note": {"type": "string"}}})}
[chain_engine.tools.broken]
url = "{self.url("/no")}"
headers = {{authorization = "Bearer {KEPT}"}}
"""


def json_table(value: Any) -> str:
    """JSON as an inline table of TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {json_table(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(json_table, value)) + "]"
    return json.dumps(value)


@contextlib.asynccontextmanager
async def outside() -> AsyncIterator[Outside]:
    there = Outside()
    await there.server.start_server()
    try:
        yield there
    finally:
        await there.server.close()
