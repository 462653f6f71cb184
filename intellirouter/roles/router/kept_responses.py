"""What `/v1/responses` keeps: earlier turns of a request, and the answer on its way out.

A response is kept unless the request says `store: false`. Its vendor is asked to keep nothing: the next turn may go to
another one, so the whole conversation travels with it, and the id is ours.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import msgspec
import structlog

from intellirouter.bounds.aside import LONG
from intellirouter.bounds.marks import MANY
from intellirouter.chat import fields
from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest, Source
from intellirouter.chat.openai_responses.content import DIALECT
from intellirouter.chat.openai_responses.format import FORMAT
from intellirouter.chat.openai_responses.history import again, input_items, is_own_search
from intellirouter.chat.sse import SseSplitter, format_event
from intellirouter.errors import InvalidRequest, KeepsTooMuch, NotFound, StateUnavailable
from intellirouter.memory.responses import MAX_TURNS, Kept, Responses
from intellirouter.security.keeping import Keeping

log = structlog.get_logger(__name__)
_REFERENCE = "item_reference"
_THOUGHTS = "reasoning.encrypted_content"
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})


class Conversation:
    """One request with the turns before it. See `begin`."""

    def __init__(self, responses: Responses, keeping: Keeping, tenant: str, body: Json) -> None:
        self._responses = responses
        self._keeping = keeping
        self._tenant = tenant
        self._previous = fields.text(body, "previous_response_id")
        self._keeps = fields.boolean(body, "store") is not False
        self._asked = input_items(body)
        self._before: tuple[str, ...] = ()
        self._id = f"resp_{uuid4().hex}"
        self.chat = ChatRequest(model="", messages=())
        self.full = False

    @classmethod
    async def begin(
        cls, responses: Responses, keeping: Keeping, tenant: str, body: Json, *, long: bool
    ) -> Conversation:
        """Read the request; where it is `long`, or those before it are, in a thread.

        Raises `InvalidRequest` for one that cannot be kept, or whose earlier turns are not, and `KeepsTooMuch` where one is to
        be kept by its own word and the tenant has no room. Without that word it is answered and says that it was not kept.
        """
        if body.get("background"):
            raise InvalidRequest(
                "A response is answered while its request waits: 'background' is not possible here.",
                param="background",
            )
        conversation = cls(responses, keeping, tenant, body)
        conversation.full = await conversation._is_full(strict=body.get("store") is True)
        conversation.chat = await conversation._read(body, long=long)
        return conversation

    @property
    def root(self) -> str:
        """The response that the conversation began with; this one, where nothing went before."""
        return self._before[0] if self._before else self._id

    async def _read(self, body: Json, *, long: bool) -> ChatRequest:
        if any(item.get("type") == _REFERENCE for item in self._asked):
            self._asked = await self._resolved()
            body = {**body, "input": self._asked}
        if self._previous is not None:
            earlier = await self._earlier(body, self._previous)
            body = {key: value for key, value in body.items() if key != "previous_response_id"}
            body["input"] = [*earlier, *self._asked]
        if any(is_own_search(item) for item in self._asked):
            body = {**body, "input": [item for item in body["input"] if not is_own_search(item)]}
        sent = {k: v for k, v in body.items() if k != "store"} if self._keeps else body
        if long or len(self._asked) > MANY or (self._previous is not None and len(body["input"]) > MANY):
            chat = await LONG.run(self._tenant, lambda: FORMAT.decode_request(sent, {}).routed(long=True))
        else:
            chat = FORMAT.decode_request(sent, {})
        if not self._keeps:
            return chat
        source = chat.source.body if chat.source is not None else {}
        sent = {**source, "store": False}
        if source.get("reasoning") and _THOUGHTS not in (include := source.get("include") or []):
            sent["include"] = [*include, _THOUGHTS]
        return chat.routed(source=Source(DIALECT, sent))

    async def _is_full(self, *, strict: bool) -> bool:
        kept, tenant = self._responses.kept, self._tenant
        if not self._keeps:
            return False
        try:
            self._keeping.check(tenant, "responses", await kept.level(tenant, "number"))
            self._keeping.check(tenant, "response_bytes", await kept.level(tenant, "bytes"))
        except KeepsTooMuch:
            if strict:
                raise
            return True
        return False

    async def _resolved(self) -> list[Json]:
        """The items asked, with those that only name one of an answer kept here as what they name.

        One that is not kept stays: whoever reads the request refuses it.
        """
        items: list[Json] = []
        for item in self._asked:
            name = item.get("id")
            if item.get("type") != _REFERENCE or not isinstance(name, str):
                items.append(item)
            elif (found := await self._responses.item(self._tenant, name)) is not None:
                items += again([found])
            else:
                items.append(item)
        return items

    async def _earlier(self, body: Json, previous: str) -> list[Json]:
        if body.get("conversation") is not None:
            raise InvalidRequest(
                "A request goes on from 'previous_response_id' or from a 'conversation', not from both.",
                param="previous_response_id",
            )
        try:
            history = await self._responses.history(self._tenant, previous)
        except NotFound as gone:
            raise InvalidRequest(
                f"Previous {gone.message[0].lower()}{gone.message[1:]}", param="previous_response_id"
            ) from gone
        if len(history) >= MAX_TURNS:
            raise InvalidRequest(
                f"A conversation holds at most {MAX_TURNS} responses.", param="previous_response_id"
            )
        self._before = (*history[-1].before, previous)
        return [item for kept in history for item in (*kept.asked, *again(kept.response.get("output") or ()))]

    async def whole(self, body: bytes) -> bytes:
        """A whole answer as the client sees it, kept."""
        if not self._keeps and self._previous is None:
            return body
        return msgspec.json.encode(await self._told(msgspec.json.decode(body), last=True))

    async def piece(self, data: bytes) -> bytes:
        """Whole events of a stream likewise: kept with the last one, before the client sees it."""
        if (not self._keeps and self._previous is None) or b'"response"' not in data:
            return data
        pieces: list[bytes] = []
        for event in SseSplitter().feed(data):
            told: Any = msgspec.json.decode(event.data) if b'"response"' in event.data else None
            if isinstance(told, dict) and isinstance(told.get("response"), dict):
                kind = str(told.get("type") or "")
                told["response"] = await self._told(told["response"], last=kind in _ENDS)
                pieces.append(format_event(msgspec.json.encode(told), kind))
            else:
                pieces.append(event.raw)
        return b"".join(pieces)

    async def _told(self, response: Json, *, last: bool) -> Json:
        response = {**response, "previous_response_id": self._previous}
        if not self._keeps:
            return response
        answered_as = str(response.get("id") or "")
        response |= {"id": self._id, "store": True}
        if last and not await self._keep(response, answered_as):
            response["store"] = False
        return response

    async def _keep(self, response: Json, answered_as: str) -> bool:
        """An answer that cannot be kept is still an answer: it says itself that it was not."""
        if self.full:
            log.warning("response.not_kept", id=self._id, reason="the tenant keeps as much as it may")
            return False
        try:
            kept = await self._responses.keep(
                self._tenant, self._id, Kept(self._asked, response, self._before, answered_as)
            )
        except StateUnavailable as error:
            log.warning("response.not_kept", id=self._id, reason=error.message)
            return False
        if not kept:
            log.warning("response.not_kept", id=self._id, reason="it is too long")
        return kept
