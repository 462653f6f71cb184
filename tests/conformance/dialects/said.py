"""How each inbound dialect says each feature of a request: a body that differs from the plain one in that alone.

A feature that a dialect cannot say is absent from its column. Values are chosen so that they can be recognised on the
other side.
"""

from __future__ import annotations

from typing import Any

from intellirouter.chat.anthropic_messages import format as anthropic_messages
from intellirouter.chat.gemini import format as gemini
from intellirouter.chat.ollama import format as ollama
from intellirouter.chat.openai_chat import format as openai_chat
from intellirouter.chat.openai_responses import format as openai_responses
from intellirouter.chat.wire import WireFormat

Body = dict[str, Any]

FRONTS: dict[str, WireFormat] = {
    "chat": openai_chat.FORMAT,
    "responses": openai_responses.FORMAT,
    "messages": anthropic_messages.FORMAT,
    "gemini": gemini.FORMAT,
    "ollama": ollama.FORMAT,
}
PNG = "iVBORw0KGgo="
PDF = "JVBERi0="
LINK = "https://host/a"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
HELLO = "Hello."


def chat(*turns: Body, **fields: Any) -> Body:
    """A chat completions body."""
    return {"model": "m", "messages": list(turns) or [{"role": "user", "content": HELLO}], **fields}


def responses(*items: Body, **fields: Any) -> Body:
    """A Responses body."""
    return {"model": "m", "input": list(items) or [{"role": "user", "content": HELLO}], **fields}


def messages(*turns: Body, **fields: Any) -> Body:
    """An Anthropic body."""
    said = list(turns) or [{"role": "user", "content": HELLO}]
    return {"model": "m", "max_tokens": 100, "messages": said, **fields}


def google(*turns: Body, **fields: Any) -> Body:
    """A Gemini body, with what stands in the URL."""
    said = list(turns) or [{"role": "user", "parts": [{"text": HELLO}]}]
    return {"model": "m", "stream": False, "contents": said, **fields}


def native(*turns: Body, **fields: Any) -> Body:
    """An Ollama body."""
    return {
        "model": "m",
        "stream": False,
        "messages": list(turns) or [{"role": "user", "content": HELLO}],
        **fields,
    }


PLAIN: dict[str, Body] = {
    "chat": chat(),
    "responses": responses(),
    "messages": messages(),
    "gemini": google(),
    "ollama": native(),
}


def asked(*parts: Body) -> Body:
    """A user's turn of several parts."""
    return {"role": "user", "content": list(parts)}


def setting(name: str, value: Any) -> Body:
    """A Gemini body with one setting."""
    return google(generationConfig={name: value})


def option(name: str, value: Any) -> Body:
    """An Ollama body with one option."""
    return native(options={name: value})


CHAT_TOOL = {"type": "function", "function": {"name": "look_up", "description": "d", "parameters": SCHEMA}}
RESPONSES_TOOL = {
    "type": "function",
    "name": "look_up",
    "description": "d",
    "parameters": SCHEMA,
    "strict": False,
}
MESSAGES_TOOL = {"name": "look_up", "description": "d", "input_schema": SCHEMA}
GEMINI_TOOL = {
    "functionDeclarations": [{"name": "look_up", "description": "d", "parametersJsonSchema": SCHEMA}]
}
CHOSEN = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look_up"]}}

# A call and its result, as history in each dialect.
CHAT_CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"city":"Bonn"}'}}
    ],
}
RESPONSES_CALL = {
    "type": "function_call",
    "call_id": "call_1",
    "name": "look_up",
    "arguments": '{"city":"Bonn"}',
}
MESSAGES_CALL = {
    "role": "assistant",
    "content": [{"type": "tool_use", "id": "call_1", "name": "look_up", "input": {"city": "Bonn"}}],
}
GEMINI_CALL = {
    "role": "model",
    "parts": [{"functionCall": {"id": "call_1", "name": "look_up", "args": {"city": "Bonn"}}}],
}
OLLAMA_CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "call_1", "function": {"name": "look_up", "arguments": {"city": "Bonn"}}}],
}
USER = {"role": "user", "content": HELLO}
GEMINI_USER = {"role": "user", "parts": [{"text": HELLO}]}


