"""Users, service accounts and teams: what they may, on every node at once, and nobody gives what they do not hold."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from intellirouter.config.schema.auth import AuthSection
from intellirouter.errors import KeyEnded
from intellirouter.security.api_keys import KeyRing
from intellirouter.security.caller import Owner
from intellirouter.security.people import Directory, Team, new_account
from tests.servers.installation import ADMIN, Installation, configured_key, installed


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Installation]:
    policy = tmp_path / "rbac.yaml"
    policy.write_text(
        "roles:\n  steward: {permissions: ['admin:users:*', 'admin:keys:*', 'models:read', 'records:read']}\n"
        "  buyer: {permissions: ['*'], models: ['cheap*'], collections: ['manuals']}\n"
        "  saver: {permissions: ['inference:*', 'chains:start'], models: ['cheap-a*', cheap], collections: [manuals]}\n"
        "bindings:\n  - {role: viewer, teams: [readers]}\n  - {role: admin, users: [chief], tenants: [headquarters]}\n"
    )
    toml = f'[auth]\nenabled = true\npolicy_file = "{policy}"\n'
    toml += configured_key("steward").replace('scopes = ["inference"]', 'roles = ["steward"]')
    toml += configured_key("buyer").replace('scopes = ["inference"]', 'roles = ["buyer"]')
    toml += configured_key("narrow", scopes="admin", more='models = ["cheap*"]\n')
    async with installed("one", tmp_path, toml) as made:
        yield made


async def made(place: Installation, name: str, key: str = ADMIN, **fields: Any) -> tuple[int, Any]:
    return await place.ask("Router", key, "POST", "/admin/users", {"name": name, **fields})


async def test_a_key_may_what_both_may_and_ends_with_who_owns_it(place: Installation) -> None:
    _, ann = await made(place, "ann", roles=["viewer"])
    secret = await place.make_key("anns", scopes=["admin"], owner=ann["id"])
    assert (await place.ask("Router", secret, "GET", "/v1/models"))[0] == 200
    assert (await place.ask("Router", secret, "GET", "/admin/keys"))[0] == 403, "ann is a viewer"
    _, changed = await place.ask("Router", ADMIN, "PATCH", "/admin/users/ann", {"roles": ["auditor"]})
    assert changed["roles"] == ["auditor"]
    assert (await place.ask("Router", secret, "GET", "/admin/keys"))[0] == 200
    assert (await place.ask("Router", secret, "GET", "/v1/models"))[0] == 403
    _, me = await place.ask("Router", secret, "GET", "/auth/whoami")
    assert me["tenant"] == "default" and "admin:keys:read" in me["permissions"]
    await place.ask("Router", ADMIN, "POST", "/admin/users/ann/block")
    assert (await place.ask("Router", secret, "GET", "/auth/whoami"))[0] == 401
    await place.ask("Router", ADMIN, "POST", "/admin/users/ann/unblock")
    assert (await place.ask("Router", secret, "GET", "/auth/whoami"))[0] == 200
    assert (await place.ask("Router", ADMIN, "DELETE", "/admin/users/ann"))[0] == 200
    assert (await place.ask("Router", secret, "GET", "/auth/whoami"))[0] == 401


async def test_roles_come_from_teams_and_from_the_policy(place: Installation) -> None:
    assert (await place.ask("Router", ADMIN, "POST", "/admin/teams", {"name": "ops", "roles": ["operator"]}))[
        0
    ] == 201
    _, bob = await made(place, "bob", kind="service", teams=["ops", "readers"])
    _, told = await place.ask("Router", ADMIN, "GET", "/admin/users/bob")
    assert told["effective_roles"] == ["operator", "viewer"]
    secret = await place.make_key("bobs", scopes=["admin"], owner=bob["id"])
    assert (await place.ask("Router", secret, "GET", "/admin/cache"))[0] == 200
    assert (await place.ask("Router", ADMIN, "DELETE", "/admin/teams/ops"))[0] == 200
    assert (await place.ask("Router", secret, "GET", "/admin/cache"))[0] == 403
    assert (await place.ask("Router", secret, "GET", "/v1/models"))[0] == 200


async def test_nobody_gives_what_they_do_not_hold(place: Installation) -> None:
    assert (await made(place, "root"))[0] == 201
    for body in ({"roles": ["admin"]}, {"roles": ["developer"]}):
        status, said = await made(place, "mallory", "steward", **body)
        assert status == 403 and "more than you hold" in said["error"]["message"]
    for scopes in (["admin"], ["inference"]):
        status, said = await place.ask(
            "Router", "steward", "POST", "/admin/keys", {"name": "m", "scopes": scopes}
        )
        assert status == 403, said
    status, said = await place.ask(
        "Router", "steward", "POST", "/admin/keys", {"name": "m", "roles": ["admin"]}
    )
    assert status == 403, said
    await place.make_key("boss", scopes=["admin"])
    assert (await place.ask("Router", "steward", "POST", "/admin/keys/boss/rotate"))[0] == 403, "its secret"
    await place.ask("Router", ADMIN, "PATCH", "/admin/users/root", {"roles": ["admin"]})
    for method, path in (("POST", "/block"), ("DELETE", ""), ("PATCH", "")):
        body = {"roles": []} if method == "PATCH" else None
        assert (await place.ask("Router", "steward", method, f"/admin/users/root{path}", body))[0] == 403
    # nor by what gives roles: a team, or the name or the tenant that the policy binds them to
    await place.ask("Router", ADMIN, "POST", "/admin/teams", {"name": "bosses", "roles": ["admin"]})
    for more in ({"teams": ["bosses"]}, {"name": "chief"}, {"tenant": "headquarters"}):
        for kind in ("user", "service"):
            status, said = await made(place, **{"name": "mallory", "key": "steward", "kind": kind, **more})
            assert status == 403 and "more than you hold" in said["error"]["message"], (more, said)
    assert (await made(place, "mallory", "steward"))[0] == 201
    for more in ({"teams": ["bosses"]}, {"tenant": "headquarters"}):
        status, said = await place.ask("Router", "steward", "PATCH", "/admin/users/mallory", more)
        assert status == 403, (more, said)
    status, said = await place.ask(
        "Router", "steward", "POST", "/admin/keys", {"name": "ok", "roles": ["steward"]}
    )
    assert status == 201, said
    status, said = await place.ask("Router", "steward", "PATCH", "/admin/keys/ok", {"roles": ["admin"]})
    assert status == 403, said
    # nor the same on more than they may use themselves
    await made(place, "wide", roles=["developer"])
    tried = (
        ("buyer", {"roles": ["developer"]}, False),
        ("buyer", {"roles": ["viewer"]}, False),  # who looks at every collection
        ("buyer", {"roles": ["saver"]}, True),
        ("buyer", {"roles": ["buyer", "auditor"]}, True),
        ("buyer", {"scopes": ["inference"]}, False),
        ("buyer", {"scopes": ["inference"], "models": ["cheap-b"]}, False),  # and every collection
        ("buyer", {"scopes": ["inference"], "models": ["*"], "collections": ["manuals"]}, False),
        ("buyer", {"scopes": ["inference"], "models": ["cheap-b"], "collections": ["manuals"]}, True),
        ("narrow", {"roles": ["developer"]}, False),
        ("narrow", {"scopes": ["inference"]}, False),
        ("narrow", {"scopes": ["inference"], "models": ["cheap*", "cheap-x"]}, True),
        ("narrow", {"scopes": ["audit"]}, True),
    )
    for number, (giver, fields, allowed) in enumerate(tried):
        kind = "keys" if "scopes" in fields else "users"
        body = {"name": f"given-{number}", **fields}
        status, said = await place.ask("Router", giver, "POST", f"/admin/{kind}", body)
        assert status == (201 if allowed else 403), (giver, fields, said)
        assert allowed or "more than you hold" in said["error"]["message"]
    for method, path, body in (
        ("PUT", "/password", {"password": "a horse, a battery and a staple"}),
        ("PATCH", "", {"title": "mine"}),
        ("DELETE", "", None),
    ):
        assert (await place.ask("Router", "buyer", method, f"/admin/users/wide{path}", body))[0] == 403


async def test_nobody_gives_anything_in_another_tenant(place: Installation) -> None:
    """Who does not hold everything holds what they hold in their own tenant alone."""
    await place.make_key("theirs", scopes=["audit"], tenant="acme")
    await made(place, "eve", tenant="acme")
    await made(place, "mallory", "steward")
    for path in ("keys", "users"):
        wanted = {"name": "m", "tenant": "acme", "roles": ["steward"]}
        status, said = await place.ask("Router", "steward", "POST", f"/admin/{path}", wanted)
        assert status == 403 and "tenant" in said["error"]["message"], (path, said)
    tries: tuple[tuple[str, str, Any], ...] = (
        ("POST", "/admin/keys/theirs/rotate", {}),
        ("POST", "/admin/keys/theirs/block", None),
        ("POST", "/admin/keys/theirs/unblock", None),
        ("PATCH", "/admin/keys/theirs", {"scopes": ["audit"], "models": ["x"]}),
        ("DELETE", "/admin/keys/theirs", None),
        ("PATCH", "/admin/users/mallory", {"tenant": "acme"}),
        ("PATCH", "/admin/users/eve", {"title": "mine"}),
        ("PATCH", "/admin/users/eve", {"tenant": "default"}),
        ("PUT", "/admin/users/eve/password", {"password": "a horse, a battery and a staple"}),
        ("POST", "/admin/users/eve/block", None),
        ("DELETE", "/admin/users/eve", None),
    )
    for method, path, body in tries:
        assert (await place.ask("Router", "steward", method, path, body))[0] == 403, (method, path)
    for method, path, body in tries:
        if "mallory" not in path and "default" not in str(body):
            assert (await place.ask("Router", ADMIN, method, path, body))[0] == 200, (method, path)


async def test_nobody_changes_a_team_whose_members_they_could_not_change(place: Installation) -> None:
    await made(place, "eve", tenant="acme", teams=["crew"])  # which may have roles later
    give = {"roles": ["steward"]}
    assert (await place.ask("Router", "steward", "POST", "/admin/teams", {"name": "crew", **give}))[0] == 403
    assert (await place.ask("Router", "steward", "POST", "/admin/teams", {"name": "own", **give}))[0] == 201
    for team in ({"name": "crew"}, {"name": "bosses", "roles": ["admin"]}):
        assert (await place.ask("Router", ADMIN, "POST", "/admin/teams", team))[0] == 201
    for team, status in (("crew", 403), ("bosses", 403), ("own", 200)):
        for method, body in (("PATCH", give), ("DELETE", None)):
            told = await place.ask("Router", "steward", method, f"/admin/teams/{team}", body)
            assert told[0] == status, (team, method, told)
    for method, body in (("PATCH", give), ("DELETE", None)):
        assert (await place.ask("Router", ADMIN, method, "/admin/teams/crew", body))[0] == 200


async def test_nobody_changes_a_key_that_may_more_than_they(place: Installation) -> None:
    """Nor takes it away: who administers some keys is no danger to the administrator's."""
    await place.make_key("boss", scopes=["admin"])
    await place.make_key("small", roles=["steward"])
    for key, expected in (("boss", 403), ("small", 200)):
        for method, path, body in (
            ("PATCH", "", {"roles": ["steward"]}),
            ("PATCH", "", {"priority": 5}),
            ("POST", "/block", None),
            ("POST", "/unblock", None),
            ("DELETE", "", None),
        ):
            told = await place.ask("Router", "steward", method, f"/admin/keys/{key}{path}", body)
            assert told[0] == expected, (key, method, path, told)
    _, keys = await place.ask("Router", ADMIN, "GET", "/admin/keys")
    (boss,) = (key for key in keys["data"] if key["name"] == "boss")
    assert (boss["status"], boss["scopes"]) == ("live", ["admin"])
    assert (await place.ask("Router", ADMIN, "DELETE", "/admin/keys/boss"))[0] == 200


