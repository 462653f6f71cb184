"""Headers whose values are no UTF-8, made readable.

HTTP lets a value hold any byte (RFC 9110, 5.5), and clients that build it in Latin-1 (`fetch` of browsers and Node.js) send such.
aiohttp hands them on as text that cannot be encoded again: whoever says one back, compares it, signs it or writes it down would fail.
"""

from __future__ import annotations

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy


def make_readable(request: web.BaseRequest) -> None:
    """Read as Latin-1 what is no UTF-8. Cheap where all is ASCII, as it nearly always is."""
    sent = request._headers  # noqa: SLF001  `request.headers` would remember it
    if "".join(sent.values()).isascii():
        return
    read = CIMultiDictProxy(CIMultiDict((name, readable(value)) for name, value in sent.items()))
    request._message = request._message._replace(headers=read)  # noqa: SLF001  aiohttp has no other way to say it
    request._headers = read  # noqa: SLF001


def readable(value: str) -> str:
    """The value, without bytes that stand for no character."""
    data = value.encode("utf-8", "surrogateescape")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "".join(char if char.isprintable() else "\ufffd" for char in data.decode("latin-1"))
