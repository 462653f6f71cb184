"""The process that tells a service through apprise: one message on standard input, the outcome on standard output, both JSON."""

from __future__ import annotations

import importlib
import io
import logging
import re
import sys
from typing import Any

import msgspec

MAX_REASON = 300


class Asked(msgspec.Struct):
    """`check` alone looks whether the address is one."""

    url: str
    title: str
    body: str
    kind: str
    check: bool = False


def main() -> None:
    """One message."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Asked)
    sys.stdout.buffer.write(msgspec.json.encode(told(asked)))


def told(asked: Asked) -> dict[str, Any]:
    """What came of it."""
    try:
        apprise = importlib.import_module("apprise")
    except ImportError:
        return {
            "sent": False,
            "error": 'Channels of the kind apprise need: pip install "intellirouter[alerts]".',
        }
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setLevel(logging.WARNING)
    logging.getLogger("apprise").addHandler(handler)
    service = apprise.Apprise()
    if not service.add(asked.url):
        return {"sent": False, "error": "apprise does not know what the address means."}
    if asked.check:
        return {"sent": True}
    sent = service.notify(title=asked.title, body=asked.body, notify_type=asked.kind, body_format="text")
    return {"sent": True} if sent else {"sent": False, "error": reason(log.getvalue(), asked.url)}


def reason(logged: str, url: str) -> str:
    """What apprise said of it, without what the address holds: tokens and passwords are parts of it."""
    lines = [line.strip() for line in logged.splitlines() if line.strip()]
    text = " ".join(lines)[-MAX_REASON:] if lines else "The service did not take it."
    scheme, _, rest = url.partition("://")
    for part in sorted(
        {part for part in re.split(r"[/?&=@:#,;]+", rest) if len(part) > 2}, key=len, reverse=True
    ):
        text = text.replace(part, "***")
    return f"{scheme}: {text}"


if __name__ == "__main__":
    main()
