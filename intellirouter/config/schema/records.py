"""`[records]`: the record of requests."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from intellirouter.config.schema.section import PostgresUrl, Section

Content = Literal["off", "errors", "all"]


class RecordsSection(Section):
    """`[records]`. One row a request, in `requests.db` of the data directory, or in a Postgres that many nodes share."""

    enabled: bool = Field(default=True, description="whether requests are recorded at all")
    database_url: PostgresUrl = Field(
        default=None, description="postgresql://user:password@host/database; without it a file of SQLite"
    )
    content: Content = Field(
        default="off", description="what was asked and answered: never, where a request failed, or always"
    )
    max_content_bytes: int = Field(
        default=65_536,
        ge=256,
        le=16 * 1024 * 1024,
        description="of a question, and of an answer; longer ones are cut",
    )
    retention_days: float = Field(default=30, gt=0, le=36_500, description="rows older than this are removed")
    max_bytes: int = Field(
        default=10 * 1024**3, ge=1024 * 1024, description="on disk; beyond it the oldest rows are removed"
    )
    max_waiting_rows: int = Field(
        default=20_000,
        ge=100,
        le=10_000_000,
        description="rows that wait to be written; more are dropped and counted",
    )
    max_waiting_bytes: int = Field(
        default=64 * 1024 * 1024, ge=1024 * 1024, description="of memory, for the same"
    )
