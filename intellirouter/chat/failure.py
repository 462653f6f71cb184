"""Which of our errors a vendor's refusal is: whose fault it is decides what a router can do, whatever the dialect.

    the request is too long        ContextLengthExceeded   a model with a longer context may take it
    the words are not allowed      ContentFiltered         passed on, nobody else is asked
    a limit was reached            UpstreamRateLimited     later, or another target
    our key, our account, our place  UpstreamAuthFailed    another target; the caller learns nothing of the account
    the target cannot take it      UpstreamUnfit           another target: the model is gone, or lacks what is asked
    the model wrote nonsense       UpstreamProtocolError   again: a call or a form that its own vendor could not read
    the vendor is at fault         UpstreamUnavailable     again, or another target
    the request is at fault        UpstreamRejected        passed on, nobody else is asked

Sources: the vendors' pages of error codes (OpenAI, Anthropic, Google, Groq, DeepSeek, OpenRouter, Mistral, Hugging Face,
Moonshot, xAI, Alibaba, Zhipu) and what their servers were seen to answer. Machine words go first, words for people last:
those are looked for in lower case.
"""

from __future__ import annotations

import re
from typing import Any

from intellirouter.config.redact import without_keys
from intellirouter.errors import (
    ContentFiltered,
    ContextLengthExceeded,
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
    UpstreamUnfit,
)

CREDENTIALS = "the provider refused the credentials configured for it"
ACCOUNT = "the provider refused the account configured for it"

