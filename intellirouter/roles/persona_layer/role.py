"""The PersonaLayer as one object."""

from __future__ import annotations

from aiohttp import web

from intellirouter.roles.persona_layer.api import routes
from intellirouter.roles.persona_layer.keys import SHELVES
from intellirouter.roles.role import Role
from intellirouter.web.probes import PartHealth


def _files(app: web.Application) -> PartHealth:
    problems = app[SHELVES].problems
    if problems:
        return PartHealth("degraded", f"personas that cannot be used: {', '.join(sorted(problems))}")
    return PartHealth("healthy")


ROLE = Role(
    name="PersonaLayer",
    title="system prompts and personas",
    default_port=8083,
    components=(SHELVES,),
    routes=routes,
    health={"files": _files},
)
