"""Why an answer ended, in the many words that vendors of this dialect have for it.

Sources: the API references of OpenAI, Mistral, DeepSeek (`insufficient_system_resource`), Z.ai (`sensitive`, `network_error`,
`model_context_window_exceeded`), OpenRouter (`error`), vLLM and SGLang (`abort`), Cohere's and Google's compatible endpoints, which
hand their own words on, in capitals or after a word of their own (`function_call_filter: MALFORMED_FUNCTION_CALL`).
"""

from __future__ import annotations

from typing import Any

from intellirouter.chat.response import FinishReason

_WORDS: dict[FinishReason, str] = {
    "stop": "stop",
    "length": """length max_tokens max_output_tokens max_length model_length max_tokens_reached token_limit
        model_context_window_exceeded error_limit""",
    "tool_calls": "tool_calls tool_call tool_use function_call",
    "content_filter": """content_filter content_filtered sensitive safety recitation blocklist prohibited_content spii
        image_safety model_armor guardrail_intervened error_toxic""",
    "error": """error abort aborted cancelled canceled network_error insufficient_system_resource function_call_filter
        malformed_function_call malformed_tool_use malformed_response unexpected_tool_call model_error internal_error
        engine_error""",
}
_FINISH: dict[str, FinishReason] = {
    word: reason for reason, words in _WORDS.items() for word in words.split()
}


def decode_finish(word: Any, called: bool = False) -> tuple[FinishReason | None, str | None]:
    """The canonical reason, and the vendor's own word where it differs: some say `stop` of a call too.

    A word that nobody knows ends an answer that is whole: vendors have many for that, and few for the rest.
    """
    if word is None:
        return None, None
    reason: FinishReason = "stop"
    if isinstance(word, str):
        plain = word.partition(":")[0].strip().lower()
        reason = _FINISH.get(plain) or "stop"
    if called and reason == "stop":
        reason = "tool_calls"
    return reason, None if word == reason else str(word)