def result(content: Any, **more: Any) -> Body:
    """An Anthropic tool result."""
    return asked({"type": "tool_result", "tool_use_id": "call_1", "content": content, **more})


SAID: dict[str, dict[str, Body]] = {
    "system prompt": {
        "chat": chat({"role": "system", "content": "Be brief."}, USER),
        "responses": responses(instructions="Be brief."),
        "messages": messages(system="Be brief."),
        "gemini": google(systemInstruction={"parts": [{"text": "Be brief."}]}),
        "ollama": native({"role": "system", "content": "Be brief."}, USER),
    },
    "developer prompt": {
        "chat": chat({"role": "developer", "content": "Be brief."}, USER),
        "responses": responses({"role": "developer", "content": "Be brief."}, USER),
    },
    "system prompt in mid-conversation": {
        "chat": chat(USER, {"role": "system", "content": "Be brief."}, USER),
        "responses": responses(USER, {"role": "system", "content": "Be brief."}, USER),
        "messages": messages(USER, {"role": "system", "content": "Be brief."}, USER),
        "ollama": native(USER, {"role": "system", "content": "Be brief."}, USER),
    },
    "text in parts": {
        "chat": chat(asked({"type": "text", "text": "one"}, {"type": "text", "text": "two"})),
        "responses": responses(
            asked({"type": "input_text", "text": "one"}, {"type": "input_text", "text": "two"})
        ),
        "messages": messages(asked({"type": "text", "text": "one"}, {"type": "text", "text": "two"})),
        "gemini": google({"role": "user", "parts": [{"text": "one"}, {"text": "two"}]}),
    },
    "image in base64": {
        "chat": chat(asked({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}})),
        "responses": responses(asked({"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"})),
        "messages": messages(
            asked({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}})
        ),
        "gemini": google({"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}]}),
        "ollama": native({"role": "user", "content": "", "images": [PNG]}),
    },
    "image by URL": {
        "chat": chat(asked({"type": "image_url", "image_url": {"url": LINK}})),
        "responses": responses(asked({"type": "input_image", "image_url": LINK})),
        "messages": messages(asked({"type": "image", "source": {"type": "url", "url": LINK}})),
        "gemini": google(
            {"role": "user", "parts": [{"fileData": {"mimeType": "image/png", "fileUri": LINK}}]}
        ),
    },
    "PDF in base64": {
        "chat": chat(
            asked(
                {
                    "type": "file",
                    "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
                }
            )
        ),
        "responses": responses(
            asked(
                {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
            )
        ),
        "messages": messages(
            asked(
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                }
            )
        ),
        "gemini": google(
            {"role": "user", "parts": [{"inlineData": {"mimeType": "application/pdf", "data": PDF}}]}
        ),
    },
    "PDF by URL": {
        "responses": responses(asked({"type": "input_file", "file_url": LINK})),
        "messages": messages(asked({"type": "document", "source": {"type": "url", "url": LINK}})),
        "gemini": google(
            {"role": "user", "parts": [{"fileData": {"mimeType": "application/pdf", "fileUri": LINK}}]}
        ),
    },
    "document of text": {
        "messages": messages(
            asked(
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "plain words"},
                }
            )
        ),
    },
    "audio": {
        "chat": chat(asked({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}})),
        "gemini": google(
            {"role": "user", "parts": [{"inlineData": {"mimeType": "audio/wav", "data": "aGk="}}]}
        ),
    },
    "tool": {
        "chat": chat(tools=[CHAT_TOOL]),
        "responses": responses(tools=[RESPONSES_TOOL]),
        "messages": messages(tools=[MESSAGES_TOOL]),
        "gemini": google(tools=[GEMINI_TOOL]),
        "ollama": native(tools=[CHAT_TOOL]),
    },
    "strict tool": {
        "chat": chat(tools=[{"type": "function", "function": {**CHAT_TOOL["function"], "strict": True}}]),  # type: ignore[dict-item]
        "responses": responses(tools=[{**RESPONSES_TOOL, "strict": True}]),
        "messages": messages(tools=[{**MESSAGES_TOOL, "strict": True}]),
    },
    "tool of free text": {
        "chat": chat(tools=[{"type": "custom", "custom": {"name": "run", "description": "d"}}]),
        "responses": responses(tools=[{"type": "custom", "name": "run", "description": "d"}]),
    },
    "vendor's own tool": {
        "responses": responses(tools=[{"type": "code_interpreter", "container": {"type": "auto"}}]),
        "messages": messages(tools=[{"type": "code_execution_20250825", "name": "code_execution"}]),
        "gemini": google(tools=[{"codeExecution": {}}]),
    },
    "tool choice: none": {
        "chat": chat(tools=[CHAT_TOOL], tool_choice="none"),
        "responses": responses(tools=[RESPONSES_TOOL], tool_choice="none"),
        "messages": messages(tools=[MESSAGES_TOOL], tool_choice={"type": "none"}),
        "gemini": google(tools=[GEMINI_TOOL], toolConfig={"functionCallingConfig": {"mode": "NONE"}}),
    },
    "tool choice: required": {
        "chat": chat(tools=[CHAT_TOOL], tool_choice="required"),
        "responses": responses(tools=[RESPONSES_TOOL], tool_choice="required"),
        "messages": messages(tools=[MESSAGES_TOOL], tool_choice={"type": "any"}),
        "gemini": google(tools=[GEMINI_TOOL], toolConfig={"functionCallingConfig": {"mode": "ANY"}}),
    },
    "tool choice: named": {
        "chat": chat(tools=[CHAT_TOOL], tool_choice={"type": "function", "function": {"name": "look_up"}}),
        "responses": responses(tools=[RESPONSES_TOOL], tool_choice={"type": "function", "name": "look_up"}),
        "messages": messages(tools=[MESSAGES_TOOL], tool_choice={"type": "tool", "name": "look_up"}),
        "gemini": google(tools=[GEMINI_TOOL], toolConfig=CHOSEN),
    },
    "tool choice: allowed": {
        "chat": chat(
            tools=[CHAT_TOOL],
            tool_choice={
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "look_up"}}],
                },
            },
        ),
        "responses": responses(
            tools=[RESPONSES_TOOL],
            tool_choice={
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "look_up"}],
            },
        ),
        "gemini": google(
            tools=[GEMINI_TOOL],
            toolConfig={"functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["look_up"]}},
        ),
    },
    "one call at a time": {
        "chat": chat(tools=[CHAT_TOOL], parallel_tool_calls=False),
        "responses": responses(tools=[RESPONSES_TOOL], parallel_tool_calls=False),
        "messages": messages(
            tools=[MESSAGES_TOOL], tool_choice={"type": "auto", "disable_parallel_tool_use": True}
        ),
    },
    "call and result": {
        "chat": chat(USER, CHAT_CALL, {"role": "tool", "tool_call_id": "call_1", "content": "rain"}),
        "responses": responses(
            USER, RESPONSES_CALL, {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
        ),
        "messages": messages(USER, MESSAGES_CALL, result("rain")),
        "gemini": google(
            GEMINI_USER,
            GEMINI_CALL,
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"id": "call_1", "name": "look_up", "response": {"result": "rain"}}}
                ],
            },
        ),
        "ollama": native(USER, OLLAMA_CALL, {"role": "tool", "tool_name": "look_up", "content": "rain"}),
    },
    "result that is an error": {
        "messages": messages(USER, MESSAGES_CALL, result("no such city", is_error=True)),
        "gemini": google(
            GEMINI_USER,
            GEMINI_CALL,
            {
                "role": "user",
                "parts": [
                    {
                        "functionResponse": {
                            "id": "call_1",
                            "name": "look_up",
                            "response": {"error": "no such city"},
                        }
                    }
                ],
            },
        ),
    },
    "result with an image": {
        "responses": responses(
            USER,
            RESPONSES_CALL,
            {
                "type": "function_call_output",
                "call_id": "call_1",
                "output": [{"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}],
            },
        ),
        "messages": messages(
            USER,
            MESSAGES_CALL,
            result([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]),
        ),
    },
    "JSON mode": {
        "chat": chat(response_format={"type": "json_object"}),
        "responses": responses(text={"format": {"type": "json_object"}}),
        "gemini": setting("responseMimeType", "application/json"),
        "ollama": native(format="json"),
    },
    "JSON schema": {
        "chat": chat(
            response_format={"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
        ),
        "responses": responses(text={"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA}}),
        "messages": messages(output_config={"format": {"type": "json_schema", "schema": SCHEMA}}),
        "gemini": google(
            generationConfig={"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
        ),
        "ollama": native(format=SCHEMA),
    },
    "strict JSON schema": {
        "chat": chat(
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
            }
        ),
        "responses": responses(
            text={"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}}
        ),
    },
    "reasoning effort": {
        "chat": chat(reasoning_effort="low"),
        "responses": responses(reasoning={"effort": "low"}),
        "messages": messages(output_config={"effort": "low"}),
        "gemini": setting("thinkingConfig", {"thinkingLevel": "LOW"}),
        "ollama": native(think="low"),
    },
    "thinking budget": {
        "messages": messages(max_tokens=9_000, thinking={"type": "enabled", "budget_tokens": 5_000}),
        "gemini": setting("thinkingConfig", {"thinkingBudget": 5_000}),
    },
    "no thinking": {
        "chat": chat(reasoning_effort="none"),
        "responses": responses(reasoning={"effort": "none"}),
        "messages": messages(thinking={"type": "disabled"}),
        "gemini": setting("thinkingConfig", {"thinkingBudget": 0}),
        "ollama": native(think=False),
    },
    "signed thought of an earlier turn": {
        "chat": chat(
            USER,
            {
                "role": "assistant",
                "content": "Hm.",
                "reasoning_content": "let me see",
                "thinking_blocks": [{"type": "thinking", "thinking": "let me see", "signature": "c2ln"}],
            },
            USER,
        ),
    },
    "thought of an earlier turn that Anthropic signed": {
        "chat": chat(
            USER,
            {
                "role": "assistant",
                "content": "Hm.",
                "reasoning_content": "let me see",
                "thinking_blocks": [
                    {"type": "thinking", "thinking": "let me see", "signature": "c2ln", "signer": "anthropic"}
                ],
            },
            USER,
        ),
        "messages": messages(
            USER,
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "let me see", "signature": "c2ln"},
                    {"type": "text", "text": "Hm."},
                ],
            },
            USER,
        ),
    },
    "thought of an earlier turn that Google signed": {
        "chat": chat(
            USER,
            {
                "role": "assistant",
                "content": "Hm.",
                "reasoning_content": "let me see",
                "thinking_blocks": [
                    {"type": "thinking", "thinking": "let me see", "signature": "c2ln", "signer": "google"}
                ],
            },
            USER,
        ),
        "gemini": google(
            GEMINI_USER,
            {
                "role": "model",
                "parts": [
                    {"text": "let me see", "thought": True, "thoughtSignature": "c2ln"},
                    {"text": "Hm."},
                ],
            },
            GEMINI_USER,
        ),
    },
    "encrypted thought of an earlier turn": {
        "chat": chat(
            USER,
            {
                "role": "assistant",
                "content": "Hm.",
                "thinking_blocks": [{"type": "redacted_thinking", "data": "c2VjcmV0"}],
            },
            USER,
        ),
        "messages": messages(
            USER,
            {
                "role": "assistant",
                "content": [
                    {"type": "redacted_thinking", "data": "c2VjcmV0"},
                    {"type": "text", "text": "Hm."},
                ],
            },
            USER,
        ),
    },
    "OpenAI's sealed thought of an earlier turn": {
        "responses": responses(
            USER,
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "let me see"}],
                "encrypted_content": "c2VhbA",
            },
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hm."}]},
            USER,
        ),
    },
    "prompt-cache marker": {
        "messages": messages(
            asked({"type": "text", "text": "long", "cache_control": {"type": "ephemeral", "ttl": "1h"}})
        ),
    },
    "stop sequences": {
        "chat": chat(stop=["END"]),
        "messages": messages(stop_sequences=["END"]),
        "gemini": setting("stopSequences", ["END"]),
        "ollama": option("stop", ["END"]),
    },
    "max tokens": {
        "chat": chat(max_completion_tokens=77),
        "responses": responses(max_output_tokens=77),
        "messages": messages(max_tokens=77),
        "gemini": setting("maxOutputTokens", 77),
        "ollama": option("num_predict", 77),
    },
    "temperature": {
        "chat": chat(temperature=0.25),
        "responses": responses(temperature=0.25),
        "messages": messages(temperature=0.25),
        "gemini": setting("temperature", 0.25),
        "ollama": option("temperature", 0.25),
    },
    "hot temperature": {
        "chat": chat(temperature=1.5),
        "responses": responses(temperature=1.5),
        "gemini": setting("temperature", 1.5),
        "ollama": option("temperature", 1.5),
    },
    "top_p": {
        "chat": chat(top_p=0.25),
        "responses": responses(top_p=0.25),
        "messages": messages(top_p=0.25),
        "gemini": setting("topP", 0.25),
        "ollama": option("top_p", 0.25),
    },
    "top_k": {
        "chat": chat(top_k=7),
        "messages": messages(top_k=7),
        "gemini": setting("topK", 7),
        "ollama": option("top_k", 7),
    },
    "min_p": {"chat": chat(min_p=0.25), "ollama": option("min_p", 0.25)},
    "presence penalty": {
        "chat": chat(presence_penalty=0.25),
        "gemini": setting("presencePenalty", 0.25),
        "ollama": option("presence_penalty", 0.25),
    },
    "frequency penalty": {
        "chat": chat(frequency_penalty=0.25),
        "gemini": setting("frequencyPenalty", 0.25),
        "ollama": option("frequency_penalty", 0.25),
    },
    "seed": {"chat": chat(seed=7), "gemini": setting("seed", 7), "ollama": option("seed", 7)},
    "logit bias": {"chat": chat(logit_bias={"5": -100})},
    "log probabilities": {
        "chat": chat(logprobs=True, top_logprobs=3),
        "responses": responses(top_logprobs=3),
        "gemini": google(generationConfig={"responseLogprobs": True, "logprobs": 3}),
        "ollama": native(logprobs=True, top_logprobs=3),
    },
    "several answers": {"chat": chat(n=2), "gemini": setting("candidateCount", 2)},
    "spoken answer": {
        "chat": chat(modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"}),
        "gemini": setting("responseModalities", ["AUDIO"]),
    },
    "user": {
        "chat": chat(user="ann"),
        "responses": responses(user="ann"),
        "messages": messages(metadata={"user_id": "ann"}),
    },
    "metadata": {"chat": chat(metadata={"k": "v"}), "responses": responses(metadata={"k": "v"})},
    "service tier": {
        "chat": chat(service_tier="flex"),
        "responses": responses(service_tier="flex"),
    },
    "store": {"chat": chat(store=True), "responses": responses(store=True)},
    "verbosity": {"chat": chat(verbosity="low"), "responses": responses(text={"verbosity": "low"})},
    "predicted output": {"chat": chat(prediction={"type": "content", "content": "x"})},
    "prompt cache key": {"chat": chat(prompt_cache_key="k"), "responses": responses(prompt_cache_key="k")},
    "field newer than this code": {
        "chat": chat(novelty=1),
        "responses": responses(novelty=1),
        "messages": messages(novelty=1),
        "gemini": google(novelty=1),
        "ollama": native(novelty=1),
    },
}
