"""Writing a request: where it goes, and its head as bytes. Both are kept by value, since a gateway sends few kinds."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from intellirouter.errors import UpstreamUnavailable

Headers = tuple[tuple[str, str], ...]

_MAX_KEPT = 4096
_PORTS = {"http": 80, "https": 443}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch  # RFC 9110 5.6.2
_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search
_OURS = frozenset(("content-length", "transfer-encoding", "connection"))
_URL_SAFE = "%/:?#[]@!$&'()*+,;=~-._"


class Origin(NamedTuple):
    """Scheme, host and port: what a connection is good for."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Route:
    """A URL taken apart. `host` and `authorization` are header lines, used unless the request has its own."""

    origin: Origin
    target: bytes
    host: bytes
    authorization: bytes


@dataclass(frozen=True, slots=True)
class _Fields:
    lines: bytes
    has_host: bool
    has_authorization: bool


class RequestWriter:
    """Takes URLs apart and writes heads. A line break in any part of a request is refused."""

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}
        self._fields: dict[Headers, _Fields] = {}

    def route(self, url: str) -> Route:
        """Where `url` leads. Raises `UpstreamUnavailable` when it is none of ours."""
        route = self._routes.get(url)
        if route is None:
            if len(self._routes) >= _MAX_KEPT:
                self._routes.clear()
            route = self._routes[url] = _parse(url)
        return route

    def head(self, method: str, route: Route, headers: Headers, length: int) -> bytes:
        """Request line and header lines, with the empty line. Raises `UpstreamUnavailable` on an unsendable one."""
        fields = self._fields.get(headers)
        if fields is None:
            if len(self._fields) >= _MAX_KEPT:
                self._fields.clear()
            fields = self._fields[headers] = _fields(headers)
        if not _TOKEN(method):
            raise UpstreamUnavailable("the request could not be sent: its method is not a token")
        return b"%b %b HTTP/1.1\r\n%b%b%b%b\r\n" % (
            method.encode(),
            route.target,
            b"" if fields.has_host else route.host,
            b"" if fields.has_authorization else route.authorization,
            fields.lines,
            b"content-length: %d\r\n" % length if length or method not in ("GET", "HEAD") else b"",
        )


def _parse(url: str) -> Route:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as cause:
        raise UpstreamUnavailable("the request could not be sent: its URL is malformed") from cause
    if parts.scheme not in _PORTS or not host or _UNSAFE(url) or "\t" in url:
        raise UpstreamUnavailable("the request could not be sent: its URL is not an http or https one")
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError as cause:
            raise UpstreamUnavailable("the request could not be sent: its host name is malformed") from cause
    if not re.fullmatch(r"[^\s/\\@?#]+", host):
        raise UpstreamUnavailable("the request could not be sent: its host name is malformed")
    target = quote(parts.path or "/", safe=_URL_SAFE)
    if parts.query:
        target += "?" + quote(parts.query, safe=_URL_SAFE)
    shown = f"[{host}]" if ":" in host else host
    if port is not None and port != _PORTS[parts.scheme]:
        shown += f":{port}"
    authorization = b""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        authorization = b"authorization: Basic %b\r\n" % base64.b64encode(pair)
    return Route(
        Origin(parts.scheme, host, port or _PORTS[parts.scheme]),
        target.encode("ascii"),
        f"host: {shown}\r\n".encode(),
        authorization,
    )


def _fields(headers: Headers) -> _Fields:
    names = {name.lower() for name, _ in headers}
    lines = []
    for name, value in headers:
        if not _TOKEN(name) or _UNSAFE(value):
            raise UpstreamUnavailable(
                "the request could not be sent: a header holds a line break or another control character"
            )
        if name.lower() not in _OURS:
            lines.append(f"{name}: {value.strip()}\r\n")
    # Providers' answers are small and latency counts: no compression unless the adapter asks for it.
    if "accept-encoding" not in names:
        lines.append("accept-encoding: identity\r\n")
    return _Fields("".join(lines).encode(), "host" in names, "authorization" in names)
