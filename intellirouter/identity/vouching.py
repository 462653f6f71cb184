"""What whoever keeps sign-ins asks about those that a provider vouches for."""

from __future__ import annotations

from typing import Protocol


class Vouching(Protocol):
    """Whether what somebody signed in by still holds: see `oidc/grants.py`."""

    async def check(self, grant: str) -> None:
        """Raises `AuthenticationFailed`."""

    async def end(self, grant: str) -> None:
        """Forget it."""
