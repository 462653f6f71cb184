"""`[telemetry.loki]`, `[telemetry.journald]`, `[telemetry.syslog]`: where log lines go beside the log itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from intellirouter.config.schema.section import OptionalUrl, Section

LogLevel = Literal["debug", "info", "warning", "error"]
MAX_LABELS = 10
SYSLOG_PORTS = {"udp": 514, "tcp": 601, "tls": 6514}
"""Where a syslog server listens when its address does not say. Source: RFC 5426, RFC 6587, RFC 5425."""
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,99}")
_SD_NAME = r"[!#-<>-\\^-~]{1,32}"
"""Printable, without a space, `=`, `"` and `]`. Source: RFC 5424, 6.3.2."""
_LEVEL = "the least that is sent, of what log_level lets through"
Facility = Literal[
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
]  # fmt: skip


class LokiSection(Section):
    """`[telemetry.loki]`: Grafana Loki, or what takes its pushes."""

    url: OptionalUrl = Field(
        default=None, description="where it is, as in http://loki:3100; /loki/api/v1/push is added"
    )
    tenant: str = Field(
        default="", max_length=150, pattern=r"[A-Za-z0-9!._*'()-]*", description="its X-Scope-OrgID"
    )
    username: str = Field(default="", max_length=200, description="for basic authentication")
    password: SecretStr | None = Field(default=None, description="for basic authentication")
    headers: dict[str, SecretStr] = Field(
        default_factory=dict, description='sent along, as in { authorization = "Bearer ${LOKI_TOKEN}" }'
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        max_length=MAX_LABELS,
        description='of every stream, beside service_name, host, role and level; few values, as in { cluster = "home" }',
    )
    ca: Path | None = Field(
        default=None, description="the authority of its certificate, when it is one's own (PEM)"
    )
    level: LogLevel = Field(default="debug", description=_LEVEL)

    @field_validator("labels")
    @classmethod
    def _names(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not _LABEL.fullmatch(name) or name.startswith("__"):
                raise ValueError(f"'{name[:60]}' is no name of a label: letters, digits and underscores")
            if name in {"role", "level"}:
                raise ValueError(f"'{name}' is a label already")
            if not 0 < len(text) <= 1024:
                raise ValueError(f"the value of '{name}' must have 1 to 1024 characters")
        return value


class JournaldSection(Section):
    """`[telemetry.journald]`: systemd's journal, with fields."""

    mode: Literal["off", "auto", "on"] = Field(
        default="off",
        description="on: send; auto: send where standard error is the journal (a service of systemd). Where it is, the text there is left out",
    )
    socket: Path = Field(default=Path("/run/systemd/journal/socket"), description="where the journal listens")
    identifier: str = Field(
        default="intellirouter", pattern=r"[!-~]{1,48}", description="SYSLOG_IDENTIFIER, for journalctl -t"
    )
    level: LogLevel = Field(default="debug", description=_LEVEL)


class SyslogSection(Section):
    """`[telemetry.syslog]`: a syslog server, with messages of RFC 5424."""

    address: str = Field(
        default="",
        max_length=300,
        description="unix:/dev/log, udp://host:514, tcp://host:601 (octets counted) or tls://host:6514; empty: none",
    )
    facility: Facility = Field(default="daemon", description="as syslog names it")
    identifier: str = Field(
        default="intellirouter", pattern=r"[!-~]{1,32}", description="APP-NAME; the role is added to it"
    )
    sd_id: str = Field(
        default="intellirouter@32473",
        pattern=_SD_NAME,
        description="the name of our structured data; 32473 is the number for examples, put your enterprise's there",
    )
    max_bytes: int = Field(
        default=8192, ge=480, le=65_000, description="of a message; the rest of its text is cut off"
    )
    ca: Path | None = Field(
        default=None, description="the authority of the server's certificate (PEM), for tls://"
    )
    certificate: Path | None = Field(
        default=None, description="our own certificate (PEM), where the server asks for one"
    )
    key: Path | None = Field(default=None, description="its key (PEM)")
    level: LogLevel = Field(default="debug", description=_LEVEL)

    @field_validator("address")
    @classmethod
    def _address(cls, value: str) -> str:
        if not value:
            return value
        if value.startswith("unix:"):
            if not value.removeprefix("unix:").startswith("/"):
                raise ValueError("must name a path: unix:/dev/log")
            return value
        try:
            url = urlsplit(value)
            _ = url.port
        except ValueError as cause:
            raise ValueError("has no port or host that can be read") from cause
        if url.scheme not in {"udp", "tcp", "tls"} or not url.hostname:
            raise ValueError("must be unix:/path, udp://host:port, tcp://host:port or tls://host:port")
        if url.path.strip("/") or url.query or "@" in url.netloc:
            raise ValueError("holds a host and a port and nothing else")
        return value

    @model_validator(mode="after")
    def _pair(self) -> SyslogSection:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        if not self.address.startswith("tls://") and (self.ca or self.certificate):
            raise ValueError("ca, certificate and key are for an address with tls://")
        return self
