"""A webhook that checks signatures, writes down what it hears, and lets a test wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from intellirouter.security.webhook_signing import holds

PATIENCE = 60.0
SECRET = "whsec_b25seSBmb3IgdGVzdHM="


class Heard:
    """`said` are the lines of all messages, in order, of one that came twice once; `status` is what is answered; while `hang` is set nothing is."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self.bodies: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.status = 200
        self.asked = 0
        self.hang = asyncio.Event()
        self._over = asyncio.Event()
        self._news = asyncio.Condition()
        app = web.Application()
        app.router.add_post("/{form}", self._handle)
        self.server = TestServer(app)

    async def _handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.asked += 1
        if self.hang.is_set():
            await self._over.wait()
        headers = {name.lower(): value for name, value in request.headers.items()}
        if request.match_info["form"] == "signed":
            assert holds(SECRET, headers, body, time.time())
        told = json.loads(body)
        async with self._news:
            self.bodies.append(told)
            number = headers.get("webhook-id", "")
            if self.status == 200 and (not number or number not in self.ids):  # as receivers are told to
                self.ids.append(number)
                self.said += told.get("alerts", [])
            self._news.notify_all()
        return web.Response(status=self.status)

    def channel(self, name: str = "hook", more: str = "") -> str:
        url = self.server.make_url("/signed")
        return f'[[alerts.channels]]\nname = "{name}"\nkind = "webhook"\nurl = "{url}"\nsecret = "{SECRET}"\n{more}\n'

    def of(self, rule: str, subject: str | None = None) -> list[str]:
        """What was told of a rule, in order."""
        return [
            line["tells"] if line["tells"] != "fired" else line["severity"]
            for line in self.said
            if line["rule"] == rule and (subject is None or line["subject"] == subject)
        ]

    async def until(self, rule: str, *tells: str, subject: str | None = None) -> dict[str, Any]:
        """Wait until exactly this was told of a rule (`warning` and `critical` for one that fired); the last line."""
        try:
            async with asyncio.timeout(PATIENCE), self._news:
                await self._news.wait_for(lambda: self.of(rule, subject) == list(tells))
        except TimeoutError:
            raise AssertionError(f"{rule}: wanted {tells}, heard {self.said}") from None
        return [line for line in self.said if line["rule"] == rule][-1]

    async def last_is(self, rule: str, tells: str) -> dict[str, Any]:
        """Wait until this is the last word on a rule."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: self.of(rule)[-1:] == [tells])
        return [line for line in self.said if line["rule"] == rule][-1]

    async def value_is(self, rule: str, value: float) -> dict[str, Any]:
        """Wait until a rule was last told with this value."""

        def lines() -> list[dict[str, Any]]:
            return [line for line in self.said if line["rule"] == rule]

        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: [line["value"] for line in lines()][-1:] == [value])
        return lines()[-1]

    async def bodies_are(self, count: int) -> None:
        """Wait until so many messages came, whatever was answered."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: len(self.bodies) >= count)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Heard]:
        await self.server.start_server()
        try:
            yield self
        finally:
            self._over.set()
            await self.server.close()
