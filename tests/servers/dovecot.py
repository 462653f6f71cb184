"""A real IMAP server for the tests: Dovecot in a temporary folder, run by an unprivileged user, over TLS."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers.ports import free_port

USER, PASSWORD = "ann@example.com", 'a "very" sec\\ret'
_CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = imap
ssl = required
ssl_cert = <{certificate}
ssl_key = <{key}
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = {uid}
first_valid_gid = {gid}
mail_location = maildir:{folder}/mail
mailbox_list_index = no
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Trash {{
    special_use = \\Trash
    auto = create
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {plain}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {port}
    ssl = yes
  }}
}}
"""

START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Imap:
    """`port` speaks TLS at once, `plain` begins without."""

    port: int
    plain: int


def require_dovecot() -> str:
    """The program's path; skips where it is not installed, except in CI, where that is an error."""
    path = shutil.which("dovecot", path=os.environ["PATH"] + ":/usr/sbin")
    if path is None:
        if os.environ.get("CI"):
            raise RuntimeError("dovecot-imapd is not installed")
        pytest.skip("dovecot-imapd is not installed")
    return path


@contextlib.contextmanager
def dovecot(certificate: Path, key: Path) -> Iterator[Imap]:
    """A server with one empty mailbox, of `USER` with `PASSWORD`; stopped and deleted on leaving."""
    program = require_dovecot()
    user = pwd.getpwnam("dovecot") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    with tempfile.TemporaryDirectory(prefix="dc-", ignore_cleanup_errors=True) as folder:
        told = Imap(free_port(), free_port())
        for source, name in ((certificate, "crt"), (key, "key")):
            shutil.copyfile(source, Path(folder, name))
        Path(folder, "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
        text = _CONFIG.format(
            folder=folder,
            certificate=f"{folder}/crt",
            key=f"{folder}/key",
            user=user.pw_name,
            group=grp.getgrgid(user.pw_gid).gr_name,
            uid=user.pw_uid,
            gid=user.pw_gid,
            port=told.port,
            plain=told.plain,
        )
        Path(folder, "conf").write_text(text)
        for name in ("", "crt", "key", "users", "conf"):
            os.chown(Path(folder, name), user.pw_uid, user.pw_gid)
        who: dict[str, Any] = (
            {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if os.getuid() == 0 else {}
        )
        server = subprocess.Popen([program, "-F", "-c", f"{folder}/conf"], cwd=folder, **who)
        try:
            _until_ready(server, told.plain, Path(folder, "log"))
            yield told
        finally:
            server.terminate()
            server.wait(20)


def _until_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as greeted:
            if greeted.recv(4) == b"* OK":
                return
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"dovecot did not start: {log.read_text() if log.exists() else 'no log'}")
        time.sleep(0.02)
