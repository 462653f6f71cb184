"""What routing reads off a request: its length, what it holds, what it should keep going to the same target by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from random import Random

from intellirouter.chat.model import ChatRequest
from intellirouter.chat.parts import Image
from intellirouter.chat.tokens import estimate_tokens
from intellirouter.inference.selection.option import Facts, Rule
from intellirouter.security.ownership import owned

PREFIX_CHARACTERS = 2000
USUAL_ANSWER = 500


def facts_of(
    request: ChatRequest,
    *,
    headers: Mapping[str, str],
    tenant: str,
    turn: int,
    rules: tuple[Rule, ...],
    chance: Random,
    affine: bool = True,
) -> Facts:
    """The facts of one request. What it belongs to only where that is asked (`affine`): a prompt must be hashed for it."""
    options = request.options
    return Facts(
        affinity=affinity_of(request, tenant) if affine else "",
        input_tokens=estimate_tokens(request),
        output_tokens=request.max_tokens or USUAL_ANSWER,
        images=has_images(request),
        tools=bool(request.tools),
        tags=frozenset(options.tags) if options else frozenset(),
        headers=headers,
        turn=turn,
        rules=rules,
        chance=chance,
    )


def has_images(request: ChatRequest) -> bool:
    """True when any part is a picture."""
    return any(isinstance(part, Image) for message in request.messages for part in message.content)


def affinity_of(request: ChatRequest, tenant: str) -> str:
    """The conversation, cache key or user where one is named; else the start of the prompt, hashed."""
    options = request.options
    named = (options.conversation if options else None) or request.prompt_cache_key or request.user
    if named:
        return owned(tenant, named)
    start = ""
    for message in request.messages:
        start += message.text
        if len(start) >= PREFIX_CHARACTERS:
            break
    return owned(tenant, hashlib.sha256(start[:PREFIX_CHARACTERS].encode()).hexdigest()[:16])
