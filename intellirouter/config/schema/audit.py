"""`[auth.audit]`: who did what."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from intellirouter.config.schema.section import Section


class AuditSection(Section):
    """`[auth.audit]`. Off by default; then nothing of it is opened, and no request pays for it."""

    level: Literal["off", "minimal", "standard", "full"] = Field(
        default="off",
        description="minimal: administration and sign-ins; standard: refusals too; full: every call, and no change that cannot be written down",
    )
    key: SecretStr | None = Field(
        default=None,
        description="what records are signed with, at least 16 characters, the same on every node; without it a file of the data directory",
    )

    @field_validator("key")
    @classmethod
    def _long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 16:
            raise ValueError("has fewer than 16 characters (openssl rand -hex 32 makes one)")
        return value

    directory: Path | None = Field(
        default=None, description="where the records are; without it `audit` in the data directory"
    )
    retention_days: float = Field(
        default=365, gt=1, le=36_500, description="files whose last record is older are removed"
    )
    share: bool = Field(
        default=True,
        description="copy the records into Redis, where it is used, for every node to show them all",
    )
