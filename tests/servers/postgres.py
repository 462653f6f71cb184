"""A real Postgres for the tests: a cluster of its own in a temporary folder, run by an unprivileged user."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.ports import free_port

START_DEADLINE = 30.0


def require_postgres() -> Path:
    """The folder of the newest server's programs; skips where there is none, except in CI, where that is an error."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    on_path = shutil.which("postgres")
    if not found and on_path is None:
        if os.environ.get("CI"):
            raise RuntimeError("postgresql is not installed")
        pytest.skip("postgresql is not installed")
    return (found[-1] if found else Path(on_path or "")).parent


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """The URL of a running server's empty database; stopped and deleted on leaving."""
    programs = require_postgres()
    user = _user()
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        os.chown(folder, user.pw_uid, user.pw_gid)
        who = _identity(user)
        subprocess.run(["cp", "-a", _empty(programs), f"{folder}/data"], check=True)
        port = free_port()
        options = ["-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        with Path(folder, "log").open("wb") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", f"{folder}/data", *options],
                stdout=log,
                stderr=log,
                cwd=folder,
                **who,
            )
        try:
            _until_ready(programs, port, server)
            yield f"postgresql://tester@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)  # "fast": cut the sessions, stop in good order
            server.wait(20)


def _user() -> pwd.struct_passwd:
    """Postgres refuses to run as root; its package made a user for it."""
    return pwd.getpwnam("postgres") if os.getuid() == 0 else pwd.getpwuid(os.getuid())


def _identity(user: pwd.struct_passwd) -> dict[str, Any]:
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if os.getuid() == 0 else {}


@functools.cache
def _empty(programs: Path) -> Path:
    """The folder of an empty cluster, made once in this process: making one takes as long as a whole test."""
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="pg-empty-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.chown(folder, user.pw_uid, user.pw_gid)
    command = [programs / "initdb", "-D", folder / "data", "-U", "tester", "-A", "trust", "-N"]
    subprocess.run(command, check=True, capture_output=True, cwd=folder, **_identity(user))
    return folder / "data"


def _until_ready(programs: Path, port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_DEADLINE
    ask = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", "tester"]
    while subprocess.run(ask, check=False).returncode != 0:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("postgres did not start")
        time.sleep(0.05)
