"""The ChainEngine as one object."""

from __future__ import annotations

import time

from aiohttp import web

from intellirouter.counts import counted
from intellirouter.roles.chain_engine import (
    api,
    api_approvals,
    api_drawing,
    api_edges,
    api_events,
    api_hooks,
    api_runs,
    api_schedules,
    api_triggers,
    api_versions,
)
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.roles.role import Role
from intellirouter.web.probes import PartHealth


def _routes() -> list[web.RouteDef]:
    modules = (
        api,
        api_versions,
        api_drawing,
        api_runs,
        api_events,
        api_schedules,
        api_triggers,
        api_approvals,
        api_hooks,
        api_edges,
    )
    return [route for module in modules for route in module.routes()]


def _runs(app: web.Application) -> PartHealth:
    service = app[ENGINE]
    if service.trouble:
        return PartHealth("unhealthy", service.trouble)
    if service.away:
        return PartHealth("unhealthy", "the database of the chains does not answer")
    if service.busy >= service.section.max_queued:
        return PartHealth(
            "degraded", f"{counted(service.busy, 'run is', 'runs are')} under way: no new one is taken"
        )
    if service.under_way >= service.section.max_waiting:
        return PartHealth(
            "degraded",
            f"{counted(service.under_way, 'run is', 'runs are')} under way or waiting: no new one is taken",
        )
    if service.link is not None and (problem := service.link.problem(time.time())):
        return PartHealth("degraded", problem)
    return PartHealth("healthy")


ROLE = Role(
    name="ChainEngine",
    title="durable chains of model calls",
    default_port=8081,
    components=(ENGINE,),
    routes=_routes,
    health={"runs": _runs},
    ready=lambda app: not app[ENGINE].away,
)
