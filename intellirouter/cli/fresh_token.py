"""The kept sign-in of a command, renewed before it ends.

A refresh token is good once, so that of several commands at once one renews and the others take what it kept.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import ssl
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec

from intellirouter.cli.signed_in import SignedIn, keep, kept, lock_file

EARLY_SECONDS = 60.0
LOCK_SECONDS, ASK_SECONDS = 30.0, 30.0
MAX_BYTES = 1_000_000


def fresh(url: str, trust: ssl.SSLContext | None) -> SignedIn | None:
    """The sign-in at that address, None where there is none. Where the Router does not renew it, it says itself what is wrong."""
    found = kept(url)
    if found is None or not _old(found):
        return found
    with _alone():
        found = kept(url)
        if found is None or not _old(found):
            return found
        told = _asked(url, trust, found.refresh_token)
        if told is not None:
            found = signed_in(found.name, told)
            keep(url, found)
    return found


def signed_in(name: str, told: dict[str, object]) -> SignedIn:
    """What `/auth/login`, `/auth/token` and `/auth/refresh` answer, as it is kept."""
    seconds = told.get("expires_in")
    until = time.time() + (seconds if isinstance(seconds, int) else 0)
    return SignedIn(name, str(told["access_token"]), str(told["refresh_token"]), until)


def _old(found: SignedIn) -> bool:
    return 0 < found.until < time.time() + EARLY_SECONDS


def _asked(url: str, trust: ssl.SSLContext | None, refresh_token: str) -> dict[str, object] | None:
    parts = urlsplit(url)
    connection = (
        http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=ASK_SECONDS, context=trust)
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ASK_SECONDS)
    )
    try:
        body = msgspec.json.encode({"refresh_token": refresh_token})
        path = f"{parts.path.rstrip('/')}/auth/refresh"
        connection.request("POST", path, body, {"content-type": "application/json"})
        reply = connection.getresponse()
        if reply.status != 200:
            return None
        return msgspec.json.decode(reply.read(MAX_BYTES), type=dict[str, object])
    except (OSError, http.client.HTTPException, msgspec.MsgspecError, ValueError):
        return None
    finally:
        connection.close()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Hold the lock of the kept sign-ins; after a while without it, as whoever holds it hangs."""
    descriptor, until = os.open(lock_file(), os.O_RDWR | os.O_CREAT, 0o600), time.monotonic() + LOCK_SECONDS
    try:
        while time.monotonic() < until:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)
