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
from intellirouter.counts import counted
from intellirouter.ops.diagnose.finding import Finding, Level

GIB = 1024**3
FILES_WANTED = 4096
BUSY = 1.5
"""Load a core over five minutes: requests wait, and nothing fails."""
_OWNER = "Run diagnose as root. If the node may not either: chown -R intellirouter: the directory."


def _grade(value: float, warning: float, problem: float) -> Level:
    """How bad a share is that should stay low."""
    return Level.PROBLEM if value > problem else Level.WARNING if value > warning else Level.OK


def system(data_dir: Path | None, open_files: int | None) -> Iterator[Finding]:
    """CPU, memory, disk, open files: of the node's unit where there is one, else what a node started here may have."""
    yield Finding(
        "system",
        "platform",
        Level.OK,
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
    )
    cores = os.cpu_count() or 1
    load = os.getloadavg()[1] / cores
    level = Level.WARNING if load > BUSY else Level.OK
    advice = "Find who uses the CPU: top." if level else ""
    yield Finding(
        "system", "cpu", level, f"load {load:.2f} a core over 5 minutes, {counted(cores, 'core')}", advice
    )
    memory = psutil.virtual_memory()
    level = _grade(memory.percent, 80, 95)
    advice = "Find who uses the memory: top -o %MEM." if level else ""
    used = f"{memory.percent:.0f} % of {memory.total / GIB:.1f} GiB in use"
    yield Finding("system", "memory", level, used, advice)
    if data_dir is not None:
        yield from _disk(data_dir)
    # a node takes what it may have
    limit = open_files if open_files is not None else resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    few = limit != resource.RLIM_INFINITY and limit < FILES_WANTED
    yield Finding(
        "system",
        "open files",
        Level.WARNING if few else Level.OK,
        "unlimited" if limit == resource.RLIM_INFINITY else f"{limit} may be open in the node",
        "Every connection is a file: LimitNOFILE=65536 in the unit, `ulimit -Hn` in a shell." if few else "",
    )


def _disk(data_dir: Path) -> Iterator[Finding]:
    existing = next(path for path in (data_dir, *data_dir.absolute().parents) if _is_there(path))
    disk = shutil.disk_usage(existing)
    used = 100 * (1 - disk.free / disk.total)
    level = _grade(used, 85, 95)
    advice = f"Make room, or move [paths] data_dir away from {existing}." if level else ""
    message = f"{disk.free / GIB:.1f} of {disk.total / GIB:.1f} GiB free at {existing}"
    yield Finding("system", "disk", level, message, advice)
    files = os.statvfs(existing)
    if files.f_files:  # some file systems know no bound
        level = _grade(100 * (1 - files.f_favail / files.f_files), 95, 99)
        if level:
            message = (
                f"{files.f_favail:,} more files may be made at {existing} (inodes), of {files.f_files:,}"
            )
            advice = f"Find where the many files are: du --inodes -x {existing} | sort -n | tail"
            yield Finding("system", "inodes", level, message, advice)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # it lies where this user may not look
        return False


def installation(loaded: Loaded) -> Iterator[Finding]:
    """The version, the configuration's warnings, and who may read what holds secrets."""
    yield Finding("install", "version", Level.OK, f"intellirouter {__version__} in {Path(sys.prefix)}")
    source = str(loaded.file) if loaded.file else "built-in defaults and the environment"
    yield Finding("install", "config", Level.OK, f"{source}: valid{_overridden(loaded)}")
    for warning in loaded.warnings:
        yield Finding("install", "config", Level.WARNING, str(warning), "intellirouter validate-config")
    for refusal in loaded.refusals:
        advice = "The node does not start in production until it is changed."
        yield Finding("install", "config", Level.PROBLEM, str(refusal), advice)
    settings = loaded.settings
    tls = settings.server.tls
    security = settings.ipc.security
    private = [loaded.file, tls.key if tls else None, security.key, settings.memory.redis_key]
    for file in private:
        if file is not None:
            yield _permissions(file)
    yield _data(settings.paths.data_dir)


def _data(data_dir: Path) -> Finding:
    """Whether the node, or who asks for it, may write its data: all of it, for a restore by root leaves files behind."""
    try:
        if not data_dir.exists():
            return _data_to_be(data_dir)
        if not data_dir.is_dir():
            told = f"{data_dir} is no directory"
            return Finding("install", "data", Level.PROBLEM, told, "Correct [paths] data_dir.")
        places = [data_dir, *sorted(data_dir.iterdir()), *sorted(data_dir.glob("rag/*"))]
    except PermissionError as error:
        place = error.filename or str(data_dir)
        return Finding(
            "install", "data", Level.PROBLEM, f"{place} may not be read by the user who asks", _OWNER
        )
    closed = [place for place in places if not os.access(place, os.R_OK | os.W_OK)]
    if closed:
        more = f" and {len(closed) - 1} more" if len(closed) > 1 else ""
        told = f"{closed[0]}{more} cannot be written by the user who asks"
        return Finding("install", "data", Level.PROBLEM, told, _OWNER)
    return Finding("install", "data", Level.OK, str(data_dir))


def _data_to_be(data_dir: Path) -> Finding:
    """Whether the node can make its directory when it starts."""
    for path in (data_dir, *data_dir.absolute().parents):
        if path.is_symlink() and not path.exists():
            told = f"{path} is a link to {path.readlink()}, which is not there"
            advice = "Is the disk mounted? Else correct the link, or [paths] data_dir."
            return Finding("install", "data", Level.PROBLEM, told, advice)
        if path.exists():
            if path.is_dir() and os.access(path, os.W_OK | os.X_OK):
                break
            told = f"{data_dir} is not there, and cannot be made in {path} by the user who asks"
            return Finding("install", "data", Level.PROBLEM, told, _OWNER)
    return Finding("install", "data", Level.OK, f"{data_dir} is not made yet")


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
