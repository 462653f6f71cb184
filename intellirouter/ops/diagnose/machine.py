"""The machine, this installation and its files."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from intellirouter import __version__
from intellirouter.config.load import Loaded
from intellirouter.ops.diagnose.finding import Finding, Level

GIB = 1024**3
FILES_WANTED = 8192


def _grade(value: float, warning: float, problem: float) -> Level:
    """How bad a share is that should stay low."""
    return Level.PROBLEM if value > problem else Level.WARNING if value > warning else Level.OK


def system(data_dir: Path | None) -> Iterator[Finding]:
    """CPU, memory, disk, open files."""
    yield Finding(
        "system",
        "platform",
        Level.OK,
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
    )
    cores = os.cpu_count() or 1
    load = os.getloadavg()[1] / cores
    level = _grade(load, 1.0, 4.0)
    advice = "Find who uses the CPU: top." if level else ""
    yield Finding("system", "cpu", level, f"load {load:.2f} a core over 5 minutes, {cores} cores", advice)
    memory = psutil.virtual_memory()
    level = _grade(memory.percent, 80, 95)
    advice = "Find who uses the memory: top -o %MEM." if level else ""
    used = f"{memory.percent:.0f} % of {memory.total / GIB:.1f} GiB in use"
    yield Finding("system", "memory", level, used, advice)
    if data_dir is not None:
        yield _disk(data_dir)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    few = limit != resource.RLIM_INFINITY and limit < FILES_WANTED
    yield Finding(
        "system",
        "open files",
        Level.WARNING if few else Level.OK,
        "unlimited" if limit == resource.RLIM_INFINITY else f"{limit} may be open in this shell",
        "Every connection is a file: LimitNOFILE=65536 in the unit, `ulimit -n` in a shell." if few else "",
    )


def _disk(data_dir: Path) -> Finding:
    existing = next(path for path in (data_dir, *data_dir.absolute().parents) if path.exists())
    disk = shutil.disk_usage(existing)
    used = 100 * (1 - disk.free / disk.total)
    level = _grade(used, 85, 95)
    advice = f"Make room, or move [paths] data_dir away from {existing}." if level else ""
    message = f"{disk.free / GIB:.1f} of {disk.total / GIB:.1f} GiB free at {existing}"
    return Finding("system", "disk", level, message, advice)


def installation(loaded: Loaded) -> Iterator[Finding]:
    """The version, the configuration's warnings, and who may read what holds secrets."""
    yield Finding("install", "version", Level.OK, f"intellirouter {__version__} in {Path(sys.prefix)}")
    source = str(loaded.file) if loaded.file else "built-in defaults and the environment"
    yield Finding("install", "config", Level.OK, f"{source}: valid{_overridden(loaded)}")
    for warning in loaded.warnings:
        yield Finding(
            "install", "config", Level.WARNING, str(warning), "`intellirouter validate-config` says more."
        )
    settings = loaded.settings
    tls = settings.server.tls
    security = settings.ipc.security
    private = [loaded.file, tls.key if tls else None, security.key, settings.memory.redis_key]
    for file in private:
        if file is not None:
            yield _permissions(file)
    data_dir = settings.paths.data_dir
    if data_dir.exists() and not os.access(data_dir, os.W_OK):
        yield Finding(
            "install",
            "data",
            Level.WARNING,
            f"{data_dir} cannot be written by the user who asks",
            "Run diagnose as the user of the service: sudo -u intellirouter.",
        )
    else:
        yield Finding("install", "data", Level.OK, str(data_dir))


def _overridden(loaded: Loaded) -> str:
    """What the environment says in place of the file, by name."""
    names = sorted(
        {words[0] for source in loaded.sources.values() if (words := source.split())[1:2] == ["in"]}
    )
    return f"; from the environment: {', '.join(names)}" if names else ""


def _permissions(file: Path) -> Finding:
    try:
        mode = file.stat().st_mode
    except OSError as error:
        return Finding(
            "install", "permissions", Level.PROBLEM, f"{file}: {error.strerror}", "Correct the path."
        )
    if mode & stat.S_IROTH:
        return Finding(
            "install",
            "permissions",
            Level.WARNING,
            f"{file} may be read by everybody ({stat.S_IMODE(mode):04o})",
            f"chmod o-rwx {file}",
        )
    return Finding("install", "permissions", Level.OK, f"{file} ({stat.S_IMODE(mode):04o})")
