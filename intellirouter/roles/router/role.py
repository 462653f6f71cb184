"""The Router as one object."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from aiohttp import web

from intellirouter.inference.reach import providers_down
from intellirouter.roles.keys import ALERTS, KEY_RING, KEYS, PEOPLE, RECORDS, RUNTIME, STATE
from intellirouter.roles.role import Role
from intellirouter.roles.router import (
    admin,
    admin_alerts,
    admin_audit,
    admin_backups,
    admin_features,
    admin_guards,
    admin_models,
    admin_people,
    admin_records,
    admin_routing,
    admin_settings,
    auth,
    auth_oidc,
    authority,
    chat,
    completions,
    conversations,
    embeddings,
    feedback,
    gemini,
    handed_on,
    judging,
    messages,
    models,
    ollama,
    responses,
)
from intellirouter.roles.router.console import routes as console
from intellirouter.roles.router.console.routes import CONSOLE
from intellirouter.roles.router.keys import (
    ANSWERING,
    BOARD,
    CACHE,
    CATALOG,
    CONTENT,
    CONVERSATIONS,
    DISCOVERY,
    DISPATCH,
    LEARNED,
    LEDGER,
    PLANNER,
    REGISTRY,
    RESPONSES,
    ROUTING,
    SCHOOL,
)
from intellirouter.web.probes import PartHealth

FIRST_LOOK_SECONDS = 1.0
FRONTS = (
    chat,
    conversations,
    completions,
    responses,
    messages,
    embeddings,
    feedback,
    gemini,
    ollama,
    models,
    admin,
    admin_people,
    admin_alerts,
    admin_audit,
    admin_backups,
    admin_models,
    auth,
    auth_oidc,
    authority,
    judging,
    console,
    admin_features,
    admin_guards,
    admin_records,
    admin_routing,
    admin_settings,
)


def _providers(app: web.Application) -> PartHealth:
    catalog = app[CATALOG]
    if catalog.offline_only:
        return PartHealth("degraded", "no model provider is configured; the offline provider answers")
    open_to_all, open_to_some = providers_down(catalog, app[BOARD], one_caller=not app[KEY_RING].enabled)
    real = {name for name, provider in catalog.providers.items() if not provider.optional}
    if real and real <= open_to_all:
        names = ", ".join(sorted(open_to_all))
        return PartHealth("unhealthy", f"no provider answers, the circuits of all are open: {names}")
    if open_to_some:
        return PartHealth("degraded", f"circuits are open at: {', '.join(sorted(open_to_some))}")
    if silent := sorted(catalog.silent()):
        return PartHealth("degraded", f"model discovery fails at: {', '.join(silent)}")
    return PartHealth("healthy")


def _state(app: web.Application) -> PartHealth:
    health, settings = app[STATE].health(), app[RUNTIME]
    if health.status == "healthy" and settings.failing:
        return PartHealth("degraded", f"settings made at run time: {settings.failing}"[:1_000])
    return PartHealth(health.status, health.reason)


async def _first_look(app: web.Application) -> None:
    """Give the first discovery a moment, so that the start table names what was found; requests are served already."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FIRST_LOOK_SECONDS):
            await app[DISCOVERY].settled()


def _routes() -> Sequence[web.AbstractRouteDef]:
    return [route for front in FRONTS for route in front.routes()]


ROLE = Role(
    name="Router",
    title="OpenAI-compatible gateway",
    default_port=8080,
    counts_requests=True,
    components=(
        STATE,
        handed_on.HANDED_ON,
        KEYS,
        PEOPLE,
        auth.LOGIN,
        CATALOG,
        DISCOVERY,
        BOARD,
        LEDGER,
        CACHE,
        REGISTRY,
        LEARNED,
        SCHOOL,
        PLANNER,
        DISPATCH,
        ROUTING,
        ANSWERING,
        CONVERSATIONS,
        RESPONSES,
        CONSOLE,
        CONTENT,
        RECORDS,
        ALERTS,
    ),
    routes=_routes,
    handed_on=handed_on.routes,
    health={"providers": _providers, "state": _state},
    on_started=_first_look,
)
