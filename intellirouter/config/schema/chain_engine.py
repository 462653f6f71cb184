"""`[chain_engine]`: how chains run."""

from __future__ import annotations

from pydantic import Field

from intellirouter.config.schema.section import Seconds, Section


class ChainEngineSection(Section):
    """`[chain_engine]`."""

    enable_caching: bool = True
    max_parallel_steps: int = Field(default=10, ge=1)
    default_timeout_seconds: Seconds = 30
