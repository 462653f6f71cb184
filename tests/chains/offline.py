"""Stand-ins for the other roles, and the chain of the design, for the chain tests."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from intellirouter.chains.check import check
from intellirouter.chains.model import Chain
from intellirouter.chains.ports import Ports, Ticket
from intellirouter.chains.source import read
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.parts import Text, ToolCall, ToolResult
from intellirouter.chat.response import ChatResponse, Choice, Usage


def chain(text: str) -> Chain:
    return check(read(text))


class Model:
    """Answers by a function of the last message; counts the keys it saw. Lines `call NAME {…}` are calls of tools."""

    def __init__(self, answer: Callable[[str], str] | None = None) -> None:
        self.answer, self.keys = answer or (lambda prompt: f"<{prompt}>"), Counter[str]()
        self.asked: list[ChatRequest] = []

    async def complete(self, request: ChatRequest, ticket: Ticket) -> tuple[ChatResponse, float | None]:
        self.keys[ticket.key] += 1
        self.asked.append(request)
        text = self.answer(said(request))
        calls = tuple(
            ToolCall(f"call_{number}", *line.removeprefix("call ").split(" ", 1))
            for number, line in enumerate(text.splitlines())
            if line.startswith("call ")
        )
        return ChatResponse(
            id="r", model=request.model, choices=(Choice(calls or (Text(text),)),), usage=Usage(1, 2)
        ), 0.5


def said(request: ChatRequest) -> str:
    """The last message; of results of tools, the texts of all that stand at the end."""
    results: list[str] = []
    for message in reversed(request.messages):
        if message.role != "tool":
            break
        for part in message.content:
            texts = part.content if isinstance(part, ToolResult) else ()
            results.insert(0, "".join(each.text for each in texts if isinstance(each, Text)))
    return "\n".join(results) or request.messages[-1].text


class Shelf:
    async def retrieve(
        self, query: str, collection: str, top_k: int, filters: Mapping[str, Any] | None, ticket: Ticket
    ) -> list[dict[str, Any]]:
        return [{"id": str(n), "text": f"{collection} {n}", "score": 1.0 / (n + 1)} for n in range(top_k)]


class Hammer:
    """A tool `echo` that counts calls by key; `flaky` is what to raise, in order."""

    def __init__(self, *flaky: Exception) -> None:
        self.flaky, self.keys = list(flaky), Counter[str]()

    async def offered(self, names: Sequence[str], ticket: Ticket) -> list[dict[str, Any]]:
        return [{"name": name, "description": None, "parameters": {"type": "object"}} for name in names]

    async def call(self, name: str, arguments: Mapping[str, Any], ticket: Ticket) -> Any:
        self.keys[ticket.key] += 1
        if self.flaky:
            raise self.flaky.pop(0)
        return dict(arguments)


def ports(model: Model | None = None, tools: Hammer | None = None) -> Ports:
    return Ports(models=model or Model(), search=Shelf(), tools=tools or Hammer())


def support(prompt: str) -> str:
    """Answers the chain of the design: a class first, then grades that rise."""
    if prompt.startswith("Classify"):
        return json.dumps({"label": "tech"})
    if prompt.startswith("Score"):
        return json.dumps({"score": 0.9})
    return f"[{prompt[:40]}]"


SUPPORT = """
chain: {name: support, version: 3, max_parallel_steps: 8, timeout: 15m}
input: {question: {type: string}, lang: {type: string, default: en}}
defaults: {timeout: 30s, retry: {attempts: 3, delay: 0.5s, factor: 2, max: 20s, errors: [timeout, rate_limit, "5xx"]}}
steps:
  - id: route
    llm: {model: auto, prompt: "Classify tech/chat: {{ input.question }}", json: true}
  - id: ctx
    switch:
      - when: steps.route.label == 'tech'
        do:
          - id: docs
            rag: {collection: kb, query: "{{ input.question }}", top_k: 5}
            cache: 10m
          - id: notes
            map: {over: steps.docs.hits, as: d, max_parallel: 2, max_items: 20}
            do: [{id: s, llm: {model: small, prompt: "Summarise: {{ d.text }}"}}]
      - do: [{id: notes, set: {items: "[]"}}]
  - id: draft
    loop: {until: steps.grade.score >= 0.8, max: 3}
    do:
      - id: write
        llm: {model: auto, prompt: "{{ input.question }}\\n{{ steps.ctx.notes }}"}
        retry: {attempts: 2}
        fallback: {llm: {model: local/llama3, prompt: "{{ input.question }}"}}
      - id: grade
        llm: {model: judge, prompt: "Score 0-1: {{ steps.write.text }}", json: true}
  - id: approve
    when: steps.draft.grade.score < 0.95
    wait: {signal: approval, timeout: 24h, on_timeout: fail}
output: {answer: steps.draft.write.text, approved_by: steps.approve.by}
"""
