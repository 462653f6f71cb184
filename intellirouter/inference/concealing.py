"""Some vendors repeat what they were sent: our credentials are taken out of their errors before anybody reads them."""

from __future__ import annotations

import re
from typing import Any

from intellirouter.chat.failure import OperatorsConcern
from intellirouter.errors import IntelliRouterError
from intellirouter.inference.provider import Provider

MASK = "********"
_OURS = re.compile(r"^(the connection to |TLS with )?the provider('s)?(?= )")
LEAST = 6
"""Characters of what is taken for a secret: a header's `1` or `v2` is none, and would mask half of a sentence."""


def conceal(error: IntelliRouterError, provider: Provider) -> None:
    """Mask the provider's keys and configured header values in the error's message and details, and say which it is."""
    secrets = [key.get_secret_value() for key in provider.keys]
    secrets += provider.headers.values()
    secrets = [secret for secret in secrets if len(secret) >= LEAST]
    error.message = _masked(_named(error.message, provider.name), secrets)
    error.args = (error.message,)
    error.details = _masked(error.details, secrets)
    if isinstance(error.__cause__, OperatorsConcern):
        error.__cause__.args = (_masked(str(error.__cause__), secrets),)


def _named(message: str, name: str) -> str:
    """A sentence of ours about "the provider" with its name: whoever has six of them needs to know."""
    if f"the provider {name}" in message:
        return message
    return _OURS.sub(lambda found: f"{found[1] or ''}the provider {name}{found[2] or ''}", message, count=1)


def _masked(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, MASK)
    elif isinstance(value, dict):
        value = {key: _masked(item, secrets) for key, item in value.items()}
    elif isinstance(value, (list, tuple)):
        value = [_masked(item, secrets) for item in value]
    return value
