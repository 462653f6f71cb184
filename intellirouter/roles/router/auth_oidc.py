"""`/auth/oidc/{provider}/…` and `/auth/token`: signing in at a provider of identities, in the console and for `intellirouter login`.

A browser is sent to the provider with a state, a nonce and a code challenge, which it carries sealed in a cookie, and comes back
with a code. Then the console has a session, or the command that opened the browser is handed a code of ours at its loopback
address (RFC 8252, 7.3), which it turns into tokens with its own verifier. A command without a browser shows a code to enter
elsewhere (RFC 8628) and asks until somebody did.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import urlencode, urlsplit

import structlog
from aiohttp import web

from intellirouter.chat import fields
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import InvalidRequest, NotFound, PermissionDenied
from intellirouter.identity.oidc.errors import NotLetIn, ProviderTrouble, WayLost
from intellirouter.identity.oidc.way import DEVICE_GRANT, SECONDS, Way, begun, cookie_of
from intellirouter.roles.router.auth import MAX_BODY, Login, answer, count, sign_ins_of
from intellirouter.roles.router.console.pages import SAFE_HEADERS
from intellirouter.roles.router.console.routes import CONSOLE, set_session
from intellirouter.security.people import Account
from intellirouter.web.auditing import noted
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import endpoint

if TYPE_CHECKING:  # a node without providers must not pay for what speaks to them
    from intellirouter.identity.oidc.entrance import Entrance
    from intellirouter.identity.oidc.provider import Provider

COME_BACKS, POLLS = 100, 2_000
"""Of one address in 15 minutes: each has us ask the provider."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_ECHO = re.compile(r"[A-Za-z0-9_-]{1,100}")
_SIGNED_IN = "authorization_code"

log = structlog.get_logger(__name__)


def _provider(request: web.Request) -> tuple[Login, Entrance, Provider]:
    """Raises `NotFound`."""
    login, name = sign_ins_of(request), request.match_info["provider"]
    entrance = login.entrance
    provider = entrance.providers.get(name) if entrance is not None else None
    if entrance is None or provider is None:
        there = ", ".join(entrance.providers) if entrance is not None else ""
        raise NotFound(f"There is no provider '{name[:40]}' to sign in at. There are: {there or 'none'}.")
    return login, entrance, provider


def _origin(request: web.Request, login: Login) -> str:
    """Where browsers reach this Router. Raises `InvalidRequest` where a stranger could say anything."""
    if login.public_url is not None:
        return login.public_url
    with contextlib.suppress(ValueError):
        if urlsplit(f"//{request.host}").hostname in LOOPBACK:
            return f"{request.scheme}://{request.host}"
    raise InvalidRequest(
        "Where browsers reach this node is not configured: set server.public_url, as in https://ai.example.com."
    )


async def start(request: web.Request) -> web.StreamResponse:
    """Send a browser to the provider. `?to=` is the console's page to go on with; a command gives `port`, `echo`, `challenge`."""
    login, entrance, provider = _provider(request)
    asked, name = request.query, provider.section.name
    redirect_uri = f"{_origin(request, login)}/auth/oidc/{name}/callback"
    if "port" in asked:
        way = begun(name, redirect_uri, **_command(request))
    else:
        way = begun(name, redirect_uri, to=page_of(asked.get("to", "")))
    response = _sent(await provider.address(way))
    response.set_cookie(
        way.cookie, entrance.ways.sealed(way, f"{name} way"), max_age=SECONDS, path=f"/auth/oidc/{name}",
        httponly=True, samesite="Lax", secure=redirect_uri.startswith("https"),
    )  # fmt: skip
    return response


class _Command(TypedDict):
    port: int
    echo: str
    challenge: str


def _command(request: web.Request) -> _Command:
    """What a command that waits at the loopback address says. Raises `InvalidRequest`, `PermissionDenied`."""
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise PermissionDenied("A command's sign-in is begun by `intellirouter login`, and not by a page.")
    asked = request.query
    port, echo, challenge = asked["port"], asked.get("echo", ""), asked.get("challenge", "")
    if not (port.isascii() and port.isdigit() and 1024 <= int(port[:6]) <= 65_535):
        raise InvalidRequest("'port' is the command's own, 1024 to 65535.", param="port")
    if not _ECHO.fullmatch(echo):
        raise InvalidRequest("'echo' is 1 to 100 letters, digits, - and _.", param="echo")
    if not _CHALLENGE.fullmatch(challenge):
        raise InvalidRequest(
            "'challenge' is the S256 challenge of the command's verifier.", param="challenge"
        )
    return {"port": int(port), "echo": echo, "challenge": challenge}


def page_of(asked: str) -> str:
    """A page of the console, whatever was asked for: nobody is led elsewhere."""
    inside = asked == "/console" or asked.startswith(("/console/", "/console?", "/console#"))
    odd = len(asked) > 500 or not asked.isprintable() or "\\" in asked or ".." in asked
    return "/console" if odd or not inside else asked


