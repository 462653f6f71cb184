"""`/auth/login`, `/auth/refresh`, `/auth/logout`: a name and a password for a token. Not there while no user has a password.

However a sign-in fails, the answer is the same and takes as long: a name that nobody has is checked against a decoy. Failures are
counted in the shared store by name and address, by name, and by address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from intellirouter.chat import fields
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import AuthenticationFailed, InvalidRequest, NotFound, RateLimited
from intellirouter.memory.store import StateStore
from intellirouter.roles.keys import KEY_RING
from intellirouter.security.people import Account, Directory
from intellirouter.web.auditing import noted
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import CALLER, endpoint

if TYPE_CHECKING:  # a node where nobody signs in must not pay for them
    from intellirouter.identity.passwords import Checker
    from intellirouter.identity.sessions import SignIns

WINDOW_SECONDS = 900.0
FAILURES_HERE, FAILURES_BY_NAME, FAILURES_BY_ADDRESS = 5, 100, 50
"""Of a name from one address, of a name from anywhere, of an address with any names; each in a window."""
MAX_BODY = 16_384


@dataclass(frozen=True, slots=True)
class Login:
    """What signing in with a password needs."""

    sign_ins: SignIns
    passwords: Checker
    people: Directory
    store: StateStore


LOGIN: web.AppKey[Login | None] = web.AppKey("login")
"""None where `[auth.login] enabled` is false, or keys are off."""


def _login(request: web.Request) -> Login:
    login = request.app[LOGIN]
    if login is None or not request.app[KEY_RING].enabled or not login.people.has_users:
        raise NotFound(
            "Nobody signs in with a password here: set [auth] enabled, then `intellirouter users create NAME --password`."
        )
    return login


def _json(body: object, status: int = 200) -> web.Response:
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return web.Response(body=msgspec.json.encode(body), status=status, headers=headers)


async def login(request: web.Request) -> web.StreamResponse:
    """`username` and `password` for an `access_token`, good as a key, and a `refresh_token`. 401 for both being wrong alike."""
    found = _login(request)
    body = await read_json(request, MAX_BODY)
    name, password = fields.required_text(body, "username"), fields.required_text(body, "password")
    noted(request, action="sign-in", who=name[:128])
    account = await checked(found, name, password, request.remote or "")
    return _json(await found.sign_ins.begin(account))


async def checked(login: Login, name: str, password: str, address: str) -> Account:
    """The user of that name and password. Raises `AuthenticationFailed`, `RateLimited` after too many failures."""
    counters = {
        f"signin:here:{address}:{name[:128]}": FAILURES_HERE,
        f"signin:name:{name[:128]}": FAILURES_BY_NAME,
        f"signin:address:{address}": FAILURES_BY_ADDRESS,
    }
    for counter, most in counters.items():  # counted before it is known: many at once must not get more tries
        if await login.store.add(counter, 1, window=WINDOW_SECONDS) > most:
            raise RateLimited(
                "Too many sign-ins failed: try again in 15 minutes.", retry_after=WINDOW_SECONDS
            )
    account = login.people.named(name) if len(name) <= 128 else None
    holds = await login.passwords.holds(account.password if account is not None else None, password)
    if account is None or not holds or account.blocked is not None:
        raise AuthenticationFailed("The name or the password is wrong.")
    for counter in counters:
        await login.store.add(counter, -1, window=WINDOW_SECONDS)
    return account


async def refresh(request: web.Request) -> web.StreamResponse:
    """New tokens for a `refresh_token`, which is good once."""
    found = _login(request)
    token = fields.required_text(await read_json(request, MAX_BODY), "refresh_token")
    noted(request, action="token-refresh")
    return _json(await found.sign_ins.refresh(token))


async def logout(request: web.Request) -> web.StreamResponse:
    """End the sign-in of the token that is sent: neither it nor its refresh token is taken any more, on any node."""
    found, session = _login(request), request[CALLER].metadata.get("session")
    if not session:
        raise InvalidRequest("Only a token of /auth/login is signed out; a key is revoked.")
    noted(request, action="sign-out", who=request[CALLER].key_id)
    await found.sign_ins.end(session)
    return _json({"signed_in": False})


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [
        web.post("/auth/login", endpoint("auth_login", login, encode_error)),
        web.post("/auth/refresh", endpoint("auth_refresh", refresh, encode_error)),
        web.post("/auth/logout", endpoint("auth_logout", logout, encode_error)),
    ]
