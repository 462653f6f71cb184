"""`[cache]`: answers kept for requests that are exactly alike."""

from __future__ import annotations

from pydantic import Field

from intellirouter.config.schema.section import Seconds, Section


class CacheSection(Section):
    """`[cache]`. Off by default: the same question may deserve a new answer."""

    enabled: bool = Field(
        default=False, description="answer requests that are exactly alike from what was answered before"
    )
    ttl: Seconds = Field(default=1800, description="an answer is given again for so long")
    stale_ttl: Seconds = Field(
        default=86_400, description="an older one is given, marked, when every provider is down"
    )
    max_bytes: int = Field(
        default=64 * 1024 * 1024, ge=1024, description="of answers in this process' memory"
    )
    max_entry_bytes: int = Field(default=1024 * 1024, ge=256, description="longer answers are not kept")
    shared: bool = Field(default=True, description="keep answers in [memory] too, for the other nodes")
    canned_answer: str | None = Field(
        default=None, description="the last resort when every provider is down and nothing is kept; marked"
    )
