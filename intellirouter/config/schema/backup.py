"""`[backup]`: the backups that the node makes by itself."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from intellirouter.config.schema.section import Section


def _cron(value: str) -> str:
    croniter = importlib.import_module("croniter")  # takes long, and a node may have no schedule
    try:
        croniter.croniter(value)
    except (croniter.CroniterBadCronError, ValueError, TypeError):
        raise ValueError("must be a cron expression of five fields, such as 30 3 * * *") from None
    if len(value.split()) != 5:
        raise ValueError("must be a cron expression of five fields, such as 30 3 * * *")
    return value


Cron = Annotated[str, Field(max_length=200), AfterValidator(_cron)]
Count = Annotated[int, Field(ge=0, le=100_000)]


class BackupSection(Section):
    """`[backup]`. What stays is what `intellirouter backup prune` calls so."""

    to: str | None = Field(
        default=None,
        max_length=4000,
        description="a directory, s3://BUCKET/PREFIX, sftp://USER@HOST/DIRECTORY or rclone:REMOTE:PATH",
    )
    schedule: Cron | None = Field(
        default=None, description="when a backup is made, in the machine's time: 30 3 * * *"
    )
    drill_schedule: Cron | None = Field(
        default=None, description="when the last backup is restored beside the node, to see that it can be"
    )
    incremental: bool = Field(default=True, description="write only what earlier backups there do not hold")
    recipients: Path | None = Field(default=None, description="age public keys that backups are encrypted to")
    passphrase_file: Path | None = Field(default=None, description="or a passphrase that opens them")
    identity: Path | None = Field(
        default=None, description="the age secret key with which drills open backups, where there is one here"
    )
    keep_days: float = Field(default=30, ge=0, le=36_500, description="younger ones stay")
    keep_last: Count = Field(default=0, description="so many stay")
    keep_hourly: Count = Field(default=0, description="the last of so many hours stays")
    keep_daily: Count = Field(default=0, description="the last of so many days stays")
    keep_weekly: Count = Field(default=0, description="the last of so many weeks stays")
    keep_monthly: Count = Field(default=12, description="the last of so many months stays")
    keep_yearly: Count = Field(default=0, description="the last of so many years stays")
    keep_tags: tuple[str, ...] = Field(default=(), max_length=64, description="those with one of these stay")