async def callback(request: web.Request) -> web.StreamResponse:
    """The browser is back from the provider: into the console, or to the command that waits."""
    login, entrance, provider = _provider(request)
    state = request.query.get("state", "")
    noted(request, action="sign-in", on=f"oidc:{provider.section.name}")
    way: Way | None = None
    try:
        await count(login, f"signin:back:{request.remote or ''}", COME_BACKS)
        way = entrance.ways.way(provider.section.name, state, request.cookies.get(cookie_of(state), ""))
        await provider.check_issuer(request.query.get("iss"))
        account, grant = await entrance.came_back(provider, way, _code(request))
        noted(request, action="sign-in", who=account.label, on=f"oidc:{provider.section.name}")
        response = await _entered(request, login, entrance, way, account, grant)
    except (NotLetIn, ProviderTrouble) as error:
        log.info("oidc.refused", provider=provider.section.name, reason=error.message)
        noted(request, action="sign-in", on=f"oidc:{provider.section.name}", refused=error.code)
        response = _refused(way, error.told)
    response.del_cookie(cookie_of(state), path=f"/auth/oidc/{provider.section.name}")
    return response


def _code(request: web.Request) -> str:
    """Raises `NotLetIn` with the provider's own word in the log, `WayLost` where there is neither code nor error."""
    error, code = request.query.get("error"), request.query.get("code", "")
    if error is not None:
        raise NotLetIn(f"The provider answers {error[:100]!a}.")
    if not 0 < len(code) <= 4_000:
        raise WayLost("The provider gave no code.")
    return code


async def _entered(
    request: web.Request, login: Login, entrance: Entrance, way: Way, account: Account, grant: str
) -> web.Response:
    if way.port:
        code = await entrance.handed(account, grant, way.challenge)
        return _sent(f"http://127.0.0.1:{way.port}/?{urlencode({'code': code, 'echo': way.echo})}")
    console = request.app[CONSOLE]
    if console is None:
        await entrance.grants.end(grant)
        raise NotFound("The console is switched off on this node ([console] enabled).")
    owner = login.people.caller(account).owner()
    secret, _ = await console.sessions.begin(owner, grant, way.provider)
    response = _sent(way.to)
    set_session(response, secret, secure=way.redirect_uri.startswith("https"))
    return response


def _refused(way: Way | None, told: str) -> web.Response:
    if way is not None and way.port:
        return _sent(f"http://127.0.0.1:{way.port}/?{urlencode({'error': told, 'echo': way.echo})}")
    return _sent(f"/console#refused={told}")


def _sent(where: str) -> web.Response:
    return web.Response(status=302, headers={"location": where, "cache-control": "no-store", **SAFE_HEADERS})


async def device(request: web.Request) -> web.StreamResponse:
    """A code to enter in a browser elsewhere: RFC 8628, 3.2. `device_code` is asked again with at `/auth/token`."""
    login, entrance, provider = _provider(request)
    await count(login, f"signin:back:{request.remote or ''}", COME_BACKS)
    return answer(await entrance.device(provider))


async def token(request: web.Request) -> web.StreamResponse:
    """Tokens for the `code` and `code_verifier` of a command, or for a `provider` and `device_code`; `grant_type` says which."""
    login = sign_ins_of(request)
    body = await read_json(request, MAX_BODY * 4)
    entrance, kind = login.entrance, fields.required_text(body, "grant_type")
    if entrance is None:
        raise NotFound("Nobody signs in at a provider here ([[auth.oidc]]).")
    await count(login, f"signin:poll:{request.remote or ''}", POLLS)
    if kind == _SIGNED_IN:
        code, verifier = fields.required_text(body, "code"), fields.required_text(body, "code_verifier")
        account, grant = await entrance.redeemed(code, verifier)
    elif kind == DEVICE_GRANT:
        name, code = fields.required_text(body, "provider"), fields.required_text(body, "device_code")
        provider = entrance.providers.get(name)
        if provider is None:
            raise NotFound(f"There is no provider '{name[:40]}' to sign in at.")
        account, grant = await entrance.polled(provider, code)
    else:
        raise InvalidRequest(f"'grant_type' is {_SIGNED_IN} or {DEVICE_GRANT}.", param="grant_type")
    noted(request, action="sign-in", who=account.label, on="oidc")
    return answer(await login.sign_ins.begin(account, grant))


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    place = "/auth/oidc/{provider}"
    return [
        web.get(f"{place}/start", endpoint("auth_oidc_start", start, encode_error)),
        web.get(f"{place}/callback", endpoint("auth_oidc_callback", callback, encode_error)),
        web.post(f"{place}/device", endpoint("auth_oidc_device", device, encode_error)),
        web.post("/auth/token", endpoint("auth_token", token, encode_error)),
    ]
