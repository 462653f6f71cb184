"""The console's endpoints: its files, who is signed in, and the gateway."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from intellirouter import __version__
from intellirouter.chat import fields
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import IntelliRouterError, NotFound
from intellirouter.roles.keys import KEY_RING, SETTINGS
from intellirouter.roles.router.auth import checked, login_of, sign_ins_of, ways_in
from intellirouter.roles.router.console.gateway import Gateway, check_write
from intellirouter.roles.router.console.pages import SAFE_HEADERS, Pages
from intellirouter.roles.router.console.sessions import Proof, Session, Sessions
from intellirouter.security.api_keys import hash_key
from intellirouter.security.caller import Caller
from intellirouter.web.auditing import noted
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import FRAME, Handler, endpoint
from intellirouter.web.errors import error_response

COOKIE = "intellirouter_console"


@dataclass(frozen=True, slots=True)
class Console:
    """What the endpoints need. `setup` is the secret of the setup link made at this start, where keys are off."""

    pages: Pages
    sessions: Sessions
    gateway: Gateway
    setup: str | None = None


CONSOLE: web.AppKey[Console | None] = web.AppKey("console")
"""None where `[console] enabled` is false."""


def console_of(request: web.Request) -> Console:
    """The console. Raises `NotFound` where it is switched off."""
    console = request.app[CONSOLE]
    if console is None:
        raise NotFound("The console is switched off on this node ([console] enabled).")
    return console


async def page(request: web.Request) -> web.StreamResponse:
    """A file; any path without an ending is the application, which reads the path itself."""
    path = request.match_info.get("path", "")
    name = path.rpartition("/")[2]
    return console_of(request).pages.answer(request, path if "." in name else "index.html")


async def front_door(request: web.Request) -> web.StreamResponse:
    """`/`: a browser goes to the console, anything else is told what this is."""
    console = request.app[CONSOLE]
    if console is not None and "text/html" in request.headers.get("accept", ""):
        return web.Response(status=302, headers={"location": "/console", **SAFE_HEADERS})
    return _json(
        {"name": "IntelliRouter", "version": __version__, "health": "/health", "models": "/v1/models"}
    )


async def session(request: web.Request) -> web.StreamResponse:
    """Who is signed in, what a page may show, and the token that writes must bring."""
    console = console_of(request)
    found = await console.sessions.find(request.cookies.get(COOKIE))
    if found is None and console.sessions.keys:
        told = {"signed_in": False, "keys": True, "ways": ways_in(request)}
        return _json({**told, **_about(request, console)})
    kept, caller = found or await console.sessions.visitor(None)
    return _json(_shown(request, console, kept, caller))


async def sign_in(request: web.Request) -> web.StreamResponse:
    """`{"key": …}` for a key, `{"username": …, "password": …}`, `{"link": …}` for the secret of a setup link.

    Raises `AuthenticationFailed`.
    """
    console = console_of(request)
    check_write(request, None)
    noted(request, action="sign-in", on="console")
    body = await read_json(request)
    link, key = fields.text(body, "link"), fields.text(body, "key")
    if link is not None:
        secret, kept = await console.sessions.redeem(link)
    elif "username" in body:
        name, password = fields.required_text(body, "username"), fields.required_text(body, "password")
        noted(request, action="sign-in", who=name[:128], on="console")
        login = sign_ins_of(request)
        account = await checked(login, name, password, request.remote or "")
        secret, kept = await console.sessions.begin(login.people.caller(account).owner())
    else:
        presented = CIMultiDictProxy(CIMultiDict({"authorization": f"Bearer {key or ''}"}))
        caller = request.app[FRAME].authenticator.authenticate(presented, None)
        secret, kept = await console.sessions.begin(caller.owner(), proof=_proof(request, key or "", caller))
    found = await console.sessions.find(secret)
    if found is None:
        raise IntelliRouterError("The sign-in was not kept.")
    noted(request, action="sign-in", who=found[1].key_id, on="console")
    response = _json(_shown(request, console, kept, found[1]), 201)
    set_session(response, secret, secure=_origin(request).startswith("https"))
    return response


def _proof(request: web.Request, key: str, caller: Caller) -> Proof:
    """A session lasts no longer than what it was begun with."""
    until = request.app[KEY_RING].until(key)
    if until is None:
        return Proof(sha256=hash_key(key.strip()))
    return Proof(until=until, sign_in=caller.metadata.get("session", ""))


def set_session(response: web.StreamResponse, secret: str, *, secure: bool) -> None:
    """Give the browser its session: no script reads it, and no other site sends it."""
    response.set_cookie(COOKIE, secret, path="/console", httponly=True, samesite="Strict", secure=secure)


def _origin(request: web.Request) -> str:
    return request.app[SETTINGS].server.public_url or f"{request.scheme}://{request.host}"


async def sign_out(request: web.Request) -> web.StreamResponse:
    """End the session."""
    console = console_of(request)
    secret = request.cookies.get(COOKIE)
    found = await console.sessions.find(secret)
    check_write(request, found[0] if found else None)
    noted(request, action="sign-out", who=found[1].key_id if found else "", on="console")
    elsewhere = await _end_elsewhere(request, found[0].provider) if found else None
    await console.sessions.end(secret)
    response = _json({"signed_in": False, "elsewhere": elsewhere})
    response.del_cookie(COOKIE, path="/console")
    return response


async def _end_elsewhere(request: web.Request, name: str) -> str | None:
    """Where the browser is sent to sign out at the provider too, where that is asked for."""
    login = login_of(request)
    provider = login.entrance.providers.get(name) if name and login is not None and login.entrance else None
    try:
        return None if provider is None else await provider.end_address(f"{_origin(request)}/console")
    except IntelliRouterError:  # it is away: here one signs out all the same
        return None


async def pass_on(request: web.Request) -> web.StreamResponse:
    """See `Gateway.pass_on`. Without a frame of its own: the endpoint behind it is counted and logged, once."""
    try:
        console = console_of(request)
        kept, caller = await console.sessions.visitor(request.cookies.get(COOKIE))
        check_write(request, kept)
        return await console.gateway.pass_on(request, caller)
    except IntelliRouterError as error:
        return error_response(error, encode_error)


def _about(request: web.Request, console: Console) -> dict[str, object]:
    settings = request.app[SETTINGS]
    resources = request.app.router.resources()
    offers = sorted(
        {found.canonical for found in resources if found.canonical.startswith(("/admin/", "/openapi"))}
    )
    return {
        "version": __version__,
        "environment": settings.environment,
        "roles": console.gateway.roles(),
        "offers": offers,
    }


def _shown(request: web.Request, console: Console, kept: Session | None, caller: Caller) -> dict[str, object]:
    return {
        "signed_in": kept is not None,
        "keys": console.sessions.keys,
        "token": kept.token if kept is not None else "visitor",
        "key": caller.key_id,
        "tenant": caller.tenant,
        "scopes": sorted(caller.scopes),
        "permissions": sorted(caller.held),
        "admin": caller.may("admin:config:read"),
        **_about(request, console),
    }


def _json(body: object, status: int = 200) -> web.Response:
    headers = {"content-type": "application/json", "cache-control": "no-store", **SAFE_HEADERS}
    return web.Response(status=status, body=msgspec.json.encode(body), headers=headers)


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""

    def framed(name: str, handler: Handler) -> Handler:
        return endpoint(f"console_{name}", handler, encode_error, recorded=False)

    return [
        web.get("/", framed("front_door", front_door)),
        web.get("/console", framed("page", page)),
        web.get("/console/api/session", framed("session", session)),
        web.post("/console/api/session", framed("sign_in", sign_in)),
        web.delete("/console/api/session", framed("sign_out", sign_out)),
        web.route("*", "/console/api/{role}/{path:.*}", pass_on),
        web.get("/console/{path:.*}", framed("page", page)),
    ]
