"""`[server]`: where this node listens, and what it accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from intellirouter.config.schema.section import Port, Seconds, Section


class ServerTls(Section):
    """`[server.tls]`: the certificate this node presents; `client_ca` demands one of its clients (mTLS)."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    minimum: Literal["1.2", "1.3"] = "1.3"


class ServerSection(Section):
    """`[server]`."""

    host: str = "127.0.0.1"
    port: Port = 8080
    grpc_port: Port | None = None
    workers: int = Field(default=1, ge=1, le=256)
    max_body_bytes: int = Field(default=16 * 1024 * 1024, ge=1024)
    body_timeout: Seconds = Field(default=60, description="for a request's body to arrive")
    keep_alive_timeout: Seconds = Field(
        default=75, description="of an idle connection, and for headers to arrive"
    )
    backlog: int = Field(default=2048, ge=1)
    drain_timeout: Seconds = Field(default=30, description="for requests under way when the node stops")
    drain_delay: float = Field(
        default=0,
        ge=0,
        le=3600,
        description="seconds between not ready and no longer listening, for a load balancer to see it",
    )
    cors_origins: tuple[str, ...] = ()
    tls: ServerTls | None = None
