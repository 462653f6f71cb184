"""IntelliRouter's own request fields, the same in every dialect that carries JSON bodies.

Short ones stand at the top level (`persona`, `persona_variables`, `conversation`, `rag`); the rest live in an
`intellirouter` object, so that no vendor's field is ever shadowed. They are removed from the body a provider sees.
"""

from __future__ import annotations

from typing import Any

from intellirouter.chat import fields
from intellirouter.chat.model import RouteOptions
from intellirouter.errors import InvalidRequest

OPTION_FIELDS = frozenset({"persona", "persona_variables", "conversation", "rag", "intellirouter"})


def take_options(body: dict[str, Any]) -> tuple[dict[str, Any], RouteOptions | None]:
    """The body without our fields, and what they said; None when there were none."""
    if OPTION_FIELDS.isdisjoint(body):
        return body, None
    ours = fields.mapping(body, "intellirouter") or {}
    rest = fields.rest(body, OPTION_FIELDS)
    conversation = body.get("conversation")
    if isinstance(conversation, dict):  # the Responses form: {"id": …}
        conversation = fields.text(conversation, "id", "conversation")
    elif conversation is not None and not isinstance(conversation, str):
        fields.wrong("conversation", "a string", conversation)
    timeout = fields.number(ours, "timeout", "intellirouter")
    if timeout is not None and timeout <= 0:
        raise InvalidRequest("'intellirouter.timeout' must be above 0.", param="intellirouter.timeout")
    return rest, RouteOptions(
        persona=fields.text(body, "persona"),
        persona_variables=fields.mapping(body, "persona_variables"),
        conversation=conversation,
        rag=fields.mapping(body, "rag"),
        tags=fields.strings(ours, "tags", "intellirouter"),
        strategy=fields.text(ours, "strategy", "intellirouter"),
        fallbacks=fields.strings(ours, "fallbacks", "intellirouter"),
        timeout=timeout,
        cache_control=fields.text(ours, "cache_control", "intellirouter"),
        idempotency_key=fields.text(ours, "idempotency_key", "intellirouter"),
    )
