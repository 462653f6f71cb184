"""A real nginx that runs the file under packaging/, with the addresses of a test in it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

CONFIG = Path(__file__).parents[2] / "packaging/nginx/intellirouter.conf"


def require_nginx() -> str:
    """The program's path; skips where it is not installed, except in CI, where that is an error."""
    path = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if path is None:
        if os.environ.get("CI"):
            raise RuntimeError("nginx is not installed")
        pytest.skip("nginx is not installed")
    return path


@contextlib.asynccontextmanager
async def nginx(directory: Path, port: int, certificate: Path, routers: Sequence[int]) -> AsyncIterator[None]:
    """nginx on `port` in front of two local ports."""
    text = CONFIG.read_text()
    for old, new in (
        ("listen 443 ssl http2", f"listen 127.0.0.1:{port} ssl http2"),
        ("192.0.2.11:8080", f"127.0.0.1:{routers[0]}"),
        ("192.0.2.12:8080", f"127.0.0.1:{routers[1]}"),
    ):
        assert text.count(old) in (1, 2), old
        text = text.replace(old, new)
    text = text.replace("/etc/ssl/intellirouter.pem", str(certificate))
    scratch = directory / "nginx"
    scratch.mkdir()
    paths = "".join(
        f"{kind}_temp_path {scratch}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""  # the folder of a test is its user's alone
    file = scratch / "nginx.conf"
    file.write_text(
        f"{user}daemon off;\nmaster_process off;\npid {scratch}/pid;\nerror_log {scratch}/error.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{paths}{text}}}\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(require_nginx(), "-p", str(scratch), "-c", str(file)), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(60):
            while True:
                assert process.returncode is None, (scratch / "error.log").read_text()
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
