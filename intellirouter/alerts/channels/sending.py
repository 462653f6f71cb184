"""Sends one message by one channel, once, within its deadline."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import msgspec

from intellirouter.alerts.channels import children, webhook
from intellirouter.alerts.channels.failing import NotSent
from intellirouter.alerts.message import Message, document, text_of, title_of, tone_of
from intellirouter.config.schema.alerts import AlertChannel
from intellirouter.errors import IntelliRouterError
from intellirouter.transport.outgoing.door import OutgoingDoor


@dataclass(frozen=True, slots=True)
class Sender:
    """`origin` names the installation in messages."""

    door: OutgoingDoor
    origin: str

    async def send(self, channel: AlertChannel, message: Message) -> None:
        """Raises `NotSent`, with a reason that holds no secret."""
        seconds = channel.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                await self._sent(channel, message)
        except TimeoutError as cause:
            raise NotSent(f"It took longer than {seconds:g} s.") from cause
        except IntelliRouterError as error:
            raise NotSent(error.message) from error
        except OSError as error:
            raise NotSent(error.strerror or type(error).__name__) from error

    async def _sent(self, channel: AlertChannel, message: Message) -> None:
        if channel.kind == "webhook":
            await webhook.send(self.door, channel, message, self.origin)
        elif channel.kind == "program":
            await children.run_program(
                channel.program, msgspec.json.encode(document(message, self.origin)) + b"\n"
            )
        else:
            await children.run_apprise(
                channel.url.get_secret_value() if channel.url is not None else "",
                title_of(message.items, self.origin),
                text_of(message.items),
                tone_of(message.items),
            )