async def test_nobody_is_put_into_a_team_of_another_tenant(place: Installation) -> None:
    """It has a budget, and whoever is of its tenant alone could not change it any more."""
    await made(place, "eve", tenant="acme", teams=["crew"])
    await place.make_key("theirs", tenant="acme", team="bots")
    await made(place, "mallory", "steward", teams=["own"])
    await place.make_key("small", roles=["steward"])
    for team, allowed in (("crew", False), ("bots", False), ("own", True)):
        tries: tuple[tuple[str, str, Any], ...] = (
            ("POST", "users", {"name": f"new-{team}", "teams": [team]}),
            ("PATCH", "users/mallory", {"teams": ["own", team]}),
            ("POST", "keys", {"name": f"new-{team}", "roles": ["steward"], "team": team}),
            ("PATCH", "keys/small", {"team": team}),
        )
        for method, path, body in tries:
            status, said = await place.ask("Router", "steward", method, f"/admin/{path}", body)
            assert status == ((201 if method == "POST" else 200) if allowed else 403), (path, body, said)
    assert (await made(place, "both", teams=["crew"]))[0] == 201, "who holds everything may"
    status, said = await place.ask("Router", "steward", "PATCH", "/admin/users/mallory", {"teams": ["own"]})
    assert status == 200, said


