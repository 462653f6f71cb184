"""What steps need from the outside. A role fills these from its peers; a test with its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from intellirouter.chains.spending import Account
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse
from intellirouter.errors import NotFound, PeerUnavailable
from intellirouter.security.caller import ANONYMOUS, Caller


@dataclass(frozen=True, slots=True)
class Ticket:
    """What travels with every effect. `key` is `run_id/step_path`: the same when the effect is tried again.

    `caller` is the run's owner as it may act at this moment.
    """

    key: str
    timeout: float
    caller: Caller = ANONYMOUS
    tell: Callable[[str], None] | None = None
    """Hears a model's text as it comes; None: nobody follows the run."""
    max_bytes: int | None = None
    """Of what it fetches; None: as much as any step may."""
    account: Account = field(default_factory=Account)
    """Of what it spends: who asks a model checks it before, and pays after."""


class Models(Protocol):
    """Answers chat requests."""

    async def complete(self, request: ChatRequest, ticket: Ticket) -> tuple[ChatResponse, float | None]:
        """The answer, and its cost in US dollars where it is known."""


class Search(Protocol):
    """Looks up passages."""

    async def retrieve(
        self, query: str, collection: str, top_k: int, filters: Mapping[str, Any] | None, ticket: Ticket
    ) -> list[dict[str, Any]]:
        """Passages, best first, as plain data with at least `text` and `score`."""


class Personas(Protocol):
    """Renders personas."""

    async def resolve(self, name: str, variables: Mapping[str, Any], ticket: Ticket) -> dict[str, Any]:
        """`{"name", "version", "model", "messages": [{"role", "content"}], "guardrails"}`."""


@dataclass(frozen=True, slots=True)
class WebRequest:
    """What an `http` step asks. `body` text goes as it is, anything else as JSON; `secret` names one that the operator keeps."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    secret: str | None = None
    accept_status: tuple[int, ...] = ()


class Web(Protocol):
    """Sends HTTP requests, to where requests on somebody's behalf may go."""

    async def send(self, request: WebRequest, ticket: Ticket) -> dict[str, Any]:
        """`{"status", "headers", "url", "body"}`; a JSON body is decoded, one that is no text is `base64` in place of `body`.

        Raises `UpstreamError` for a status of 400 and above that is not accepted, `AddressRefused`, `NotFound` for the secret.
        """


class Tools(Protocol):
    """Calls tools by name."""

    async def offered(self, names: Sequence[str], ticket: Ticket) -> list[dict[str, Any]]:
        """`{"name", "description", "parameters"}` of each. Raises `NotFound`."""

    async def call(self, name: str, arguments: Mapping[str, Any], ticket: Ticket) -> Any:
        """The tool's answer as plain data. Raises `NotFound`, or `InvalidRequest` for arguments that do not fit."""


class _Absent:
    """Stands where a part is not configured, and says so when it is used."""

    def __init__(self, what: str) -> None:
        self.what = what

    async def _refuse(self, *_: Any, **__: Any) -> Any:
        raise PeerUnavailable(f"{self.what} is not part of this node.")

    complete = retrieve = resolve = send = _refuse

    async def call(self, name: str, *_: Any) -> Any:
        raise NotFound(f"There is no tool '{name[:100]}'.")

    async def offered(self, names: Sequence[str], *_: Any) -> list[dict[str, Any]]:
        if names:
            raise NotFound(f"There is no tool '{names[0][:100]}'.")
        return []


@dataclass(frozen=True, slots=True)
class Ports:
    """All of them. What is not given refuses."""

    models: Models = field(default_factory=lambda: _Absent("The Router"))
    search: Search = field(default_factory=lambda: _Absent("The RagManager"))
    personas: Personas = field(default_factory=lambda: _Absent("The PersonaLayer"))
    web: Web = field(default_factory=lambda: _Absent("HTTP"))
    tools: Tools = field(default_factory=lambda: _Absent("Tools"))


Listener = Callable[[str, str, Mapping[str, Any]], None]
"""Hears `(event, step path, facts)`; must not fail or block."""
