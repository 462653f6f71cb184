"""A real sshd that speaks SFTP, for the user of the tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.ports import free_port

PROGRAM = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
START_DEADLINE = 60.0


class Sshd:
    """Where it listens, the key that opens it, and the host's line for `known_hosts`."""

    def __init__(self, port: int, directory: Path) -> None:
        self.port, self.key = port, directory / "user"
        public = (directory / "host.pub").read_text().split()
        self.known_hosts = f"[127.0.0.1]:{port} {public[0]} {public[1]}\n"


@contextlib.contextmanager
def sshd(directory: Path) -> Iterator[Sshd]:
    """A server whose keys lie in `directory`."""
    if PROGRAM is None:
        if os.environ.get("CI"):
            raise RuntimeError("sshd is not installed: apt-get install openssh-server")
        pytest.skip("sshd is not installed: apt-get install openssh-server")
    for name in ("host", "user"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)]
        subprocess.run(words, check=True, timeout=60)
    shutil.copy(directory / "user.pub", directory / "authorized")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    port = free_port()
    (directory / "sshd.conf").write_text(
        f"""ListenAddress 127.0.0.1
Port {port}
HostKey {directory}/host
AuthorizedKeysFile {directory}/authorized
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""
    )
    log = (directory / "sshd.log").open("wb")
    process = subprocess.Popen([PROGRAM, "-D", "-e", "-f", str(directory / "sshd.conf")], stderr=log)
    try:
        until = time.monotonic() + START_DEADLINE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
                break
            except OSError:
                assert time.monotonic() < until, (directory / "sshd.log").read_text()
                assert process.poll() is None, (directory / "sshd.log").read_text()
                time.sleep(0.05)
        yield Sshd(port, directory)
    finally:
        process.terminate()
        process.wait(10)
        log.close()
