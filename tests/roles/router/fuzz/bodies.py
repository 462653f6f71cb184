"""Rich, valid bodies for every inbound endpoint: what the fuzzer starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Envelope = Literal["openai", "anthropic", "ollama", "gemini"]
Body = dict[str, Any]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
OURS = {"intellirouter": {"tags": ["a", "b"], "strategy": "priority", "cache_control": "no-store"}}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An inbound endpoint: its path (`{model}` where the model stands in it), envelope and valid bodies."""

    path: str
    envelope: Envelope
    bodies: tuple[Body, ...]


CHAT: Body = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Truly."}]},
        {
            "role": "user",
            "name": "ann",
            "content": [
                {"type": "text", "text": "What is é 🎈?"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://host/picture.png"}},
                {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
                {
                    "type": "file",
                    "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="},
                },
            ],
        },
        {
            "role": "assistant",
            "content": "Let me see.",
            "reasoning_content": "hm",
            "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}],
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "f", "arguments": '{"city":"Bonn"}'},
                },
                {"id": "call_2", "type": "custom", "custom": {"name": "g", "input": "free text"}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "12 degrees"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "done"}]},
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}, "content": None},
        {"role": "function", "name": "f", "content": "old"},
        {"role": "user", "content": "And?"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True},
        },
        {"type": "custom", "custom": {"name": "g", "format": {"type": "text"}}},
    ],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "parallel_tool_calls": False,
    "max_completion_tokens": 100,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.1,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "seed": 7,
    "stop": ["END"],
    "n": 1,
    "logprobs": True,
    "top_logprobs": 2,
    "logit_bias": {"50256": -100},
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "a", "schema": SCHEMA, "strict": True},
    },
    "reasoning_effort": "low",
    "verbosity": "low",
    "modalities": ["text"],
    "prediction": {"type": "content", "content": "x"},
    "user": "u",
    "metadata": {"k": "v"},
    "service_tier": "auto",
    "store": False,
    "prompt_cache_key": "k",
    "stream_options": {"include_usage": True},
    **OURS,
}
COMPLETION: Body = {
    "model": "m",
    "prompt": "Once upon a time",
    "max_tokens": 10,
    "temperature": 0.5,
    "top_p": 0.9,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "seed": 7,
    "stop": ["END"],
    "n": 1,
    "logprobs": 2,
    "logit_bias": {"5": 1},
    "user": "u",
    "stream_options": {"include_usage": True},
}
EMBEDDINGS: tuple[Body, ...] = (
    {"model": "m", "input": ["a", "b"], "dimensions": 2, "encoding_format": "base64", "user": "u"},
    {"model": "m", "input": "a", "encoding_format": "float", "input_type": "query"},
    {"model": "m", "input": [[1, 2], [3]]},
)
RESPONSES: Body = {
    "model": "m",
    "instructions": "Be brief.",
    "input": [
        {"role": "developer", "content": "Truly."},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is this?"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="},
            ],
        },
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "c2ln",
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Let me see.", "annotations": [], "logprobs": []}],
        },
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"city":"Bonn"}'},
        {
            "type": "function_call_output",
            "call_id": "call_1",
            "output": [{"type": "input_text", "text": "12"}],
        },
        {"type": "custom_tool_call", "call_id": "call_2", "name": "g", "input": "free"},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": "done"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
    ],
    "tools": [
        {"type": "function", "name": "f", "description": "d", "parameters": SCHEMA, "strict": True},
        {"type": "custom", "name": "g", "format": {"type": "text"}},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    "parallel_tool_calls": True,
    "max_output_tokens": 100,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_logprobs": 2,
    "text": {
        "format": {"type": "json_schema", "name": "a", "schema": SCHEMA, "strict": True},
        "verbosity": "low",
    },
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "metadata": {"k": "v"},
    "store": False,
    "truncation": "auto",
    "service_tier": "auto",
    "user": "u",
    "prompt_cache_key": "k",
}
MESSAGES: Body = {
    "model": "m",
    "max_tokens": 100,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?", "cache_control": {"type": "ephemeral"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                {"type": "image", "source": {"type": "url", "url": "https://host/picture.png"}},
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
                    "title": "t",
                    "context": "c",
                    "citations": {"enabled": True},
                },
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "c2VjcmV0"},
                {
                    "type": "text",
                    "text": "Let me see.",
                    "citations": [{"type": "char_location", "cited_text": "x"}],
                },
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"city": "Bonn"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "is_error": True,
                    "content": [
                        {"type": "text", "text": "12"},
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                        },
                    ],
                },
                {"type": "text", "text": "And?"},
            ],
        },
        {"role": "assistant", "content": "{"},
    ],
    "tools": [
        {"name": "f", "description": "d", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}},
    ],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "temperature": 1.0,
    "top_p": 0.9,
    "top_k": 40,
    "stop_sequences": ["END"],
    "metadata": {"user_id": "u"},
    "service_tier": "auto",
    "output_config": {"effort": "low"},
}
OLLAMA_CHAT: Body = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is this?", "images": [PNG]},
        {
            "role": "assistant",
            "content": "Let me see.",
            "thinking": "hm",
            "tool_calls": [{"function": {"name": "f", "arguments": {"city": "Bonn"}}}],
        },
        {"role": "tool", "tool_name": "f", "content": "12"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}],
    "format": SCHEMA,
    "think": "low",
    "keep_alive": "5m",
    "options": {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.1,
        "seed": 7,
        "num_predict": 100,
        "num_ctx": 4096,
        "stop": ["END"],
    },
}
OLLAMA_GENERATE: Body = {
    "model": "m",
    "prompt": "What is this?",
    "system": "Be brief.",
    "images": [PNG],
    "format": "json",
    "think": True,
    "raw": False,
    "suffix": "",
    "context": [],
    "options": {"temperature": 0.5, "num_predict": 10},
}
GEMINI: Body = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "What is this?"},
                {"inlineData": {"mimeType": "image/png", "data": PNG}},
                {"fileData": {"mimeType": "application/pdf", "fileUri": "https://host/a.pdf"}},
                {"inline_data": {"mime_type": "audio/wav", "data": "aGk="}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "hm", "thought": True, "thoughtSignature": "c2ln"},
                {
                    "functionCall": {"id": "1", "name": "f", "args": {"city": "Bonn"}},
                    "thoughtSignature": "c2ln",
                },
                {"executableCode": {"language": "PYTHON", "code": "1"}},
            ],
        },
        {
            "role": "user",
            "parts": [{"functionResponse": {"id": "1", "name": "f", "response": {"output": "12"}}}],
        },
    ],
    "tools": [
        {"functionDeclarations": [{"name": "f", "description": "d", "parameters": {"type": "OBJECT"}}]},
        {"functionDeclarations": [{"name": "g", "parametersJsonSchema": SCHEMA}]},
    ],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
    "generationConfig": {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "maxOutputTokens": 100,
        "stopSequences": ["END"],
        "candidateCount": 1,
        "seed": 7,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.1,
        "responseLogprobs": True,
        "logprobs": 2,
        "responseMimeType": "application/json",
        "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
        "thinkingConfig": {"thinkingBudget": 10, "includeThoughts": True},
    },
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
}
CONTENT = {"parts": [{"text": "a"}]}


