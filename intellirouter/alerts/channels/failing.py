"""A message that did not go out."""

from __future__ import annotations

from intellirouter.errors import IntelliRouterError


class NotSent(IntelliRouterError):
    """The channel did not take a message. It is tried again."""

    code = "alert_not_sent"
    status = 502
    retryable = True
