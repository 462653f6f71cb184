"""`[memory]`: where shared state lives."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from intellirouter.config.schema.section import Seconds, Section


class MemorySection(Section):
    """`[memory]`. `embedded` needs no server; `redis` ties nodes together."""

    backend_type: Literal["embedded", "redis"] = Field(
        default="embedded", description="embedded: a file in the data directory; redis: for several nodes"
    )
    redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379"),
        description="redis://host:port/database, rediss:// with TLS",
    )
    redis_password: SecretStr | None = Field(
        default=None, description="where Redis asks for one; it need not stand in the address"
    )
    redis_sentinels: tuple[str, ...] = Field(default=(), description="host:port of each Sentinel")
    redis_sentinel_master: str = Field(default="mymaster", description="the name that the Sentinels watch")
    redis_cluster: bool = Field(default=False, description="whether redis_url is a node of a Redis Cluster")
    redis_ca: Path | None = Field(
        default=None, description="PEM file of the authority of Redis' certificate; absent: the system's"
    )
    redis_certificate: Path | None = Field(
        default=None, description="PEM file with the certificate shown to Redis"
    )
    redis_key: Path | None = Field(default=None, description="PEM file with its private key")
    pool_size: int = Field(default=50, ge=1, le=10_000, description="connections to Redis, in each process")
    timeout: Seconds = Field(default=1.0, description="for one answer of Redis")
    patience: Seconds = Field(
        default=0.05, description="a request waits this long for Redis before it goes on from local state"
    )
    namespace: str = Field(
        default="intellirouter", pattern=r"^[A-Za-z0-9_.-]+$", description="what our keys in Redis begin with"
    )

    def unhurried(self) -> MemorySection:
        """For a command at a terminal, which rather waits for a slow Redis than takes it for away."""
        return self.model_copy(update={"patience": self.timeout})

    @field_validator("backend_type", mode="before")
    @classmethod
    def _other_names(cls, value: object) -> object:
        names = {"memory": "embedded", "in_memory": "embedded", "in-memory": "embedded"}
        names |= {"sqlite": "embedded", "local": "embedded", "file": "embedded"}
        return names.get(value.lower(), value.lower()) if isinstance(value, str) else value
