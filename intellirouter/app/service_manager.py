"""What this process tells systemd: sd_notify(3), a datagram of `NAME=value` lines to the socket in NOTIFY_SOCKET.

Without systemd every call does nothing.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from dataclasses import dataclass

import structlog

from intellirouter.config.env import Environment

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """`address` is that of the socket, None without systemd; `watchdog` is seconds between signs of life, 0 for none."""

    address: str | None = None
    watchdog: float = 0.0

    @staticmethod
    def of(environment: Environment) -> ServiceManager:
        """The manager that the environment names; a watchdog for another process (WATCHDOG_PID) is not ours."""
        address = environment.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return ServiceManager()
        limit = environment.get("WATCHDOG_USEC", "")
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        # half of the limit, as sd_watchdog_enabled(3) recommends
        return ServiceManager(address, int(limit) / 2e6 if limit.isdigit() and ours else 0.0)

    def ready(self, status: str) -> None:
        """Serving; also the end of a reload."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """A reload begins. `MONOTONIC_USEC` is the clock that systemd compares with its own (Type=notify-reload)."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The stop begins."""
        self._send("STOPPING=1", "STATUS=finishing the requests under way")

    def alive(self) -> None:
        """One sign of life."""
        self._send("WATCHDOG=1")

    async def keep_alive(self) -> None:
        """Signs of life from the event loop: one that hangs sends none, and systemd starts the service anew."""
        while self.watchdog:
            self.alive()
            await asyncio.sleep(self.watchdog)

    def _send(self, *lines: str) -> None:
        if self.address is None:
            return
        # a leading @ stands for the abstract namespace
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            log.warning("service_manager.not_told", lines=lines, reason=str(error))


NO_MANAGER = ServiceManager()
"""Nobody to tell."""
