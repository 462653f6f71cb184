"""The console's files: read once for a process, sent compressed, under a policy that lets nothing from elsewhere run."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable

from aiohttp import web

from intellirouter.errors import NotFound

POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
SAFE_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


class _File:
    """One file as it was when this process first opened a console; compressed when a browser first asks."""

    def __init__(self, plain: bytes, kind: str) -> None:
        self.plain, self.kind = plain, kind
        self.tag = f'"{hashlib.sha256(plain).hexdigest()[:20]}"'

    @cached_property
    def packed(self) -> bytes:
        return gzip.compress(self.plain, mtime=0)


class Pages:
    """Every file of the console by its path below `/console/`."""

    def __init__(self) -> None:
        self._files = _all()

    def answer(self, request: web.Request, path: str) -> web.Response:
        """The file, or nothing where the browser has it. Raises `NotFound`."""
        found = self._files.get(path)
        if found is None:
            raise NotFound(f"The console has no file '{path[:100]}'.")
        headers = {**SAFE_HEADERS, "etag": found.tag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == found.tag:
            return web.Response(status=304, headers=headers)
        headers["content-type"] = found.kind
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return web.Response(body=found.packed, headers=headers)
        return web.Response(body=found.plain, headers=headers)


@cache
def _all() -> dict[str, _File]:
    return dict(_read(files(__package__) / "static", ""))


def _read(folder: Traversable, prefix: str) -> list[tuple[str, _File]]:
    found = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            found += _read(entry, f"{prefix}{entry.name}/")
        elif kind := _TYPES.get(entry.name[entry.name.rfind(".") :]):
            found.append((prefix + entry.name, _File(entry.read_bytes(), kind)))
    return found
