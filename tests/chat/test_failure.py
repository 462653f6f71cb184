"""Whose fault a refusal is: the vendors' own answers, one line each, and what is left to do."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

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
from intellirouter.inference.retry import Verdict, verdict
from intellirouter.providers.adapter import HttpResponse
from intellirouter.providers.table import ADAPTERS


def openai(message: str, code: object = None, kind: str | None = None) -> Any:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic(kind: str, message: str) -> Any:
    return {"type": "error", "error": {"type": kind, "message": message}}


def google(code: int, status: str, message: str, reason: str | None = None) -> Any:
    error: dict[str, Any] = {"code": code, "status": status, "message": message}
    if reason:
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]
    return {"error": error}


ACCOUNT = (UpstreamAuthFailed, Verdict.NEXT)
UNFIT = (UpstreamUnfit, Verdict.NEXT)
LONG = (ContextLengthExceeded, Verdict.LARGER)
POLICY = (ContentFiltered, Verdict.STOP)
LIMIT = (UpstreamRateLimited, Verdict.REST)
DOWN = (UpstreamUnavailable, Verdict.AGAIN)
CALLER = (UpstreamRejected, Verdict.STOP)
NONSENSE = (UpstreamProtocolError, Verdict.AGAIN)

CASES: list[tuple[str, int, Any, tuple[type[UpstreamError], Verdict]]] = [
    # money, place, standing: the operator's
    ("deepseek", 402, openai("Insufficient Balance", "invalid_request_error", "unknown_error"), ACCOUNT),
    ("openrouter", 402, openai("This request requires more credits, or fewer max_tokens.", 402), ACCOUNT),
    ("openai", 429, openai("You exceeded your current quota, please check your plan and billing details.", "insufficient_quota", "insufficient_quota"), ACCOUNT),
    ("openai", 403, openai("Country, region, or territory not supported", "unsupported_country_region_territory", "request_forbidden"), ACCOUNT),
    ("openai", 400, openai("Your organization must be verified to stream this model.", "unsupported_value"), ACCOUNT),
    ("openai", 400, openai("Billing hard limit has been reached", "billing_hard_limit_reached"), ACCOUNT),
    ("openai", 401, openai("Your account has been deactivated", "account_deactivated"), ACCOUNT),
    ("anthropic", 400, anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API."), ACCOUNT),
    ("anthropic", 402, anthropic("billing_error", "There is an issue with your billing."), ACCOUNT),
    ("anthropic", 400, anthropic("invalid_request_error", "This organization has been disabled."), ACCOUNT),
    ("anthropic", 401, anthropic("authentication_error", "invalid x-api-key"), ACCOUNT),
    ("anthropic", 403, anthropic("permission_error", "Your key lacks the permission"), ACCOUNT),
    ("google", 400, google(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), ACCOUNT),
    ("google", 400, google(400, "FAILED_PRECONDITION", "Gemini API free tier is not available in your country. Please enable billing on your project."), ACCOUNT),
    ("google", 400, google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", "API_KEY_INVALID"), ACCOUNT),
    ("google", 400, google(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.", "API_KEY_INVALID"), ACCOUNT),
    ("xai", 400, openai("Incorrect API key provided: xa***1. You can obtain one at console.x.ai."), ACCOUNT),
    ("openai_compatible", 429, openai("Your account is suspended, please check your plan", None, "exceeded_current_quota_error"), ACCOUNT),
    ("openai_compatible", 400, openai("Access denied, please make sure your account is in good standing.", "Arrearage"), ACCOUNT),
    ("openai_compatible", 429, openai("余额不足或无可用资源包,请充值。", "1113"), ACCOUNT),
    ("huggingface", 402, {"error": "You have exceeded your monthly included credits for Inference Providers."}, ACCOUNT),
    ("mistral", 401, {"detail": "Unauthorized"}, ACCOUNT),
    ("ollama", 401, {"error": "unauthorized"}, ACCOUNT),
    # the model is gone, or never was
    ("groq", 400, openai("The model `mixtral-8x7b-32768` has been decommissioned and is no longer supported.", "model_decommissioned"), UNFIT),
    ("huggingface", 400, openai("The requested model 'x' is not supported by any provider you have enabled.", "model_not_supported"), UNFIT),
    ("huggingface", 410, {"error": "The requested model is deprecated and no longer supported by provider."}, UNFIT),
    ("openai", 404, openai("The model `gpt-9` does not exist or you do not have access to it.", "model_not_found"), UNFIT),
    ("azure", 404, openai("The API deployment for this resource does not exist.", "DeploymentNotFound"), UNFIT),
    ("mistral", 400, {"object": "error", "message": "Invalid model: mistral-9", "type": "invalid_model", "code": "1500"}, UNFIT),
    ("deepseek", 400, openai("Model Not Exist", "invalid_request_error"), UNFIT),
    ("openrouter", 400, openai("x/y is not a valid model ID", 400), UNFIT),
    ("openrouter", 404, openai("No endpoints found that support tool use.", 404), UNFIT),
    ("anthropic", 404, anthropic("not_found_error", "model: claude-9"), UNFIT),
    ("google", 404, google(404, "NOT_FOUND", "models/gemini-9 is not found for API version v1beta"), UNFIT),
    ("ollama", 404, {"error": "model 'x' not found"}, UNFIT),
    # it lacks what is asked
    ("ollama", 400, {"error": "registry.ollama.ai/library/gemma:2b does not support tools"}, UNFIT),
    ("ollama", 400, {"error": "\"llama2\" does not support thinking"}, UNFIT),
    ("openai_compatible", 400, openai("Conversation roles must alternate user/assistant/user/assistant/...", 400, "BadRequestError"), UNFIT),
    ("vllm", 400, openai("deepseek-r1 is not a multimodal model", 400, "BadRequestError"), UNFIT),
    ("openai", 400, openai("Invalid content type. image_url is only supported by certain models.", None, "invalid_request_error"), UNFIT),
    ("huggingface", 424, {"error": "Failed dependency"}, UNFIT),
    # capacity and limits
    ("groq", 498, openai("Flex tier capacity exceeded", "capacity_exceeded", "tokens"), DOWN),
    ("groq", 413, openai("Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 9000", "rate_limit_exceeded", "tokens"), UNFIT),
    ("groq", 429, openai("Rate limit reached for model `x`", "rate_limit_exceeded", "tokens"), LIMIT),
    ("google", 429, google(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details."), LIMIT),
    ("anthropic", 429, anthropic("rate_limit_error", "This request would exceed your rate limit"), LIMIT),
    ("anthropic", 529, anthropic("overloaded_error", "Overloaded"), DOWN),
    ("anthropic", 413, anthropic("request_too_large", "Request exceeds the maximum size"), UNFIT),
    ("google", 503, google(503, "UNAVAILABLE", "The model is overloaded. Please try again later."), DOWN),
    ("google", 499, google(499, "CANCELLED", "The operation was cancelled."), DOWN),
    # too long
    ("openai", 400, openai("This model's maximum context length is 8192 tokens.", "context_length_exceeded"), LONG),
    ("google", 400, google(400, "INVALID_ARGUMENT", "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."), LONG),
    ("xai", 400, openai("This model's maximum prompt length is 131072 but the request contains 150000 tokens."), LONG),
    ("anthropic", 400, anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"), LONG),
    ("anthropic", 400, anthropic("invalid_request_error", "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"), LONG),
    ("mistral", 400, {"object": "error", "message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length", "type": "invalid_request_prompt", "code": "3051"}, LONG),
    ("together", 422, openai("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193.", None, "invalid_request_error"), LONG),
    ("llamacpp", 400, openai("the request exceeds the available context size", 400, "exceed_context_size_error"), LONG),
    ("openai_compatible", 413, openai("Request body too large for gpt-4o model. Max size: 8000 tokens.", "tokens_limit_reached"), LONG),
    # what may not be said
    ("azure", 400, openai("The response was filtered due to the prompt triggering Azure OpenAI's content management policy.", "content_filter"), POLICY),
    ("openai", 400, openai("Invalid prompt: your prompt was flagged as potentially violating our usage policy.", "invalid_prompt"), POLICY),
    ("openrouter", 403, openai("Your chosen model requires moderation and your input was flagged.", 403), POLICY),
    ("deepseek", 400, openai("Content Exists Risk", "invalid_request_error"), POLICY),
    ("anthropic", 400, anthropic("invalid_request_error", "Output blocked by content filtering policy"), POLICY),
    ("xai", 403, openai("Content violates usage guidelines."), POLICY),
    ("openai_compatible", 400, openai("The request failed because the input text may contain sensitive information.", "SensitiveContentDetected"), POLICY),
    # the model wrote what its own vendor could not read
    ("groq", 400, openai("Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.", "tool_use_failed", "invalid_request_error"), NONSENSE),
    ("groq", 400, openai("Failed to generate JSON. Please adjust your prompt. See 'failed_generation' for more details.", "json_validate_failed", "invalid_request_error"), NONSENSE),
    ("groq", 400, openai("tool call validation failed: attempted to call tool 'x' which was not in request.tools", "tool_use_failed", "invalid_request_error"), NONSENSE),
    ("groq", 400, openai("Parsing failed. The model generated output that could not be parsed.", "output_parse_failed", "invalid_request_error"), NONSENSE),
    # more of each kind above, in other vendors' words
    ("anthropic", 400, anthropic("invalid_request_error", "You have reached your specified API usage limits. You will regain access on 2027-01-01 at 00:00 UTC."), ACCOUNT),
    ("openai_compatible", 400, openai("Account balance not enough"), ACCOUNT),
    ("openai_compatible", 400, openai("The API key you provided is invalid"), ACCOUNT),
    ("openai_compatible", 403, openai("用户额度不足, 剩余额度: ¥0.00", "insufficient_user_quota", "new_api_error"), ACCOUNT),
    ("azure", 400, openai("The chatCompletion operation does not work with the specified model, gpt-35-turbo-instruct.", "OperationNotSupported"), UNFIT),
    ("openai", 400, openai("This model is only supported in v1/responses and not in v1/chat/completions.", None, "invalid_request_error"), UNFIT),
    ("openai", 400, openai("Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.", "unsupported_value", "invalid_request_error"), UNFIT),
    ("azure", 400, openai("Unrecognized request argument supplied: parallel_tool_calls", None, "invalid_request_error"), UNFIT),
    ("openai", 400, openai("max_tokens is too large: 128000. This model supports at most 16384 completion tokens.", "invalid_value", "invalid_request_error"), UNFIT),
    ("deepseek", 400, openai("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", "invalid_request_error", "invalid_request_error"), UNFIT),
    ("anthropic", 400, anthropic("invalid_request_error", "max_tokens: 64000 > 8192, which is the maximum allowed number of output tokens"), UNFIT),
    ("vllm", 400, openai("\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set", 400, "BadRequestError"), UNFIT),
    ("vllm", 400, openai("At most 1 image(s) may be provided in one request.", 400, "BadRequestError"), UNFIT),
    ("llamacpp", 400, openai("image input is not supported - hint: if this is unexpected, you may need to provide the mmproj", 400), UNFIT),
    ("openai_compatible", 400, openai("Invocation of model ID x with on-demand throughput isn't supported.", None, "ValidationException"), UNFIT),
    ("openrouter", 400, openai("Provider returned error", 400), UNFIT),
    ("openai_compatible", 400, openai("Requests rate limit exceeded, please try again later.", "Throttling.RateQuota"), LIMIT),
    ("openai_compatible", 403, openai("Quota of 10 requests per minute reached", "rate_limit_exceeded"), LIMIT),
    ("openai_compatible", 400, openai("The system is currently experiencing high load, please retry"), DOWN),
    ("openai_compatible", 400, openai("prompt token count of 70000 exceeds the limit of 64000", "model_max_prompt_tokens_exceeded"), LONG),
    ("openai_compatible", 400, openai("Prompt exceeds max length", "1261"), LONG),
    ("huggingface", 422, {"error": "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000"}, LONG),
    ("azure", 400, openai("Invalid 'tools[1].function.description': string too long. Expected a string with maximum length 1024.", "string_above_max_length", "invalid_request_error"), UNFIT),
    ("openai", 400, openai("Invalid 'messages[0].content': string too long. Expected a string with maximum length 1048576.", "string_above_max_length", "invalid_request_error"), LONG),
    ("huggingface", 400, {"error": "Model not supported by provider hf-inference"}, UNFIT),
    ("lmstudio", 400, openai("No models loaded. Please load a model in the developer page."), UNFIT),
    ("openai_compatible", 403, openai("Model disabled.", "30003"), ACCOUNT),
    ("openai_compatible", 400, openai("The number of input tokens (9000) cannot exceed 8192"), LONG),
    ("openai_compatible", 400, openai("max_tokens (9000) cannot exceed 8192"), UNFIT),
    # the caller's own
    ("google", 400, {"error": {"code": 400, "message": "Unable to process input image. Please retry or report in https://developers.generativeai.google/guide/troubleshooting", "status": "INVALID_ARGUMENT"}}, CALLER),
    ("openai_compatible", 400, openai("Header names are case-sensitive words."), CALLER),
    ("openai", 400, openai("Invalid value: 'x'.", "invalid_value", "invalid_request_error"), CALLER),
    ("anthropic", 400, anthropic("invalid_request_error", "max_tokens: Field required"), CALLER),
    ("mistral", 422, {"object": "error", "message": {"detail": [{"msg": "Field required"}]}, "type": "invalid_request_error"}, CALLER),
    ("google", 400, google(400, "INVALID_ARGUMENT", "Invalid value at 'contents[0]'"), CALLER),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "status", "body", "expected"),
    CASES,
    ids=[f"{case[0]}-{case[1]}-{n}" for n, case in enumerate(CASES)],
)
def test_a_refusal_is_told_by_whose_fault_it_is(
    kind: str, status: int, body: Any, expected: tuple[type[UpstreamError], Verdict]
) -> None:
    error = ADAPTERS[kind].parse_error(HttpResponse(status, {}, json.dumps(body).encode()), "p")
    assert (type(error), verdict(error)) == expected, error.message
    assert error.upstream_status == status
    if isinstance(error, UpstreamAuthFailed):
        assert error.message.startswith("the provider refused the ")
        assert str(error.__cause__), "the operator's log has the vendor's words"
    elif status >= 500:  # it says nothing of the request, and may hold anything
        assert error.message == f"the provider answered {status}"
        assert str(error.__cause__), "the operator's log has the vendor's words"
    else:
        assert error.message not in ("", f"the provider answered {status}")


PLANTED = [
    "postgres://admin:hunter2pass@db.internal/x",
    "Authorization: Bearer abcdef0123456789abcdef",
    "key sk-proj-abcdefghij0123456789 of org-abcdefghij",
    "AKIAABCDEFGHIJKLMNOP",
    "ghp_abcdefghijklmnopqrstuvwx",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl",
    "\x1b[31mred\x00\u202eright to left",
    "<html><body>nginx 10.1.2.3</body></html>",
    "Traceback (most recent call last):\n  File /srv/app.py",
    "x" * 50_000,
]
HIDDEN = "hunter2pass abcdef0123456789abcdef abcdefghij AKIAABCD ghp_abcd eyJhbGci \x1b \x00 \u202e 10.1.2.3 app.py".split(
    " "
)


@pytest.mark.parametrize("planted", PLANTED)
def test_what_a_vendor_plants_in_its_words_reaches_no_caller(planted: str) -> None:
    """In each vendor's own form, and with codes that would let its words through."""
    bodies: list[Any] = [
        {"error": {"message": f"No: {planted}", "type": "context_length_exceeded", "code": "content_filter"}},
        {"error": {"message": f"No: {planted}", "status": "INTERNAL", "type": "invalid_request_error"}},
        {"error": f"No: {planted}"},
        {"message": f"No: {planted}", "object": "error"},
        {"detail": [{"msg": f"No: {planted}"}]},
    ]
    statuses = (400, 404, 408, 409, 413, 422, 429, 498, 500, 502, 503, 529)
    for kind, status, body in itertools.product(sorted(ADAPTERS), statuses, bodies):
        error = ADAPTERS[kind].parse_error(HttpResponse(status, {}, json.dumps(body).encode()), "p")
        shown = f"{error.message} {error.details}"
        assert [secret for secret in HIDDEN if secret in shown] == [], (kind, status, body)
        assert len(error.message) <= 1_001
        assert status < 500 or "No:" not in shown, (kind, status, body)


def test_a_callers_own_words_come_back_whole() -> None:
    words = "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens for claude"
    body = json.dumps({"error": {"type": "invalid_request_error", "message": words}}).encode()
    assert ADAPTERS["anthropic"].parse_error(HttpResponse(400, {}, body), "p").message == words


def test_the_same_is_told_of_an_error_inside_a_stream() -> None:
    for code, kind in ((402, UpstreamAuthFailed), (429, UpstreamRateLimited), (502, UpstreamUnavailable)):
        data = json.dumps(openai("no", code)).encode()
        with pytest.raises(kind):
            ADAPTERS["openrouter"].new_stream().feed(b"data: " + data + b"\n\n")
