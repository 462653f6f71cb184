"""IntelliRouter's own request fields, the same in every dialect that carries JSON bodies.

Short ones stand at the top level (`persona`, `persona_variables`, `conversation`, `rag`, `guardrails`); the rest live in an
`intellirouter` object, so that no vendor's field is ever shadowed. They are removed from the body a provider sees.
"""

from __future__ import annotations

from typing import Any

from intellirouter.bounds import names
from intellirouter.chat import fields
from intellirouter.chat.model import RouteOptions
from intellirouter.errors import InvalidRequest

OPTION_FIELDS = frozenset(
    {"persona", "persona_variables", "conversation", "rag", "guardrails", "intellirouter"}
)

RAG_FIELDS = (
    "collections", "collection", "query", "top_k", "filters", "min_score", "token_budget", "rerank",
    "mode", "expand", "variants", "passages", "on_error",
)  # fmt: skip

OUR_FIELDS = (
    "tags", "strategy", "fallbacks", "timeout", "cache_control", "idempotency_key", "guarded_as",
)  # fmt: skip

MAX_TOPICS, MAX_TOPIC = 500, 200
"""Topics of a persona that a request may carry, and characters of each."""


def take_options(body: dict[str, Any]) -> tuple[dict[str, Any], RouteOptions | None]:
    """The body without our fields, and what they said; None when there were none."""
    if OPTION_FIELDS.isdisjoint(body):
        return body, None
    ours = _ours(body, "intellirouter", OUR_FIELDS) or {}
    rest = fields.rest(body, OPTION_FIELDS)
    conversation = body.get("conversation")
    if isinstance(conversation, dict):  # the Responses form: {"id": …}
        conversation = fields.name(conversation, "id", "conversation")
    elif conversation is not None and not isinstance(conversation, str):
        fields.wrong("conversation", "a string", conversation)
    timeout = fields.number(ours, "timeout", "intellirouter")
    if timeout is not None and timeout <= 0:
        raise InvalidRequest("'intellirouter.timeout' must be above 0.", param="intellirouter.timeout")
    return rest, RouteOptions(
        persona=fields.name(body, "persona"),
        persona_variables=fields.mapping(body, "persona_variables"),
        conversation=names.name(conversation, "conversation"),
        rag=_ours(body, "rag", RAG_FIELDS),
        tags=fields.name_list(ours, "tags", "intellirouter"),
        strategy=fields.name(ours, "strategy", "intellirouter"),
        fallbacks=fields.name_list(ours, "fallbacks", "intellirouter"),
        timeout=timeout,
        cache_control=fields.text(ours, "cache_control", "intellirouter"),
        guardrails=fields.name_list(body, "guardrails"),
        guarded_as=_guarded_as(ours),
        idempotency_key=fields.name(ours, "idempotency_key", "intellirouter"),
    )


def _ours(body: dict[str, Any], name: str, known: tuple[str, ...]) -> dict[str, Any] | None:
    """One of our objects. A field that is not known is told: `topk` would else be taken for nothing said."""
    given = fields.mapping(body, name)
    for field in given or ():
        if field not in known:
            raise InvalidRequest(
                f"'{name}' has no field '{field[:60]}'. Fields: {', '.join(known)}.",
                param=f"{name}.{field[:60]}",
            )
    return given


def _guarded_as(ours: dict[str, Any]) -> dict[str, Any] | None:
    """The persona that a request is guarded as, and its guardrails: what it may not talk about, how long it may, what it ends with."""
    path = "intellirouter.guarded_as"
    given = fields.mapping(ours, "guarded_as", "intellirouter")
    if given is None:
        return None
    rules = fields.mapping(given, "guardrails", path) or {}
    within = f"{path}.guardrails"
    topics = fields.strings(rules, "forbidden_topics", within)
    if len(topics) > MAX_TOPICS or any(len(topic) > MAX_TOPIC for topic in topics):
        raise InvalidRequest(
            f"'{within}.forbidden_topics' are at most {MAX_TOPICS} of at most {MAX_TOPIC} characters.",
            param=within,
        )
    kept = {
        "forbidden_topics": topics,
        "refusal": fields.text(rules, "refusal", within),
        "max_length": fields.integer(rules, "max_length", within, least=1),
        "disclaimer": fields.text(rules, "disclaimer", within),
    }
    return {
        "persona": fields.name(given, "persona", path) or "",
        "guardrails": {name: value for name, value in kept.items() if value},
    }
