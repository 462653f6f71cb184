"""The table of cells: what each provider's adapter makes of each feature, whichever dialect asked for it.

A dict is carried: the provider's body must hold it (objects may hold more, arrays must hold these items in this order).
`Near(words, body)` is approximated: the caller is told `words` in a note, and the body must hold the rest. `No(words)` is
refused with an error that says them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.conformance.dialects.said import HELLO, LINK, PDF, PNG, SCHEMA

Fragment = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Near:
    """Approximated, and the caller is told."""

    words: str
    body: Fragment = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class No:
    """Refused, and the caller is told why."""

    words: str


Cell = Fragment | Near | No
KINDS = (
    "openai",
    "openai_compatible",
    "mistral",
    "openai_responses",
    "anthropic",
    "google",
    "ollama",
    "openai_completions",
    "ollama_generate",
)


def row(
    *,
    chat: Cell,
    responses: Cell,
    anthropic: Cell,
    google: Cell,
    ollama: Cell,
    completions: Cell,
    generate: Cell | None = None,
    openai: Cell | None = None,
    mistral: Cell | None = None,
) -> dict[str, Cell]:
    """A feature's cells. `chat` holds for all vendors of chat completions but those named apart, `ollama` for generate."""
    return {
        "openai": openai if openai is not None else chat,
        "openai_compatible": chat,
        "mistral": mistral if mistral is not None else chat,
        "openai_responses": responses,
        "anthropic": anthropic,
        "google": google,
        "ollama": ollama,
        "openai_completions": completions,
        "ollama_generate": generate if generate is not None else ollama,
    }


def left_out(name: str) -> Near:
    """A setting the provider has not."""
    return Near(f"'{name}' was left out")


def turns(*said: Fragment) -> Fragment:
    """Messages."""
    return {"messages": list(said)}


def parts(*said: Fragment) -> Fragment:
    """A turn's parts, where they stand in an array."""
    return turns({"content": list(said)})


def items(*said: Fragment) -> Fragment:
    """A Responses input."""
    return {"input": list(said)}


def contents(*said: Fragment) -> Fragment:
    """Parts of a Gemini turn."""
    return {"contents": [{"parts": list(said)}]}


def settings(**fields: Any) -> Fragment:
    """Gemini's settings."""
    return {"generationConfig": fields}


def options(**fields: Any) -> Fragment:
    """Ollama's options."""
    return {"options": fields}


PROMPT_ONLY = No("A prompt is text alone")
NO_TOOLS = No("cannot call tools")
TRANSCRIPT = "sent as one prompt"
CHAT_TOOL = {"type": "function", "function": {"name": "look_up", "description": "d", "parameters": SCHEMA}}
RESPONSES_TOOL = {"type": "function", "name": "look_up", "description": "d", "parameters": SCHEMA}
MESSAGES_TOOL = {"name": "look_up", "description": "d", "input_schema": SCHEMA}
GEMINI_TOOL = {
    "functionDeclarations": [{"name": "look_up", "description": "d", "parametersJsonSchema": SCHEMA}]
}
FREE = {"name": "run", "description": "d"}
FREE_SCHEMA = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
FREE_NOTE = "free-form input of the tool 'run'"
FREE_FUNCTION = {"tools": [{"type": "function", "function": {**FREE, "parameters": FREE_SCHEMA}}]}
ARGUMENTS = '{"city":"Bonn"}'
ERROR = "error flag was sent as the prefix 'Error:'"
PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
INLINE = {"inlineData": {"mimeType": "image/png", "data": PNG}}
SOURCE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
CACHES = Near("Prompt-cache markers were left out")
HM = {"role": "assistant", "content": "Hm."}
HM_BY_MISTRAL = {
    "role": "assistant",
    "content": [{"type": "thinking", "thinking": [{"text": "let me see"}]}, {"type": "text", "text": "Hm."}],
}
ONE_ANSWER = No("n must be 1")
SILENT = No("speak")


