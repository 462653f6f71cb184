"""The description of the API is valid, covers every route of every role, and says truly who may call what."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator

from intellirouter.app.api import api_document
from intellirouter.app.roles import ROLES, load_role
from intellirouter.security.permissions import PUBLIC, UNFRAMED
from intellirouter.web.openapi import document, facts_of
from intellirouter.web.probes import probe_routes
from tests.conftest import StartNode
from tests.roles.router.test_records import keys

OWN_DOOR = "/console/api/"
"""The console's session is no key: who has none there is refused all the same."""


def api() -> dict[str, Any]:
    told: dict[str, Any] = msgspec.json.decode(api_document())
    return told


def test_it_is_valid() -> None:
    OpenAPIV31SpecValidator(api()).validate()


def test_every_route_of_every_role_is_there_and_says_what_it_does() -> None:
    paths = api()["paths"]
    for entry in ROLES:
        for route in [*load_role(entry).routes(), *probe_routes()]:
            path = web.Application().router.add_resource(route.path).canonical  # type: ignore[attr-defined]
            methods = ["get", "post"] if route.method == "*" else [route.method.lower()]  # type: ignore[attr-defined]
            for method in methods:
                operation = paths[path][method]
                assert entry.name in operation["tags"], (path, method)
                assert len(operation["summary"]) > 10, f"{method} {path}: its handler has no docstring"
            facts = facts_of(route)  # type: ignore[arg-type]
            assert facts.permission is not None or facts.name in PUBLIC.keys() | UNFRAMED.keys(), path
            name = None if facts.permission is None else facts.permission.name
            assert {name} == (_asked(paths[path][methods[0]]["security"]) or {None}), path


def _asked(security: list[dict[str, list[str]]]) -> set[str]:
    return {name for one in security for names in one.values() for name in names}


def test_two_roles_share_no_path_but_the_probes() -> None:
    shared = [
        path for path, item in api()["paths"].items() if any(len(op["tags"]) > 1 for op in item.values())
    ]
    assert sorted(shared) == ["/health", "/health/live", "/health/ready", "/metrics", "/ready"]


def test_an_empty_house_is_valid_too() -> None:
    OpenAPIV31SpecValidator(document([])).validate()


@pytest.mark.timeout(300)
async def test_what_asks_for_a_key_refuses_who_has_none_and_nothing_else_does(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    node = await start_node(keys(admin='scopes = ["admin"]'), role="All")
    urls = {listening.role: listening.url for listening in node.listening}
    async with http.get(f"{urls['Router']}/openapi.json") as reply:
        assert reply.status == 200 and await reply.json() == api()

    async def walk(path: str, method: str, operation: dict[str, Any]) -> str | None:
        url = urls[operation["tags"][0]] + re.sub(r"\{\w+\}", "x", path)
        if path.startswith(("/v1beta/models/{call}", "/v1/models/{call}")):
            url += ":generateContent"
        async with http.request(method, url) as reply:
            if bool(operation["security"]) != (reply.status in (401, 403)):
                return f"{method} {path}: {reply.status}"
        return None

    wrong = [
        await asyncio.wait_for(walk(path, method, operation), 60)
        for path, item in api()["paths"].items()
        for method, operation in item.items()
        if not path.startswith(OWN_DOOR)
    ]
    assert not [found for found in wrong if found]
