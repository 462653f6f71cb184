"""What `http` and `tool` steps reach: everything goes through the outgoing door, with a circuit for each place that is asked."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
from yarl import URL

from intellirouter.bounds.aside import soon
from intellirouter.bounds.charsets import text_codec
from intellirouter.bounds.fuel import burn
from intellirouter.bounds.kept import BoundedMap
from intellirouter.bounds.schemas import BadSchema, schema
from intellirouter.chains.ports import Ticket, WebRequest
from intellirouter.config.schema.chain_engine import ChainEngineSection, ChainTool
from intellirouter.errors import (
    ConfigError,
    InvalidRequest,
    NotFound,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
)
from intellirouter.inference.circuit import Circuit, CircuitPolicy
from intellirouter.roles.chain_engine.hidden import Hidden
from intellirouter.transport.outgoing.door import Answered, Ask, OutgoingDoor
from intellirouter.transport.outgoing.places import AddressRefused, read

MAX_ANSWER = 3_000_000
"""Bytes of an answer that a step may take: its result is recorded."""
MAX_SAID = 300
"""Characters of a refusal's body that are passed on."""
_SHOWN = ("content-type", "etag", "last-modified", "location", "link", "retry-after", "x-request-id")
_PLACES = 1_000
_BYTES = 4
"""Of an answer that are read, and looked through for secrets, in the time of a unit of fuel."""


class CircuitOpen(UpstreamUnavailable):
    """The place failed several times in a row and is left alone for a while."""

    code = "circuit_open"


@dataclass(slots=True)
class Circuits:
    """One for each place (scheme, host and port) that was asked lately."""

    policy: CircuitPolicy = field(default_factory=CircuitPolicy)
    _of: BoundedMap[str, Circuit] = field(default_factory=lambda: BoundedMap(entries=_PLACES, weight=_PLACES))

    def of(self, url: URL) -> Circuit:
        """The circuit of an address."""
        place = str(url.origin())
        found = self._of.get(place)
        if found is None:
            found = Circuit(self.policy)
            self._of.put(place, found, 1)
        return found


@dataclass(frozen=True, slots=True)
class Outside:
    """`Web` and `Tools` of a node."""

    door: OutgoingDoor
    section: ChainEngineSection
    circuits: Circuits = field(default_factory=Circuits)

    def __post_init__(self) -> None:
        for name, tool in self.section.tools.items():
            try:
                schema(tool.parameters)
            except BadSchema as cause:
                raise ConfigError(f"chain_engine.tools.{name}.parameters: {cause.message}") from cause

    def address(self, url: str) -> str | None:
        """What is wrong with an address, as far as it can be told before anybody is asked."""
        try:
            read(url, self.door.allowed)
        except AddressRefused as refused:
            return refused.message
        return None

    def tools(self, tenant: str) -> list[str]:
        """The tools that a tenant's chains may call."""
        return [
            name for name, tool in self.section.tools.items() if not tool.tenants or tenant in tool.tenants
        ]

    def secrets(self, tenant: str) -> list[str]:
        """The secrets that a tenant's chains may name."""
        found = self.section.secrets.items()
        return [name for name, secret in found if not secret.tenants or tenant in secret.tenants]

    async def send(self, request: WebRequest, ticket: Ticket) -> dict[str, Any]:
        """See `Web.send`."""
        url = _with_query(request.url, request.query)
        headers, body = _body(request)
        hidden = Hidden()
        if request.secret is not None:
            headers, secret = self._with_secret(request.secret, url, headers, ticket)
            hidden = Hidden.of(secret)
        ask = Ask(url, request.method, headers, body, seconds=ticket.timeout, max_bytes=_most(ticket))
        answer = await self._asked(ask, ticket)
        if answer.status >= 400 and answer.status not in request.accept_status:
            raise _refusal(answer, hidden)
        shown = {name: hidden.text(answer.headers[name]) for name in _SHOWN if name in answer.headers}
        told = {"status": answer.status, "headers": shown, "url": hidden.text(answer.url)}
        return {**told, **await soon(ticket.key.partition("/")[0], lambda: _read(answer, hidden))}

    async def offered(self, names: Sequence[str], ticket: Ticket) -> list[dict[str, Any]]:
        """See `Tools.offered`."""
        found = [(name, self._tool(name, ticket)) for name in names]
        return [
            {"name": name, "description": tool.description or None, "parameters": tool.parameters}
            for name, tool in found
        ]

    async def call(self, name: str, arguments: Mapping[str, Any], ticket: Ticket) -> Any:
        """See `Tools.call`."""
        tool = self._tool(name, ticket)
        given = dict(arguments)
        wrong = await soon(ticket.key.partition("/")[0], lambda: schema(tool.parameters).complaint(given))
        if wrong is not None:
            raise InvalidRequest(f"The arguments of '{name}' do not fit: {wrong[:300]}.", param="arguments")
        url = tool.url
        for place in tool.places:
            url = url.replace(f"{{{place}}}", _segment(name, place, given.pop(place, "")))
        headers = {key: value.get_secret_value() for key, value in tool.headers.items()}
        hidden = Hidden.of(
            *(word for value in headers.values() if len(value) >= 8 for word in value.split()[-1:])
        )
        headers.setdefault("idempotency-key", ticket.key)
        body = b""
        if tool.method in ("GET", "DELETE"):
            url = _with_query(url, given)
        else:
            headers["content-type"], body = "application/json", msgspec.json.encode(given)
        seconds = min(tool.timeout_seconds or ticket.timeout, ticket.timeout)
        ask = Ask(url, tool.method, headers, body, seconds=seconds, max_bytes=_most(ticket), trusted=True)
        answer = await self._asked(ask, ticket)
        if answer.status >= 300:
            raise _refusal(answer, hidden)
        read = await soon(ticket.key.partition("/")[0], lambda: _read(answer, hidden))
        return read.get("body", read)

    async def _asked(self, ask: Ask, ticket: Ticket) -> Answered:
        url = read(ask.url, self.door.allowed, trusted=ask.trusted)
        circuit = self.circuits.of(url)
        if not circuit.admit(time.monotonic(), ticket.caller.tenant):
            raise CircuitOpen(f"{url.host} failed several times and is left alone for a moment.")
        try:
            answer = await self.door.send(ask)
        except UpstreamError:
            circuit.failed(time.monotonic(), ticket.caller.tenant)
            raise
        except BaseException:
            circuit.unsure()
            raise
        if answer.status >= 500:
            circuit.failed(time.monotonic(), ticket.caller.tenant)
        else:
            circuit.succeeded(time.monotonic(), ticket.caller.tenant)
        return answer

    def _tool(self, name: str, ticket: Ticket) -> ChainTool:
        if name not in self.tools(ticket.caller.tenant) or not ticket.caller.may_use_tool(name):
            raise NotFound(f"There is no tool '{name[:100]}'.")
        return self.section.tools[name]

    def _with_secret(
        self, name: str, url: str, headers: dict[str, str], ticket: Ticket
    ) -> tuple[dict[str, str], str]:
        if name not in self.secrets(ticket.caller.tenant):
            raise NotFound(f"There is no secret '{name[:100]}'.")
        secret, host = (
            self.section.secrets[name],
            (read(url, self.door.allowed).raw_host or "").rstrip(".").lower(),
        )
        if not any(fnmatchcase(host, wanted.lower()) for wanted in secret.hosts):
            raise AddressRefused(
                f"The secret '{name}' may not be sent there: its hosts are {', '.join(secret.hosts)}."
            )
        value = secret.value.get_secret_value()
        kept = {key: said for key, said in headers.items() if key.lower() != secret.header.lower()}
        return {**kept, secret.header: f"{secret.scheme} {value}".strip()}, value