def chat_call(call_id: str = "call_1") -> Fragment:
    """A call in chat completions."""
    return {
        "role": "assistant",
        "tool_calls": [
            {"id": call_id, "type": "function", "function": {"name": "look_up", "arguments": ARGUMENTS}}
        ],
    }


MISTRAL_ID = "74196fe72"  # what becomes of `call_1`
OLLAMA_CALLED = {
    "tool_calls": [{"id": "call_1", "function": {"name": "look_up", "arguments": {"city": "Bonn"}}}]
}
CALLED_ITEM = {"type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": ARGUMENTS}
CALLED_BLOCK = {
    "role": "assistant",
    "content": [{"type": "tool_use", "id": "call_1", "name": "look_up", "input": {"city": "Bonn"}}],
}
CALLED_PART = {
    "role": "model",
    "parts": [{"functionCall": {"name": "look_up", "args": {"city": "Bonn"}, "id": "call_1"}}],
}


def answered_block(**more: Any) -> Fragment:
    """An Anthropic result."""
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", **more}]}


def answered_part(response: Fragment, **more: Any) -> Fragment:
    """A Gemini result."""
    return {
        "parts": [{"functionResponse": {"id": "call_1", "name": "look_up", "response": response, **more}}]
    }


HEARD: dict[str, dict[str, Cell]] = {
    "system prompt": row(
        chat=turns({"role": "system", "content": "Be brief."}, {"role": "user", "content": HELLO}),
        responses={"instructions": "Be brief."},
        anthropic={"system": "Be brief."},
        google={"systemInstruction": {"parts": [{"text": "Be brief."}]}},
        ollama=turns({"role": "system", "content": "Be brief."}, {"role": "user", "content": HELLO}),
        completions=Near(TRANSCRIPT, {"prompt": f"System: Be brief.\n\nUser: {HELLO}\n\nAssistant:"}),
        generate={"system": "Be brief.", "prompt": HELLO},
    ),
    "developer prompt": row(
        openai=turns({"role": "developer", "content": "Be brief."}, {"role": "user", "content": HELLO}),
        chat=turns({"role": "system", "content": "Be brief."}, {"role": "user", "content": HELLO}),
        responses=items({"role": "developer", "content": "Be brief."}, {"role": "user"}),
        anthropic={"system": "Be brief."},
        google={"systemInstruction": {"parts": [{"text": "Be brief."}]}},
        ollama=turns({"role": "system", "content": "Be brief."}),
        completions=Near(TRANSCRIPT),
        generate={"system": "Be brief.", "prompt": HELLO},
    ),
    "system prompt in mid-conversation": row(
        openai=turns({"role": "user"}, {"role": "system", "content": "Be brief."}, {"role": "user"}),
        chat=Near(
            "was moved to its start",
            turns(
                {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello.\n\nHello."}
            ),
        ),
        mistral=Near(
            "was moved to its start",
            turns({"role": "system", "content": "Be brief."}, {"role": "user"}, {"role": "user"}),
        ),
        responses=items({"role": "user"}, {"role": "system", "content": "Be brief."}, {"role": "user"}),
        anthropic=Near("was moved to the system prompt", {"system": "Be brief."}),
        google=Near("was moved to its start", {"systemInstruction": {"parts": [{"text": "Be brief."}]}}),
        ollama=Near(
            "was moved to its start",
            turns(
                {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello.\n\nHello."}
            ),
        ),
        completions=Near(TRANSCRIPT),
        generate=Near(TRANSCRIPT),
    ),
    "text in parts": row(
        chat=parts({"type": "text", "text": "one"}, {"type": "text", "text": "two"}),
        responses=items({"content": [{"type": "input_text", "text": "one"}, {"text": "two"}]}),
        anthropic=parts({"type": "text", "text": "one"}, {"type": "text", "text": "two"}),
        google=contents({"text": "one"}, {"text": "two"}),
        ollama=turns({"content": "one\ntwo"}),
        completions={"prompt": "one\ntwo"},
        generate={"prompt": "one\ntwo"},
    ),
    "image in base64": row(
        chat=parts(PICTURE),
        responses=items({"content": [{"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}]}),
        anthropic=parts(SOURCE),
        google=contents(INLINE),
        ollama=turns({"images": [PNG]}),
        completions=PROMPT_ONLY,
        generate={"images": [PNG]},
    ),
    "image by URL": row(
        chat=parts({"type": "image_url", "image_url": {"url": LINK}}),
        responses=items({"content": [{"type": "input_image", "image_url": LINK}]}),
        anthropic=parts({"type": "image", "source": {"type": "url", "url": LINK}}),
        google=contents({"fileData": {"fileUri": LINK}}),
        ollama=No("pictures as base64"),
        completions=PROMPT_ONLY,
    ),
    "PDF in base64": row(
        chat=parts({"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}"}}),
        mistral=parts({"type": "document_url", "document_url": f"data:application/pdf;base64,{PDF}"}),
        responses=items(
            {"content": [{"type": "input_file", "file_data": f"data:application/pdf;base64,{PDF}"}]}
        ),
        anthropic=parts(
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}
        ),
        google=contents({"inlineData": {"mimeType": "application/pdf", "data": PDF}}),
        ollama=No("not documents"),
        completions=PROMPT_ONLY,
        generate=PROMPT_ONLY,
    ),
    "PDF by URL": row(
        chat=No("A document by URL cannot be sent"),
        mistral=parts({"type": "document_url", "document_url": LINK}),
        responses=items({"content": [{"type": "input_file", "file_url": LINK}]}),
        anthropic=parts({"type": "document", "source": {"type": "url", "url": LINK}}),
        google=contents({"fileData": {"fileUri": LINK}}),
        ollama=No("not documents"),
        completions=PROMPT_ONLY,
        generate=PROMPT_ONLY,
    ),
    "document of text": row(
        chat=turns({"content": "plain words"}),
        responses=items({"content": [{"type": "input_text", "text": "plain words"}]}),
        anthropic=parts({"type": "document", "source": {"type": "text", "data": "plain words"}}),
        google=contents({"text": "plain words"}),
        ollama=Near("sent as part of the turn's text", turns({"content": "\nplain words\n"})),
        completions={"prompt": "plain words"},
        generate={"prompt": "plain words"},
    ),
    "audio": row(
        chat=parts({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}),
        mistral=parts({"type": "input_audio", "input_audio": "aGk="}),
        responses=items(
            {"content": [{"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}]}
        ),
        anthropic=No("take no audio"),
        google=contents({"inlineData": {"mimeType": "audio/wav", "data": "aGk="}}),
        ollama=No("documents or audio"),
        completions=PROMPT_ONLY,
        generate=PROMPT_ONLY,
    ),
    "tool": row(
        chat={"tools": [CHAT_TOOL]},
        responses={"tools": [RESPONSES_TOOL]},
        anthropic={"tools": [MESSAGES_TOOL]},
        google={"tools": [GEMINI_TOOL]},
        ollama={"tools": [CHAT_TOOL]},
        completions=NO_TOOLS,
        generate=NO_TOOLS,
    ),
    "strict tool": row(
        chat={"tools": [{"function": {"name": "look_up", "strict": True}}]},
        responses={"tools": [{"name": "look_up", "strict": True}]},
        anthropic={"tools": [{"name": "look_up", "strict": True}]},
        google=Near("does not hold the arguments of 'look_up' strictly", {"tools": [GEMINI_TOOL]}),
        ollama=Near("does not hold the arguments of 'look_up' strictly", {"tools": [CHAT_TOOL]}),
        completions=NO_TOOLS,
        generate=NO_TOOLS,
    ),
    "tool of free text": row(
        openai={"tools": [{"type": "custom", "custom": FREE}]},
        chat=Near(FREE_NOTE, FREE_FUNCTION),
        responses={"tools": [{"type": "custom", **FREE}]},
        anthropic=Near(FREE_NOTE, {"tools": [{**FREE, "input_schema": FREE_SCHEMA}]}),
        google=Near(
            FREE_NOTE, {"tools": [{"functionDeclarations": [{**FREE, "parametersJsonSchema": FREE_SCHEMA}]}]}
        ),
        ollama=Near(FREE_NOTE, FREE_FUNCTION),
        completions=NO_TOOLS,
        generate=NO_TOOLS,
    ),
    "tool choice: none": row(
        chat={"tool_choice": "none", "tools": [CHAT_TOOL]},
        responses={"tool_choice": "none", "tools": [RESPONSES_TOOL]},
        anthropic={"tool_choice": {"type": "none"}, "tools": [MESSAGES_TOOL]},
        google={"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}, "tools": [GEMINI_TOOL]},
        ollama=Near("The tools were not offered"),
        completions=Near("The tools were not offered"),
    ),
    "tool choice: required": row(
        chat={"tool_choice": "required", "tools": [CHAT_TOOL]},
        mistral={"tool_choice": "any", "tools": [CHAT_TOOL]},
        responses={"tool_choice": "required", "tools": [RESPONSES_TOOL]},
        anthropic={"tool_choice": {"type": "any"}, "tools": [MESSAGES_TOOL]},
        google={"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}, "tools": [GEMINI_TOOL]},
        ollama=Near("cannot be made to call a tool", {"tools": [CHAT_TOOL]}),
        completions=NO_TOOLS,
        generate=NO_TOOLS,
    ),
    "tool choice: named": row(
        chat={"tool_choice": {"type": "function", "function": {"name": "look_up"}}, "tools": [CHAT_TOOL]},
        responses={"tool_choice": {"type": "function", "name": "look_up"}, "tools": [RESPONSES_TOOL]},
        anthropic={"tool_choice": {"type": "tool", "name": "look_up"}, "tools": [MESSAGES_TOOL]},
        google={
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look_up"]}},
            "tools": [GEMINI_TOOL],
        },
        ollama=Near("cannot be made to call a tool", {"tools": [CHAT_TOOL]}),
        completions=NO_TOOLS,
        generate=NO_TOOLS,
    ),
    "tool choice: allowed": row(
        openai={
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function"}]},
            }
        },
        chat=Near(
            "Only the tools that may be called were offered", {"tool_choice": "auto", "tools": [CHAT_TOOL]}
        ),
        responses={"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"name": "look_up"}]}},
        anthropic=Near("Only the allowed tools were offered", {"tools": [MESSAGES_TOOL]}),
        google={
            "toolConfig": {
                "functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["look_up"]}
            }
        },
        ollama=Near("Only the tools that may be called were offered", {"tools": [CHAT_TOOL]}),
        completions=NO_TOOLS,
        generate=NO_TOOLS,
    ),
    "one call at a time": row(
        chat={"parallel_tool_calls": False},
        responses={"parallel_tool_calls": False},
        anthropic={"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        google=left_out("parallel_tool_calls"),
        ollama=left_out("parallel_tool_calls"),
        completions=NO_TOOLS,
        generate=NO_TOOLS,
    ),
    "call and result": row(
        chat=turns(chat_call(), {"role": "tool", "tool_call_id": "call_1", "content": "rain"}),
        mistral=turns(chat_call(MISTRAL_ID), {"role": "tool", "tool_call_id": MISTRAL_ID, "content": "rain"}),
        responses=items(CALLED_ITEM, {"type": "function_call_output", "call_id": "call_1", "output": "rain"}),
        anthropic=turns(CALLED_BLOCK, answered_block(content="rain")),
        google={"contents": [CALLED_PART, answered_part({"result": "rain"})]},
        ollama=turns(OLLAMA_CALLED, {"role": "tool", "content": "rain", "tool_name": "look_up"}),
        completions=PROMPT_ONLY,
        generate=PROMPT_ONLY,
    ),
    "result that is an error": row(
        chat=Near(ERROR, turns({"role": "tool", "content": "Error: no such city"})),
        responses=Near(ERROR, items({"type": "function_call_output", "output": "Error: no such city"})),
        anthropic=turns(answered_block(content="no such city", is_error=True)),
        google={"contents": [answered_part({"error": "no such city"})]},
        ollama=Near(ERROR, turns({"role": "tool", "content": "Error: no such city"})),
        completions=PROMPT_ONLY,
        generate=PROMPT_ONLY,
    ),
    "result with an image": row(
        chat=Near(
            "sent in a user message after it", turns({"role": "tool"}, {"role": "user", "content": [PICTURE]})
        ),
        responses=items({"type": "function_call_output", "output": [{"type": "input_image"}]}),
        anthropic=turns(answered_block(content=[SOURCE])),
        google={"contents": [answered_part({}, parts=[INLINE])]},
        ollama=Near(
            "sent in a user message after it", turns({"role": "tool"}, {"role": "user", "images": [PNG]})
        ),
        completions=PROMPT_ONLY,
        generate=PROMPT_ONLY,
    ),
    "JSON mode": row(
        chat={"response_format": {"type": "json_object"}},
        responses={"text": {"format": {"type": "json_object"}}},
        anthropic=Near("JSON mode was sent as an instruction"),
        google=settings(responseMimeType="application/json"),
        ollama={"format": "json"},
        completions=No("cannot be held to JSON"),
    ),
    "JSON schema": row(
        chat={
            "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
        },
        responses={"text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA}}},
        anthropic={"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        google=settings(responseMimeType="application/json", responseJsonSchema=SCHEMA),
        ollama={"format": SCHEMA},
        completions=No("cannot be held to JSON"),
    ),
    "strict JSON schema": row(  # the others hold every answer to its schema
        chat={"response_format": {"json_schema": {"schema": SCHEMA, "strict": True}}},
        responses={"text": {"format": {"schema": SCHEMA, "strict": True}}},
        anthropic={"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        google=settings(responseMimeType="application/json", responseJsonSchema=SCHEMA),
        ollama={"format": SCHEMA},
        completions=No("cannot be held to JSON"),
    ),
    "reasoning effort": row(
        chat={"reasoning_effort": "low"},
        responses={"reasoning": {"effort": "low"}},
        anthropic={"output_config": {"effort": "low"}, "thinking": {"type": "adaptive"}},
        google=Near("sent as a budget of 1024 tokens", settings(thinkingConfig={"thinkingBudget": 1024})),
        ollama=Near("How much to think cannot be told", {"think": True}),
        completions=left_out("reasoning"),
    ),
    "thinking budget": row(
        chat=Near("sent as reasoning effort 'medium'", {"reasoning_effort": "medium"}),
        responses=Near("sent as reasoning effort 'medium'", {"reasoning": {"effort": "medium"}}),
        anthropic={"thinking": {"type": "enabled", "budget_tokens": 5_000}},
        google=settings(thinkingConfig={"thinkingBudget": 5_000}),
        ollama=Near("How much to think cannot be told", {"think": True}),
        completions=left_out("reasoning"),
    ),
    "no thinking": row(
        chat={"reasoning_effort": "none"},
        responses={"reasoning": {"effort": "none"}},
        anthropic={"thinking": {"type": "disabled"}},
        google=settings(thinkingConfig={"thinkingBudget": 0}),
        ollama={"think": False},
        completions=left_out("reasoning"),
    ),
    "signed thought of an earlier turn": row(
        openai=Near("openai takes none back", turns(HM)),
        mistral=Near("mistral takes back only their words", turns(HM_BY_MISTRAL)),
        chat=turns(
            {
                **HM,
                "reasoning_content": "let me see",
                "thinking_blocks": [{"type": "thinking", "thinking": "let me see", "signature": "c2ln"}],
            }
        ),
        responses=Near("OpenAI takes back only its own"),
        anthropic=turns(
            {
                "content": [
                    {"type": "thinking", "thinking": "let me see", "signature": "c2ln"},
                    {"text": "Hm."},
                ]
            }
        ),
        google={
            "contents": [
                {
                    "parts": [
                        {"text": "let me see", "thought": True, "thoughtSignature": "c2ln"},
                        {"text": "Hm."},
                    ]
                }
            ]
        },
        ollama=turns({**HM, "thinking": "let me see"}),
        completions=Near("Reasoning of earlier turns was left out"),
        generate=Near("Reasoning of earlier turns was left out"),
    ),
    "thought of an earlier turn that Anthropic signed": row(
        openai=Near("openai takes none back", turns(HM)),
        mistral=Near("mistral takes back only their words", turns(HM_BY_MISTRAL)),
        chat=turns(
            {
                **HM,
                "reasoning_content": "let me see",
                "thinking_blocks": [
                    {"type": "thinking", "thinking": "let me see", "signature": "c2ln", "signer": "anthropic"}
                ],
            }
        ),
        responses=Near("OpenAI takes back only its own"),
        anthropic=turns(
            {
                "content": [
                    {"type": "thinking", "thinking": "let me see", "signature": "c2ln"},
                    {"text": "Hm."},
                ]
            }
        ),
        google=Near("Reasoning of another provider was left out"),
        ollama=turns({**HM, "thinking": "let me see"}),
        completions=Near("Reasoning of earlier turns was left out"),
        generate=Near("Reasoning of earlier turns was left out"),
    ),
    "thought of an earlier turn that Google signed": row(
        openai=Near("openai takes none back", turns(HM)),
        mistral=Near("mistral takes back only their words", turns(HM_BY_MISTRAL)),
        chat=turns(
            {
                **HM,
                "reasoning_content": "let me see",
                "thinking_blocks": [
                    {"type": "thinking", "thinking": "let me see", "signature": "c2ln", "signer": "google"}
                ],
            }
        ),
        responses=Near("OpenAI takes back only its own"),
        anthropic=Near("Reasoning without a signature was left out", turns(HM)),
        google={
            "contents": [
                {
                    "parts": [
                        {"text": "let me see", "thought": True, "thoughtSignature": "c2ln"},
                        {"text": "Hm."},
                    ]
                }
            ]
        },
        ollama=turns({**HM, "thinking": "let me see"}),
        completions=Near("Reasoning of earlier turns was left out"),
        generate=Near("Reasoning of earlier turns was left out"),
    ),
    "encrypted thought of an earlier turn": row(
        openai=Near("openai takes none back", turns(HM)),
        mistral=Near("mistral takes back only their words", turns(HM)),
        chat=turns({**HM, "thinking_blocks": [{"type": "redacted_thinking", "data": "c2VjcmV0"}]}),
        responses=Near("OpenAI takes back only its own"),
        anthropic=turns({"content": [{"type": "redacted_thinking", "data": "c2VjcmV0"}, {"text": "Hm."}]}),
        google=Near("Encrypted reasoning of another provider was left out"),
        ollama=Near("Encrypted reasoning of another vendor was left out", turns(HM)),
        completions=Near("Reasoning of earlier turns was left out"),
        generate=Near("Reasoning of earlier turns was left out"),
    ),
    "OpenAI's sealed thought of an earlier turn": row(
        openai=Near("openai takes none back", turns(HM)),
        mistral=Near("mistral takes back only their words", turns(HM_BY_MISTRAL)),
        chat=turns(
            {**HM, "reasoning_content": "let me see", "thinking_blocks": [{"encrypted_content": "c2VhbA"}]}
        ),
        responses=items(
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "let me see"}],
                "encrypted_content": "c2VhbA",
            }
        ),
        anthropic=Near("Reasoning without a signature was left out", turns(HM)),
        google=Near("Reasoning of another provider was left out"),
        ollama=turns({**HM, "thinking": "let me see"}),
        completions=Near("Reasoning of earlier turns was left out"),
        generate=Near("Reasoning of earlier turns was left out"),
    ),
    "prompt-cache marker": row(
        chat=CACHES,
        responses=CACHES,
        anthropic=parts({"text": "long", "cache_control": {"type": "ephemeral", "ttl": "1h"}}),
        google=CACHES,
        ollama=CACHES,
        completions=CACHES,
    ),
    "stop sequences": row(
        chat={"stop": ["END"]},
        responses=left_out("stop"),
        anthropic={"stop_sequences": ["END"]},
        google=settings(stopSequences=["END"]),
        ollama=options(stop=["END"]),
        completions={"stop": ["END"]},
    ),
    "max tokens": row(
        openai={"max_completion_tokens": 77},
        chat={"max_tokens": 77},
        responses={"max_output_tokens": 77},
        anthropic={"max_tokens": 77},
        google=settings(maxOutputTokens=77),
        ollama=options(num_predict=77),
        completions={"max_tokens": 77},
    ),
    "temperature": row(
        chat={"temperature": 0.25},
        responses={"temperature": 0.25},
        anthropic={"temperature": 0.25},
        google=settings(temperature=0.25),
        ollama=options(temperature=0.25),
        completions={"temperature": 0.25},
    ),
    "hot temperature": row(
        chat={"temperature": 1.5},
        responses={"temperature": 1.5},
        anthropic=Near("sent as 1, this API's highest", {"temperature": 1}),
        google=settings(temperature=1.5),
        ollama=options(temperature=1.5),
        completions={"temperature": 1.5},
    ),
    "top_p": row(
        chat={"top_p": 0.25},
        responses={"top_p": 0.25},
        anthropic={"top_p": 0.25},
        google=settings(topP=0.25),
        ollama=options(top_p=0.25),
        completions={"top_p": 0.25},
    ),
    "top_k": row(
        openai=left_out("top_k"),
        mistral=left_out("top_k"),
        chat={"top_k": 7},
        responses=left_out("top_k"),
        anthropic={"top_k": 7},
        google=settings(topK=7),
        ollama=options(top_k=7),
        completions=left_out("top_k"),
    ),
    "min_p": row(
        openai=left_out("min_p"),
        mistral=left_out("min_p"),
        chat={"min_p": 0.25},
        responses=left_out("min_p"),
        anthropic=left_out("min_p"),
        google=left_out("min_p"),
        ollama=options(min_p=0.25),
        completions=left_out("min_p"),
    ),
    "presence penalty": row(
        chat={"presence_penalty": 0.25},
        responses=left_out("presence_penalty"),
        anthropic=left_out("presence_penalty"),
        google=settings(presencePenalty=0.25),
        ollama=options(presence_penalty=0.25),
        completions={"presence_penalty": 0.25},
    ),
    "frequency penalty": row(
        chat={"frequency_penalty": 0.25},
        responses=left_out("frequency_penalty"),
        anthropic=left_out("frequency_penalty"),
        google=settings(frequencyPenalty=0.25),
        ollama=options(frequency_penalty=0.25),
        completions={"frequency_penalty": 0.25},
    ),
    "seed": row(
        chat={"seed": 7},
        mistral={"random_seed": 7},
        responses=left_out("seed"),
        anthropic=left_out("seed"),
        google=settings(seed=7),
        ollama=options(seed=7),
        completions={"seed": 7},
    ),
    "logit bias": row(
        chat={"logit_bias": {"5": -100}},
        mistral=left_out("logit_bias"),
        responses=left_out("logit_bias"),
        anthropic=left_out("logit_bias"),
        google=left_out("logit_bias"),
        ollama=left_out("logit_bias"),
        completions={"logit_bias": {"5": -100}},
    ),
    "log probabilities": row(
        chat={"logprobs": True, "top_logprobs": 3},
        mistral=left_out("logprobs"),
        responses={"top_logprobs": 3},
        anthropic=left_out("logprobs"),
        google=settings(responseLogprobs=True, logprobs=3),
        ollama={"logprobs": True, "top_logprobs": 3},
        completions={"logprobs": 3},
    ),
    "several answers": row(
        chat={"n": 2},
        responses=ONE_ANSWER,
        anthropic=ONE_ANSWER,
        google=settings(candidateCount=2),
        ollama=ONE_ANSWER,
        completions={"n": 2},
    ),
    "spoken answer": row(
        chat={"modalities": ["audio"]},
        mistral=left_out("modalities"),
        responses=SILENT,
        anthropic=SILENT,
        google=settings(responseModalities=["AUDIO"]),
        ollama=SILENT,
        completions=SILENT,
    ),
    "user": row(
        chat={"user": "ann"},
        mistral=left_out("user"),
        responses={"user": "ann"},
        anthropic={"metadata": {"user_id": "ann"}},
        google=left_out("user"),
        ollama=left_out("user"),
        completions={"user": "ann"},
    ),
    "metadata": row(
        chat={"metadata": {"k": "v"}},
        responses={"metadata": {"k": "v"}},
        anthropic=left_out("metadata"),
        google=left_out("metadata"),
        ollama=left_out("metadata"),
        completions=left_out("metadata"),
    ),
    "service tier": row(
        chat={"service_tier": "flex"},
        mistral=left_out("service_tier"),
        responses={"service_tier": "flex"},
        anthropic=Near("Service tier 'flex' was sent as 'auto'", {"service_tier": "auto"}),
        google=left_out("service_tier"),
        ollama=left_out("service_tier"),
        completions=left_out("service_tier"),
    ),
    "store": row(
        chat={"store": True},
        mistral=left_out("store"),
        responses={"store": True},
        anthropic=left_out("store"),
        google=left_out("store"),
        ollama=left_out("store"),
        completions=left_out("store"),
    ),
    "verbosity": row(
        chat={"verbosity": "low"},
        mistral=left_out("verbosity"),
        responses={"text": {"verbosity": "low"}},
        anthropic=left_out("verbosity"),
        google=left_out("verbosity"),
        ollama=left_out("verbosity"),
        completions=left_out("verbosity"),
    ),
    "predicted output": row(
        chat={"prediction": {"type": "content", "content": "x"}},
        responses=left_out("prediction"),
        anthropic=left_out("prediction"),
        google=left_out("prediction"),
        ollama=left_out("prediction"),
        completions=left_out("prediction"),
    ),
    "prompt cache key": row(
        chat={"prompt_cache_key": "k"},
        mistral=left_out("prompt_cache_key"),
        responses={"prompt_cache_key": "k"},
        anthropic=left_out("prompt_cache_key"),
        google=left_out("prompt_cache_key"),
        ollama=left_out("prompt_cache_key"),
        completions=left_out("prompt_cache_key"),
    ),
}
# What a vendor of one dialect knows and the others do not: carried where client and provider speak alike.
OWN: dict[str, tuple[dict[str, Fragment], Cell]] = {
    "vendor's own tool": (
        {
            "openai_responses": {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
            "anthropic": {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
            "google": {"tools": [{"codeExecution": {}}]},
        },
        No(""),
    ),
    "field newer than this code": ({kind: {"novelty": 1} for kind in KINDS}, Near("'novelty' was left out")),
}
