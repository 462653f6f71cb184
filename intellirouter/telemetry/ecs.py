"""Log lines in the Elastic Common Schema, as ecs-logging's specification 1.0 has them: for Filebeat and Elasticsearch without a pipeline.

The first fields are `@timestamp`, `log.level`, `message`, `ecs.version`; what the schema has no name for stands in `labels`, whose
values are texts, numbers or truths.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

VERSION = "1.6.0"
SERVICE = "intellirouter"
_NAMES = {
    "logger": "log.logger",
    "trace_id": "trace.id",
    "span_id": "span.id",
    "request_id": "http.request.id",
    "method": "http.request.method",
    "status": "http.response.status_code",
    "path": "url.path",
    "client": "client.ip",
    "error": "error.type",
    "exception": "error.stack_trace",
    "endpoint": "event.action",
}
_FIRST = frozenset({"timestamp", "level", "event", "role", "ms", "message"})


def ecs(event: Mapping[str, Any]) -> dict[str, Any]:
    """The line of an event, in the order of the specification."""
    role = str(event.get("role", ""))
    line: dict[str, Any] = {
        "@timestamp": event.get("timestamp", ""),
        "log.level": event.get("level", "info"),
        "message": str(event.get("event", "")),
        "ecs.version": VERSION,
        "service.name": f"{SERVICE}-{role.lower()}" if role else SERVICE,
        "event.dataset": f"{SERVICE}.access" if event.get("event") == "request" else f"{SERVICE}.log",
    }
    if isinstance(milliseconds := event.get("ms"), (int, float)):
        line["event.duration"] = round(milliseconds * 1e6)  # nanoseconds
    if "message" in event:
        line["error.message"] = str(event["message"])
    labels = {}
    for name, value in event.items():
        if name in _FIRST or value is None:
            continue
        known = _NAMES.get(name)
        if known is not None:
            line[known] = value if isinstance(value, int) else str(value)
        else:
            labels[_key(name)] = _scalar(value)
    if labels:
        line["labels"] = labels
    return line


def _key(name: str) -> str:
    for char in ".*\\":
        name = name.replace(char, "_")
    return name


def _scalar(value: object) -> object:
    if isinstance(value, (bool, int, float, str)):
        return value
    try:
        return json.dumps(value, default=str)
    except (TypeError, ValueError):
        return str(value)
