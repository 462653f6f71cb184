"""`[memory]`: where shared state lives."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from intellirouter.config.schema.section import Seconds, Section


class MemorySection(Section):
    """`[memory]`. `embedded` needs no server; `redis` ties nodes together."""

    backend_type: Literal["embedded", "redis"] = "embedded"
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379")
    redis_password: SecretStr | None = None
    redis_sentinels: tuple[str, ...] = Field(default=(), description="host:port of each Sentinel")
    redis_sentinel_master: str = "mymaster"
    redis_cluster: bool = False
    redis_ca: Path | None = None
    redis_certificate: Path | None = None
    redis_key: Path | None = None
    pool_size: int = Field(default=50, ge=1, le=10_000)
    timeout: Seconds = Field(default=1.0, description="for one answer of Redis")
    patience: Seconds = Field(
        default=0.05, description="a request waits this long for Redis before it goes on from local state"
    )
    namespace: str = Field(default="intellirouter", pattern=r"^[A-Za-z0-9_.-]+$")

    def unhurried(self) -> MemorySection:
        """For a command at a terminal, which rather waits for a slow Redis than takes it for away."""
        return self.model_copy(update={"patience": self.timeout})

    @field_validator("backend_type", mode="before")
    @classmethod
    def _other_names(cls, value: object) -> object:
        names = {"memory": "embedded", "in_memory": "embedded", "in-memory": "embedded"}
        names |= {"sqlite": "embedded", "local": "embedded", "file": "embedded"}
        return names.get(value.lower(), value.lower()) if isinstance(value, str) else value
