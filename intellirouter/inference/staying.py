"""What belongs together: the name of a conversation or of an agent's run, which stays with its target."""

from __future__ import annotations

import hashlib
from typing import Literal

from intellirouter.chat.model import ChatRequest
from intellirouter.inference.job import Job
from intellirouter.security.ownership import owned

_PREFIX = 2_000
"""Characters of each message that tell how a conversation begins."""
_SESSION_HEADERS = ("x-intellirouter-session", "session_id", "x-session-id", "x-session-affinity")
"""Of agents that name their run."""
_LATER: tuple[Literal["assistant", "tool"], ...] = ("assistant", "tool")
"""Who speaks in a conversation that has begun."""


def conversation_of(job: Job) -> str:
    """What an earlier request may have been the beginning of: empty for a first question that names nothing."""
    request, tenant = job.request, job.caller.tenant
    options = request.options
    named = (options.conversation if options else None) or request.prompt_cache_key
    if not named:
        named = next((value for header in _SESSION_HEADERS if (value := job.headers.get(header))), None)
    if named:
        return owned(tenant, named[:200])
    return opening_of(job) if any(message.role in _LATER for message in request.messages) else ""


def opening_of(job: Job) -> str:
    """How a conversation begins: its instructions and the first thing said, hashed."""
    digest = hashlib.blake2b(digest_size=12)
    for message in job.request.messages[:8]:
        digest.update(message.text[:_PREFIX].encode("utf-8", "replace"))
        digest.update(b"\0")
        if message.role == "user":
            break
    return f"{owned(job.caller.tenant, job.caller.key_id)}:{digest.hexdigest()}"


def fresh_share(request: ChatRequest) -> float:
    """How much of the prompt no earlier request of the conversation had, 0 to 1: what follows the last answer."""
    fresh = before = 0
    answered = False
    for message in reversed(request.messages):
        size = len(message.text) + 1
        answered = answered or message.role == "assistant"
        if answered:
            before += size
        else:
            fresh += size
    return fresh / (fresh + before) if before else 1.0
