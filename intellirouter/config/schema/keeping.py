"""`[keeping]`: how much one tenant may keep in all."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from intellirouter.config.schema.section import Section

What = Literal[
    "conversations",
    "conversation_bytes",
    "responses",
    "response_bytes",
    "chains",
    "schedules",
    "runs",
    "collections",
    "documents",
    "files",
    "rag_bytes",
    "personas",
    "persona_bytes",
]


class Amounts(Section):
    """`[keeping.tenants.NAME]`: other numbers for one tenant; what is absent is as for all."""

    conversations: int | None = Field(default=None, ge=0, description="of this tenant")
    conversation_bytes: int | None = Field(default=None, ge=0, description="of this tenant")
    responses: int | None = Field(default=None, ge=0, description="of this tenant")
    response_bytes: int | None = Field(default=None, ge=0, description="of this tenant")
    chains: int | None = Field(default=None, ge=0, description="of this tenant")
    schedules: int | None = Field(default=None, ge=0, description="of this tenant")
    runs: int | None = Field(default=None, ge=0, description="of this tenant")
    collections: int | None = Field(default=None, ge=0, description="of this tenant")
    documents: int | None = Field(default=None, ge=0, description="of this tenant")
    files: int | None = Field(default=None, ge=0, description="of this tenant")
    rag_bytes: int | None = Field(default=None, ge=0, description="of this tenant")
    personas: int | None = Field(default=None, ge=0, description="of this tenant")
    persona_bytes: int | None = Field(default=None, ge=0, description="of this tenant")


class KeepingSection(Section):
    """`[keeping]`. Each number is what one tenant may keep; one more is refused with 413. 0: nothing at all.

    What is kept for a time (conversations, responses) is counted by periods of that time, so that at most twice as much is
    there at once; what is deleted no longer counts.
    """

    conversations: int = Field(
        default=100_000, ge=0, description="of one tenant, begun within router.conversation_ttl"
    )
    conversation_bytes: int = Field(
        default=2 * 1024**3, ge=0, description="of their turns, within router.conversation_ttl"
    )
    responses: int = Field(
        default=1_000_000,
        ge=0,
        description="of /v1/responses, within router.response_ttl; beyond it an answer says that it was not stored",
    )
    response_bytes: int = Field(default=4 * 1024**3, ge=0, description="of those, within router.response_ttl")
    chains: int = Field(default=1_000, ge=0, description="stored chains of one tenant")
    schedules: int = Field(default=1_000, ge=0, description="of one tenant")
    runs: int = Field(
        default=100_000, ge=0, description="of one tenant, kept for chain_engine.retention_days"
    )
    collections: int = Field(
        default=10_000, ge=0, description="of one tenant on a RagManager, vector stores included"
    )
    documents: int = Field(
        default=1_000_000, ge=0, description="of one tenant on a RagManager, in all collections"
    )
    files: int = Field(default=100_000, ge=0, description="uploaded by one tenant to a RagManager")
    rag_bytes: int = Field(
        default=50 * 1024**3, ge=0, description="of one tenant's documents and files on a RagManager"
    )
    personas: int = Field(default=1_000, ge=0, description="a tenant's own")
    persona_bytes: int = Field(
        default=64 * 1024**2,
        ge=0,
        description="of a tenant's own personas with their earlier versions; the oldest are forgotten first",
    )
    tenants: dict[str, Amounts] = Field(default_factory=dict, description="other numbers, by name of tenant")

    def most(self, tenant: str, what: What) -> int:
        """What this tenant may keep of it."""
        own = self.tenants.get(tenant)
        told: int | None = None if own is None else getattr(own, what)
        common: int = getattr(self, what)
        return common if told is None else told
