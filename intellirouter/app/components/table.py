"""Every component this build can open."""

from __future__ import annotations

from typing import Any

from intellirouter.app.component import Component
from intellirouter.app.components import (
    alerts,
    audit,
    chain_engine,
    console,
    login,
    peers,
    persona_layer,
    rag_manager,
    records,
    router,
    shared,
)


def components(local: frozenset[str]) -> tuple[Component[Any], ...]:
    """The components of a process that runs the roles `local`."""
    return (
        *shared.COMPONENTS,
        *alerts.COMPONENTS,
        *audit.COMPONENTS,
        *records.COMPONENTS,
        *router.COMPONENTS,
        *console.COMPONENTS,
        *login.COMPONENTS,
        *rag_manager.components(local),
        *persona_layer.COMPONENTS,
        *chain_engine.COMPONENTS,
        *peers.components(local),
    )