def _most(ticket: Ticket) -> int:
    """Bytes of the answer."""
    return min(ticket.max_bytes or MAX_ANSWER, MAX_ANSWER)


def _with_query(url: str, query: Mapping[str, Any]) -> str:
    if not query:
        return url
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        pairs += [(name, _word(each)) for each in (value if isinstance(value, list) else [value])]
    more = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    head, mark, fragment = url.partition("#")
    return f"{head}{'&' if '?' in head else '?'}{more}{mark}{fragment}"


def _word(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _segment(tool: str, place: str, value: Any) -> str:
    """An argument as one part of the address. Raises `InvalidRequest` for one that would lead elsewhere."""
    word = _word(value)
    if word in ("", ".", ".."):
        raise InvalidRequest(f"The argument '{place}' of '{tool}' must not be '{word}'.", param="arguments")
    return quote(word, safe="")


def _body(request: WebRequest) -> tuple[dict[str, str], bytes]:
    headers = dict(request.headers)
    if request.body is None:
        return headers, b""
    text = isinstance(request.body, str)
    if not any(name.lower() == "content-type" for name in headers):
        headers["content-type"] = "text/plain; charset=utf-8" if text else "application/json"
    return headers, request.body.encode() if text else msgspec.json.encode(request.body)


def _read(answer: Answered, hidden: Hidden) -> dict[str, Any]:
    """The body as JSON, as text, or else in base64; a secret that comes back is struck out."""
    burn(len(answer.body) // _BYTES)
    kind = answer.content_type
    if (text := _text(answer)) is None:
        return {"base64": base64.b64encode(hidden.data(answer.body)).decode()}
    if kind.endswith(("/json", "+json")) and text.strip():
        try:
            return {"body": hidden.value(msgspec.json.decode(text))}
        except msgspec.DecodeError as cause:
            raise UpstreamRejected("The answer says that it is JSON, and is not.") from cause
        except RecursionError as cause:
            raise UpstreamRejected("The answer is JSON that is nested too deeply.") from cause
    return {"body": hidden.text(text)}


def _text(answer: Answered) -> str | None:
    """What the body says, in the encoding that its sender names; None where it is no text."""
    head = Message()
    head["content-type"] = answer.headers.get("content-type", "")
    codec = text_codec(str(head.get_param("charset", "utf-8") or "utf-8"))
    try:
        return None if codec is None else answer.body.decode(codec)
    except UnicodeDecodeError:
        return None


def _refusal(answer: Answered, hidden: Hidden) -> UpstreamError:
    """A status of 400 or above, or a redirect that is not followed, as an error that a step's `retry` understands."""
    said = hidden.data(answer.body)[:4_000].decode("utf-8", "replace").strip()
    words = " ".join(said.split())[:MAX_SAID]
    host = urlsplit(answer.url).hostname
    message = f"{host} answered {answer.status}{f': {words}' if words else '.'}"
    after = answer.headers.get("retry-after", "")
    wait = float(after) if after.isdecimal() else None
    if answer.status == 429:
        return UpstreamRateLimited(message, upstream_status=429, retry_after=wait)
    if answer.status >= 500:
        return UpstreamUnavailable(message, upstream_status=answer.status, retry_after=wait)
    return UpstreamRejected(message, upstream_status=answer.status)
