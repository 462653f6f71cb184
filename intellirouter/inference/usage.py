"""What an answer used, made fit to be billed: added up, estimated where nobody says it, and never what cannot be."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from intellirouter.chat.embedding import EmbeddingRequest
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse, Usage
from intellirouter.chat.tokens import CHARACTERS_PER_TOKEN, part_tokens, text_tokens
from intellirouter.inference.catalog import Candidate

LONGEST_WINDOW = 1_000_000
"""Tokens, of a model that says nothing of its own."""
WINDOWS = 10
"""A vendor that runs tools itself reads its window several times in one call; nobody reads it more often than this."""
IMPOSSIBLE = "The provider told a usage that cannot be; what was sent and received was counted instead."


def usual(usage: Usage, candidate: Candidate) -> bool:
    """Whether the usage is as most are, which is credible at a glance."""
    asked, most = usage.input_tokens, WINDOWS * (candidate.context_window or LONGEST_WINDOW)
    return (
        0 < asked <= most
        and 0 < usage.output_tokens <= most
        and usage.total is None
        and not usage.cache_write_tokens
        and not usage.cache_write_1h_tokens
        and 0 <= (usage.cached_tokens or 0) <= asked
    )


def credible(
    usage: Usage, candidate: Candidate, read: Callable[[], int], written: Callable[[], int]
) -> tuple[Usage, bool]:
    """The usage as it may be billed, and whether the provider's own was impossible.

    Counts below zero or beyond every window are no counts: `read` and `written` estimate in their place. So they do for
    counts of zero, which some servers send for "unknown". Parts are never more than the whole.
    """
    if usual(usage, candidate):
        return usage, False
    most = WINDOWS * (candidate.context_window or LONGEST_WINDOW)
    asked, answered, total = usage.input_tokens, usage.output_tokens, usage.total
    cached, stored = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    for_an_hour = usage.cache_write_1h_tokens or 0
    if (
        0 < asked <= most
        and 0 < answered <= most
        and 0 <= cached <= cached + stored <= usage.input_tokens
        and 0 <= for_an_hour <= stored
        and (total is None or asked + answered <= total <= most * 2)
    ):
        return usage, False
    impossible = not (
        0 <= asked <= most
        and 0 <= answered <= most
        and min(cached, stored, for_an_hour) >= 0
        and (total is None or 0 <= total <= most * 2)
    )
    if impossible:
        return Usage(input_tokens=read(), output_tokens=written(), estimated=True), True
    asked, answered = asked or read(), answered or written()
    cached = min(cached, asked)
    stored = min(stored, asked - cached)
    guessed = (asked, answered) != (usage.input_tokens, usage.output_tokens)
    return msgspec.structs.replace(
        usage,
        input_tokens=asked,
        output_tokens=answered,
        cached_tokens=None if usage.cached_tokens is None else cached,
        cache_write_tokens=None if usage.cache_write_tokens is None else stored,
        cache_write_1h_tokens=None if usage.cache_write_1h_tokens is None else min(for_an_hour, stored),
        total=None,
        estimated=usage.estimated or guessed,
    ), False


def written_by(response: ChatResponse) -> int:
    """Tokens of a whole answer, by its parts; by its bytes where it goes on unread."""
    written = sum(part_tokens(part) for choice in response.choices for part in choice.content)
    if not written and response.raw is not None:
        return len(response.raw) // CHARACTERS_PER_TOKEN
    return written


def answers_of(request: ChatRequest) -> int:
    """How many answers the request asks for."""
    return max(1, request.n or 1)


def expected(request: ChatRequest, usual: float) -> int:
    """Tokens that an answer nobody waited for is taken to have had: the usual number, no more than were allowed."""
    each = usual if request.max_tokens is None else min(usual, request.max_tokens)
    return int(each) * answers_of(request)


def embedded_tokens(request: EmbeddingRequest) -> int:
    """An estimate of the tokens of what is to be embedded."""
    return sum(map(text_tokens, request.words)) + sum(map(len, request.tokens))


def combined(first: Usage | None, second: Usage) -> Usage:
    """The tokens of two parts of one answer, or of two calls that one answer took."""
    if first is None:
        return second
    return Usage(
        input_tokens=first.input_tokens + second.input_tokens,
        output_tokens=first.output_tokens + second.output_tokens,
        cached_tokens=_sum(first.cached_tokens, second.cached_tokens),
        cache_write_tokens=_sum(first.cache_write_tokens, second.cache_write_tokens),
        cache_write_1h_tokens=_sum(first.cache_write_1h_tokens, second.cache_write_1h_tokens),
        reasoning_tokens=_sum(first.reasoning_tokens, second.reasoning_tokens),
        estimated=first.estimated or second.estimated,
    )


def _sum(first: int | None, second: int | None) -> int | None:
    return None if first is None and second is None else (first or 0) + (second or 0)
