"""`[chain_engine.centre]` and `[chain_engine.edges]`: a node that works alone and forwards its runs, and the node that takes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from intellirouter.config.schema.section import HttpUrl, Seconds, Section, SigningSecret, matching

Label = Annotated[str, matching(r"[A-Za-z0-9_-]{1,64}", "must have 1 to 64 letters, digits, _ or -")]
EVERY_TENANT = "*"


class ChainCentre(Section):
    """`[chain_engine.centre]`: where an edge (`mode = "hybrid"`) forwards its runs, whenever the centre is there."""

    url: HttpUrl = Field(
        description="of the centre's ChainEngine, as in https://chains.example.com:8081; with grpc host and port of its server.grpc_port"
    )
    name: Label = Field(description="of this edge: the centre has it under [chain_engine.edges]")
    token: SigningSecret = Field(description="that the centre has for this edge, as in ${EDGE_TOKEN}")
    protocol: Literal["http", "grpc"] = Field(default="http", description="how the centre is spoken to")
    running: bool = Field(
        default=False, description="forward runs when they start and wait too, not only when they have ended"
    )
    records: bool = Field(
        default=True,
        description="forward the rows of this node's record of requests too, where it is a file of its own; strangers' stay here",
    )
    batch_items: int = Field(default=100, ge=1, le=500, description="runs, or rows, in one request at most")
    batch_bytes: int = Field(
        default=2 * 1024 * 1024,
        ge=64 * 1024,
        le=16 * 1024 * 1024,
        description="of one request at most; a larger one goes alone",
    )
    timeout_seconds: Seconds = Field(default=30, description="for the centre's answer")
    longest_pause_seconds: Seconds = Field(
        default=60, description="between two tries while the centre is away; the first comes after a second"
    )
    hold_days: int = Field(
        default=90,
        ge=0,
        description="what the centre does not have is kept so long beyond its retention, and then given up",
    )
    max_held: int = Field(
        default=100_000,
        ge=1,
        description="runs that are kept beyond their retention for the centre at most",
    )


class ChainEdge(Section):
    """`[chain_engine.edges.NAME]`: an edge whose runs this node takes."""

    token: SigningSecret = Field(description="with which it signs, and no other edge")
    previous_token: SigningSecret | None = Field(
        default=None, description="is taken too while a new one is rolled out"
    )
    tenants: tuple[str, ...] = Field(
        min_length=1, description='whose runs and rows of the record it may bring; ["*"]: everybody\'s'
    )

    def speaks_for(self, tenant: str) -> bool:
        """Whether it may bring runs of this tenant."""
        return EVERY_TENANT in self.tenants or tenant in self.tenants
