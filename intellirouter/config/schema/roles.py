"""`[roles]`: what each role is told where several run in one process."""

from __future__ import annotations

from pydantic import Field

from intellirouter.config.schema.section import Port, Section, empty


class RoleSection(Section):
    """`[roles.NAME]`."""

    port: Port | None = Field(
        default=None, description="where this role listens; absent: server.port, or the role's own"
    )


class RolesSection(Section):
    """`[roles]`. Two nodes on one machine need other ports for every role, and a data directory each."""

    router: RoleSection = Field(default_factory=empty(RoleSection))
    chain_engine: RoleSection = Field(default_factory=empty(RoleSection))
    rag_manager: RoleSection = Field(default_factory=empty(RoleSection))
    persona_layer: RoleSection = Field(default_factory=empty(RoleSection))
