"""What a browser carries while it is at a provider: sealed by us, good for ten minutes, for this browser alone.

It lies in a cookie, named by the state, so that two sign-ins in two windows do not disturb one another, and strangers who begin
sign-ins leave nothing with us. Reference: RFC 6749 10.12 (state), RFC 7636 (code verifier), OpenID Connect Core 15.5.2 (nonce).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time

import msgspec

from intellirouter.identity.oidc.errors import WayLost
from intellirouter.security.sealing import NotOpened, Sealer

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SECONDS = 600
MAX_CHARACTERS = 40_000
_PURPOSE = "sign-in way"


class Way(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One sign-in under way. `to` is the console's page to go on with; `port`, `echo` and `challenge` are of a command that waits."""

    provider: str
    state: str
    nonce: str
    verifier: str
    redirect_uri: str
    until: float
    to: str = "/console"
    port: int = 0
    echo: str = ""
    challenge: str = ""

    @property
    def code_challenge(self) -> str:
        """What the provider is told of the verifier (S256)."""
        return challenge_of(self.verifier)

    @property
    def cookie(self) -> str:
        """The name of its cookie."""
        return cookie_of(self.state)


def challenge_of(verifier: str) -> str:
    """RFC 7636, 4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def cookie_of(state: str) -> str:
    """The name of the cookie of a state."""
    return f"intellirouter_signin_{hashlib.sha256(state.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def begun(
    provider: str,
    redirect_uri: str,
    *,
    to: str = "/console",
    port: int = 0,
    echo: str = "",
    challenge: str = "",
) -> Way:
    """A new one."""
    return Way(
        provider=provider,
        state=secrets.token_urlsafe(24),
        nonce=secrets.token_urlsafe(24),
        verifier=secrets.token_urlsafe(48),
        redirect_uri=redirect_uri,
        until=time.time() + SECONDS,
        to=to,
        port=port,
        echo=echo,
        challenge=challenge,
    )


class Ways:
    """Seals and opens them."""

    def __init__(self, key: bytes) -> None:
        self._sealer = Sealer((key,))

    def sealed(self, value: msgspec.Struct, place: str) -> str:
        """As a text for a cookie or a caller's hands."""
        return _packed(self._sealer.seal(_PURPOSE, place, msgspec.json.encode(value)))

    def opened(self, text: str, place: str) -> bytes:
        """What was sealed for that place. Raises `WayLost`."""
        try:
            if not text or len(text) > MAX_CHARACTERS:
                raise ValueError(text[:10])
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            opened = self._sealer.open(_PURPOSE, place, sealed)
            if opened == sealed:  # what has no mark is taken as it is elsewhere; here it is a stranger's
                raise ValueError(text[:10])
        except (ValueError, NotOpened) as cause:
            raise _lost() from cause
        return opened

    def way(self, provider: str, state: str, cookie: str) -> Way:
        """The way of a browser that came back. Raises `WayLost`."""
        way = msgspec.json.decode(self.opened(cookie, f"{provider} way"), type=Way)
        if not hmac.compare_digest(way.state.encode(), state.encode("utf-8", "surrogatepass")):
            raise _lost()
        if way.provider != provider or time.time() > way.until:
            raise _lost()
        return way


def _packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _lost() -> WayLost:
    return WayLost("The sign-in took too long, or began in another browser: begin it again.")
