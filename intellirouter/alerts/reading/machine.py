"""Samples of the machine: how full its memory and the disk of the data directory are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from intellirouter.alerts.sample import Sample

CGROUP = Path("/sys/fs/cgroup")
GIB = 2**30


def machine(data_dir: Path, node: str) -> Iterator[Sample]:
    """Some system calls."""
    used, whole = memory()
    yield Sample("memory", used / whole, node, note=f"{used / GIB:.1f} of {whole / GIB:.1f} GiB are used")
    try:
        facts = os.statvfs(data_dir)
    except OSError:  # told by the health of the disk
        return
    size, free = facts.f_blocks * facts.f_frsize, facts.f_bavail * facts.f_frsize
    if size:
        note = f"{free / GIB:.2f} of {size / GIB:.2f} GiB are left for {data_dir}"
        yield Sample("disk", 1 - free / size, node, note=note)


def memory() -> tuple[float, float]:
    """Bytes that are used and that there are: those of the container where it has a limit, else the machine's."""
    facts = psutil.virtual_memory()
    limit, used = _number(CGROUP / "memory.max"), _number(CGROUP / "memory.current")
    if limit is None or used is None or limit >= facts.total:
        return float(facts.total - facts.available), float(facts.total)
    return max(0.0, used - _reclaimable()), limit


def _number(file: Path) -> float | None:
    try:
        return float(file.read_text(encoding="ascii"))
    except (OSError, ValueError):  # "max" is no limit
        return None


def _reclaimable() -> float:
    """Pages of files that the kernel gives up when memory is wanted."""
    try:
        lines = (CGROUP / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return 0.0
    facts = dict(line.split(" ", 1) for line in lines if " " in line)
    return float(facts.get("inactive_file", 0))