async def test_nobody_is_taken_for_another_by_being_named_as_its_id(place: Installation) -> None:
    """What is given to the one, or taken from it, would be the other's."""
    _, root = await made(place, "root")
    _, decoy = await made(place, root["id"], "steward")
    change = await place.ask("Router", ADMIN, "PATCH", "/admin/users/root", {"roles": ["admin"]})
    assert (change[1]["id"], change[1]["roles"]) == (root["id"], ["admin"])
    assert (await place.ask("Router", ADMIN, "GET", f"/admin/users/{decoy['id']}"))[1]["roles"] == []
    assert (await place.ask("Router", ADMIN, "POST", f"/admin/users/{root['id']}/block"))[1]["name"] == "root"
    await place.make_key("leaked", scopes=["audit"])
    _, keys = await place.ask("Router", ADMIN, "GET", "/admin/keys")
    (leaked,) = (key["id"] for key in keys["data"] if key["name"] == "leaked")
    body = {"name": leaked, "roles": ["steward"]}
    assert (await place.ask("Router", "steward", "POST", "/admin/keys", body))[0] == 201
    assert (await place.ask("Router", ADMIN, "DELETE", f"/admin/keys/{leaked}"))[1]["name"] == "leaked"
    for name in ("anonymous", "operator", "user:root"):
        assert (await place.ask("Router", ADMIN, "POST", "/admin/keys", {"name": name}))[0] == 409, name


