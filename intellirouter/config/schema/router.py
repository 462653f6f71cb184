"""`[router]`: how requests are tried."""

from __future__ import annotations

from pydantic import Field

from intellirouter.config.schema.section import Seconds, Section


class RouterSection(Section):
    """`[router]`."""

    strategy: str = "fallback"
    max_attempts: int = Field(default=6, ge=1, le=50, description="tries of one request, over all targets")
    max_response_bytes: int = Field(default=64 * 1024 * 1024, ge=1024, description="of one upstream answer")
    request_timeout: Seconds = Field(default=600, description="for one request, all attempts together")
    keep_alive_seconds: Seconds = Field(default=15, description="between comments on a silent stream")
