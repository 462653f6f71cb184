"""The one JSON Schema (draft 2020-12) of a chain definition."""

from __future__ import annotations

import re
from typing import Any

from intellirouter.chains.described import describe

KINDS = (
    "llm", "classify", "extract", "agent", "rag", "persona", "set", "switch", "parallel", "map", "loop", "chain", "http", "tool", "wait",
    "sleep",
)  # fmt: skip
INLINE = frozenset({"set", "switch", "parallel", "map", "loop", "chain", "agent"})
"""What records nothing of its own: its parts do."""
ASKING = frozenset({"llm", "classify", "extract", "agent"})
"""What asks a model."""
EFFECTS = frozenset({"llm", "classify", "extract", "agent", "rag", "persona", "http", "tool"})
"""What reaches outside."""
AROUND = frozenset({"switch", "parallel", "map", "loop", "chain"})
"""What holds other steps."""
BESIDE = frozenset({"parallel", "map", "agent"})
"""What does several things at once."""
MAX_RESULT = 4_000_000
"""Bytes of JSON that one step with an effect may give."""
ABOUT = ("title", "message", "assignee", "escalate")
"""What a `wait` tells whoever is asked, as templates."""
MAX_ROUNDS = 50
MAX_CALLS = 8
"""Tools that an agent may call at once; it is told to ask again for the rest."""
MAX_STEPS = 1_000
MAX_LOOP = 1_000
MAX_ITEMS = 1_000
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
"""What a chain may be called."""

