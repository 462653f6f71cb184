"""How the form of an answer is asked for: by a schema, by JSON mode, or by words where the target has neither."""

from __future__ import annotations

import re

import msgspec

from intellirouter.chat.fit.schemas import fit_or_tell
from intellirouter.chat.fit.takes import Takes
from intellirouter.chat.model import ChatRequest, Message, OutputFormat
from intellirouter.chat.parts import Text

JSON_INSTRUCTION = "Answer with a single JSON object and nothing else."
VALUE_INSTRUCTION = "Answer with a single JSON value and nothing else."
_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST_NAME = 64


def fit_output(request: ChatRequest, takes: Takes, notes: list[str]) -> ChatRequest:
    """The request asking for its answer's form in a way that the target takes."""
    output = request.output
    if output is None or output.kind == "text":
        return request
    if request.tools and not takes.form_beside_tools:
        notes.append(f"The answer's form was asked for in words: {takes.who} takes no format beside tools.")
        return _in_words(request, None, output)
    if output.kind == "json":
        if takes.json_mode and takes.json_word and not _speaks_of_json(request):
            return _in_words(request, output, OutputFormat("json"))
        return request
    if takes.answer_schema is None:
        notes.append(
            f"The answer's schema was sent as an instruction: {takes.who} holds no answer to a schema."
        )
        return _in_words(request, OutputFormat("json") if takes.json_mode else None, output)
    schema, told = fit_or_tell(output.schema or {}, takes.answer_schema)
    if schema is None:
        notes.append(f"The answer's schema was sent as an instruction: {takes.who} cannot say all of it.")
        mode = OutputFormat("json") if takes.json_mode and _is_object(output) else None
        return _in_words(request, mode, output)
    name = _NAME.sub("_", output.name)[:_LONGEST_NAME] if output.name else output.name
    if schema is output.schema and name == output.name:
        return request
    if told:
        notes.append(f"What {takes.who} has no word for of the answer's schema stands in its descriptions.")
    return request.changed(output=msgspec.structs.replace(output, schema=schema, name=name))


def _in_words(request: ChatRequest, output: OutputFormat | None, wanted: OutputFormat) -> ChatRequest:
    """The request with an instruction after its system messages."""
    words = JSON_INSTRUCTION if wanted.kind == "json" or _is_object(wanted) else VALUE_INSTRUCTION
    if wanted.kind == "json_schema":
        schema = msgspec.json.encode(wanted.schema or {}).decode()
        words = f"{words} It must hold to this JSON schema:\n{schema}"
    messages = request.messages
    lead = next((i for i, m in enumerate(messages) if m.role not in ("system", "developer")), len(messages))
    told = (*messages[:lead], Message("system", (Text(words),)), *messages[lead:])
    return request.changed(messages=told, output=output)


def _is_object(output: OutputFormat) -> bool:
    """Whether what is asked for can only be an object, which JSON mode gives."""
    schema = output.schema or {}
    return (
        schema.get("type", "object") == "object" and not {"enum", "const", "anyOf", "oneOf"} & schema.keys()
    )


def _speaks_of_json(request: ChatRequest) -> bool:
    return any("json" in message.text.lower() for message in request.messages)
