"""`[alerts]`: what is worth telling somebody of, whom, and when."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator, model_validator

from intellirouter.config.schema.section import Seconds, Section, SigningSecret

Severity = Literal["warning", "critical"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_CHANNELS, MAX_RULES, MAX_STEPS = 50, 200, 20


class AlertRule(Section):
    """`[alerts.rules.NAME]`: another setting of a built-in rule, or with `metric` a rule of one's own."""

    enabled: bool = Field(default=True, description="whether the rule is judged")
    title: str = Field(default="", max_length=120, description="what it is called in messages")
    metric: str = Field(default="", description="the name of a metric of /metrics, for a rule of one's own")
    where: dict[str, str] = Field(
        default_factory=dict, description="labels that the series must have; * stands for any letters"
    )
    by: str = Field(default="", description="a label; each of its values is judged for itself")
    of: Literal["value", "increase", "p50", "p95", "p99"] = Field(
        default="value",
        description="the value itself, its increase in the window, or a quantile of a histogram in it",
    )
    window_seconds: Seconds = Field(default=300, description="of an increase and a quantile")
    below: bool = Field(default=False, description="whether small values are bad, of a rule of one's own")
    warning: float | None = Field(default=None, description="from which value on it is a warning")
    critical: float | None = Field(default=None, description="from which value on it is critical")
    for_seconds: float | None = Field(
        default=None, ge=0, le=86_400 * 30, description="how long it must last before it is told"
    )
    clear_seconds: float | None = Field(
        default=None, ge=0, le=86_400, description="how long it must be well before it is over"
    )
    hysteresis: float | None = Field(
        default=None, ge=0, le=1, description="a share of the threshold by which it must be better to be over"
    )
    least: float | None = Field(
        default=None, ge=0, description="requests that a share or a quantile must have seen to count"
    )


class AlertChannel(Section):
    """One of `[[alerts.channels]]`: where messages go."""

    name: str = Field(min_length=1, max_length=60, pattern=r"[A-Za-z0-9._-]+", description="how it is called")
    kind: Literal["webhook", "apprise", "program"] = Field(
        description="webhook: signed JSON by HTTP; apprise: a service by its address there; program: a command"
    )
    url: SecretStr | None = Field(
        default=None,
        description="of a webhook http(s)://…; of apprise mailtos://…, slack://…, pagerduty://… and so on",
    )
    form: Literal["json", "slack"] = Field(
        default="json", description="of a webhook: our own document, or what Slack's incoming webhooks take"
    )
    secret: SigningSecret | None = Field(
        default=None, description="signs a webhook (HMAC-SHA256, Standard Webhooks)"
    )
    program: tuple[str, ...] = Field(
        default=(), description="of a program: the command and its arguments; it reads JSON on standard input"
    )
    severity: Severity = Field(default="warning", description="from which severity on it is told")
    rules: tuple[str, ...] = Field(default=("*",), description="names of rules; * stands for any letters")
    timeout_seconds: float = Field(
        default=15, ge=0.1, le=120, description="that sending a message may take; it is tried again later"
    )

    @model_validator(mode="after")
    def _whole(self) -> AlertChannel:
        url = self.url.get_secret_value() if self.url is not None else ""
        if self.kind == "program":
            if not self.program:
                raise ValueError("a program needs 'program': the command and its arguments")
            if not Path(self.program[0]).is_absolute():
                raise ValueError("'program' begins with the whole path of the command")
        elif not url:
            raise ValueError(f"a channel of the kind {self.kind} needs 'url'")
        if self.kind == "webhook" and not url.startswith(("http://", "https://")):
            raise ValueError("the 'url' of a webhook must start with http:// or https://")
        if self.kind == "apprise" and "://" not in url:
            raise ValueError("the 'url' must be an address of apprise, as in mailtos://user:password@host")
        return self


class AlertStep(Section):
    """One of `[[alerts.steps]]`: who is told after how long without an acknowledgement."""

    after_seconds: float = Field(
        default=0, ge=0, le=86_400 * 7, description="since it fired, or got worse, without an acknowledgement"
    )
    channels: tuple[str, ...] = Field(default=("*",), description="names of channels; * for any letters")


class QuietHoursSection(Section):
    """One of `[[alerts.quiet_hours]]`: warnings wait for their end; what is critical does not."""

    start: time = Field(description='as in "22:00"')
    end: time = Field(description='as in "07:00"; before the start it is that of the next day')
    zone: str = Field(default="UTC", description="a time zone such as Europe/Rome")
    days: tuple[Day, ...] = Field(default=DAYS, description="on which they start")

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, KeyError) as cause:
            raise ValueError(
                f"there is no time zone '{value[:60]}'; they read Europe/Rome, UTC, …"
            ) from cause
        return value


class AlertsSection(Section):
    """`[alerts]`. Every node measures; one of those that share a store judges and tells."""

    enabled: bool | None = Field(
        default=None, description="whether alerts are judged; absent: where a channel is named"
    )
    interval_seconds: float = Field(default=15, ge=0.1, le=3_600, description="between two looks")
    group_seconds: float = Field(
        default=15, ge=0, le=3_600, description="what comes within goes in one message of a channel"
    )
    repeat_seconds: float = Field(
        default=14_400, ge=0, le=86_400 * 30, description="until it is told again while it lasts; 0: never"
    )
    rules: dict[str, AlertRule] = Field(
        default_factory=dict,
        max_length=MAX_RULES,
        description="by name: of built-in ones what is to be other",
    )
    channels: tuple[AlertChannel, ...] = Field(
        default=(), max_length=MAX_CHANNELS, description="where messages go"
    )
    steps: tuple[AlertStep, ...] = Field(
        default=(),
        max_length=MAX_STEPS,
        description="who is told after how long; absent: every channel at once",
    )
    quiet_hours: tuple[QuietHoursSection, ...] = Field(
        default=(), max_length=MAX_STEPS, description="when warnings wait"
    )

    @property
    def on(self) -> bool:
        """Whether anything is measured and judged."""
        return bool(self.channels) if self.enabled is None else self.enabled