_CONTEXT_CODES = frozenset(
    """context_length_exceeded exceed_context_size_error tokens_limit_reached
    max_tokens_exceeded model_max_prompt_tokens_exceeded 1261""".split()
)
_CONTEXT_WORDS = re.compile(
    r"context (?:length|window|size|limit)|maximum context|too many (?:input )?tokens|prompt (?:is )?too long"
    r"|input is too long|maximum prompt length|exceeds? the maximum number of tokens|exceeded model token limit"
    r"|inputs?` tokens \+ `?max_new_tokens|`?inputs?`? must have less than \d+ tokens|range of input length"
    r"|token count.{0,40} exceeds|prompt exceeds max|(?:input|prompt|context|total|number of)[ _]tokens.{0,30} cannot exceed \d"
    r"|context the overflows|max size: \d+ tokens|reduce the length of the (?:messages|prompt|input)"
)
_TOO_LONG_A_WORD = "string_above_max_length"
_POLICY_CODES = frozenset(
    """content_filter content_policy_violation moderation_blocked policy_violation invalid_prompt
    responsibleaipolicyviolation data_inspection_failed datainspectionfailed prohibited_content
    content_filtered sensitivecontentdetected 1301""".split()
)
_POLICY_WORDS = re.compile(
    r"content (?:management |filtering |safety |usage )?polic|usage (?:guidelines|polic)|flagged (?:by|as|for)"
    r"|was flagged|content exists risk|inappropriate content|safety system"
    r"|(?<!case[ -])sensitive (?:content|information|words?)|敏感"
)
_ACCOUNT_CODES = frozenset(
    """insufficient_quota insufficient_balance insufficient_credits insufficient_funds billing_error
    billing_not_active billing_hard_limit_reached account_deactivated account_suspended payment_required
    exceeded_current_quota_error arrearage access_terminated organization_restricted organization_disabled
    unsupported_country_region_territory 1113""".split()
)
_ACCOUNT_WORDS = re.compile(
    r"credit balance|api usage limits?|balance (?:is )?(?:not enough|insufficient)|insufficient (?:account )?(?:balance|credit|fund|quota)|requires more credits|add (?:more )?credits"
    r"|out of credits|enough credits|no credits|monthly included credits|spend(?:ing)? limit|hard limit|account is not active|account (?:has been|is) (?:de)?"
    r"(?:activated|disabled|suspended)|organization has been (?:disabled|restricted|suspended)|organization must be verified"
    r"|arrearage|in good standing|location is not supported|not available in your (?:country|region)"
    r"|(?:country|region),? (?:country, |region, )?or territory (?:is )?not supported|enable billing|billing (?:account|is) (?:is )?(?:not|disabled)"
    r"|payment required|余额不足|欠费"
)
_KEY_CODES = frozenset(
    {"invalid_api_key", "api_key_invalid", "authentication_error", "invalid_authentication"}
)
_KEY_WORDS = re.compile(
    r"(?:incorrect|invalid|expired|unknown|wrong) api.?key|api.?key (?:not valid|expired|is invalid|you provided is)"
)
_RATE_CODES = frozenset(
    """rate_limit_exceeded rate_limit_error rate_limit_reached_error resource_exhausted too_many_requests
    tokens_per_minute_limit_exceeded request_limit_exceeded throttling throttling.ratequota
    throttling.allocationquota throttlingexception""".split()
)
_GONE_CODES = frozenset(
    """model_not_found model_decommissioned model_not_supported model_not_available model_deprecated
    model_terms_required model_permission_blocked deploymentnotfound invalid_model model_not_exist
    unsupported_model model_not_active 1211""".split()
)
_GONE_WORDS = re.compile(
    r"model.{0,80}(?:decommissioned|deprecated|does not exist|not exist\b|not found|no longer (?:available|supported)|was (?:retired|shut down))"
    r"|not a valid model|(?:invalid|unknown|unsupported) model\b|no (?:allowed )?(?:providers|endpoints) (?:are )?(?:available|found)"
    r"|model.{0,80}not supported|model (?:is )?disabled|models? loaded|failed to load model|no provider supported"
    r"|not allowed to use.{0,40} model|unable to access model|model.{0,60} (?:is not|isn't) (?:available|supported)"
    r"|model identifier is invalid|on-demand throughput"
)
_UNABLE_WORDS = re.compile(
    r"(?:model|deployment|endpoint|provider|template|server|this api)\b.{0,80}(?:does not|doesn't|cannot|can't) (?:support|accept|handle|process)"
    r"|does not support (?:tools|images?|vision|audio|thinking|chat|assistant|streaming|image input|tool|structured|response_format)"
    r"|(?:is|are) not (?:enabled|supported) (?:for|by|with|in|on) (?:this|the) (?:model|deployment|endpoint|version)"
    r"|only supported (?:by|for|on|with) (?:certain|other|the following|newer)"
    r"|not a multimodal model|conversation roles must alternate|system message must be|system role not supported"
    r"|no user query found|only supported in v1/|does not work with the specified model|--tool-call-parser"
    r"|at most \d+ \w+(?:\(s\))? may be provided|(?:image|audio|video) input is not supported"
    r"|max_(?:completion_)?tokens.{0,30} (?:too large|must be less than or equal|cannot exceed)|valid range of max_tokens"
    r"|maximum allowed number of output tokens|provider returned error"
    r"|unrecognized request argument"
)
_UNABLE_CODES = frozenset(
    {
        "operationnotsupported",
        "unsupported_value",
        "unsupported_parameter",
        "unknown_parameter",
        _TOO_LONG_A_WORD,  # of a tool's description, a name: other vendors take longer ones
    }
)
_NONSENSE_CODES = frozenset({"tool_use_failed", "json_validate_failed", "output_parse_failed"})
_NONSENSE_WORDS = re.compile(
    r"failed to (?:call a function|generate json)|failed_generation|tool call validation failed"
    r"|(?:model|tool call).{0,60} could not be parsed"
)
_BUSY_WORDS = re.compile(
    r"try again later|high load|(?:server|system|model) is (?:currently )?(?:busy|overloaded)"
    r"|upstream (?:connect )?error"
)
_OF_THE_PROMPT = re.compile(r"(?:messages|input|prompt|instructions)\b")
_CAPACITY_CODES = frozenset(
    {"capacity_exceeded", "overloaded_error", "server_overloaded", "engine_overloaded"}
)
_READ = 10_000
"""Characters of a vendor's message that are looked through."""
_TOLD = 1_000
_LOGGED = 500
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
"""What a reader of a message does not see: control characters, and those that turn or hide letters."""
_PAGE = re.compile(r"<(?:!doctype|html|head|body|script)\b|traceback \(most recent call", re.IGNORECASE)
_TOO_EARLY = (408, 409, 425, 498, 499)