def both(body: Body) -> tuple[Body, Body]:
    """Whole and streamed."""
    return {**body, "stream": False}, {**body, "stream": True}


ENDPOINTS = (
    Endpoint("/v1/chat/completions", "openai", both(CHAT)),
    Endpoint("/v1/completions", "openai", both(COMPLETION)),
    Endpoint("/v1/embeddings", "openai", EMBEDDINGS),
    Endpoint("/v1/responses", "openai", both(RESPONSES)),
    Endpoint("/v1/responses/input_tokens", "openai", (RESPONSES,)),
    Endpoint("/v1/messages", "anthropic", both(MESSAGES)),
    Endpoint("/v1/messages/count_tokens", "anthropic", (MESSAGES,)),
    Endpoint("/api/chat", "ollama", both(OLLAMA_CHAT)),
    Endpoint("/api/generate", "ollama", both(OLLAMA_GENERATE)),
    Endpoint(
        "/api/embed", "ollama", ({"model": "m", "input": ["a", "b"], "dimensions": 2, "truncate": True},)
    ),
    Endpoint("/api/embeddings", "ollama", ({"model": "m", "prompt": "a", "options": {}},)),
    Endpoint("/api/show", "ollama", ({"model": "m", "verbose": True}, {"name": "m"})),
    Endpoint("/v1beta/models/{model}:generateContent", "gemini", (GEMINI,)),
    Endpoint("/v1beta/models/{model}:streamGenerateContent?alt=sse", "gemini", (GEMINI,)),
    Endpoint("/v1/models/{model}:streamGenerateContent", "gemini", (GEMINI,)),
    Endpoint(
        "/v1beta/models/{model}:countTokens",
        "gemini",
        (GEMINI, {"generateContentRequest": {"model": "models/m", **GEMINI}}),
    ),
    Endpoint(
        "/v1beta/models/{model}:embedContent",
        "gemini",
        ({"content": CONTENT, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 2},),
    ),
    Endpoint(
        "/v1beta/models/{model}:batchEmbedContents",
        "gemini",
        ({"requests": [{"model": "models/m", "content": CONTENT}, {"content": CONTENT}]},),
    ),
)
