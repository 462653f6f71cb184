"""A check that fails is a finding, and takes no other check along."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from intellirouter.errors import IntelliRouterError
from intellirouter.ops.diagnose.finding import Finding, Level

AS_ROOT = "Run diagnose as root: it takes on the unit's environment and user."


async def guarded(area: str, name: str, check: Awaitable[Iterable[Finding]]) -> list[Finding]:
    """The findings of a check, or one that says why it could not be made."""
    try:
        return list(await check)
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001  whatever it is, it is told and the others go on
        return [failure(area, name, error)]


def guarded_now(area: str, name: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """The same for a check that waits for nothing."""
    try:
        return list(check())
    except Exception as error:  # noqa: BLE001  as above
        return [failure(area, name, error)]


def failure(area: str, name: str, error: Exception) -> Finding:
    """What to say of a check that did not end."""
    if isinstance(error, PermissionError):
        place = error.filename or "a file"
        return Finding(area, name, Level.PROBLEM, f"{place} may not be read by the user who asks", AS_ROOT)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return Finding(
            area, name, Level.PROBLEM, f"{where}{error.strerror or error}", "Look at the file and its disk."
        )
    if isinstance(error, IntelliRouterError):
        return Finding(area, name, Level.PROBLEM, error.message, "intellirouter validate-config")
    told = f"this check could not be made: {type(error).__name__}: {str(error).partition(chr(10))[0][:300]}"
    return Finding(area, name, Level.PROBLEM, told, "Please report it: the fault is in diagnose.")
