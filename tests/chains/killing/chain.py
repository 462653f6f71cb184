"""The chain of every kind of step, those that triggers start, and the configuration of a node that runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.chains.killing.world import World

ALL = """
chain: {name: all, timeout: 20m}
input: {n: {type: integer}}
defaults: {timeout: 60s, retry: {attempts: 5, delay: 0.2s}}
steps:
  - {id: who, persona: {name: helper, variables: {n: "{{ input.n }}"}}}
  - {id: get, http: {url: "WORLD/effects/get/{{ input.n }}"}}
  - {id: use, tool: {name: stamp, arguments: {v: "{{ input.n }}"}}}
  - {id: sort, classify: {model: m, text: late parcel, labels: [delivery, refund]}}
  - {id: read, extract: {model: m, text: order 7, schema: {type: object, properties: {order: {type: integer}}, required: [order]}}}
  - {id: find, rag: {collection: kb, query: Coal is black and burns well., top_k: 2}}
  - {id: say, llm: {model: m, persona: helper, prompt: "Say something about {{ steps.find.hits[0].text }}"}}
  - id: m
    map: {over: "[3, 2, 1]", as: x, max_items: 4}
    do:
      - {id: post, http: {method: POST, url: "WORLD/effects/post/{{ x }}", body: {n: "{{ input.n }}"}}}
      - {id: then, tool: {name: stamp, arguments: {v: "{{ steps.post.body.serial }}"}}}
  - id: p
    parallel:
      - do: [{id: left, tool: {name: stamp, arguments: {v: left}}}, {id: slow, sleep: 50ms}]
      - do: [{id: right, loop: {max: 2}, do: [{id: r, http: {url: "WORLD/effects/round/{{ index }}"}}]}]
  - {id: inner, chain: {name: small, input: {n: "input.n"}}}
  - {id: work, agent: {model: m, prompt: "Research {{ input.n }}", tools: [stamp], collections: [kb], max_rounds: 3}}
  - id: way
    switch: [{when: "steps.sort.label == 'delivery'", do: [{id: named, set: {way: "'by hand'"}}]}, {do: [{id: named, set: {way: "'none'"}}]}]
  - {id: nap, sleep: 200ms}
  - id: ok
    wait:
      signal: approval
      title: "Run {{ input.n }}?"
      assignee: ann
      escalate: {after: 1s, to: bob}
      form: {type: object, properties: {ok: {type: boolean}, by: {type: string}}, required: [ok]}
      timeout: 15m
  - {id: end, http: {method: POST, url: "WORLD/effects/end", body: {said: "{{ steps.say.text }}"}}}
output: {n: input.n, label: steps.sort.label, order: steps.read.order, found: "steps.find.hits|length", said: steps.say.text, way: steps.way.named.way, inner: steps.inner.n, work: steps.work.text, ok: steps.ok.ok, end: steps.end.status}
"""
SMALL = """
chain: {name: small}
input: {n: {type: integer}}
steps: [{id: one, tool: {name: stamp, arguments: {v: "{{ input.n }}"}}}]
output: {n: input.n}
"""
AFTER = """
chain: {name: after}
input: {of: {type: string}}
steps: [{id: one, http: {url: "WORLD/effects/after"}}]
output: {of: input.of}
"""
OUTPUT = {
    "label": "delivery", "order": 7, "found": 1, "way": "by hand", "work": "It is done.", "ok": True, "end": 200,
}  # fmt: skip
EFFECTS = ("http", "tool", "llm", "classify", "extract", "rag", "persona")
TRIGGERS: dict[str, dict[str, Any]] = {
    "hooked": {"kind": "webhook", "chain": "small", "input": {"n": "{{ event.body.n }}"}, "max_per_minute": 10_000},
    "told": {"kind": "event", "type": "order.*", "chain": "small", "input": {"n": "{{ event.data.n }}"}, "max_per_minute": 10_000},
    "dropped": {"kind": "folder", "folder": "inbox", "pattern": "*.txt", "chain": "small", "input": {"n": "{{ event.size }}"}, "max_per_minute": 10_000},
    "next": {"kind": "run", "of": "all", "chain": "after", "input": {"of": "{{ event.run.id }}"}, "max_per_minute": 10_000},
}  # fmt: skip
SCHEDULE = {"chain": "small", "cron": "* * * * * */2", "input": {"n": 0}}
"""Every two seconds, beside all else."""
PAGE = b"Coal is black and burns well."
PERSONA = '+++\ntitle = "Helper"\n[variables.n]\ndefault = "0"\n+++\nYou help with {{ n }}.\n'


def configuration(world: World, database: str, folder: Path) -> str:
    """A node of all roles. `database` is empty for a SQLite of its own."""
    hooks = "".join(
        f'[chain_engine.hooks.{name}]\nkind = "{kind}"\nsecret = "word"\nurl = "{world.url}/hooks/{name}"\n{more}\n'
        for name, kind, more in (
            ("judge", "evaluate", 'chains = ["all"]'),
            ("batch", "optimise", "batch_size = 5\nflush_interval = 1"),
            ("gate", "govern", ""),
            ("inbox", "notify", 'link_base = "http://localhost"'),
        )
    )
    shared = f'database_url = "{database}"\n' if database else ""
    return f"""
[outgoing]
allow = ["127.0.0.1:{world.server.port}"]
[chain_engine]
{shared}
{hooks}
[chain_engine.folders.inbox]
path = "{folder / "inbox"}"
[chain_engine.tools.stamp]
url = "{world.url}/effects/stamp"
parameters = {{type = "object", properties = {{v = {{type = "string"}}}}}}
[rag]
embedding_model = "primary/e"
[persona_layer]
personas_path = {json.dumps(str(folder / "personas"))}
[[model_registry.providers]]
name = "primary"
kind = "openai_compatible"
endpoint = "{world.url}/v1"
api_key = "sk-word"
models = ["m", "e"]
"""
