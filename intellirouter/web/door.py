"""What is looked at before a request is anybody's: its headers' bytes, its path, and on a node without keys whether a web page sent it.

A browser sends requests on behalf of whatever page is open. Where keys are asked for, a page has none; on a node without keys
three things tell its user's programs from a page: the `Host` they speak to (a page that had its name rebound to this machine
speaks to that name), the `Origin` and `Sec-Fetch-Site` that browsers add and pages cannot change, and a content type that a
page may not send to others unasked. Each is enough against one way in, so all are held to.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import IntelliRouterError, InvalidRequest, NotFound, PermissionDenied
from intellirouter.security.caller import PEER_HEADER
from intellirouter.web.errors import error_response
from intellirouter.web.header_text import make_readable

Serve = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_GUARDED = ("/admin", "/metrics", "/health", "/ready", "/console")
"""What proxies are told to keep back, by its plain spelling: so it has no other."""
_BEYOND_ASCII = re.compile(r"%[89A-Fa-f][0-9A-Fa-f]")
"""What is written so has no other spelling: `/admin/users/jos%C3%A9`."""
_SLASHES = re.compile(r"/{2,}")
_BROWSER_HEADERS = ("origin", "sec-fetch-site", "sec-fetch-mode", "accept-language")
_LOCAL_ENDINGS = (".localhost", ".local", ".internal")


class Door:
    """Stands before an application's `serve`. `keyless` says whether the node asks nobody for a key."""

    def __init__(
        self,
        serve: Serve,
        *,
        keyless: Callable[[], bool],
        host: str,
        allowed_hosts: Collection[str] = (),
        origins: Collection[str] = (),
    ) -> None:
        self._serve = serve
        self._keyless = keyless
        self._own = host.lower()
        self._loopback = _is_loopback(self._own)
        self._hosts = frozenset(name.lower() for name in allowed_hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    def __call__(self, request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        """Answer a request. No coroutine of its own: each would cost every request a microsecond."""
        try:
            make_readable(request)
            raw = request.raw_path
            if "%" in raw or "//" in raw:
                _check_path(request)
            if self._keyless() and PEER_HEADER not in request.headers:
                self._check_page(request)
        except IntelliRouterError as error:
            return _told(error)
        return self._serve(request)

    def _check_page(self, request: web.BaseRequest) -> None:
        headers = request.headers
        host = headers.get("host", "")
        name = _name_of(host)
        browser = any(word in headers for word in _BROWSER_HEADERS) or "Mozilla/" in headers.get(
            "user-agent", ""
        )
        # without a Host it is a probe of HTTP/1.0 (HAProxy's checks): a browser always sends one
        if name and (self._loopback or browser) and not self._serves(name):
            raise PermissionDenied(
                f"This node asks for no keys, so it serves no browser and no one else under the name '{name[:100]}'. "
                "Call it as localhost, or add the name to server.allowed_hosts, or switch keys on (auth.enabled)."
            )
        if not browser:
            return
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "")
        if (origin is not None and origin.lower().rstrip("/") in self._origins) or "*" in self._origins:
            return
        looks = request.method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
        if (site == "cross-site" and not looks) or (origin is not None and not _same(origin, name)):
            raise PermissionDenied(
                "This node asks for no keys, so it takes no requests from pages of other sites. Add the page to "
                "server.cors_origins, or switch keys on (auth.enabled)."
            )

    def _serves(self, name: str) -> bool:
        """Whether requests may speak to this node by that name."""
        if name == self._own or name in self._hosts or _is_loopback(name):
            return True
        # beyond loopback: what no stranger can have a name server point at this machine
        return not self._loopback and (_is_address(name) or "." not in name or name.endswith(_LOCAL_ENDINGS))


async def _told(error: IntelliRouterError) -> web.StreamResponse:
    return error_response(error, encode_error)


def _check_path(request: web.BaseRequest) -> None:
    """Raises `InvalidRequest`, or `NotFound` for a guarded path in another spelling than proxies look for."""
    path = request.path
    if "\0" in path:
        raise InvalidRequest("The path holds a NUL character.")
    raw = request.raw_path.partition("?")[0]
    odd = "//" in raw or ("%" in raw and "%" in _BEYOND_ASCII.sub("", raw))
    if odd and _SLASHES.sub("/", path).startswith(_GUARDED):
        raise NotFound(
            "This path is to be written plainly, without doubled slashes and without percent signs for what ASCII has."
        )


def _name_of(host: str) -> str:
    """The host of a `Host` header, without its port and brackets, in lower case; all of it where it is no host."""
    host = host.strip().lower()
    end = host.find("]") + 1 if host.startswith("[") else 0
    name, colon, port = host[end:].partition(":")
    if (end and name) or (colon and not port.isdecimal()):
        return host
    return host[1 : end - 1] if end else name


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return _is_address(name) and ip_address(name).is_loopback


def _same(origin: str, host: str) -> bool:
    """Whether a page of that origin is of this machine's own name, whatever port it came from."""
    try:
        named = urlsplit(origin).hostname or ""
    except ValueError:
        return False
    return named == host or (_is_loopback(named) and _is_loopback(host))
