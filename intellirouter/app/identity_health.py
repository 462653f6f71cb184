"""The part `identity` of `/health`: whether who vouches for people can be asked."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from intellirouter.roles.router.auth import LOGIN
from intellirouter.security.api_keys import KeyRing
from intellirouter.web.probes import PartHealth


def identity_health(ring: KeyRing) -> Callable[[web.Application], PartHealth]:
    """Degraded while an issuer or a provider was away when it was asked last: what is known of it serves meanwhile."""

    def look(app: web.Application) -> PartHealth:
        found = list(ring.tokens.troubles()) if ring.tokens is not None else []
        login = app.get(LOGIN)
        if login is not None and login.entrance is not None:
            found += login.entrance.troubles()
        if not found:
            return PartHealth("healthy")
        return PartHealth("degraded", f"what is known of them serves meanwhile: {'; '.join(found)}"[:1_000])

    return look
