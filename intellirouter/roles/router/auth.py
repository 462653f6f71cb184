"""`/auth/login`, `/auth/refresh`, `/auth/logout`: a name and a password for a token. Not there while no user has a password.

Signing in at a provider of identities is in `auth_oidc.py`; its tokens are refreshed and ended here like any others.

However a sign-in fails, the answer is the same and takes as long: a name that nobody has is checked against a decoy. Failures are
counted in the shared store by name and address, by name, and by address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
    from intellirouter.identity.oidc.entrance import Entrance
    from intellirouter.identity.passwords import Checker
    from intellirouter.identity.sessions import SignIns

WINDOW_SECONDS = 900.0
FAILURES_HERE, FAILURES_BY_NAME, FAILURES_BY_ADDRESS = 5, 100, 50
"""Of a name from one address, of a name from anywhere, of an address with any names; each in a window."""
MAX_BODY = 16_384


@dataclass(frozen=True, slots=True)
class Login:
    """What signing in needs. `passwords` is None where `[auth.login]` is off, `entrance` where there is no `[[auth.oidc]]`.

    `public_url` is where browsers reach this Router, where that is configured.
    """

    sign_ins: SignIns
    passwords: Checker | None
    people: Directory
    store: StateStore
    entrance: Entrance | None = None
    public_url: str | None = None

    @property
    def takes_passwords(self) -> bool:
        """Whether somebody could sign in with one."""
        return self.passwords is not None and self.people.has_users


LOGIN: web.AppKey[Login | None] = web.AppKey("login")
"""None where nobody signs in: `[auth.login] enabled` is false and there is no `[[auth.oidc]]`, or keys are off."""


def login_of(request: web.Request) -> Login | None:
    """Where people sign in; None where they do not."""
    login = request.app[LOGIN]
    if login is None or not request.app[KEY_RING].enabled:
        return None
    return login if login.entrance is not None or login.takes_passwords else None


def sign_ins_of(request: web.Request) -> Login:
    """The same. Raises `NotFound`."""
    login = login_of(request)
    if login is None:
        raise NotFound(
            "Nobody signs in here: set [auth] enabled, then `intellirouter users create NAME --password` or [[auth.oidc]]."
        )
    return login


def ways_in(request: web.Request) -> dict[str, Any]:
    """How people sign in here: with a password, and at which providers."""
    login = login_of(request)
    found = login.entrance.providers.values() if login is not None and login.entrance is not None else ()
    return {
        "password": login is not None and login.takes_passwords,
        "providers": [{"name": one.section.name, "title": one.section.shown} for one in found],
    }


def answer(body: object, status: int = 200) -> web.Response:
    """JSON that nobody keeps on the way."""
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return web.Response(body=msgspec.json.encode(body), status=status, headers=headers)


async def login(request: web.Request) -> web.StreamResponse:
    """`username` and `password` for an `access_token`, good as a key, and a `refresh_token`. 401 for both being wrong alike."""
    found = sign_ins_of(request)
    body = await read_json(request, MAX_BODY)
    name, password = fields.required_text(body, "username"), fields.required_text(body, "password")
    noted(request, action="sign-in", who=name[:128])
    account = await checked(found, name, password, request.remote or "")
    return answer(await found.sign_ins.begin(account))


async def methods(request: web.Request) -> web.StreamResponse:
    """How people sign in here: `password`, and `providers` with `name` and `title`."""
    return answer(ways_in(request))


async def count(login: Login, counter: str, most: int) -> None:
    """One more try of what a stranger may try `most` times in 15 minutes. Raises `RateLimited`."""
    if await login.store.add(counter, 1, window=WINDOW_SECONDS) > most:
        raise RateLimited(
            "Too many sign-ins were tried: try again in 15 minutes.", retry_after=WINDOW_SECONDS
        )


async def checked(login: Login, name: str, password: str, address: str) -> Account:
    """The user of that name and password. Raises `AuthenticationFailed`, `RateLimited` after too many failures."""
    if login.passwords is None or not login.people.has_users:
        raise NotFound(
            "Nobody signs in with a password here: `intellirouter users create NAME --password` makes somebody who does."
        )
    counters = {
        f"signin:here:{address}:{name[:128]}": FAILURES_HERE,
        f"signin:name:{name[:128]}": FAILURES_BY_NAME,
        f"signin:address:{address}": FAILURES_BY_ADDRESS,
    }
    for counter, most in counters.items():  # counted before it is known: many at once must not get more tries
        await count(login, counter, most)
    account = login.people.named(name) if len(name) <= 128 else None
    holds = await login.passwords.holds(account.password if account is not None else None, password)
    if account is None or not holds or account.blocked is not None:
        raise AuthenticationFailed("The name or the password is wrong.")
    for counter in counters:
        await login.store.add(counter, -1, window=WINDOW_SECONDS)
    return account


async def refresh(request: web.Request) -> web.StreamResponse:
    """New tokens for a `refresh_token`, which is good once."""
    found = sign_ins_of(request)
    token = fields.required_text(await read_json(request, MAX_BODY), "refresh_token")
    noted(request, action="token-refresh")
    return answer(await found.sign_ins.refresh(token))


async def logout(request: web.Request) -> web.StreamResponse:
    """End the sign-in of the token that is sent: neither it nor its refresh token is taken any more, on any node."""
    found, session = sign_ins_of(request), request[CALLER].metadata.get("session")
    if not session:
        raise InvalidRequest("Only a token of /auth/login is signed out; a key is revoked.")
    noted(request, action="sign-out", who=request[CALLER].key_id)
    await found.sign_ins.end(session)
    return answer({"signed_in": False})


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [
        web.get("/auth/methods", endpoint("auth_methods", methods, encode_error, recorded=False)),
        web.post("/auth/login", endpoint("auth_login", login, encode_error)),
        web.post("/auth/refresh", endpoint("auth_refresh", refresh, encode_error)),
        web.post("/auth/logout", endpoint("auth_logout", logout, encode_error)),
    ]
