"""What steps reach: the other roles, each call on behalf of the run's owner and within the step's time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from intellirouter.chains.ports import Ports, Ticket
from intellirouter.chat.folding import Folded
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse
from intellirouter.errors import ModelNotFound, StreamInterrupted, UpstreamProtocolError
from intellirouter.peers.contract import (
    Call,
    ChatCompleter,
    PersonaResolver,
    RetrievalRequest,
    Retriever,
)
from intellirouter.roles.chain_engine.outside import Outside

NO_MODELS = ("chain/", "persona/")
"""What the Router's front answers under a model's name. A step is refused it here, too: a Router that trusts nobody cannot tell a step from a
client, and a chain whose step asks that chain would start runs without end."""


@dataclass(frozen=True, slots=True)
class Peers:
    """The other roles; None: not part of this installation."""

    chat: ChatCompleter
    retriever: Retriever | None = None
    personas: PersonaResolver | None = None


def request_id(key: str) -> str:
    """The id of the request that an effect of that key makes."""
    return f"req_{key}"[:128]


def call_of(ticket: Ticket) -> Call:
    """The call that a step makes."""
    return Call(
        caller=ticket.caller,
        request_id=request_id(ticket.key),
        deadline=time.monotonic() + ticket.timeout,
        idempotency_key=ticket.key,
        session=ticket.key.partition("/")[0],
    )


@dataclass(frozen=True, slots=True)
class RouterModels:
    """llm steps through the Router."""

    chat: ChatCompleter

    async def complete(self, request: ChatRequest, ticket: Ticket) -> tuple[ChatResponse, float | None]:
        """The answer, and what the Router says it cost. Where somebody follows the run, its text is told as it comes."""
        if request.model.startswith(NO_MODELS):
            raise ModelNotFound(
                f"The model '{request.model[:100]}' does not exist for steps: steps of the kinds 'chain' and 'persona' do that.",
                param="model",
            )
        if ticket.tell is not None and request.output is None and not request.tools:
            response = await self._told(request, ticket, ticket.tell)
            if response is not None:
                return response, response.cost_usd
        response = await self.chat.complete(request, call_of(ticket))
        return response, response.cost_usd

    async def _told(
        self, request: ChatRequest, ticket: Ticket, tell: Callable[[str], None]
    ) -> ChatResponse | None:
        """The answer, its text told as it comes; None where the provider streams nothing that can be read."""
        costs: list[float] = []
        folded, call = Folded(request.model), replace(call_of(ticket), told_cost=costs.append)
        begun = False
        try:
            async for event in self.chat.stream(request.routed(stream=True), call):
                if text := folded.take(event.deltas):
                    begun = True
                    tell(text)
        except (UpstreamProtocolError, StreamInterrupted):
            if begun:
                raise
            return None
        return folded.response(costs[0] if costs else None)


@dataclass(frozen=True, slots=True)
class RagSearch:
    """rag steps through the RagManager."""

    retriever: Retriever

    async def retrieve(
        self, query: str, collection: str, top_k: int, filters: Mapping[str, Any] | None, ticket: Ticket
    ) -> list[dict[str, Any]]:
        """Passages as plain data."""
        request = RetrievalRequest(query, (collection,), top_k, filters)
        found = await self.retriever.retrieve(request, call_of(ticket))
        return [msgspec.to_builtins(passage) for passage in found.passages]


@dataclass(frozen=True, slots=True)
class PersonaTexts:
    """persona steps through the PersonaLayer."""

    personas: PersonaResolver

    async def resolve(self, name: str, variables: Mapping[str, Any], ticket: Ticket) -> dict[str, Any]:
        """The rendered persona as plain data."""
        found = await self.personas.resolve(name, variables, call_of(ticket))
        messages = [{"role": message.role, "content": message.text} for message in found.messages]
        told = {"name": found.name, "version": found.version, "model": found.model, "messages": messages}
        return {**told, "guardrails": dict(found.guardrails)}


def ports(peers: Peers, outside: Outside) -> Ports:
    """Ports to the roles that are there; the others refuse."""
    given: dict[str, Any] = {"models": RouterModels(peers.chat), "web": outside, "tools": outside}
    if peers.retriever is not None:
        given["search"] = RagSearch(peers.retriever)
    if peers.personas is not None:
        given["personas"] = PersonaTexts(peers.personas)
    return Ports(**given)
