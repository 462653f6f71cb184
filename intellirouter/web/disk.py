"""Whether the disk of the data directory takes more: looked at when somebody asks, which costs some microseconds."""

from __future__ import annotations

import os
from pathlib import Path

from aiohttp import web

from intellirouter.web.probes import PartHealth

FULL_BYTES = 1 << 20
LOW_BYTES, LOW_SHARE = 256 << 20, 0.05
"""Low is less than both: a small disk need not be, and of a large one a small share is much."""


def disk_part(directory: Path, needed: bool, _app: web.Application) -> PartHealth:
    """`needed` by a role that keeps what it is told there; another goes on with less."""
    try:
        facts = os.statvfs(directory)
    except OSError as error:
        return PartHealth("unhealthy" if needed else "degraded", f"{directory}: {error.strerror}")
    free, whole = facts.f_bavail * facts.f_frsize, facts.f_blocks * facts.f_frsize
    if facts.f_flag & os.ST_RDONLY:
        return PartHealth("unhealthy" if needed else "degraded", "the data directory can only be read")
    if free < FULL_BYTES:
        return PartHealth("unhealthy" if needed else "degraded", "the disk of the data directory is full")
    if free < LOW_BYTES and free < LOW_SHARE * whole:
        return PartHealth("degraded", f"the disk of the data directory has {free >> 20} MiB left")
    return PartHealth("healthy")
