"""Vendors that speak OpenAI's Chat Completions with small differences: data, no code.

A preset says where the vendor is and which fields are kept from it; everything else is `providers/openai.py`. The
tables are conservative and were not tried against the vendors' live APIs: a field that is left out is noted in
`x-intellirouter-notes`, and `kind = "openai_compatible"` with an endpoint sends everything.
"""

from __future__ import annotations

from intellirouter.providers.openai import Flavour, adapter_of

_NO_SAMPLING = frozenset({"top_k", "min_p"})
_THOUGHTS = frozenset({"reasoning_content", "thinking_blocks", "reasoning_details"})
_OPENAI_ONLY = frozenset(
    {
        "store",
        "metadata",
        "service_tier",
        "prompt_cache_key",
        "verbosity",
        "prediction",
        "modalities",
        "audio",
    }
)

FLAVOURS = (
    Flavour(
        "groq",
        "https://api.groq.com/openai/v1",
        max_tokens_field="max_completion_tokens",
        unknown_fields=_NO_SAMPLING
        | (_OPENAI_ONLY - {"service_tier"})
        | {"logit_bias", "logprobs", "top_logprobs"},
        unknown_message_fields=_THOUGHTS,
    ),
    Flavour(
        "deepseek",
        "https://api.deepseek.com/v1",
        unknown_fields=_NO_SAMPLING | _OPENAI_ONLY,
        unknown_message_fields=_THOUGHTS - {"reasoning_content"},
        thoughts_with_calls=True,
    ),
    Flavour("together", "https://api.together.xyz/v1", unknown_fields=_OPENAI_ONLY),
    Flavour("openrouter", "https://openrouter.ai/api/v1", cache_markers=True, details=True),
    Flavour(
        "xai",
        "https://api.x.ai/v1",
        unknown_fields=_NO_SAMPLING | _OPENAI_ONLY,
        unknown_message_fields=_THOUGHTS,
    ),
    Flavour("fireworks", "https://api.fireworks.ai/inference/v1", unknown_fields=_OPENAI_ONLY),
    Flavour(
        "cerebras",
        "https://api.cerebras.ai/v1",
        max_tokens_field="max_completion_tokens",
        unknown_fields=_NO_SAMPLING | _OPENAI_ONLY | {"logit_bias", "presence_penalty", "frequency_penalty"},
        unknown_message_fields=_THOUGHTS,
    ),
    Flavour("huggingface", "https://router.huggingface.co/v1", unknown_fields=_OPENAI_ONLY),
    Flavour("vllm", "http://127.0.0.1:8000/v1", unknown_fields=_OPENAI_ONLY),
    Flavour("llamacpp", "http://127.0.0.1:8080/v1", unknown_fields=_OPENAI_ONLY),
    Flavour("lmstudio", "http://127.0.0.1:1234/v1", unknown_fields=_OPENAI_ONLY),
)

ADAPTERS = tuple(adapter_of(flavour) for flavour in FLAVOURS)
