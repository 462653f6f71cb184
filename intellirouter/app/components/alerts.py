"""What is known of alerts in the shared store, for whoever asks this node."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator

from intellirouter.alerts.board import Board
from intellirouter.alerts.channels.sending import Sender
from intellirouter.alerts.desk import Desk
from intellirouter.app.component import Component, Opened
from intellirouter.roles.keys import ALERTS, OUTGOING, STATE


@contextlib.asynccontextmanager
async def _desk(opened: Opened) -> AsyncIterator[Desk]:
    yield Desk(opened.settings.alerts, Board(opened[STATE]), Sender(opened[OUTGOING], socket.gethostname()))


COMPONENTS = (Component(ALERTS, _desk, (STATE, OUTGOING)),)