_TEXT = {"type": "string", "maxLength": 100_000}
_EXPRESSION = {"type": "string", "minLength": 1, "maxLength": 10_000}
_FRACTION = r"(\.\d{1,9})?"
_DURATION = {
    # up to about three hundred years: what lies further ahead has no date that could be written
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0, "maximum": 9_999_999_999},
        {
            "type": "string",
            "pattern": rf"^(\d{{1,12}}{_FRACTION}ms|\d{{1,9}}{_FRACTION}s|\d{{1,7}}{_FRACTION}m|\d{{1,6}}{_FRACTION}h|\d{{1,5}}{_FRACTION}d)$",
        },
    ],
    "description": "Seconds, or a number with ms, s, m, h or d.",
}
_SIZE = {
    "anyOf": [
        {"type": "integer", "minimum": 1},
        {"type": "string", "pattern": r"^[1-9]\d{0,11}(B|kB|KB|MB|KiB|MiB)$"},
    ],
    "description": "Bytes, or a number with B, kB, MB, KiB or MiB.",
}
_USD = {"type": "number", "exclusiveMinimum": 0}
_NAME = {"type": "string", "pattern": r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"}
_STEPS = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/step"}}
_COUNT = {"type": "integer", "minimum": 1}


def _table(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": properties,
    }


_RETRY = _table(
    attempts={**_COUNT, "maximum": 20},
    delay=_DURATION,
    factor={"type": "number", "minimum": 1},
    max=_DURATION,
    errors={"type": "array", "items": {"type": "string"}},
)
_LIMITS: dict[str, Any] = {
    "bytes": {
        **_SIZE,
        "description": f"of its result; of http and tool: of the answer. {_SIZE['description']}",
    },
    "cost": {**_USD, "description": "US dollars for every attempt, its fallback and all steps it holds"},
}
_MESSAGES = {
    "type": "array",
    "minItems": 1,
    "items": _table(("role", "content"), role={"enum": ["system", "user", "assistant"]}, content=_TEXT),
}
_SETTINGS: dict[str, Any] = {
    "model": {**_TEXT, "description": "a model, an alias or a group such as auto"},
    "temperature": {"type": "number", "minimum": 0},
    "max_tokens": {**_COUNT, "description": "of the answer"},
    "options": _table(
        top_p={"type": "number", "minimum": 0, "maximum": 1},
        top_k=_COUNT,
        min_p={"type": "number", "minimum": 0, "maximum": 1},
        presence_penalty={"type": "number"},
        frequency_penalty={"type": "number"},
        seed={"type": "integer"},
        stop={"type": "array", "maxItems": 16, "items": {"type": "string"}},
        verbosity={"enum": ["low", "medium", "high"]},
        user={"type": "string", "maxLength": 256},
    ),
}
_LLM = _table(
    ("model",),
    **_SETTINGS,
    prompt=_TEXT,
    system=_TEXT,
    messages=_MESSAGES,
    persona={"anyOf": [_TEXT, _table(("name",), name=_TEXT, variables={"type": "object"})]},
    json={"type": "boolean"},
    schema={"type": "object"},
)
_LABEL = {"type": "string", "minLength": 1, "maxLength": 200}
_CLASSIFY = _table(
    ("model", "text", "labels"),
    **_SETTINGS,
    text={**_TEXT, "description": "what is to be classified"},
    labels={
        "description": "The classes: a list of names, or names with what each one means.",
        "anyOf": [
            {"type": "array", "minItems": 2, "maxItems": 200, "uniqueItems": True, "items": _LABEL},
            {
                "type": "object",
                "minProperties": 2,
                "maxProperties": 200,
                "propertyNames": _LABEL,
                "additionalProperties": _TEXT,
            },
        ],
    },
    many={"type": "boolean", "description": "any number of labels in place of exactly one"},
    instructions=_TEXT,
)
_EXTRACT = _table(
    ("model", "text", "schema"),
    **_SETTINGS,
    text={**_TEXT, "description": "what is to be read"},
    schema={"type": "object", "description": "JSON Schema of the object that is wanted"},
    instructions=_TEXT,
)
_AGENT = _table(
    ("model", "prompt"),
    **_SETTINGS,
    prompt={**_TEXT, "description": "the task"},
    system=_TEXT,
    tools={
        "type": "array",
        "maxItems": 64,
        "uniqueItems": True,
        "items": {"type": "string", "minLength": 1},
        "description": "names of [chain_engine.tools]",
    },
    collections={
        "type": "array",
        "maxItems": 16,
        "uniqueItems": True,
        "items": {"type": "string", "minLength": 1},
        "description": "collections it may search",
    },
    max_rounds={
        **_COUNT,
        "maximum": MAX_ROUNDS,
        "description": "answers of the model at most; in the last it gets no tools",
    },
    max_cost_usd={**_USD, "description": "beyond it the step fails"},
)
_BRANCH = _table(("do",), when=_EXPRESSION, do=_STEPS, name=_NAME)
_STEP = _table(
    ("id",),
    id=_NAME,
    when=_EXPRESSION,
    cache=_DURATION,
    timeout=_DURATION,
    retry=_RETRY,
    limits=_table(
        **_LIMITS,
        parallelism={
            **_COUNT,
            "maximum": 1_000,
            "description": "of map, parallel and an agent's tools: so many at once",
        },
    ),
    fallback={"type": "object"},
    on_error={"enum": ["fail", "continue"]},
    do=_STEPS,
    llm=_LLM,
    classify=_CLASSIFY,
    extract=_EXTRACT,
    agent=_AGENT,
    rag=_table(
        ("collection", "query"),
        collection=_TEXT,
        query=_TEXT,
        top_k={**_COUNT, "maximum": 200},
        filters={"type": "object"},
    ),
    persona=_table(("name",), name=_TEXT, variables={"type": "object"}),
    set={"type": "object", "minProperties": 1},
    switch={"type": "array", "minItems": 1, "items": _BRANCH},
    parallel={"type": "array", "minItems": 1, "maxItems": 100, "items": _BRANCH},
    map=_table(
        ("over", "as", "max_items"),
        **{
            "over": _EXPRESSION,
            "as": _NAME,
            "max_parallel": _COUNT,
            "max_items": {**_COUNT, "maximum": MAX_ITEMS},
        },
    ),
    loop=_table(("max",), until=_EXPRESSION, max={**_COUNT, "maximum": MAX_LOOP}),
    chain=_table(("name",), name={"type": "string"}, input={"type": "object"}),
    http=_table(
        ("url",),
        url=_TEXT,
        method={"enum": ["GET", "POST", "PUT", "PATCH", "DELETE"]},
        headers={"type": "object", "maxProperties": 64, "additionalProperties": _TEXT},
        query={"type": "object", "maxProperties": 64, "description": "put behind the address, encoded"},
        body={"description": "text as it is, anything else as JSON"},
        secret={"type": "string", "minLength": 1, "description": "a name of [chain_engine.secrets]"},
        accept_status={
            "type": "array",
            "maxItems": 32,
            "items": {"type": "integer", "minimum": 400, "maximum": 599},
            "description": "of 400 and above that are answers and no failures",
        },
    ),
    tool=_table(("name",), name={"type": "string"}, arguments={"type": "object"}),
    wait=_table(
        ("signal",),
        signal={**_NAME, "description": "whose payload the step gives"},
        timeout={**_DURATION, "description": "how long it waits at most; absent: for ever"},
        on_timeout={"enum": ["fail", "continue"], "description": "continue: the step gives null"},
        form={
            "type": "object",
            "required": ["type", "properties"],
            "properties": {
                "type": {"const": "object"},
                "properties": {"type": "object", "maxProperties": 100},
            },
            "description": "JSON Schema of the payload: an answer that does not fit is refused",
        },
        title={**_TEXT, "description": "what is asked, in a line"},
        message={**_TEXT, "description": "what whoever answers must know"},
        assignee={**_TEXT, "description": "who is asked"},
        escalate=_table(
            ("after", "to"),
            after={**_DURATION, "description": "of waiting"},
            to={**_TEXT, "description": "who is asked from then on"},
        ),
    ),
    sleep=_DURATION,
)

SCHEMA: dict[str, Any] = describe(
    {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "IntelliRouter chain",
        "$defs": {"step": _STEP},
        **_table(
            ("chain", "steps"),
            chain=_table(
                ("name",),
                name={"type": "string", "pattern": f"^{NAME.pattern}$"},
                version=_COUNT,
                description={"type": "string"},
                max_parallel_steps={**_COUNT, "maximum": 1_000},
                timeout=_DURATION,
            ),
            input={
                "type": "object",
                "propertyNames": _NAME,
                "additionalProperties": {
                    "type": "object",
                    "required": ["type"],
                    "properties": {
                        "type": {"enum": ["string", "number", "integer", "boolean", "array", "object"]},
                        "description": {"type": "string"},
                    },
                },
            },
            defaults=_table(timeout=_DURATION, retry=_RETRY, limits=_table(**_LIMITS)),
            steps=_STEPS,
            output={"anyOf": [_EXPRESSION, {"type": "object"}]},
        ),
    }
)
