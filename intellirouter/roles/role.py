"""What a role is: one frozen object that `app/roles.py` lists."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from intellirouter.web.probes import HealthCheck


@dataclass(frozen=True, slots=True)
class Role:
    """One service of the house.

    `components` are the keys it needs opened before it serves; handlers read them as `request.app[KEY]`.
    `routes` lists its endpoints. `health` names its parts. `ready` turns false when it cannot serve at all.
    `counts_requests`: it takes requests from the limits of their keys itself, where it asks models.
    """

    name: str
    title: str
    default_port: int
    components: tuple[web.AppKey[Any], ...]
    routes: Callable[[], Sequence[web.AbstractRouteDef]]
    health: dict[str, HealthCheck]
    ready: Callable[[web.Application], bool] | None = None
    handed_on: Callable[[], Sequence[web.AbstractRouteDef]] = tuple
    """Endpoints of other roles that this one hands on to them."""
    counts_requests: bool = False
    on_started: Callable[[web.Application], Awaitable[None]] | None = None