def _told(status: int, message: str) -> str:
    """A vendor's words about a request, as they may go to who made it: one line, bounded, without keys or passwords in it.

    What comes with a fault of its own server is not about the request, and may hold anything.
    """
    if status >= 500 or _PAGE.search(message[:_READ]):
        return f"the provider answered {status}"
    words = without_keys(_UNSEEN.sub(" ", message[:_READ])).strip()
    return words if len(words) <= _TOLD else f"{words[:_TOLD]}…"


def _broken(status: int, message: str, facts: dict[str, Any]) -> UpstreamError:
    """A fault of the vendor's own. It says nothing of the caller's request, so its words are for the operator's log alone."""
    error = UpstreamUnavailable(f"the provider answered {status}", **facts)
    if message != error.message:
        error.__cause__ = OperatorsConcern(message[:_LOGGED])
    return error


def classify(status: int, message: str, *, provider: str, kind: str = "", code: str = "") -> UpstreamError:
    """The error for a vendor's status and words; `kind` and `code` are its own machine words, empty where it has none.

    The vendor's words about the request are passed on, made fit to be shown. What concerns the operator and not the caller (its
    key, its account, the inside of the vendor's server) is the error's cause and no more.
    """
    facts: dict[str, Any] = {"provider": provider, "upstream_status": status}
    words, codes = message[:_READ].lower(), {code.lower(), kind.lower()}
    said, message = message, _told(status, message)
    client = 400 <= status < 500
    if codes & _CONTEXT_CODES or (_TOO_LONG_A_WORD in codes and _OF_THE_PROMPT.search(words)):
        return ContextLengthExceeded(message, **facts)
    if codes & _POLICY_CODES or (client and status not in (401, 429) and _POLICY_WORDS.search(words)):
        return ContentFiltered(message, **facts)
    if (
        status == 402
        or codes & _ACCOUNT_CODES
        or (client and (status != 429 or "RESOURCE_EXHAUSTED" not in kind) and _ACCOUNT_WORDS.search(words))
    ):
        return hidden(ACCOUNT, said, **facts)
    if codes & _RATE_CODES and status not in (401, 413, 429):
        return UpstreamRateLimited(message, **facts)
    if (
        status in (401, 403)
        or codes & _KEY_CODES
        or ((client or status >= 500) and _KEY_WORDS.search(words) is not None)
    ):
        return hidden(CREDENTIALS, said, **facts)
    if (
        status == 413 and codes & _RATE_CODES
    ):  # more at once than the account may send in a minute: no rest helps
        return UpstreamUnfit(message, **facts)
    if status == 429:
        return UpstreamRateLimited(message, **facts)
    if client and _too_long(words):
        return ContextLengthExceeded(message, **facts)
    if client and (codes & _NONSENSE_CODES or _NONSENSE_WORDS.search(words)):
        return UpstreamProtocolError(message, **facts)
    if (
        status in _TOO_EARLY
        or status >= 500
        or codes & _CAPACITY_CODES
        or (client and _BUSY_WORDS.search(words))
    ):
        return _broken(status, said, facts) if status >= 500 else UpstreamUnavailable(message, **facts)
    if client:
        unfit = (
            status in (404, 405, 410, 413, 424, 451)
            or codes & (_GONE_CODES | _UNABLE_CODES)
            or _GONE_WORDS.search(words)
            or _UNABLE_WORDS.search(words)
        )
        return UpstreamUnfit(message, **facts) if unfit else UpstreamRejected(message, **facts)
    return UpstreamProtocolError(f"the provider answered {status}", **facts)


def _too_long(words: str) -> bool:
    return _CONTEXT_WORDS.search(words) is not None or ("context" in words and "exceed" in words)


class OperatorsConcern(Exception):
    """What a vendor said of the key or the account: for the operator's log, never for a caller."""


def hidden(told: str, message: str, **facts: Any) -> UpstreamAuthFailed:
    """The error that says `told`, with the vendor's message as its cause."""
    error = UpstreamAuthFailed(told, **facts)
    error.__cause__ = OperatorsConcern(message[:_LOGGED])
    return error
