"""`[telemetry]`: what this node says about itself."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from intellirouter.config.schema.log_outlets import JournaldSection, LogLevel, LokiSection, SyslogSection
from intellirouter.config.schema.section import OptionalUrl, Seconds, Section, empty


class TelemetrySection(Section):
    """`[telemetry]`. `log_format` auto is JSON in production and a console elsewhere."""

    log_level: LogLevel = Field(default="info", description="debug, info, warning or error")
    log_levels: dict[str, LogLevel] = Field(default_factory=dict, description="per logger name")
    log_format: Literal["auto", "json", "ecs", "console"] = Field(
        default="auto",
        description="json, ecs (JSON of the Elastic Common Schema), console, or auto: JSON in production",
    )
    log_file: Path | None = Field(default=None, description="reopened on SIGHUP; standard error when absent")
    log_most_alike: int = Field(
        default=100,
        ge=0,
        description="lines a second of one event; more are counted, and the count is logged; 0: all",
    )
    access_log: bool = Field(default=True, description="a line for each request")
    access_log_most: int = Field(
        default=0, ge=0, description="lines a second; of more, some are written and all that failed; 0: all"
    )
    metrics_enabled: bool = Field(default=True, description="serve /metrics to Prometheus")
    tracing_enabled: bool = Field(default=False, description="trace requests; spans go to otlp_endpoint")
    trace_sample_rate: float = Field(
        default=0.1, ge=0, le=1, description="of the traces that begin here; those of clients are as they say"
    )
    otlp_endpoint: OptionalUrl = Field(
        default=None, description="an OpenTelemetry collector, as in http://collector:4317"
    )
    otlp_protocol: Literal["grpc", "http"] = Field(
        default="grpc",
        description="how it is asked: gRPC, or HTTP with protobuf (/v1/traces, /v1/metrics, /v1/logs)",
    )
    otlp_headers: dict[str, SecretStr] = Field(
        default_factory=dict, description='sent along, as in { authorization = "Bearer ${OTLP_TOKEN}" }'
    )
    otlp_metrics: bool = Field(default=False, description="send the metrics there too")
    otlp_metrics_seconds: Seconds = Field(default=30, description="between two sendings of the metrics")
    otlp_logs: bool = Field(default=False, description="send the log there too")
    otlp_logs_level: LogLevel = Field(
        default="debug", description="the least that is sent, of what log_level lets through"
    )
    loki: LokiSection = Field(default_factory=empty(LokiSection))
    journald: JournaldSection = Field(default_factory=empty(JournaldSection))
    syslog: SyslogSection = Field(default_factory=empty(SyslogSection))

    @property
    def exports_logs(self) -> bool:
        """Whether log lines go to the collector."""
        return self.otlp_logs and bool(self.otlp_endpoint)

    @property
    def exports_metrics(self) -> bool:
        """Whether metrics are sent anywhere."""
        return self.otlp_metrics and bool(self.otlp_endpoint)

    @property
    def exports_spans(self) -> bool:
        """Whether anything is traced, and not only passed along."""
        return self.tracing_enabled and bool(self.otlp_endpoint)

    @field_validator("log_level", mode="before")
    @classmethod
    def _spellings(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        word = value.strip().lower()
        return {"warn": "warning", "trace": "debug", "critical": "error"}.get(word, word)
