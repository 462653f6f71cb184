"""A provider of identities as OpenID Connect Core 1.0 and its neighbours describe one: discovery, code with PKCE, refresh with
rotation, devices (RFC 8628), revocation (RFC 7009), userinfo, `iss` (RFC 9207), sign-out. It is as strict as they let it be, so that a
client that leaves something out is refused. What a test wants of it to go wrong it says with `twist` and `broken`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import html
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from tests.security.test_tokens import published

CLIENT, SECRET = "router/one", "s3cret of the client + %"
Claims = dict[str, Any]
FORM = """<!doctype html><title>Sign in at the provider</title><form method="post"><input type="hidden" name="asked" value="{asked}">
<label>User <input name="user"></label> {code}<button>Continue</button></form>"""


@dataclass
class Person:
    """Somebody with an account there."""

    sub: str
    claims: Claims = field(default_factory=dict)
    blocked: bool = False


@dataclass
class IdentityProvider:
    """`people` by what they type. `asked` are the requests of the token endpoint; `log` the paths that were asked."""

    people: dict[str, Person]
    url: str = ""
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    signs: Any = None
    twist: Callable[[Claims], Claims] = lambda claims: claims
    iss: str | None = None
    broken: Callable[[web.Request], Any] | None = None
    redirects: set[str] = field(default_factory=set)
    asked: list[dict[str, str]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refreshes: dict[str, tuple[str, str]] = field(default_factory=dict)
    devices: dict[str, str | None] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    access: dict[str, str] = field(default_factory=dict)
    device_asked: asyncio.Event = field(default_factory=asyncio.Event)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/.well-known/openid-configuration", self.discovery),
            web.get("/keys", self.keys),
            web.get("/favicon.ico", self.nothing),
            web.get("/authorize", self.form),
            web.post("/authorize", self.entered),
            web.post("/token", self.token),
            web.get("/userinfo", self.userinfo),
            web.post("/revoke", self.revoke),
            web.post("/device", self.device),
            web.get("/activate", self.form),
            web.post("/activate", self.activated),
            web.get("/bye", self.bye),
        ]

    async def discovery(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "userinfo_endpoint": f"{self.url}/userinfo",
                "revocation_endpoint": f"{self.url}/revoke",
                "device_authorization_endpoint": f"{self.url}/device",
                "end_session_endpoint": f"{self.url}/bye",
                "authorization_response_iss_parameter_supported": True,
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    async def nothing(self, _request: web.Request) -> web.Response:
        return web.Response(status=204)

    async def keys(self, _request: web.Request) -> web.Response:
        return web.json_response({"keys": [published(self.key, "now")]})

    async def form(self, request: web.Request) -> web.Response:
        asked = request.query
        if request.path == "/authorize":
            strict = (
                asked["client_id"] == CLIENT
                and asked["redirect_uri"] in self.redirects
                and asked["response_type"] == "code"
                and asked["code_challenge_method"] == "S256"
                and len(asked["code_challenge"]) == 43
                and "openid" in asked["scope"].split()
                and len(asked["state"]) >= 16
                and len(asked["nonce"]) >= 16
            )
            if not strict:
                return web.Response(status=400, text="this client is not known so")
        code = "" if request.path == "/authorize" else '<label>Code <input name="code"></label> '
        kept = html.escape(request.query_string, quote=True)
        return web.Response(text=FORM.format(asked=kept, code=code), content_type="text/html")

    async def entered(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked = {name: values[0] for name, values in parse_qs(str(form["asked"])).items()}
        told = {"state": asked["state"], "iss": self.iss if self.iss is not None else self.url}
        if str(form["user"]) in self.people:
            told["code"] = secrets.token_urlsafe(16)
            self.codes[told["code"]] = {**asked, "user": str(form["user"])}
        else:
            told["error"] = "access_denied"
        if not told["iss"]:
            del told["iss"]
        return web.Response(status=303, headers={"location": f"{asked['redirect_uri']}?{urlencode(told)}"})

    def _client(self, request: web.Request) -> bool:
        pair = base64.b64decode(request.headers.get("authorization", "")[6:]).decode().partition(":")
        return (unquote(pair[0]), unquote(pair[2])) == (CLIENT, SECRET)

    async def token(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append(form)
        if not self._client(request):
            return web.json_response({"error": "invalid_client"}, status=401)
        kind = form["grant_type"]
        if kind == "authorization_code":
            asked = self.codes.pop(form["code"], None)
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if (
                not asked
                or asked["redirect_uri"] != form["redirect_uri"]
                or asked["code_challenge"] != challenge
            ):
                return web.json_response({"error": "invalid_grant"}, status=400)
            return self._told(asked["user"], asked["scope"], asked["nonce"])
        if kind == "refresh_token":
            user, scope = self.refreshes.pop(form["refresh_token"], ("", ""))
            if not user or self.people[user].blocked:
                return web.json_response({"error": "invalid_grant"}, status=400)
            return self._told(user, scope, None)
        entered = self.devices.get(form["device_code"], "")
        if entered is None:
            return web.json_response({"error": "authorization_pending"}, status=400)
        del self.devices[form["device_code"]]
        if entered not in self.people:
            return web.json_response({"error": "access_denied"}, status=400)
        return self._told(entered, "openid offline_access", None)

    def _told(self, user: str, scope: str, nonce: str | None) -> web.Response:
        person, now, access = self.people[user], int(time.time()), secrets.token_urlsafe(16)
        self.access[access] = user
        digest = hashlib.sha256(access.encode()).digest()[:16]
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": person.sub,
            "iat": now,
            "exp": now + 300,
            "at_hash": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            **({"nonce": nonce} if nonce else {}),
            **person.claims,
        }
        token = jwt.encode(self.twist(claims), self.signs or self.key, "ES256", headers={"kid": "now"})
        told = {"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": token}
        if "offline_access" in scope.split():
            told["refresh_token"] = secrets.token_urlsafe(24)
            self.refreshes[told["refresh_token"]] = user, scope
        return web.json_response(told, headers={"cache-control": "no-store"})

    async def userinfo(self, request: web.Request) -> web.Response:
        person = self.people[self.access[request.headers["authorization"][7:]]]
        return web.json_response({"sub": person.sub, "groups": ["by-userinfo"]})

    async def revoke(self, request: web.Request) -> web.Response:
        form = await request.post()
        if self._client(request):
            self.refreshes.pop(str(form["token"]), None)
        return web.Response()

    async def device(self, request: web.Request) -> web.Response:
        if not self._client(request):
            return web.json_response({"error": "invalid_client"}, status=401)
        code, user = secrets.token_urlsafe(24), secrets.token_hex(3).upper()
        self.devices[code], self.users[user] = None, code
        self.device_asked.set()
        place = f"{self.url}/activate"
        return web.json_response(
            {
                "device_code": code,
                "user_code": user,
                "verification_uri": place,
                "expires_in": 60,
                "interval": 1,
            }
        )

    async def activated(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.devices[self.users[str(form["code"])]] = str(form["user"])
        return web.Response(text="done")

    async def bye(self, request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"location": request.query["post_logout_redirect_uri"]})


@contextlib.asynccontextmanager
async def identity_provider(**people: Person) -> AsyncIterator[IdentityProvider]:
    """A provider at `localhost`, which to a browser is another site than 127.0.0.1."""
    made = IdentityProvider(people)

    @web.middleware
    async def seen(request: web.Request, handler: Any) -> web.StreamResponse:
        made.log.append(request.path)
        if made.broken is not None and (answer := made.broken(request)) is not None:
            return await answer if asyncio.iscoroutine(answer) else answer
        return await handler(request)

    app = web.Application(middlewares=[seen])
    app.add_routes(made.routes())
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://localhost:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()
