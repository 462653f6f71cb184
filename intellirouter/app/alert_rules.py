"""Rules for `[alerts]`: `rules.py` asks for them where a configuration says something of alerts."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from intellirouter.alerts.chosen import problems
from intellirouter.config.rules import Finding
from intellirouter.config.schema.settings import Settings


def alert_errors(settings: Settings) -> Iterator[Finding]:
    """Rules, channels and steps that cannot be, and a library that is not there."""
    yield from problems(settings.alerts)
    for index, channel in enumerate(settings.alerts.channels):
        if channel.kind == "apprise" and importlib.util.find_spec("apprise") is None:
            yield (
                ("alerts", "channels", index, "kind"),
                'channels of this kind need: pip install "intellirouter[alerts]".',
            )
