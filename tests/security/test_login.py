"""Signing in with a name and a password: off until somebody has one, the same answer however it fails, ended everywhere at once."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from argon2 import PasswordHasher

from intellirouter.identity import sessions
from intellirouter.identity.passwords import hashed, weakness
from intellirouter.identity.store import PeopleStore
from intellirouter.roles.keys import PEOPLE
from intellirouter.security.people import new_account
from tests.servers.installation import ADMIN, Installation, installed
from tests.servers.warm.process import warm_command

PASSWORD = "a horse, a battery and a staple"


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Installation]:
    async with installed("one", tmp_path, "[auth]\nenabled = true\n") as made:
        yield made


def people_of(place: Installation) -> PeopleStore:
    return place.nodes["Router"].opened[PEOPLE]


async def post(place: Installation, path: str, **body: Any) -> tuple[int, Any]:
    async with place.http.post(place.urls["Router"] + path, json=body) as reply:
        return reply.status, await reply.json()


async def test_the_walk_of_a_sign_in(place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await post(place, "/auth/login", username="ann", password=PASSWORD))[0] == 404, (
        "nobody has a password"
    )
    people = people_of(place)
    ann = await people.create(
        new_account("ann", roles=("developer",), password=await asyncio.to_thread(hashed, PASSWORD))
    )
    status, told = await post(place, "/auth/login", username="ann", password=PASSWORD)
    assert status == 200 and told["token_type"] == "Bearer" and told["expires_in"] == 3600
    for role, path in (
        ("Router", "/v1/models"),
        ("ChainEngine", "/v1/chains"),
        ("RagManager", "/rag/v1/collections"),
    ):
        assert (await place.ask(role, told["access_token"], "GET", path))[0] == 200, role
    assert (await place.ask("Router", told["access_token"], "GET", "/admin/keys"))[0] == 403
    status, fresh = await post(place, "/auth/refresh", refresh_token=told["refresh_token"])
    assert status == 200 and fresh["refresh_token"] != told["refresh_token"]
    assert (await post(place, "/auth/refresh", refresh_token=told["refresh_token"]))[0] == 401
    status, fresh = await post(place, "/auth/refresh", refresh_token=fresh["refresh_token"])
    assert status == 200, "one that comes twice at once is no theft"
    assert (await place.ask("Router", fresh["access_token"], "POST", "/auth/logout"))[0] == 200
    for token in (told["access_token"], fresh["access_token"]):
        for role, path in (("Router", "/v1/models"), ("ChainEngine", "/v1/chains")):
            assert (await place.ask(role, token, "GET", path))[0] == 401
    assert (await post(place, "/auth/refresh", refresh_token=fresh["refresh_token"]))[0] == 401
    # one that was stolen ends the sign-in of both
    monkeypatch.setattr(sessions, "GRACE_SECONDS", -1.0)
    _, told = await post(place, "/auth/login", username="ann", password=PASSWORD)
    _, fresh = await post(place, "/auth/refresh", refresh_token=told["refresh_token"])
    assert (await post(place, "/auth/refresh", refresh_token=told["refresh_token"]))[0] == 401
    assert (await post(place, "/auth/refresh", refresh_token=fresh["refresh_token"]))[0] == 401
    assert (await place.ask("Router", fresh["access_token"], "GET", "/v1/models"))[0] == 401
    # a new password, a block
    _, told = await post(place, "/auth/login", username="ann", password=PASSWORD)
    await people.update(ann.id, signed_out=time.time() + 1)
    assert (await place.ask("Router", told["access_token"], "GET", "/v1/models"))[0] == 401
    await people.update(ann.id, signed_out=0.0)
    await people.block("ann")
    assert (await place.ask("Router", told["access_token"], "GET", "/v1/models"))[0] == 401
    assert (await post(place, "/auth/login", username="ann", password=PASSWORD))[0] == 401
    # one that an administrator gives
    await people.unblock("ann")
    where = "/admin/users/ann/password"
    for weak in ("short", "ann", 1, "a" * 600):
        assert (await place.ask("Router", ADMIN, "PUT", where, {"password": weak}))[0] == 400
    status, shown = await place.ask("Router", ADMIN, "PUT", where, {"password": PASSWORD[::-1]})
    assert status == 200 and shown["password"] is True and PASSWORD[::-1] not in str(shown)
    assert (await post(place, "/auth/login", username="ann", password=PASSWORD))[0] == 401
    assert (await post(place, "/auth/login", username="ann", password=PASSWORD[::-1]))[0] == 200
    await people.create(new_account("nightly", "service"))
    assert (await place.ask("Router", ADMIN, "PUT", "/admin/users/nightly/password", {"password": PASSWORD}))[
        0
    ] == 400


async def test_failures_sound_alike_and_are_counted(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    people, looked = people_of(place), list[list[str]]()
    verify = PasswordHasher.verify

    def noted(self: PasswordHasher, kept: str, password: str) -> bool:
        looked.append(kept.split("$")[:4])  # the kind, and what it costs
        return verify(self, kept, password)

    monkeypatch.setattr(PasswordHasher, "verify", noted)
    await people.create(new_account("ann", password=await asyncio.to_thread(hashed, PASSWORD)))
    said = set()
    for name in ("ann", "nobody"):
        answers = await asyncio.gather(
            *(post(place, "/auth/login", username=name, password=f"wrong {n}") for n in range(8))
        )
        assert sorted(status for status, _ in answers) == [401] * 5 + [429] * 3, "at once, too"
        said |= {body["error"]["message"] for status, body in answers if status == 401}
    assert len(said) == 1
    assert len(looked) == 10 and all(one == looked[0] for one in looked), "as long a look at nobody's"
    assert (await post(place, "/auth/login", username="ann", password=PASSWORD))[0] == 429, (
        "locked for a while"
    )


@pytest.mark.parametrize(
    "body", [{}, {"username": "ann"}, {"username": 1, "password": "x"}, {"username": "ann", "password": ["x"]}, {"username": "a" * 10_000, "password": "b" * 5_000}],
    ids=lambda body: str(body)[:40],
)  # fmt: skip
async def test_what_is_no_sign_in_is_refused(place: Installation, body: dict[str, Any]) -> None:
    await people_of(place).create(new_account("ann", password=await asyncio.to_thread(hashed, PASSWORD)))
    status, said = await post(place, "/auth/login", **body)
    assert status in (400, 401) and "error" in said


async def test_a_key_is_not_signed_out(place: Installation) -> None:
    await people_of(place).create(new_account("ann", password=await asyncio.to_thread(hashed, PASSWORD)))
    secret = await place.make_key("k")
    assert (await place.ask("Router", secret, "POST", "/auth/logout"))[0] == 400


@pytest.mark.parametrize(
    ("password", "weak"),
    [("short", True), ("aaaaaaaaaaaaaa", True), ("annannannann", True), ("x" * 600, True), (PASSWORD, False)],
)
def test_weak_passwords(password: str, weak: bool) -> None:
    assert bool(weakness(password, "ann")) is weak


async def test_the_commands_sign_in_and_out(place: Installation, tmp_path: Path) -> None:
    await people_of(place).create(
        new_account("ann", roles=("auditor",), password=await asyncio.to_thread(hashed, PASSWORD))
    )
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "INTELLIROUTER_URL": place.urls["Router"]}

    async def run(*words: str, typed: str = "") -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *warm_command(), *words, env=environment, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await asyncio.wait_for(process.communicate(typed.encode()), 120)
        assert process.returncode is not None
        return process.returncode, said.decode()

    assert (await run("whoami"))[0] != 0
    code, said = await run("login", "--user", "ann", typed="wrong password\n")
    assert code != 0 and "wrong" in said and "Traceback" not in said
    code, said = await run("login", "--user", "ann", typed=PASSWORD + "\n")
    assert code == 0 and PASSWORD not in said, said
    file = tmp_path / "intellirouter" / "tokens.json"
    assert file.stat().st_mode & 0o777 == 0o600 and PASSWORD not in file.read_text()
    code, said = await run("whoami")
    assert code == 0 and "user ann" in said and all(len(line) <= 80 for line in said.splitlines()), said
    assert (await run("logout"))[0] == 0
    assert (await run("whoami"))[0] != 0


async def entered(place: Installation, key: str) -> Callable[[], Awaitable[int]]:
    """Sign in to the console with a key; what it gives says how the session stands."""
    url = place.urls["Router"]
    opened = place.http.post(
        f"{url}/console/api/session", json={"key": key}, headers={"x-console-token": "visitor"}
    )
    async with opened as reply:
        assert reply.status == 201, await reply.text()
        cookie = f"intellirouter_console={reply.cookies['intellirouter_console'].value}"

    async def status() -> int:
        async with place.http.get(f"{url}/console/api/router/v1/models", headers={"cookie": cookie}) as reply:
            return reply.status

    assert await status() == 200
    return status


async def test_a_session_of_the_console_ends_with_what_it_was_begun_with(place: Installation) -> None:
    """A leaked secret or token is no way to a session that outlives it."""
    secret = await place.make_key("anns")
    old = await entered(place, secret)
    _, kept = await place.ask("Router", ADMIN, "POST", "/admin/keys/anns/rotate", {"grace_seconds": 600})
    assert await old() == 200, "the old secret is good yet"
    new = await entered(place, kept["secret"])
    await place.ask("Router", ADMIN, "POST", "/admin/keys/anns/rotate", {"grace_seconds": 0})
    assert (await old(), await new()) == (401, 401)
    people = people_of(place)
    password = await asyncio.to_thread(hashed, PASSWORD)
    await people.create(new_account("ann", roles=("developer",), password=password))
    _, told = await post(place, "/auth/login", username="ann", password=PASSWORD)
    out = await entered(place, told["access_token"])
    assert (await place.ask("Router", told["access_token"], "POST", "/auth/logout"))[0] == 200
    assert await out() == 401
    _, told = await post(place, "/auth/login", username="ann", password=PASSWORD)
    over = await entered(place, told["access_token"])
    with mock.patch("intellirouter.app.components.console.time") as clock:
        clock.time.return_value = time.time() + told["expires_in"]
        assert await over() == 401, "the token is over"
