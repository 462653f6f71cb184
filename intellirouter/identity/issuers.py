"""Issuers of tokens and the keys they publish: fetched when they are needed, kept while the issuer is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Generic, TypeVar

import jwt
import msgspec
import structlog

from intellirouter import tasks
from intellirouter.config.schema.identity import ClaimsSection
from intellirouter.errors import AuthenticationFailed, IntelliRouterError
from intellirouter.security.api_keys import KeysAwaited
from intellirouter.transport.outgoing.door import Ask, OutgoingDoor

REFETCH_SECONDS = 60.0
"""At most so often is an issuer asked for its keys, whatever tokens come."""
STALE_SECONDS = 3600.0
"""Keys that are older are asked for again, so that one that the issuer took back is not taken for ever."""
FETCH_SECONDS = 5.0
MAX_BYTES = 1_000_000
MAX_KEYS = 200

DISCOVERY_SECONDS = 3600.0
"""How long a discovery document is taken as it was read."""
RETRY_SECONDS = 5.0
"""An issuer that was away is asked again after that."""

log = structlog.get_logger(__name__)
S = TypeVar("S", bound=ClaimsSection)


async def fetched(door: OutgoingDoor, ask: Ask) -> tuple[int, dict[str, Any]]:
    """Status and JSON object that an issuer answers with. Raises `ValueError`, and what the door raises."""
    reply = await door.send(
        replace(ask, seconds=FETCH_SECONDS, max_bytes=MAX_BYTES, redirects=0, trusted=True)
    )
    try:
        found = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{reply.url[:200]} does not answer with a JSON object (status {reply.status})")  # noqa: TRY004  told like the others
    return reply.status, found


class Issuer(Generic[S]):
    """One of `[[auth.jwt]]` or `[[auth.oidc]]`, and its keys."""

    def __init__(self, section: S, door: OutgoingDoor, clock: Callable[[], float] = time.monotonic) -> None:
        self.section = section
        self._door = door
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked: float | None = None
        self._fetched: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._document: dict[str, Any] | None = None
        self._read_at = self._tried_at = -DISCOVERY_SECONDS
        self._reading = asyncio.Lock()
        self.trouble = ""
        """Why its keys could not be fetched last; empty when they could."""

    @property
    def known(self) -> int:
        """How many keys it has."""
        return len(self._keys)

    @property
    def known_document(self) -> dict[str, Any] | None:
        """What it published of itself when it was asked last; None before."""
        return self._document

    def key(self, kid: str | None, algorithm: str) -> jwt.PyJWK:
        """The key that a token names. Raises `AuthenticationFailed`, `KeysAwaited` when the issuer is asked first."""
        now = self._clock()
        found = self._found(kid)
        if found is None:
            if self._asked is None or now - self._asked >= REFETCH_SECONDS or self._task is not None:
                raise KeysAwaited(self._refetch())
            raise AuthenticationFailed("The token is signed with a key that its issuer does not publish.")
        old = self._fetched is None or now - self._fetched > STALE_SECONDS
        if old and (self._asked is None or now - self._asked >= REFETCH_SECONDS):
            self._refetch()
        if found.algorithm_name != algorithm:
            raise AuthenticationFailed("The token's algorithm is not that of its key.")
        return found

    def _found(self, kid: str | None) -> jwt.PyJWK | None:
        if kid is not None:
            return self._keys.get(kid)
        return next(iter(self._keys.values())) if len(self._keys) == 1 else None

    def _refetch(self) -> Callable[[], Awaitable[None]]:
        """Ask once, whoever waits for it."""
        if self._task is None:
            self._asked = self._clock()
            self._task = asyncio.get_running_loop().create_task(self._fetch(), name="jwks")
            self._task.add_done_callback(self._done)
        task = self._task

        async def settled() -> None:
            await asyncio.wait([task], timeout=2 * FETCH_SECONDS)

        return settled

    def _done(self, _task: asyncio.Task[None]) -> None:
        self._task = None

    async def look(self) -> str:
        """Ask for its keys now. What is wrong, empty where nothing is."""
        await self._fetch()
        return self.trouble

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(2 * FETCH_SECONDS):
                url = self.section.jwks_url or await self._discovered()
                self._keys = _read(await self._get(url))
                self._fetched, self.trouble = self._clock(), ""
        except (IntelliRouterError, TimeoutError, ValueError) as error:
            self.trouble = (
                error.message if isinstance(error, IntelliRouterError) else str(error) or "it takes too long"
            )
            log.warning(
                "jwks.not_fetched", issuer=self.section.issuer, reason=self.trouble, kept=len(self._keys)
            )
        except Exception as error:  # whatever an issuer says, its tokens are refused and others are served
            self.trouble = type(error).__name__
            log.exception("jwks.crashed", issuer=self.section.issuer)

    async def _discovered(self) -> str:
        url = (await self.discovery()).get("jwks_uri")
        if not isinstance(url, str):
            raise ValueError("the discovery document names no jwks_uri")  # noqa: TRY004  told like the others
        return url

    async def discovery(self) -> dict[str, Any]:
        """What the issuer publishes of itself (OpenID Connect Discovery 1.0); the last known while it is away.

        Raises `ValueError`, and what the door raises.
        """
        if self._document is not None and self._clock() - self._read_at < DISCOVERY_SECONDS:
            return self._document
        async with self._reading:  # once, whoever waits for it
            if self._document is not None and self._clock() - self._read_at < DISCOVERY_SECONDS:
                return self._document
            if self._clock() - self._tried_at < RETRY_SECONDS:
                return self._last()
            self._tried_at = self._clock()
            base = self.section.issuer.rstrip("/")
            try:
                found = await self._get(f"{base}/.well-known/openid-configuration")
                if found.get("issuer") != self.section.issuer:
                    raise ValueError("the discovery document is of another issuer")
            except (IntelliRouterError, ValueError) as error:
                self.trouble = error.message if isinstance(error, IntelliRouterError) else str(error)
                if self._document is None:
                    raise
                log.warning("discovery.not_read", issuer=self.section.issuer, reason=self.trouble)
                return self._document
            self._document, self._read_at, self.trouble = found, self._clock(), ""
            return found

    def _last(self) -> dict[str, Any]:
        if self._document is None:
            raise ValueError(self.trouble or "its discovery document is not here yet")
        return self._document

    async def _get(self, url: str) -> dict[str, Any]:
        status, found = await fetched(self._door, Ask(url, headers={"accept": "application/json"}))
        if status != 200:
            raise ValueError(f"{url[:200]} answers {status}")
        return found

    async def aclose(self) -> None:
        """End what is under way."""
        if self._task is not None:
            await tasks.end(self._task)


def _read(document: dict[str, Any]) -> dict[str, jwt.PyJWK]:
    """The public keys for signatures in a JWK set. What cannot be read is left out; none at all is an error."""
    listed = document.get("keys")
    if not isinstance(listed, list):
        raise ValueError("there is no list of keys")  # noqa: TRY004  told like the others
    found: dict[str, jwt.PyJWK] = {}
    for number, one in enumerate(listed[:MAX_KEYS]):
        if (
            not isinstance(one, dict)
            or one.get("use", "sig") != "sig"
            or one.get("kty") not in ("RSA", "EC", "OKP")
        ):
            continue  # a symmetric one would let whoever can read it sign
        try:
            found[str(one.get("kid", f"#{number}"))[:256]] = jwt.PyJWK(one)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue
    if not found:
        raise ValueError("there is no key for signatures among them")
    return found
