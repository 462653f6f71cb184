"""A message as HTTP: our own document, signed, or what Slack's incoming webhooks take (Mattermost, Rocket.Chat and Discord too)."""

from __future__ import annotations

import time

import msgspec

from intellirouter.alerts.channels.failing import NotSent
from intellirouter.alerts.message import Message, Tone, document, text_of, title_of, tone_of
from intellirouter.config.schema.alerts import AlertChannel
from intellirouter.security.webhook_signing import signed
from intellirouter.transport.outgoing.door import Ask, OutgoingDoor

MAX_ANSWER = 20_000
_COLOURS: dict[Tone, str] = {
    "failure": "#cf222e",
    "warning": "#bf8700",
    "success": "#1a7f37",
    "info": "#0969da",
}


async def send(door: OutgoingDoor, channel: AlertChannel, message: Message, origin: str) -> None:
    """Raises `NotSent` for an answer that is no success, and what the door raises."""
    body = _slack(message, origin) if channel.form == "slack" else document(message, origin)
    data = msgspec.json.encode(body)
    headers = {"content-type": "application/json"}
    if channel.secret is not None:
        headers |= signed(channel.secret.get_secret_value(), message.id, time.time(), data)
    url = channel.url.get_secret_value() if channel.url is not None else ""
    answer = await door.send(
        Ask(
            url,
            "POST",
            headers,
            data,
            seconds=channel.timeout_seconds,
            max_bytes=MAX_ANSWER,
            trusted=True,
        )
    )
    if not 200 <= answer.status < 300:
        raise NotSent(f"It answered {answer.status}.")


def _slack(message: Message, origin: str) -> dict[str, object]:
    """Source: Slack's reference of incoming webhooks (`text`, `attachments` with `color`, `title`, `text`, `fallback`, `ts`)."""
    title, text = title_of(message.items, origin), text_of(message.items)
    return {
        "text": _escaped(title),
        "attachments": [
            {
                "color": _COLOURS[tone_of(message.items)],
                "fallback": _escaped(title),
                "text": _escaped(text),
                "ts": int(message.at),
            }
        ],
    }


def _escaped(text: str) -> str:
    """What a stranger may have named calls nobody and links nowhere."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
