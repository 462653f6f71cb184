"""What roles tell one another, as JSON documents and back: the same over HTTP and gRPC."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from intellirouter.chat.fields import Json
from intellirouter.chat.model import Message, Role
from intellirouter.chat.parts import Text
from intellirouter.errors import InvalidRequest, UpstreamProtocolError
from intellirouter.peers.contract import Judgement, Passage, ResolvedPersona, RetrievalRequest, Retrieved
from intellirouter.security.caller import Caller, Owner

_ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}


def persona_document(resolved: ResolvedPersona) -> Json:
    """Exactly what will be sent with a request."""
    messages = [{"role": message.role, "content": message.text} for message in resolved.messages]
    return {
        "persona": resolved.name,
        "version": resolved.version,
        "messages": messages,
        "model": resolved.model,
        "defaults": resolved.defaults,
        "tools": resolved.tools,
        "rag": resolved.rag,
        "guardrails": resolved.guardrails,
        "shared": resolved.shared,
    }


def persona_of(body: Json) -> ResolvedPersona:
    """The other way."""
    return ResolvedPersona(
        name=body["persona"],
        version=body["version"],
        messages=tuple(Message(_ROLES[m["role"]], (Text(m["content"]),)) for m in body["messages"]),
        model=body["model"],
        defaults=body["defaults"],
        tools=tuple(body["tools"]),
        rag=body["rag"],
        guardrails=body["guardrails"],
        shared=body.get("shared", False),
    )


def judgement_of(body: Json) -> Judgement:
    """What became of requests. Raises `InvalidRequest`."""
    try:
        return msgspec.convert(body, Judgement)
    except msgspec.ValidationError as cause:
        raise InvalidRequest(f"{cause}.") from cause


def learnt_of(body: Json) -> int:
    """Of how many was learnt. Raises `UpstreamProtocolError`."""
    learnt = body.get("learnt")
    if not isinstance(learnt, int):
        raise UpstreamProtocolError("the Router does not say of how many requests it learnt")
    return learnt


def owner_document(owner: Owner) -> Json:
    """Whose stored work it is."""
    return {"tenant": owner.tenant, "key_id": owner.key_id, "ref": owner.ref}


def owner_of(body: Json) -> Owner:
    """The other way. Raises `InvalidRequest`."""
    try:
        return msgspec.convert(body, Owner)
    except msgspec.ValidationError as cause:
        raise InvalidRequest(f"{cause}.") from cause


def caller_document(caller: Caller) -> Json:
    """A caller as the ring knows it."""
    told: Json = msgspec.to_builtins(replace(caller.entering(), via=frozenset()))
    return told


def caller_of(body: Json) -> Caller:
    """The other way."""
    return msgspec.convert(body, Caller)


def retrieval_document(request: RetrievalRequest) -> Json:
    """What is looked for, without what was not said: an older RagManager knows no newer field."""
    told = {key: value for key, value in msgspec.to_builtins(request).items() if value is not None}
    return {key: value for key, value in told.items() if value or key not in ("variants", "passages")}


def retrieved_of(body: Json) -> Retrieved:
    """What was found."""
    passages = tuple(msgspec.convert(passage, Passage) for passage in body["passages"])
    return Retrieved(
        passages,
        body.get("partial", False),
        body.get("skipped"),
        body.get("explanation") or {},
        tuple(body.get("notes") or ()),
    )
