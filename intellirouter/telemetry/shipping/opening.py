"""From `[telemetry]` to what ships its lines."""

from __future__ import annotations

import base64
import importlib
import os
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from pydantic import SecretStr
from structlog.typing import Processor

from intellirouter import __version__
from intellirouter.config import env
from intellirouter.config.schema.log_outlets import JournaldSection, LokiSection, SyslogSection
from intellirouter.config.schema.telemetry import TelemetrySection
from intellirouter.errors import ConfigError
from intellirouter.telemetry.shipping.handler import LEVELS, Shipping, Way

_LOCAL_LINGER, _REMOTE_LINGER = 0.05, 1.0
_STDERR = 2


def wanted(telemetry: TelemetrySection, collector: TelemetrySection) -> bool:
    """Whether lines are sent anywhere. `collector` is what the node was started with: what is said there of it waits for a restart."""
    return bool(
        collector.exports_logs
        or telemetry.loki.url
        or telemetry.syslog.address
        or to_journal(telemetry.journald)
    )


def to_journal(section: JournaldSection) -> bool:
    """Whether lines go to the journal by its own protocol."""
    return section.mode == "on" or (
        section.mode == "auto" and journal_is_stderr() and section.socket.exists()
    )


def instead_of_stderr(section: JournaldSection) -> bool:
    """Whether the text on standard error would be in the journal a second time."""
    return to_journal(section) and journal_is_stderr()


def journal_is_stderr() -> bool:
    """Whether standard error is connected to the journal. Source: systemd.exec(5), JOURNAL_STREAM."""
    try:
        facts = os.fstat(_STDERR)
    except OSError:
        return False
    return env.journal_stream() == f"{facts.st_dev}:{facts.st_ino}"


def opened(
    telemetry: TelemetrySection,
    collector: TelemetrySection,
    secrets: Sequence[str],
    chain: Sequence[Processor],
) -> Shipping:
    """What ships the lines; it does not send yet. Raises `ConfigError` for a certificate that cannot be read."""
    spec = (telemetry.loki, telemetry.syslog, to_journal(telemetry.journald) and telemetry.journald)
    return Shipping(spec, tuple(_ways(telemetry, collector)), chain, secrets)


def _ways(telemetry: TelemetrySection, collector: TelemetrySection) -> Iterator[Way]:
    """Only what is used is imported: gRPC and the web's client are not small."""
    host = socket.gethostname()
    if collector.exports_logs:
        otlp = importlib.import_module("intellirouter.telemetry.shipping.otlp")
        over = otlp.OverHttp if collector.otlp_protocol == "http" else otlp.OverGrpc
        about = {"service.instance.id": f"{host}:{os.getpid()}", "service.version": __version__}
        said = env.collector()
        headers = {**otlp.headers_of(said.get("HEADERS", "")), **_clear(collector.otlp_headers)}
        authority = _read(said["CERTIFICATE"]) if "CERTIFICATE" in said else None
        make = partial(over, collector.otlp_endpoint, headers, about, authority)
        yield Way("otlp", make, LEVELS[collector.otlp_logs_level], _REMOTE_LINGER)
    if telemetry.loki.url:
        yield _loki(telemetry.loki, telemetry.loki.url, host)
    if to_journal(telemetry.journald):
        section = telemetry.journald
        journald = importlib.import_module("intellirouter.telemetry.shipping.journald")
        make = partial(journald.Journald, section.socket, section.identifier)
        yield Way("journald", make, LEVELS[section.level], _LOCAL_LINGER)
    if telemetry.syslog.address:
        yield _syslog(telemetry.syslog, host)


def _loki(section: LokiSection, url: str, host: str) -> Way:
    loki = importlib.import_module("intellirouter.telemetry.shipping.loki")
    headers = _clear(section.headers)
    if section.tenant:
        headers["X-Scope-OrgID"] = section.tenant
    if section.password is not None or section.username:
        password = "" if section.password is None else section.password.get_secret_value()
        pair = base64.b64encode(f"{section.username}:{password}".encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
    labels = {"service_name": "intellirouter", "host": host, **section.labels}
    secure = _trusting("loki", section.ca) if section.ca else None
    return Way(
        "loki", partial(loki.Loki, url, labels, headers, secure), LEVELS[section.level], _REMOTE_LINGER
    )


def _syslog(section: SyslogSection, host: str) -> Way:
    syslog = importlib.import_module("intellirouter.telemetry.shipping.syslog")
    form = importlib.import_module("intellirouter.telemetry.shipping.syslog_form")
    about = form.Sender(
        facility=form.FACILITIES[section.facility],
        hostname=host,
        identifier=section.identifier,
        process=os.getpid(),
        sd_id=section.sd_id,
        version=__version__,
        max_bytes=section.max_bytes,
    )
    secure = None
    if section.address.startswith("tls://"):
        secure = _trusting("syslog", section.ca)
        if section.certificate is not None and section.key is not None:
            try:
                secure.load_cert_chain(section.certificate, section.key, password="")
            except OSError as cause:
                raise ConfigError(
                    f"telemetry.syslog.certificate: {section.certificate} and {section.key} are no certificate and its key "
                    f"that can be read ({_reason(cause)})."
                ) from cause
    return Way(
        "syslog", partial(syslog.Syslog, section.address, about, secure), LEVELS[section.level], _LOCAL_LINGER
    )


def _read(path: str) -> bytes:
    try:
        data = Path(path).read_bytes()
        ssl.create_default_context(cadata=data.decode("ascii", "replace"))
    except OSError as cause:
        raise ConfigError(
            f"OTEL_EXPORTER_OTLP_CERTIFICATE: {path} cannot be read ({_reason(cause)})."
        ) from cause
    return data


def _trusting(table: str, ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca) if ca else None)
    except OSError as cause:
        raise ConfigError(f"telemetry.{table}.ca: {ca} cannot be read ({_reason(cause)}).") from cause


def _reason(cause: OSError) -> str:
    """`SSLError` is one too."""
    return cause.reason if isinstance(cause, ssl.SSLError) and cause.reason else cause.strerror or str(cause)


def _clear(headers: Mapping[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in headers.items()}
