"""Messages that go out by another process, which is killed with all it started when its time is over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence

import msgspec

from intellirouter.alerts.channels.failing import NotSent
from intellirouter.alerts.message import Tone
from intellirouter.config import env

MAX_TOLD = 10_000
_PASSED = "PATH LANG LC_ALL TZ HOME HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy SSL_CERT_FILE".split()
"""Of the environment: the rest may be secrets of the node."""


class _Answer(msgspec.Struct):
    sent: bool
    error: str = ""


async def run_program(program: Sequence[str], message: bytes) -> None:
    """It gets the message on standard input. Raises `NotSent` when it does not end with 0, `OSError` when it cannot be started."""
    code, _ = await _run(program, message)
    if code != 0:
        raise NotSent(
            f"The program was ended by signal {-code}."
            if code < 0
            else f"The program ended with exit code {code}."
        )


async def run_apprise(url: str, title: str, text: str, tone: Tone) -> None:
    """Tell a service by its address in apprise's form. Raises `NotSent`.

    In a process of its own: the library blocks, and it is not in the node's memory while there is nothing to tell.
    """
    await _ask_apprise({"url": url, "title": title, "body": text, "kind": tone})


async def check_apprise(url: str) -> None:
    """Whether apprise knows what the address means; nothing is sent. Raises `NotSent`."""
    await _ask_apprise({"url": url, "title": "", "body": "", "kind": "info", "check": True})


async def _ask_apprise(body: dict[str, object]) -> None:
    command = (sys.executable, "-I", "-m", "intellirouter.alerts.channels.apprise_child")
    code, told = await _run(command, msgspec.json.encode(body))
    try:
        answer = msgspec.json.decode(told, type=_Answer)
    except msgspec.MsgspecError:
        raise NotSent(f"apprise ended with exit code {code}.") from None
    if not answer.sent:
        raise NotSent(answer.error or "The service did not take it.")


async def _run(command: Sequence[str], stdin: bytes) -> tuple[int, bytes]:
    """The exit code, and the beginning of what it wrote."""
    known = env.current()
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={name: known[name] for name in _PASSED if name in known},
        cwd="/",
        start_new_session=True,
    )
    try:
        told, _ = await asyncio.gather(_read(process), _write(process, stdin))
        return await process.wait(), told
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it left behind, too
        await process.wait()


async def _write(process: asyncio.subprocess.Process, data: bytes) -> None:
    stdin = process.stdin
    if stdin is None:
        return
    with contextlib.suppress(OSError):  # it need not read what it is told
        stdin.write(data)
        await stdin.drain()
        stdin.close()


async def _read(process: asyncio.subprocess.Process) -> bytes:
    """To its end, so that it never waits for a reader; more than the beginning is let go."""
    told = bytearray()
    if process.stdout is not None:
        while piece := await process.stdout.read(65_536):
            told += piece[: MAX_TOLD - len(told)]
    return bytes(told)
