"""The certificates a node presents, while it runs: taken anew when their files change, and their end told of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import structlog
from aiohttp import web
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from intellirouter.app.component import Commit
from intellirouter.config.schema.settings import Settings
from intellirouter.errors import IntelliRouterError
from intellirouter.security.certificate_end import CertificateEnd, end_of
from intellirouter.web.probes import PartHealth

LOOK_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Certificates:
    """What this node presents, by what it is for. `load` takes the files anew; raises what is wrong with them."""

    def __init__(self, settings: Settings, load: Callable[[Settings], None]) -> None:
        self._load = load
        self.refused = ""
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Look at the files that these settings name."""
        tls, ipc = settings.server.tls, settings.ipc.security
        self._settings = settings
        self._files: dict[str, tuple[Path, Path]] = {}
        if tls is not None:
            self._files["server"] = (tls.certificate, tls.key)
        if ipc.enabled and ipc.certificate is not None and ipc.key is not None:
            self._files["ipc"] = (ipc.certificate, ipc.key)
        self._seen = self._stamp()

    def prepare(self, new: Settings) -> Commit:
        """Look at the files of new settings from their commit on."""
        return partial(self.configure, new)

    def ends(self) -> Iterator[tuple[str, CertificateEnd]]:
        """The end of each. Blocks: it reads the files."""
        for name, (certificate, _) in self._files.items():
            try:
                yield name, end_of(certificate)
            except (OSError, ValueError):  # told by whoever loads it
                continue

    async def watch(self) -> None:
        """Take the files anew whenever they change. Two that do not fit each other yet are looked at again."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            stamp = await asyncio.to_thread(self._stamp)
            if stamp == self._seen and not self.refused:
                continue
            try:
                self._load(self._settings)
            except IntelliRouterError as error:
                if not self.refused:
                    log.warning("certificate.not_taken", message=error.message)
                self.refused = error.message
                continue
            self._seen, self.refused = stamp, ""
            log.info("certificate.taken")

    def health(self, _app: web.Application) -> PartHealth:
        """Degraded from a week before its end, and while changed files cannot be used; unhealthy once it is over."""
        ends = [end for _, end in self.ends()]
        over = [end.told() for end in ends if end.urgency() == "over"]
        near = [end.told() for end in ends if end.urgency() in ("near", "last")]
        if over:
            return PartHealth("unhealthy", "; ".join(over))
        if near or self.refused:
            return PartHealth("degraded", "; ".join([*near, *([self.refused] if self.refused else [])]))
        return PartHealth("healthy")

    def _stamp(self) -> Sequence[tuple[int, int]]:
        found = []
        for files in self._files.values():
            for file in files:
                try:
                    facts = file.stat()
                except OSError:
                    found.append((0, 0))
                else:
                    found.append((facts.st_mtime_ns, facts.st_ino))
        return found


class CertificateCollector(Collector):
    """The ends to Prometheus."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates

    def collect(self) -> Iterator[Metric]:
        """The family as it stands."""
        family = GaugeMetricFamily(
            "intellirouter_certificate_expiry_timestamp_seconds",
            "When a certificate that this node presents ends",
            labels=["certificate"],
        )
        for name, end in self._certificates.ends():
            family.add_metric([name], end.ends)
        yield family
