"""Chains to be killed: one of every kind of step, the chain of the design, and every shipped example."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chains.offline import SUPPORT

EXAMPLES = Path(__file__).parents[2] / "config" / "chains"

KINDS = """
chain: {name: crash}
steps:
  - {id: a, tool: {name: t, arguments: {v: "1"}}}
  - id: m
    map: {over: "[3, 2, 1]", as: x, max_items: 4}
    do:
      - {id: one, tool: {name: t, arguments: {v: "{{ x }}"}}}
      - {id: two, tool: {name: t, arguments: {v: "{{ steps.one.v }}{{ steps.a.v }}"}}}
  - id: p
    parallel:
      - {do: [{id: left, tool: {name: t, arguments: {v: left}}}]}
      - {do: [{id: right, loop: {max: 2}, do: [{id: r, tool: {name: t, arguments: {v: "{{ index }}"}}}]}]}
  - {id: z, tool: {name: t, arguments: {v: "end"}}}
output: {m: steps.m, left: steps.p.left.v, right: steps.p.right.r.v, z: steps.z.v}
"""


OUTSIDE = """
chain: {name: outside}
steps:
  - {id: get, http: {url: "http://x/1"}}
  - {id: sort, classify: {model: m, text: "late parcel", labels: [delivery, refund]}}
  - {id: read, extract: {model: m, text: "order 7", schema: {type: object, properties: {order: {type: integer}}, required: [order]}}}
  - id: m
    map: {over: "[1, 2]", as: x, max_items: 4}
    do:
      - {id: work, agent: {model: m, prompt: "Research {{ x }}", tools: [t], collections: [kb], max_rounds: 4}}
      - {id: post, http: {method: POST, url: "http://x/{{ x }}", body: {text: "{{ steps.work.text }}"}}}
  - {id: end, agent: {model: m, prompt: "Research last", tools: [t], max_rounds: 2}}
output: {label: steps.sort.label, order: steps.read.order, posts: "steps.m|map(attribute='post.body.asked')|list", end: steps.end.text}
"""


@dataclass(frozen=True)
class Scenario:
    """A definition, its input, and the signals it waits for."""

    text: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    signals: Mapping[str, Any] = field(default_factory=dict)


def _example(name: str, inputs: Mapping[str, Any], **signals: Any) -> Scenario:
    return Scenario((EXAMPLES / f"{name}.yaml").read_text(), inputs, signals)


SCENARIOS = {
    "kinds": Scenario(KINDS),
    "outside": Scenario(OUTSIDE),
    "design": Scenario(SUPPORT, {"question": "why?"}, {"approval": {"by": "ann"}}),
    "approval": _example("approval", {"request": "Hello"}, approval={"ok": True, "by": "ann"}),
    "ensemble-vote": _example("ensemble-vote", {"question": "Why?"}),
    "judge-loop": _example("judge-loop", {"task": "Say hello."}),
    "map-reduce-summary": _example("map-reduce-summary", {"parts": ["The sky.", "The grass.", "The sea."]}),
    "plan-research-write": _example("plan-research-write", {"topic": "tea"}),
    "rag-answer": _example("rag-answer", {"question": "What is a chain?"}),
}


def answer(prompt: str) -> str:
    """What the model says: always the same to the same prompt."""
    if prompt.startswith("Classify"):
        return json.dumps({"label": "tech"})
    if prompt.startswith("Score"):
        return json.dumps({"score": 0.9})
    if prompt.startswith("Grade"):
        return json.dumps({"score": 0.9 if "Mend" in prompt else 0.3, "reason": "too short"})
    if prompt.startswith("late parcel"):
        return json.dumps({"label": "delivery"})
    if prompt.startswith("order"):
        return json.dumps({"order": 7})
    if prompt.startswith("Research"):
        return 'call t {"v": "1"}\ncall t {"v": "2"}\ncall search {"query": "tea"}\ncall nobody {}'
    if prompt.startswith('{"v": "1"}'):
        return 'call t {"v": "3"}'
    if prompt.startswith("Name up to five questions"):
        return json.dumps({"questions": ["Where from?", "How hot?", "Since when?"]})
    return f"[{prompt[:60]}]"
