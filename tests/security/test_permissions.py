"""One table says who may do what: every route of every role is in it, and every running role answers as it says."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from intellirouter.app.roles import ROLES as SERVICES
from intellirouter.app.roles import load_role
from intellirouter.config.schema.auth import SCOPES
from intellirouter.security.permissions import (
    EVERYTHING,
    OF_ENDPOINT,
    PEERS,
    PERMISSIONS,
    PUBLIC,
    ROLES,
    UNFRAMED,
    Permission,
    holders,
    markdown,
    of_role,
    of_scopes,
    permission_of,
)
from intellirouter.web.openapi import facts_of
from intellirouter.web.probes import probe_routes
from tests.servers.installation import Installation, configured_key, installed

TENANTS = ("acme", "globex")


def routes() -> list[tuple[str, str, str, str, Permission | None]]:
    """Service, method, path, endpoint, permission of everything that is served."""
    found = []
    for entry in SERVICES:
        if not entry.module:
            continue
        role = load_role(entry)
        for route in [*role.routes(), *role.handed_on(), *probe_routes()]:
            assert isinstance(route, web.RouteDef)
            facts = facts_of(route)
            found.append((entry.name, route.method, route.path, facts.name, facts.permission))
    return found


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    seen = set()
    for service, method, path, name, permission in routes():
        if permission is None:
            assert name in PUBLIC or name in UNFRAMED, f"{service} {method} {path}: no row"
        else:
            assert OF_ENDPOINT[name] is permission
        seen.add(name)
    over_grpc = {name for name in OF_ENDPOINT if name.startswith("grpc_")}
    outside = {"openapi", "unknown"}  # of every application (web/application.py)
    assert (OF_ENDPOINT.keys() | PUBLIC.keys() | UNFRAMED.keys()) - seen - over_grpc - outside == set()


def test_a_route_without_a_row_cannot_be_made() -> None:
    with pytest.raises(LookupError, match=r"security/permissions\.py"):
        permission_of("something_new")


def test_no_endpoint_stands_in_two_rows() -> None:
    named = [name for row in PERMISSIONS for name in row.endpoints.split()]
    assert len(named) == len(set(named))
    assert not set(named) & (PUBLIC.keys() | UNFRAMED.keys())


def test_who_looks_changes_nothing() -> None:
    for role in ("viewer", "auditor"):
        held = of_role(role) or frozenset()
        assert not [name for name in held if name.endswith((":write", ":start", ":chat"))], role
    operator = of_role("operator") or frozenset()
    assert not operator & {"admin:keys:write", "inference:chat", "conversations:read", "documents:read"}
    assert of_role("admin") == EVERYTHING and PEERS not in EVERYTHING


def test_scopes_hold_what_they_held() -> None:
    """Frozen: a key that was made once may tomorrow what it may today."""
    assert sorted(of_scopes(frozenset({"chains"}))) == [
        "chains:write",
        "hooks:write",
        "records:read",
        "schedules:write",
        "self:read",
    ]
    assert sorted(of_scopes(frozenset({"personas"}))) == ["personas:write", "records:read", "self:read"]
    assert sorted(of_scopes(frozenset({"audit"}))) == [
        "admin:audit:read",
        "admin:records:read",
        "records:read",
        "self:read",
    ]
    assert of_scopes(frozenset({"admin"})) == EVERYTHING
    inference = of_scopes(frozenset({"inference"}))
    assert inference == frozenset(
        row.name for row in PERMISSIONS
        if not row.name.startswith("admin:")
        and row.name not in ("chains:write", "hooks:write", "schedules:write", "personas:write", PEERS)
    )  # fmt: skip
    assert {scope for row in PERMISSIONS for scope in row.scopes.split()} | {"admin"} == SCOPES.keys()


def test_every_permission_says_who_holds_it() -> None:
    text = Path("config/PERMISSIONS.md").read_text()
    assert text == markdown(), "run: python -m scripts.reference"
    for row in PERMISSIONS:
        assert row.text and (row.name == PEERS or holders(row)[1]), row.name


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Installation]:
    toml = "[auth]\nenabled = true\n"
    for tenant in TENANTS:
        for role in ROLES:
            key = configured_key(f"{role}@{tenant}", tenant=tenant, scopes="inference")
            toml += key.replace('scopes = ["inference"]', f'roles = ["{role}"]')
    async with installed("one", tmp_path, toml) as made:
        yield made


def sendable(path: str) -> str:
    """A path of that template. A name that is nowhere: what is let in finds nothing, and changes nothing."""
    path = path.replace("{call:.+:[A-Za-z]+}", "nobody:generateContent").replace("{below:(/.*)?}", "/nobody")
    return re.sub(r"\{\w+(?::[^}]*)?\}", "nobody", path)


async def asked(place: Installation, service: str, key: str, method: str, path: str) -> tuple[int, str]:
    headers = {"authorization": f"Bearer {key}"}
    async with place.http.request(method, place.urls[service] + sendable(path), headers=headers) as reply:
        return reply.status, (await reply.content.read(2_000)).decode()


@pytest.mark.timeout(300)
async def test_every_route_answers_every_role_as_the_table_says(place: Installation) -> None:
    wrong = []
    for service, method, path, _, permission in routes():
        if permission is None:
            continue
        for role in ROLES:
            for tenant in TENANTS:
                status, said = await asked(place, service, f"{role}@{tenant}", method, path)
                may = permission.name in (of_role(role) or frozenset())
                refused = (status == 403 and "permission" in str(said)) or (
                    status == 403 and permission.name == PEERS
                )
                if refused is may or status in (401, 500):
                    wrong.append(
                        f"{role}@{tenant}: {method} {path} ({permission.name}): {status} {said}"[:300]
                    )
        status, _ = await asked(place, service, "nobody's", method, path)
        if status != 401:
            wrong.append(f"an unknown key: {method} {path}: {status}")
    assert not wrong, "\n".join(wrong)
