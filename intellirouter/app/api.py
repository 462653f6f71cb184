"""The description of the whole API: the routes of every role, whichever of them this process runs."""

from __future__ import annotations

import functools

import msgspec

from intellirouter.app.roles import ROLES, load_role
from intellirouter.web.openapi import document
from intellirouter.web.probes import probe_routes


@functools.cache
def api_document() -> bytes:
    """As JSON. The first call imports the roles that do not run here."""
    roles = [(entry, load_role(entry)) for entry in ROLES if entry.module]
    described = [
        (entry.name, role.title, entry.port, [*role.routes(), *probe_routes()]) for entry, role in roles
    ]
    return msgspec.json.encode(document(described))
