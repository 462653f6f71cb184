"""Health, readiness and metrics: the same on every role.

`/health` says healthy, degraded or unhealthy with a reason per part and since when; 503 only when unhealthy.
`/health/live` depends on nothing; `/health/ready` and `/ready` turn false while draining or when nothing can serve.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec
from aiohttp import web

from intellirouter import __version__
from intellirouter.commit import commit
from intellirouter.web.endpoint import FRAME

Status = Literal["healthy", "degraded", "unhealthy"]
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_RANK: dict[Status, int] = {"healthy": 0, "degraded": 1, "unhealthy": 2}


@dataclass(frozen=True, slots=True)
class PartHealth:
    """What one part says of itself, from what it already knows."""

    status: Status
    reason: str = ""


HealthCheck = Callable[[web.Application], PartHealth]
"""Cheap and synchronous: it reports, it does not ask around."""


@dataclass(slots=True)
class Health:
    """A role's parts, and since when each has been as it is."""

    role: str
    checks: Mapping[str, HealthCheck]
    can_serve: Callable[[web.Application], bool] | None = None
    warnings: tuple[str, ...] = ()
    draining: bool = False
    started: float = field(default_factory=time.time)
    _since: dict[str, tuple[Status, float]] = field(default_factory=dict)

    def report(self, app: web.Application) -> tuple[Status, dict[str, object]]:
        """The worst status, and every part's."""
        worst: Status = "healthy"
        parts = {}
        for name, check in self.checks.items():
            part = check(app)
            known = self._since.get(name)
            if known is None or known[0] != part.status:
                # nobody asked before: what is well has been so since the start, as far as anybody knows
                well = known is None and part.status == "healthy"
                known = self._since[name] = (part.status, self.started if well else time.time())
            parts[name] = {"status": part.status, "reason": part.reason, "since": round(known[1], 3)}
            worst = max(worst, part.status, key=_RANK.__getitem__)
        body: dict[str, object] = {
            "status": worst,
            "role": self.role,
            "version": __version__,
            "commit": commit(),
            "uptime_seconds": round(time.time() - self.started, 1),
            "parts": parts,
        }
        if self.draining:
            body["draining"] = True
        if self.warnings:
            body["warnings"] = self.warnings
        return worst, body

    def ready(self, app: web.Application) -> bool:
        """False while draining, or when the role cannot serve anything."""
        return not self.draining and (self.can_serve is None or self.can_serve(app))


HEALTH: web.AppKey[Health] = web.AppKey("health", Health)


def probe_routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [
        web.get("/health", _health),
        web.get("/health/live", _live),
        web.get("/health/ready", _ready),
        web.get("/ready", _ready),
        web.get("/metrics", _metrics),
    ]


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")


async def _health(request: web.Request) -> web.Response:
    """The parts of this role, each with its state and since when; 503 when it is unhealthy."""
    status, body = request.app[HEALTH].report(request.app)
    return _json(body, 503 if status == "unhealthy" else 200)


async def _live(request: web.Request) -> web.Response:
    """Whether the process lives. Depends on nothing."""
    return _json({"status": "alive", "role": request.app[HEALTH].role})


async def _ready(request: web.Request) -> web.Response:
    """Whether the role takes requests; 503 while it drains or cannot serve."""
    ready = request.app[HEALTH].ready(request.app)
    return _json({"ready": ready, "role": request.app[HEALTH].role}, 200 if ready else 503)


async def _metrics(request: web.Request) -> web.Response:
    """Metrics, as Prometheus reads them; as OpenMetrics, with the traces that are examples, where it asks for that."""
    openmetrics = "application/openmetrics-text" in request.headers.get("accept", "")
    text = await request.app[FRAME].metrics.render(openmetrics=openmetrics)
    return web.Response(body=text, headers={"content-type": OPENMETRICS if openmetrics else PROMETHEUS})
