"""What editors say of the keys of a definition: the words of its JSON Schema, by their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

STEP: Mapping[str, str] = {
    "id": "its name, by which later steps read it: steps.ID",
    "when": "an expression; where it is false the step is left out and gives null",
    "cache": "how long a result of the same inputs is used again",
    "timeout": "for one attempt; of a step with others in it, a wait or a sleep: for all of it",
    "retry": "when and how often it is tried again",
    "limits": "what it may take besides time",
    "fallback": "a step of another kind or model that is done where this one fails",
    "on_error": "continue: the chain goes on, and the step gives {error: {code, message}}",
    "do": "the steps of a map or loop",
    "llm": "ask a model; gives text, or the object's keys with json or schema",
    "classify": "put a text under one of labels; gives label",
    "extract": "read what a schema describes out of a text; gives value",
    "agent": "a model that calls tools until it answers; gives text, calls, rounds",
    "rag": "passages of a collection; gives hits and text",
    "persona": "the messages of a persona",
    "set": "values from expressions; a text stands in quotes of its own: \"'hello'\"",
    "switch": "the first branch whose when holds",
    "parallel": "branches beside one another",
    "map": "the steps of do for each item of a list",
    "loop": "the steps of do until an expression holds",
    "chain": "another chain; gives its output",
    "http": "a request; gives status, headers, url, body",
    "tool": "a tool of [chain_engine.tools]; gives its answer",
    "wait": "until a signal comes; gives its payload",
    "sleep": "for a time, also through a restart",
}
INNER: Mapping[str, str] = {
    "retry.attempts": "in all, the first one included",
    "retry.delay": "before the second attempt",
    "retry.factor": "how much longer each further pause is",
    "retry.max": "the longest pause",
    "retry.errors": "codes, statuses such as 503 or 5xx, timeout, rate_limit, or any",
    "llm.temperature": "0: always the likeliest word",
    "llm.options": "further settings of the model",
    "llm.prompt": "the user's message, a template",
    "llm.system": "the system message, a template",
    "llm.messages": "in place of prompt: a whole conversation",
    "llm.persona": "a persona that speaks, or its name with variables",
    "llm.json": "the answer is a JSON object",
    "llm.schema": "JSON Schema that the answer is held to",
    "classify.temperature": "0 unless told",
    "classify.options": "further settings of the model",
    "classify.instructions": "what the model is told besides",
    "extract.temperature": "0 unless told",
    "extract.options": "further settings of the model",
    "extract.instructions": "what the model is told besides",
    "agent.temperature": "0: always the likeliest word",
    "agent.options": "further settings of the model",
    "agent.system": "the system message, a template",
    "rag.collection": "its name",
    "rag.query": "what is looked for, a template",
    "rag.top_k": "passages at most",
    "rag.filters": "conditions on the documents' metadata",
    "persona.name": "of the persona",
    "persona.variables": "what its template takes",
    "map.over": "an expression that gives a list",
    "map.as": "what an item is called in do",
    "map.max_parallel": "items at once",
    "map.max_items": "a longer list fails the step",
    "loop.until": "an expression, looked at after each round",
    "loop.max": "rounds at most",
    "chain.name": "of the chain",
    "chain.input": "its inputs, from expressions",
    "http.url": "an address, a template",
    "http.method": "GET unless told",
    "http.headers": "sent along, templates",
    "wait.escalate": "asks somebody else after a while",
    "tool.name": "of the tool",
    "tool.arguments": "what it takes, templates",
}
HEAD: Mapping[str, str] = {
    "name": "under which it is stored",
    "version": "its author's own number",
    "description": "what it is for",
    "max_parallel_steps": "of one run at once",
    "timeout": "of a whole run",
}
WHOLE: Mapping[str, str] = {
    "chain": "what it is called, and what bounds it",
    "input": "what a run takes: names with a type, perhaps a default; any JSON Schema",
    "defaults": "for steps that say nothing else",
    "steps": "one after another",
    "output": "an expression, or names with expressions; absent: what every step gave",
}


def describe(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its words. What has words already, such as how a duration is written, keeps them behind the new ones."""
    step = schema["$defs"]["step"]["properties"]
    _say(schema["properties"], WHOLE)
    _say(schema["properties"]["chain"]["properties"], HEAD)
    _say(
        schema["properties"]["defaults"]["properties"],
        {name: STEP[name] for name in ("timeout", "retry", "limits")},
    )
    for name, words in INNER.items():
        kind, _, key = name.partition(".")
        _say(step[kind]["properties"], {key: words})
    _say(step, STEP)
    return schema


def _say(properties: dict[str, Any], words: Mapping[str, str]) -> None:
    for name, text in words.items():
        old = properties[name].get("description", "")
        properties[name] = {**properties[name], "description": f"{text}. {old}" if old else text}


def undescribed(schema: Mapping[str, Any]) -> Iterator[str]:
    """The keys of a definition that have no words."""
    places = {"": schema, "chain.": schema["properties"]["chain"], "step.": schema["$defs"]["step"]}
    kinds = schema["$defs"]["step"]["properties"]
    places |= {f"step.{name}.": each for name, each in kinds.items() if "properties" in each}
    for place, each in places.items():
        yield from (
            f"{place}{name}" for name, key in each["properties"].items() if not key.get("description")
        )
