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


def take_options(body: dict[str, Any]) -> tuple[dict[str, Any], RouteOptions | None]:
    """The body without our fields, and what they said; None when there were none."""
    if OPTION_FIELDS.isdisjoint(body):
        return body, None
    ours = fields.mapping(body, "intellirouter") or {}
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
        rag=fields.mapping(body, "rag"),
        tags=fields.name_list(ours, "tags", "intellirouter"),
        strategy=fields.name(ours, "strategy", "intellirouter"),
        fallbacks=fields.name_list(ours, "fallbacks", "intellirouter"),
        timeout=timeout,
        cache_control=fields.text(ours, "cache_control", "intellirouter"),
        guardrails=fields.name_list(body, "guardrails"),
        guarded_as=fields.name(ours, "guarded_as", "intellirouter"),
        idempotency_key=fields.name(ours, "idempotency_key", "intellirouter"),
    )
