"""What a database says against its use, in a line for whoever starts the node."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Concatenate, ParamSpec, TypeVar
from urllib.parse import urlsplit

import sqlalchemy as sa

from intellirouter.errors import ConfigError, IntelliRouterError, StateUnavailable

P = ParamSpec("P")
T = TypeVar("T")

HELP = "`intellirouter diagnose` says what helps."


def refused(cause: sa.exc.SQLAlchemyError, url: str) -> IntelliRouterError:
    """The error for a database that does not open; `url` may hold a password, of which nothing is told."""
    if isinstance(cause, sa.exc.ArgumentError):
        return ConfigError(
            "chain_engine.database_url is no address of a Postgres: it begins with postgresql://, then user, host, port and name."
        )
    where = urlsplit(url)
    place = where.path if where.scheme.startswith("sqlite") else f"at {where.hostname or 'its socket'}"
    said = str(getattr(cause, "orig", None) or cause).partition("\n")[0]
    return StateUnavailable(f"The database of the chains {place} cannot be used: {said}. {HELP}")


def in_words(
    opening: Callable[Concatenate[str, P], AbstractAsyncContextManager[T]],
) -> Callable[Concatenate[str, P], AbstractAsyncContextManager[T]]:
    """The same, which says so while it opens. What happens later is left as it is."""

    @functools.wraps(opening)
    @contextlib.asynccontextmanager
    async def open_(url: str, /, *args: P.args, **named: P.kwargs) -> AsyncIterator[T]:
        async with contextlib.AsyncExitStack() as stack:
            try:
                made = await stack.enter_async_context(opening(url, *args, **named))
            except (sa.exc.DBAPIError, sa.exc.ArgumentError) as cause:
                raise refused(cause, url) from cause
            yield made

    return open_
