"""Signing in at a provider of identities: with a browser on this machine, or by a code that is entered elsewhere."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
import webbrowser
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import typer

from intellirouter.cli.server_client import ServerRefused
from intellirouter.errors import AuthenticationFailed

BROWSER_SECONDS = 600.0
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>IntelliRouter</title>'
    '<body style="font: 1.1em system-ui; margin: 4em auto; max-width: 30em"><h1>%s</h1><p>%s</p></body></html>'
)
_REFUSED = {
    "expired": "The sign-in took too long, or began in another browser.",
    "role": "You are known there, and have no role here yet: ask whoever runs this installation for one.",
    "provider": "The provider of identities does not answer as it should: try again.",
}
Ask = Callable[[str, object], Any]
"""POST: a path and a body, for the answer."""


def has_browser() -> bool:
    """Whether this machine shows one."""
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def by_browser(ask: Ask, url: str, provider: str) -> dict[str, Any]:
    """Tokens, once somebody signed in with the browser that is opened. Raises `AuthenticationFailed`, and what `ask` raises."""
    verifier, echo = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    with _Waiting(echo) as waiting:
        asked = urlencode({"port": waiting.server_port, "echo": echo, "challenge": challenge})
        place = f"{url}/auth/oidc/{provider}/start?{asked}"
        typer.echo(f"Sign in with the browser. If none opens, open:\n{place}")
        webbrowser.open(place)
        told = waiting.came_back(BROWSER_SECONDS)
    if told is None:
        raise AuthenticationFailed("Nobody signed in within ten minutes.")
    if "code" not in told:
        raise AuthenticationFailed(_REFUSED.get(told.get("error", ""), "You were not let in."))
    body = {"grant_type": "authorization_code", "code": told["code"], "code_verifier": verifier}
    return dict(ask("/auth/token", body))


class _Waiting(HTTPServer):
    """A port of the loopback address that the browser is sent back to (RFC 8252, 7.3); it takes our own sign-in only."""

    def __init__(self, echo: str) -> None:
        super().__init__(("127.0.0.1", 0), _Came)
        self.echo = echo
        self.told: dict[str, str] | None = None

    def came_back(self, seconds: float) -> dict[str, str] | None:
        """What the browser was sent back with; None when nobody came in time."""
        until = time.monotonic() + seconds
        while self.told is None and (left := until - time.monotonic()) > 0:
            self.timeout = left
            self.handle_request()
        return self.told


class _Came(BaseHTTPRequestHandler):
    timeout = 10
    server: _Waiting

    def do_GET(self) -> None:
        """A browser is back, or something else asks."""
        split = urlsplit(self.path)
        told = {name: values[0] for name, values in parse_qs(split.query).items()}
        if split.path != "/" or not hmac.compare_digest(
            told.get("echo", "").encode(), self.server.echo.encode()
        ):
            self._page(400, "This is of another sign-in.", "Nothing was taken from it.")
            return
        self.server.told = told
        if "code" in told:
            self._page(200, "You are signed in.", "This window can be closed: the command goes on.")
        else:
            self._page(200, "You were not let in.", "The command says why. This window can be closed.")

    def _page(self, status: int, title: str, text: str) -> None:
        body = (_PAGE % (title, text)).encode()
        self.send_response(status)
        for name, value in (
            ("content-type", "text/html; charset=utf-8"),
            ("content-length", str(len(body))),
            ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"),
            ("cache-control", "no-store"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Nothing: the address holds a code."""


def by_device(ask: Ask, provider: str) -> dict[str, Any]:
    """Tokens, once somebody entered the code that is shown. Raises `AuthenticationFailed`, and what `ask` raises."""
    code = ask(f"/auth/oidc/{provider}/device", {})
    typer.echo(f"Open {code['verification_uri']}\nand enter the code {code['user_code']}")
    if code["verification_uri_complete"]:
        typer.echo(f"or open {code['verification_uri_complete']}")
    pause, until = float(code["interval"]), time.monotonic() + float(code["expires_in"])
    body = {"grant_type": _DEVICE_GRANT, "provider": provider, "device_code": code["device_code"]}
    while time.monotonic() + pause < until:
        time.sleep(pause)
        try:
            return dict(ask("/auth/token", body))
        except ServerRefused as refused:
            kind = refused.details.get("refused")
            if kind not in ("authorization_pending", "slow_down"):
                raise
            pause += 5.0 if kind == "slow_down" else 0.0  # RFC 8628, 3.5
    raise AuthenticationFailed("Nobody entered the code in time.")
