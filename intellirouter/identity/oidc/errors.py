"""What goes wrong when somebody signs in at a provider. `told` is the word that the console and the commands know it by."""

from __future__ import annotations

from typing import ClassVar

from intellirouter.errors import AuthenticationFailed, IntelliRouterError


class NotLetIn(AuthenticationFailed):
    """The provider, or we, did not let somebody in."""

    code = "sign_in_refused"
    told: ClassVar[str] = "denied"


class WayLost(NotLetIn):
    """The sign-in took too long, began in another browser, or was ended already."""

    code = "sign_in_expired"
    told = "expired"


class NoRole(NotLetIn):
    """The provider knows them, and nothing here is theirs."""

    code = "no_role"
    told = "role"


class Pending(NotLetIn):
    """Somebody has not entered the code of their device yet (RFC 8628, 3.5)."""

    code = "authorization_pending"
    status = 400
    told = "pending"
    retryable = True


class SlowDown(Pending):
    """And is asked about too often."""

    code = "slow_down"


class ProviderTrouble(IntelliRouterError):
    """The provider does not answer, or not as the protocol has it. The reason is for the log; the message for whoever signs in."""

    code = "identity_provider_unavailable"
    status = 503
    retryable = True
    told: ClassVar[str] = "provider"
