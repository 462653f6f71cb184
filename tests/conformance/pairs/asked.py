"""What clients ask in each dialect that some vendor refuses: a feature is a body, or several, of one dialect."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 24).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + b"0" * 24).decode()
PDF = base64.b64encode(b"%PDF-1.7 0000000000").decode()
WAV = base64.b64encode(b"RIFF0000WAVEfmt 0000").decode()
CSV = base64.b64encode(b"name,city\nAnn,Bonn\n").decode()
LONG = "mcp__plugin_chrome-devtools-mcp_chrome-devtools__get_console_message_of_the_page"
ODD = "default_api:files.read"
WORD = "x" * 190
SCHEMAS: dict[str, Json] = {
    "no properties": {"type": "object"},
    "nothing": {},
    "a union at the top": {
        "type": "object",
        "oneOf": [
            {"properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"properties": {"b": {"type": "integer"}}, "required": ["b"]},
        ],
    },
    "all of several": {"allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"properties": {"b": {}}}]},
    "an array of nothing": {"type": "object", "properties": {"list": {"type": "array"}}},
    "a tuple": {"type": "object", "properties": {"pair": {"type": "array", "items": [{"type": "string"}, {"type": "number"}]}}},
    "bounds": {
        "type": "object",
        "properties": {
            "age": {"type": "integer", "minimum": 0, "exclusiveMaximum": 150, "multipleOf": 1},
            "name": {"type": "string", "minLength": 1, "maxLength": 20, "pattern": "^[a-z]+$", "format": "regex"},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 5, "uniqueItems": True},
        },
        "required": ["age"],
    },
    "an older draft": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"city": {"type": "string"}},
        "type": "object",
        "properties": {
            "city": {"$ref": "#/definitions/city", "description": "where"},
            "n": {"type": "number", "minimum": 1, "exclusiveMinimum": True},
        },
        "required": ["city", "gone"],
    },
    "words of all kinds": {
        "type": "object",
        "properties": {
            "one": {"const": "x"},
            "two": {"enum": ["", "a", None]},
            "three": {"type": ["string", "null"], "default": None, "examples": ["y"]},
            "four": {"anyOf": [{"type": "string"}, {"type": "object", "properties": {}}]},
            "five": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
            "six": {"not": {"type": "null"}},
        },
    },
    "true as a schema": {"type": "object", "properties": {"any": True}, "additionalProperties": True},
    "a map": {"type": "object", "properties": {"labels": {"type": "object", "additionalProperties": {"type": "string"}}}},
    "recursive": {
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/node"}},
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
    },
    "conditions": {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "if": {"properties": {"a": {"const": "x"}}},
        "then": {"required": ["a"]},
        "patternProperties": {"^x-": {"type": "string"}},
    },
}  # fmt: skip


def chat(*messages: Json, **more: Any) -> Json:
    return {"model": "alias", "messages": list(messages) or [u("Hi")], **more}


def u(content: Any) -> Json:
    return {"role": "user", "content": content}


def a(content: Any = None, **more: Any) -> Json:
    return {"role": "assistant", "content": content, **more}


def s(content: Any, role: str = "system") -> Json:
    return {"role": role, "content": content}


def fcall(id_: str, name: str = "look_up", arguments: str = "{}") -> Json:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(id_: str, content: Any = "42") -> Json:
    return {"role": "tool", "tool_call_id": id_, "content": content}


def ftool(name: str = "look_up", parameters: Json | None = None, **more: Any) -> Json:
    schema = {"type": "object", "properties": {"q": {"type": "string"}}} if parameters is None else parameters
    return {"type": "function", "function": {"name": name, "description": "d", "parameters": schema, **more}}


def of_chat() -> Iterator[tuple[str, Json]]:
    """Chat Completions."""
    yield "plain", chat(s("Be brief."), u("Hi"))
    yield "system in the middle", chat(s("A"), u("Hi"), a("Yes?"), s("B"), u("Go"))
    yield "system last", chat(u("Hi"), s("B"))
    yield "system alone", chat(s("A"))
    yield "two systems", chat(s("A"), s("B", "developer"), u("Hi"))
    yield "users in a row", chat(u("Hi"), u("There"), a("A"), a("B"), u("Go"))
    yield "assistant first", chat(a("Welcome!"), u("Hi"))
    yield "assistant last", chat(u("Hi"), a("I think "))
    yield "empty assistant", chat(u("Hi"), a(""), u("Go"))
    yield "blank assistant", chat(u("Hi"), a("\n\n"), u("Go"))
    yield "null assistant", chat(u("Hi"), a(None), u("Go"))
    yield "thoughts alone", chat(u("Hi"), a(None, reasoning_content="hm"), u("Go"))
    yield "empty user", chat(u(""))
    yield "blank parts", chat(u([{"type": "text", "text": " "}, {"type": "text", "text": "Hi"}]))
    yield (
        "parallel calls",
        chat(
            u("Hi"),
            a(None, tool_calls=[fcall("c1"), fcall("c2")]),
            result("c1"),
            result("c2"),
            tools=[ftool()],
        ),
    )
    yield (
        "user after a tool",
        chat(u("Hi"), a(None, tool_calls=[fcall("c1")]), result("c1"), u("Go"), tools=[ftool()]),
    )
    yield (
        "system before a result",
        chat(u("Hi"), a(None, tool_calls=[fcall("c1")]), s("B"), result("c1"), tools=[ftool()]),
    )
    yield (
        "user before a result",
        chat(
            u("Hi"),
            a(None, tool_calls=[fcall("c1"), fcall("c2")]),
            result("c1"),
            u("Wait"),
            result("c2"),
            tools=[ftool()],
        ),
    )
    yield (
        "a call without a result",
        chat(u("Hi"), a(None, tool_calls=[fcall("c1")]), u("Never mind"), tools=[ftool()]),
    )
    yield "a result without a call", chat(u("Hi"), result("c9"), u("Go"), tools=[ftool()])
    yield (
        "ids of one name",
        chat(
            u("Hi"),
            a(None, tool_calls=[fcall("functions.f:0")]),
            result("functions.f:0"),
            a(None, tool_calls=[fcall("functions.f:0")]),
            result("functions.f:0"),
            tools=[ftool()],
        ),
    )
    yield "a long id", chat(u("Hi"), a(None, tool_calls=[fcall("c" * 90)]), result("c" * 90), tools=[ftool()])
    yield (
        "an empty result",
        chat(u("Hi"), a(None, tool_calls=[fcall("c1")]), result("c1", ""), tools=[ftool()]),
    )
    yield (
        "arguments that are none",
        chat(u("Hi"), a(None, tool_calls=[fcall("c1", arguments="not json")]), result("c1"), tools=[ftool()]),
    )
    yield "calls without tools", chat(u("Hi"), a(None, tool_calls=[fcall("c1")]), result("c1"), u("Sum up"))
    yield (
        "a long name",
        chat(tools=[ftool(LONG)], tool_choice={"type": "function", "function": {"name": LONG}}),
    )
    yield (
        "an odd name",
        chat(u("Hi"), a(None, tool_calls=[fcall("c1", ODD)]), result("c1"), tools=[ftool(ODD), ftool("1st")]),
    )
    yield "names alike", chat(tools=[ftool("a.b"), ftool("a:b"), ftool("a_b")])
    yield (
        "a free tool",
        chat(
            tools=[
                {
                    "type": "custom",
                    "custom": {
                        "name": "patch",
                        "format": {
                            "type": "grammar",
                            "grammar": {"syntax": "lark", "definition": "start: X"},
                        },
                    },
                }
            ]
        ),
    )
    for name, schema in SCHEMAS.items():
        yield f"tool: {name}", chat(tools=[ftool(parameters=schema)])
        form = {"type": "json_schema", "json_schema": {"name": "an answer", "schema": schema}}
        yield f"answer: {name}", chat(response_format=form)
        yield f"answer and tool: {name}", chat(response_format=form, tools=[ftool()])
    yield "json", chat(response_format={"type": "json_object"})
    yield "json beside tools", chat(response_format={"type": "json_object"}, tools=[ftool()])
    yield "a strict tool", chat(tools=[ftool(parameters=SCHEMAS["bounds"], strict=True)])
    yield "a jpg", chat(u([{"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{JPEG}"}}]))
    yield (
        "a wrong type",
        chat(u([{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{JPEG}"}}])),
    )
    yield "a PDF", chat(u([{"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}"}}]))
    yield (
        "a table",
        chat(
            u([{"type": "file", "file": {"filename": "a.csv", "file_data": f"data:text/csv;base64,{CSV}"}}])
        ),
    )
    yield "sound", chat(u([{"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}]))
    yield (
        "a picture from a tool",
        chat(
            u("Hi"),
            a(None, tool_calls=[fcall("c1"), fcall("c2")]),
            result("c1", [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]),
            result("c2"),
            tools=[ftool()],
        ),
    )
    yield (
        "blocks of Anthropic",
        chat(
            u("Hi"),
            a([{"type": "tool_use", "id": "t1", "name": "look_up", "input": {}}]),
            u([{"type": "tool_result", "tool_use_id": "t1", "content": "RESULT"}]),
            tools=[ftool()],
        ),
    )
    yield (
        "parts of Responses",
        chat(
            u(
                [
                    {"type": "input_text", "text": "Hi"},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
                ]
            )
        ),
    )
    yield "a long user", chat(user=WORD)
    yield "many stops", chat(stop=[f"s{n}" for n in range(20)])
    yield "blank stops", chat(stop=["\n", "END"])
    yield "hot", chat(temperature=2, top_p=1, presence_penalty=2)
    yield "greedy", chat(temperature=0, top_p=0.5, seed=-1)
    yield "likely", chat(logprobs=True, top_logprobs=20)
    yield "a tier", chat(service_tier="priority")
    yield "a choice without tools", chat(tool_choice="auto", parallel_tool_calls=True)
    yield "few tokens", chat(max_tokens=1)
    yield (
        "two calls of one id",
        chat(
            u("Hi"), a(None, tool_calls=[fcall("x"), fcall("x")]), result("x"), result("x"), tools=[ftool()]
        ),
    )
    yield (
        "arguments in an array",
        chat(u("Hi"), a(None, tool_calls=[fcall("c1", arguments="[1]")]), result("c1"), tools=[ftool()]),
    )
    yield "a refusal", chat(u("Hi"), {"role": "assistant", "refusal": "No."}, u("Go"))
    yield "a system of nothing", chat(s([]), u("Hi"))
    yield (
        "two people",
        chat(
            {"role": "user", "name": "ann", "content": "Hi"}, {"role": "user", "name": "bob", "content": "Ho"}
        ),
    )
    yield "a tool round alone", chat(a(None, tool_calls=[fcall("c1")]), result("c1"), tools=[ftool()])
    yield (
        "search",
        chat(web_search_options={"user_location": {"type": "approximate", "approximate": {"country": "DE"}}}),
    )
    yield "search beside tools", chat(web_search_options={}, tools=[ftool()])


def item(kind: str, **more: Any) -> Json:
    return {"type": kind, **more}


def responses(*items: Json, **more: Any) -> Json:
    return {"model": "alias", "input": list(items) or [u("Hi")], **more}


def rtool(name: str = "look_up", **more: Any) -> Json:
    return {"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}, **more}


def of_responses() -> Iterator[tuple[str, Json]]:
    """Responses, as Codex and others ask."""
    call = item("function_call", call_id="c1", name="look_up", arguments="{}")
    out = item("function_call_output", call_id="c1", output="42")
    yield "Codex begins", responses(s("Rules", "developer"), u("Env"), u("Go"), instructions="You are Codex.")
    for left in ("web_search_call", "compaction", "reasoning"):
        about = {"reasoning": {"summary": [], "encrypted_content": "gAAA", "id": "rs_1"}}.get(
            left, {"encrypted_content": "x", "id": "i"}
        )
        yield f"{left} between users", responses(u("Hi"), item(left, **about), u("Go"))
    space = {
        "type": "namespace",
        "name": "calendar",
        "description": "All about dates.",
        "tools": [rtool("create"), rtool("y" * 60)],
    }
    yield (
        "a namespace",
        responses(
            u("Hi"),
            item("function_call", call_id="c1", name="create", namespace="calendar", arguments="{}"),
            out,
            tools=[space],
        ),
    )
    yield (
        "additional tools",
        responses(item("additional_tools", role="developer", tools=[space, rtool()]), u("Hi")),
    )
    searcher = {
        "type": "tool_search",
        "execution": "client",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
    }
    found = [
        item(
            "tool_search_call",
            call_id="s1",
            execution="client",
            arguments={"query": "cal"},
            status="completed",
        ),
        item(
            "tool_search_output",
            call_id="s1",
            execution="client",
            status="completed",
            tools=[rtool("cal_create")],
        ),
    ]
    yield "a tool search", responses(u("Hi"), *found, tools=[searcher, rtool()])
    shell = [
        item(
            "local_shell_call",
            call_id="l1",
            status="completed",
            action={"type": "exec", "command": ["ls"], "env": {}},
        ),
        item("local_shell_call_output", call_id="l1", output="a.txt"),
    ]
    yield "a local shell", responses(u("Hi"), *shell, tools=[{"type": "local_shell"}])
    newer = [
        item("shell_call", call_id="h1", status="completed", action={"commands": ["ls"]}),
        item(
            "shell_call_output",
            call_id="h1",
            output=[{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
        ),
    ]
    yield "a shell", responses(u("Hi"), *newer, tools=[{"type": "shell"}])
    patch = [
        item(
            "apply_patch_call",
            call_id="p1",
            status="completed",
            operation={"type": "create_file", "path": "a", "diff": "+x"},
        ),
        item("apply_patch_call_output", call_id="p1", status="completed", output="Done."),
    ]
    yield "a patch", responses(u("Hi"), *patch, tools=[{"type": "apply_patch"}])
    grammar = {
        "type": "custom",
        "name": "apply_patch",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"},
    }
    custom = [
        item("custom_tool_call", call_id="k1", name="apply_patch", input="*** Begin"),
        item("custom_tool_call_output", call_id="k1", output="ok"),
    ]
    yield "a grammar", responses(u("Hi"), *custom, tools=[grammar])
    yield "a hosted search beside tools", responses(tools=[{"type": "web_search"}, rtool()])
    yield (
        "a hosted search",
        responses(tools=[{"type": "web_search", "filters": {"allowed_domains": ["a.org"]}}]),
    )
    picture = [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
    ]
    yield (
        "a picture from a tool",
        responses(u("Hi"), call, item("function_call_output", call_id="c1", output=picture), tools=[rtool()]),
    )
    yield (
        "blank output",
        responses(
            u("Hi"),
            item("message", role="assistant", content=[{"type": "output_text", "text": "\n\n"}]),
            u("Go"),
        ),
    )
    yield "a developer last", responses(u("Hi"), call, out, s("Be quick", "developer"), tools=[rtool()])
    yield (
        "a schema",
        responses(text={"format": {"type": "json_schema", "name": "x" * 80, "schema": SCHEMAS["bounds"]}}),
    )
    yield "json", responses(text={"format": {"type": "json_object"}})
    yield "a strict tool", responses(tools=[rtool(strict=True, parameters=SCHEMAS["words of all kinds"])])
    yield "a long user", responses(user=WORD, service_tier="flex", metadata={"a": "b"})


def claude(*messages: Json, **more: Any) -> Json:
    return {"model": "alias", "max_tokens": 99, "messages": list(messages) or [u("Hi")], **more}


def ctool(name: str = "look_up", schema: Json | None = None, **more: Any) -> Json:
    return {"name": name, "input_schema": {"type": "object"} if schema is None else schema, **more}


def use(id_: str = "t1", name: str = "look_up") -> Json:
    return {"type": "tool_use", "id": id_, "name": name, "input": {}}


def got(id_: str = "t1", content: Any = "42", **more: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": id_, "content": content, **more}


def of_messages() -> Iterator[tuple[str, Json]]:
    """Messages, as Claude Code and others ask."""
    text = {"type": "text", "text": "See to it."}
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    header = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cch=71fea;"}
    yield (
        "Claude Code begins",
        claude(
            u([text]),
            s("Reminder"),
            system=[header, {"type": "text", "text": "You are Claude."}],
            metadata={"user_id": WORD},
            tools=[ctool(LONG), ctool()],
        ),
    )
    yield "words after a result", claude(u("Hi"), a([use()]), u([got(), text]), tools=[ctool()])
    yield "words before a result", claude(u("Hi"), a([use()]), u([text, got()]), tools=[ctool()])
    yield (
        "a picture in a result",
        claude(u("Hi"), a([use(), use("t2")]), u([got(content=[picture]), got("t2")]), tools=[ctool()]),
    )
    yield (
        "a system in mid-conversation",
        claude(u("Hi"), a([use()]), u([got()]), a("Done"), s("Rule"), u("Go"), tools=[ctool()]),
    )
    yield (
        "a system between call and result",
        claude(u("Hi"), a([use()]), s("Rule"), u([got()]), tools=[ctool()]),
    )
    yield (
        "signed thoughts",
        claude(
            u("Hi"),
            a([{"type": "thinking", "thinking": "hm", "signature": "c2ln"}, use()]),
            u([got()]),
            tools=[ctool()],
            thinking={"type": "enabled", "budget_tokens": 2048},
        ),
    )
    yield (
        "unsigned thoughts",
        claude(u("Hi"), a([{"type": "thinking", "thinking": "hm", "signature": ""}]), u("Go")),
    )
    yield (
        "redacted thoughts",
        claude(
            u("Hi"), a([{"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "A"}]), u("Go")
        ),
    )
    yield "a prefill", claude(u("Hi"), a("{ "))
    yield (
        "a search result",
        claude(
            u("Hi"),
            a([use()]),
            u(
                [
                    got(
                        content=[
                            {
                                "type": "search_result",
                                "title": "Doc",
                                "source": "s",
                                "content": [{"type": "text", "text": "FACT42"}],
                            }
                        ]
                    )
                ]
            ),
            tools=[ctool()],
        ),
    )
    yield (
        "a document of blocks",
        claude(
            u(
                [
                    {
                        "type": "document",
                        "title": "T",
                        "source": {"type": "content", "content": [{"type": "text", "text": "FACT42"}]},
                    }
                ]
            )
        ),
    )
    yield (
        "a document of text",
        claude(
            u(
                [
                    {
                        "type": "document",
                        "title": "T",
                        "source": {"type": "text", "media_type": "text/plain", "data": "FACT42"},
                    }
                ]
            )
        ),
    )
    yield (
        "a tool reference",
        claude(
            u("Hi"),
            a([use()]),
            u([got(content=[{"type": "tool_reference", "tool_name": "f"}])]),
            tools=[ctool(), ctool("f", defer_loading=True)],
        ),
    )
    yield (
        "a result that is missing",
        claude(u("Hi"), a([use("t1"), use("t2")]), u([got("t1")]), tools=[ctool()]),
    )
    yield (
        "results over two turns",
        claude(u("Hi"), a([use("t1"), use("t2")]), u([got("t1")]), u([got("t2"), text]), tools=[ctool()]),
    )
    yield "an error", claude(u("Hi"), a([use()]), u([got(content="no", is_error=True)]), tools=[ctool()])
    yield (
        "no content",
        claude(u("Hi"), a([use()]), u([{"type": "tool_result", "tool_use_id": "t1"}]), tools=[ctool()]),
    )
    yield (
        "a server tool's record",
        claude(
            u("Hi"),
            a(
                [
                    {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}},
                    {"type": "web_search_tool_result", "tool_use_id": "srv", "content": []},
                ]
            ),
            u("Go"),
        ),
    )
    yield (
        "the client's own tools",
        claude(
            tools=[
                {"type": "bash_20250124", "name": "bash"},
                {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
                {"type": "memory_20250818", "name": "memory"},
            ]
        ),
    )
    yield (
        "a hosted search beside tools",
        claude(tools=[{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}, ctool()]),
    )
    yield "a hosted search", claude(tools=[{"type": "web_search_20250305", "name": "web_search"}])
    yield (
        "a schema",
        claude(
            output_config={
                "format": {
                    "type": "json_schema",
                    "schema": {
                        "type": "object",
                        "properties": {"a": {"type": "string"}},
                        "required": ["a"],
                        "additionalProperties": False,
                    },
                }
            }
        ),
    )
    yield (
        "a cached prompt",
        claude(
            u([{**text, "cache_control": {"type": "ephemeral"}}]),
            system=[
                {"type": "text", "text": "A", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "B"},
            ],
        ),
    )
    yield "a tier", claude(service_tier="standard_only", stop_sequences=["a", "b", "c", "d", "e", "f"])
    for name, schema in SCHEMAS.items():
        if isinstance(schema.get("type"), str):
            yield f"tool: {name}", claude(tools=[ctool(schema=schema)])


def google(*contents: Json, **more: Any) -> Json:
    return {"model": "alias", "stream": False, "contents": list(contents) or [g("Hi")], **more}


def g(*parts: Any, role: str = "user") -> Json:
    return {"role": role, "parts": [{"text": part} if isinstance(part, str) else part for part in parts]}


def of_gemini() -> Iterator[tuple[str, Json]]:
    """generateContent."""
    calling = g({"functionCall": {"name": ODD, "args": {}}, "thoughtSignature": "c2ln"}, role="model")
    answer = g({"functionResponse": {"name": ODD, "response": {"result": "42"}}})
    declared = [
        {
            "functionDeclarations": [
                {"name": ODD, "parameters": {"type": "OBJECT"}},
                {"name": "a.b:c-" + "d" * 50},
            ]
        }
    ]
    yield "an odd name", google(g("Hi"), calling, answer, tools=declared)
    seen = g(
        {
            "functionResponse": {
                "name": ODD,
                "response": {"result": "42"},
                "parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}],
            }
        }
    )
    yield "a picture in a result", google(g("Hi"), calling, seen, tools=declared)
    yield (
        "two results",
        google(
            g("Hi"),
            g(
                {"functionCall": {"name": "f", "args": {}}},
                {"functionCall": {"name": "f", "args": {}}},
                role="model",
            ),
            g(
                {"functionResponse": {"name": "f", "response": {}}},
                {"functionResponse": {"name": "f", "response": {}}},
            ),
            tools=[{"functionDeclarations": [{"name": "f"}]}],
        ),
    )
    yield "sound", google(g("Hear", {"inlineData": {"mimeType": "audio/mpeg", "data": WAV}}))
    yield "a system", google(g("Hi"), systemInstruction={"parts": [{"text": "A"}, {"text": "B"}]})
    yield "a system turn", google(g("Hi"), g("Yes?", role="model"), g("Rule", role="system"), g("Go"))
    yield "model first", google(g("Welcome", role="model"), g("Hi"))
    yield "model last", google(g("Hi"), g("I ", role="model"))
    yield (
        "a thought alone",
        google(
            g("Hi"), g({"text": "hm", "thought": True, "thoughtSignature": "c2ln"}, role="model"), g("Go")
        ),
    )
    yield "search", google(tools=[{"googleSearch": {}}])
    yield (
        "search beside tools",
        google(
            tools=[{"googleSearch": {}}, *declared], toolConfig={"includeServerSideToolInvocations": True}
        ),
    )
    limited = {
        "type": "OBJECT",
        "properties": {
            "n": {"type": "INTEGER", "minimum": 1, "nullable": True},
            "l": {"type": "ARRAY", "items": {"type": "STRING"}},
        },
    }
    yield (
        "a schema",
        google(generationConfig={"responseMimeType": "application/json", "responseSchema": limited}),
    )
    yield "json", google(generationConfig={"responseMimeType": "application/json"})
    yield (
        "settings",
        google(
            generationConfig={
                "temperature": 2,
                "topP": 0.5,
                "stopSequences": ["a", "b", "c", "d", "e"],
                "seed": -5,
                "responseLogprobs": True,
                "logprobs": 5,
            }
        ),
    )
    yield "a turn of nothing", google(g("Hi"), g("", role="model"), g("Go"))


def native(*messages: Json, **more: Any) -> Json:
    return {"model": "alias", "stream": False, "messages": list(messages) or [u("Hi")], **more}


def of_ollama() -> Iterator[tuple[str, Json]]:
    """Ollama's chat."""
    call = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"function": {"name": "look_up", "arguments": {}}}],
    }
    tool = ftool()
    yield (
        "a picture in a result",
        native(
            u("Hi"),
            call,
            {"role": "tool", "tool_name": "look_up", "content": "done", "images": [PNG]},
            tools=[tool],
        ),
    )
    yield "a result", native(u("Hi"), call, {"role": "tool", "content": "42"}, u("Go"), tools=[tool])
    yield (
        "two rounds",
        native(
            u("Hi"),
            call,
            {"role": "tool", "content": "1"},
            call,
            {"role": "tool", "content": "2"},
            tools=[tool],
        ),
    )
    yield "system in the middle", native(u("Hi"), s("A"), u("Go"))
    yield "no tools", native(tools=[])
    yield "a schema", native(format=SCHEMAS["bounds"])
    yield "json", native(format="json")
    yield "an empty answer", native(u("Hi"), {"role": "assistant", "content": ""}, u("Go"))
    yield (
        "settings",
        native(options={"stop": [f"s{n}" for n in range(9)], "num_predict": 1, "temperature": 1.8}),
    )
    yield "likely", native(logprobs=True, top_logprobs=5)


ASKED = {
    "openai_chat": of_chat,
    "openai_responses": of_responses,
    "anthropic_messages": of_messages,
    "gemini": of_gemini,
    "ollama": of_ollama,
}