WRONG = (
    ({"name": "a b"}, "name"),
    ({"name": ""}, "name"),
    ({"name": 5}, "name"),
    ({"name": "x" * 129}, "name"),
    ({"name": "ann\u200b"}, "name"),
    ({"name": "\u202enna"}, "name"),
    ({"name": "ann\ufeff"}, "name"),
    ({"name": "a", "roles": ["boss"]}, "roles"),
    ({"name": "a", "roles": "admin"}, "roles"),
    ({"name": "a", "kind": "robot"}, "kind"),
    ({"name": "a", "password": "x"}, "password"),
    ({"name": "a", "id": "user_1"}, "id"),
    ({"name": "a", "issuer": "https://x"}, "issuer"),
    ({"name": "a", "tenant": ""}, "tenant"),
    ({"name": "a", "budgets": {"day": -1}}, "budgets"),
    ({"name": "a", "requests_per_minute": True}, "requests_per_minute"),
)


async def test_what_does_not_hold_is_named(place: Installation) -> None:
    for body, param in WRONG:
        status, said = await place.ask("Router", ADMIN, "POST", "/admin/users", body)
        assert (status, said["error"]["param"]) == (400, param), body


async def test_names_are_taken_once(place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await made(place, "ann"))[0] == 201
    assert (await made(place, "ann"))[0] == 409
    assert (await made(place, "ann", kind="service"))[0] == 201
    alike = ("Ann", "ANN", "ａｎｎ", "jos\u00e9", "jose\u0301", "straße", "strasse", "İ", "i\u0307", "ı")
    answers = [await made(place, name, email=f"{name}@example.com") for name in alike]
    refs = {said["id"] for status, said in answers if status == 201}
    assert len(refs) == len(alike), answers  # nobody becomes somebody else by case or by form
    for name in alike:
        _, found = await place.ask("Router", ADMIN, "GET", f"/admin/users/{quote(name)}")
        assert found.get("name") == name, found
    monkeypatch.setattr("intellirouter.identity.store.MAX_ACCOUNTS", 2)
    assert (await made(place, "bob"))[0] == 409, "as many as are kept"
    status, _ = await place.ask("Router", ADMIN, "POST", "/admin/keys", {"name": "user:ann"})
    assert status == 409, "limits and budgets go by the name"


def test_what_was_left_in_a_tenant_is_not_taken_to_another() -> None:
    ring = KeyRing(AuthSection(enabled=True))
    ann = new_account("ann", roles=("developer",), tenant="acme")
    ring.people.put(ann)
    owner = ring.caller_of(Owner("acme", ann.label, ann.id)).owner()
    ring.people.put(msgspec.structs.replace(ann, tenant="globex"))
    with pytest.raises(KeyEnded):
        ring.caller_of(owner)


def test_ten_thousand_people_are_as_quick_as_ten() -> None:
    def seconds(count: int) -> float:
        people = Directory()
        accounts = [new_account(f"u{n}", roles=("developer",), teams=("t",)) for n in range(count)]
        people.take(accounts, [Team(name="t", created=0.0)], {})
        chosen = accounts[:: max(1, count // 10)]
        for account in chosen:
            people.standing(account.id)
        best = 1e9
        for _ in range(20):
            began = time.perf_counter()
            for _ in range(100):
                for account in chosen:
                    people.standing(account.id)
            best = min(best, time.perf_counter() - began)
        return best / len(chosen)

    assert seconds(10_000) < 20 * seconds(10)
