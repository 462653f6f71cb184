"""What chains reach in this process: the Router's dispatch as the models of llm steps."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from intellirouter.app.component import Opened, open_components
from intellirouter.app.components import router, shared
from intellirouter.chains.ports import Ports, Ticket
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse
from intellirouter.config.schema.settings import Settings
from intellirouter.inference.answering import Answering
from intellirouter.inference.job import Job
from intellirouter.roles.router.keys import DISPATCH
from intellirouter.security.caller import ANONYMOUS, Caller


@dataclass(frozen=True, slots=True)
class LocalModels:
    """llm steps through the dispatch of this process, with its strategies, retries, cache and prices."""

    answering: Answering
    caller: Caller = ANONYMOUS

    async def complete(self, request: ChatRequest, ticket: Ticket) -> tuple[ChatResponse, float | None]:
        """The answer and its cost in US dollars."""
        job = Job(request, self.caller, f"req_{ticket.key}", time.monotonic() + ticket.timeout)
        response, trace = await self.answering.complete(job)
        return response, trace.cost_usd


@contextlib.asynccontextmanager
async def local_ports(settings: Settings) -> AsyncIterator[Ports]:
    """Ports for chains that run in this process without a server, as `intellirouter chain run` does."""
    async with contextlib.AsyncExitStack() as stack:
        opened = Opened(settings, frozenset())
        await open_components(stack, opened, (*shared.COMPONENTS, *router.COMPONENTS), (DISPATCH,))
        yield Ports(models=LocalModels(opened[DISPATCH]))
